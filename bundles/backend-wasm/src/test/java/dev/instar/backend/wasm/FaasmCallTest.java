package dev.instar.backend.wasm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.tck.capability.RequiresCapability;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@RequiresCapability("wabt")
class FaasmCallTest extends NodeTest {
  /** A function whose exec is this; $m is its argument. */
  private static byte[] exec(String declarations, String body) {
    return Wat.compile("(module " + declarations + " (memory (export \"memory\") 1) "
        + "(func (export \"exec\") (param $m i32) (result i32) (local $i i32) "
        + body + "))");
  }

  private static String field(int offset) {
    return "(i32.load (i32.add (local.get $m) (i32.const " + offset + ")))";
  }

  private static String set(int offset, String value) {
    return "(i32.store (i32.add (local.get $m) (i32.const " + offset + ")) " + value + ")";
  }

  private static final String READ = "(import \"env\" \"__faasm_read_input\" (func $read (param i32 i32) (result i32)))";
  private static final String WRITE = "(import \"env\" \"__faasm_write_output\" (func $write (param i32 i32)))";

  @Test
  void theStructIsLaidOutAsAgreed() {
    // Answers the struct itself.
    byte[] copy = exec("", "(memory.copy " + field(4) + " (local.get $m) (i32.const 32)) " + set(24, "(i32.const 32)") + " (i32.const 0)");
    for (String input : new String[] {"", "a", "x".repeat(65535), "x".repeat(65536), "x".repeat(65537), "x".repeat(1_000_000)}) {
      ByteBuffer struct = ByteBuffer.wrap(node.once(copy, input).good().output()).order(ByteOrder.LITTLE_ENDIAN);
      int in = struct.getInt(0);
      int out = struct.getInt(4);
      int names = struct.getInt(8);
      int inputs = struct.getInt(12);
      assertEquals(0, struct.getInt(16), "chainCount");
      assertEquals(input.length(), struct.getInt(20), "inputSize");
      assertEquals(-1, struct.getInt(24), "outputSize");
      int capacity = struct.getInt(28);
      assertTrue(capacity >= 65536 && capacity >= input.length(), "outputCapacity " + capacity);
      assertEquals(65536 + 32, names, "behind the struct, which begins where the guest's memory ended");
      assertTrue(inputs >= names + 50 * 32 && in >= inputs + 50 * 1024 && out > in + input.length(), "areas overlap: " + struct);
    }
  }

  @Test
  void theInputEndsWithANul() {
    byte[] at = exec("", set(24, "(i32.const 1)")
        + "(i32.store8 " + field(4) + " (i32.load8_u (i32.add " + field(0) + field(20) + "))) (i32.const 0)");
    assertArrayEquals(new byte[1], node.once(at, "no NUL here").good().output());
  }

  @Test
  void anAnswerWithoutASizeEndsAtItsNul() {
    byte[] text = exec("(data (i32.const 8) \"seed\\00behind\")", "(memory.copy " + field(4) + " (i32.const 8) (i32.const 11)) (i32.const 0)");
    assertEquals("seed", node.once(text, "").text());
    assertEquals("", node.once(exec("", "(i32.const 0)"), "").text());
  }

  @Test
  void theGuestMayPointOutputElsewhere() {
    String data = "(data (i32.const 8) \"mine\\00\")";
    assertEquals("mine", node.once(exec(data, set(4, "(i32.const 8)") + "(i32.const 0)"), "").text());
    assertEquals("min", node.once(exec(data, set(4, "(i32.const 8)") + set(24, "(i32.const 3)") + "(i32.const 0)"), "").text());
  }

  @ParameterizedTest
  @ValueSource(ints = {-2, Integer.MIN_VALUE, Integer.MAX_VALUE, 65537})
  void aSizeOutOfRangeIsTold(int size) {
    InstarException e = node.once(exec("", set(24, "(i32.const " + size + ")") + "(i32.const 0)"), "").bad();
    assertEquals(ErrorCode.FUNCTION_TRAPPED, e.code());
    assertTrue(e.problem().detail().contains("" + size) && e.problem().detail().contains("65536"), e.problem().detail());
  }

  @ParameterizedTest
  @ValueSource(ints = {-1, -65536, Integer.MIN_VALUE, Integer.MAX_VALUE, 100_000_000})
  void aPointerOutOfRangeIsTold(int pointer) {
    for (String size : new String[] {"", set(24, "(i32.const 100)")}) {
      InstarException e = node.once(exec("", set(4, "(i32.const " + pointer + ")") + size + "(i32.const 0)"), "").bad();
      assertEquals(ErrorCode.FUNCTION_TRAPPED, e.code());
      assertTrue(e.problem().detail().contains(Integer.toUnsignedString(pointer)), e.problem().detail());
    }
  }

  @Test
  void anAnswerWithoutEndIsTold() {
    String behind = "(i32.add (local.get $m) (i32.const 32))";
    String fill = "(memory.fill " + behind + " (i32.const 65) (i32.sub (i32.mul (memory.size) (i32.const 65536)) " + behind + "))";
    InstarException e = node.once(exec("", fill + set(4, behind) + "(i32.const 0)"), "").bad();
    assertEquals(ErrorCode.FUNCTION_TRAPPED, e.code());
  }

  @Test
  void statusAndChainsFail() {
    InstarException failed = node.once(exec("", "(i32.const -3)"), "").bad();
    assertEquals(ErrorCode.FUNCTION_FAILED, failed.code());
    assertEquals(-3, failed.problem().members().get("exitCode"));
    for (int count : new int[] {1, 50, -1}) {
      assertEquals(ErrorCode.CHAINING_UNAVAILABLE, node.once(exec("", set(16, "(i32.const " + count + ")") + "(i32.const 0)"), "").bad().code());
    }
    InstarException both = node.once(exec("", set(16, "(i32.const 1)") + "(i32.const 4)"), "").bad();
    assertEquals(ErrorCode.FUNCTION_FAILED, both.code());
  }

  @Test
  void anExitIsAStatus() {
    String exit = "(import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))";
    assertEquals(9, node.once(exec(exit, "(call $exit (i32.const 9)) (i32.const 0)"), "").bad().problem().members().get("exitCode"));
    assertEquals("y", node.once(exec(exit, "(i32.store8 " + field(4) + " (i32.const 121)) (call $exit (i32.const 0)) (i32.const 1)"), "").text());
  }

  @Test
  void readInputGivesSizeAndBytes() {
    byte[] twice = exec(READ + WRITE, """
        (local.set $i (call $read (i32.const 0) (i32.const 0)))
        (i32.store8 (i32.const 100) (i32.add (i32.const 48) (local.get $i)))
        (i32.store8 (i32.const 101) (i32.add (i32.const 48) (call $read (i32.const 110) (i32.const 3))))
        (i32.store8 (i32.const 102) (i32.add (i32.const 48) (call $read (i32.const 120) (i32.const 1000))))
        (call $write (i32.const 100) (i32.const 3))
        (call $write (i32.const 110) (i32.const 4))
        (call $write (i32.const 120) (i32.const 5))
        (i32.const 0)""");
    assertEquals("535hel\0hello", node.once(twice, "hello").text());
  }

  @Test
  void writeOutputWinsOverTheStruct() {
    String data = "(data (i32.const 8) \"host\")";
    byte[] both = exec(WRITE + data, set(24, "(i32.const 10)") + "(call $write (i32.const 8) (i32.const 4)) (i32.const 0)");
    assertEquals("host", node.once(both, "").text());
    byte[] empty = exec(WRITE + data, set(24, "(i32.const 10)") + "(call $write (i32.const 8) (i32.const 0)) (i32.const 0)");
    assertEquals("", node.once(empty, "").text());
  }

  @ParameterizedTest
  @ValueSource(strings = {"(call $write (i32.const -1) (i32.const 10))", "(call $write (i32.const 10) (i32.const -1))",
      "(call $write (i32.const 0x7fffffff) (i32.const 0x7fffffff))", "(call $write (i32.const 0) (i32.const 0x7fffffff))",
      "(drop (call $read (i32.const -1) (i32.const 5)))", "(drop (call $read (i32.const 5) (i32.const -1)))",
      "(drop (call $read (i32.const 0x80000000) (i32.const 1)))"})
  void hostilePointersTrap(String call) {
    InstarException e = node.once(exec(READ + WRITE, call + "(i32.const 0)"), "input").bad();
    assertEquals(ErrorCode.FUNCTION_TRAPPED, e.code());
    assertEquals("out of bounds memory access", e.problem().members().get("trap"));
  }

  @Test
  void inputsOfAnySizeComeBack() {
    byte[] echo = Wat.file("reactor/echo");
    try (PreparedFunction prepared = node.prepare(echo); Sandbox sandbox = TestNode.start(prepared)) {
      for (int size : new int[] {0, 1, 65535, 65536, 1 << 20, 20 << 20, 3}) {
        byte[] input = new byte[size];
        new Random(size).nextBytes(input);
        assertArrayEquals(input, TestNode.call(sandbox, input).good().output());
      }
    }
  }

  @Test
  void whatDoesNotFitIsOutOfMemory() {
    byte[] echo = Wat.file("reactor/echo");
    InstarException e = TestNode.once(node.prepare(echo, 1 << 20), "x".repeat(800_000)).bad();
    assertEquals(ErrorCode.OUT_OF_MEMORY, e.code());
    assertTrue(e.problem().detail().contains("1048576"), e.problem().detail());
    byte[] fixed = Wat.compile("(module (memory 1 1) (func (export \"exec\") (param i32) (result i32) (i32.const 0)))");
    assertEquals(ErrorCode.OUT_OF_MEMORY, node.once(fixed, "").bad().code());
  }

  @Test
  void whatAReactorPrintsIsForItsLog() {
    byte[] print = exec("(import \"wasi_snapshot_preview1\" \"fd_write\" (func $w (param i32 i32 i32 i32) (result i32))) "
            + "(data (i32.const 8) \"said\")",
        "(i32.store (i32.const 0) (i32.const 8)) (i32.store (i32.const 4) (i32.const 4)) "
            + "(drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64))) "
            + "(drop (call $w (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 64))) "
            + "(i32.const 0)");
    TestNode.Answer answer = node.once(print, "").good();
    assertEquals("saidsaid", answer.log());
    assertEquals("", new String(answer.output(), StandardCharsets.UTF_8));
  }
}
