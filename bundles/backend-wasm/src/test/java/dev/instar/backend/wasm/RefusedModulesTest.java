package dev.instar.backend.wasm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.Limits;
import dev.instar.tck.capability.RequiresCapability;
import java.time.Duration;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a node must not take, and what it says then. */
@RequiresCapability("wabt")
@Timeout(120)
class RefusedModulesTest extends NodeTest {
  private static final byte[] NO_LOCALS = {0};

  private InstarException refused(byte[] module) {
    InstarException e = assertThrows(InstarException.class, () -> node.prepare(module));
    assertEquals(ErrorCode.MODULE_REFUSED, e.code(), e.problem().detail());
    assertTrue(!e.problem().detail().contains("Exception") && !e.problem().detail().contains("dylibso"), e.problem().detail());
    return e;
  }

  private void refused(byte[] module, String section, String... words) {
    InstarException e = refused(module);
    assertEquals(section, e.problem().members().get("section"), e.problem().detail());
    for (String word : words) {
      assertTrue(e.problem().detail().contains(word), () -> "'" + word + "' is not in: " + e.problem().detail());
    }
  }

  private static byte[] wat(String text) {
    return Wat.compile(text);
  }

  private static byte[] command(String declarations) {
    return wat("(module " + declarations + " (func (export \"_start\")))");
  }

  // ---- what is not offered ----

  @Test
  void importsAreNamed() {
    refused(Wat.file("command/bad"), "import", "env.launch_missiles", "wasi_snapshot_preview1", "__faasm_read_input");
    refused(command("(import \"wasi_snapshot_preview1\" \"fd_explode\" (func)) (memory 1)"), "import", "wasi_snapshot_preview1.fd_explode");
    refused(command("(import \"wasi_unstable\" \"fd_write\" (func)) (memory 1)"), "import", "wasi_unstable.fd_write");
    refused(command("(import \"wasi_snapshot_preview1\" \"fd_close\" (func (param i64) (result i32))) (memory 1)"), "import",
        "fd_close", "(i64) -> (i32)", "(i32) -> (i32)");
    refused(command("(import \"env\" \"memory\" (memory 1))"), "import", "memory env.memory");
    refused(command("(import \"env\" \"table\" (table 1 funcref))"), "import", "table env.table");
    refused(command("(import \"env\" \"base\" (global i32))"), "import", "global env.base");
    refused(command("(import \"wasi_snapshot_preview1\" \"fd_close\" (func (param i32) (result i32)))"), "memory", "none");
  }

  @Test
  void namesOfImportsAreShownSafely() {
    byte[] module = Binary.module().section(1, new Binary().bytes(1, 0x60, 0, 0).done())
        .section(2, new Binary().bytes(1).name("a\u001b[31m\n").name("b".repeat(5000)).bytes(0, 0).done()).done();
    String detail = refused(module).problem().detail();
    assertTrue(detail.chars().allMatch(c -> c >= ' ' && c <= '~'), detail);
    assertTrue(detail.length() < 500, detail);
  }

  @Test
  void namesThatAreNotUtf8AreRefused() {
    byte[] type = new Binary().bytes(1, 0x60, 0, 0).done();
    // An overlong slash, in an import, an export and a custom section.
    refused(Binary.module().section(1, type).section(2, new Binary().bytes(1, 2, 0xc0, 0xaf, 1, 'f', 0, 0).done()).done(), "import", "UTF-8");
    refused(Binary.module().section(7, new Binary().bytes(1, 2, 0xc0, 0xaf, 0, 0).done()).done(), "export", "UTF-8");
    refused(Binary.module().section(0, new Binary().bytes(2, 0xc0, 0xaf).done()).done(), "custom", "UTF-8");
    refused(Binary.module().section(0, new Binary().name("n".repeat(100_001)).done()).done(), "custom", "100001", "100000");
    refused(Binary.module().section(0, new byte[0]).done(), "custom");
  }

  @Test
  void aMemorySectionMayBeEmpty() {
    byte[] module = Binary.module().section(1, new Binary().bytes(1, 0x60, 0, 0).done()).section(3, new byte[] {1, 0}).section(5, new byte[] {0})
        .section(7, new Binary().bytes(1).name("_start").bytes(0, 0).done()).section(10, new byte[] {1, 2, 0, 0x0b}).done();
    node.once(module, "").good();
  }

  @Test
  void anEntryIsNeeded() {
    refused(wat("(module (memory (export \"memory\") 1) (func (export \"main\")))"), "export", "_start", "exec");
    refused(wat("(module (func (export \"_start\") (param i32)))"), "export", "_start", "(i32) -> ()");
    refused(Wat.file("reactor/bad"), "export", "exec", "(i32) -> (i32)");
    refused(wat("(module (func (export \"exec\") (param i32) (result i32) (i32.const 0)))"), "memory", "exec");
  }

  @Test
  void aMemoryOverTheLimitIsRefusedWithBothFigures() {
    byte[] module = command("(memory 32)");
    InstarException e = assertThrows(InstarException.class, () -> node.prepare(module, 1 << 20));
    assertEquals(ErrorCode.MODULE_REFUSED, e.code());
    assertTrue(e.problem().detail().contains("2097152") && e.problem().detail().contains("1048576"), e.problem().detail());
    node.prepare(module, 2 << 20).close();
  }

  @Test
  void proposalsThatAreNotOfferedAreNamed() {
    refused(command("(memory 1 2 shared)"), "memory", "shared");
    refused(Binary.module().section(5, new Binary().bytes(1, 4, 1).done()).done(), "memory", "64-bit");
    refused(Binary.module().section(5, new Binary().bytes(2, 0, 1, 0, 1).done()).done(), "memory", "2 memories", "1");
    refused(Binary.module().section(1, new Binary().bytes(1, 0x5f, 1, 0x7f, 0).done()).done(), "type", "garbage-collected");
    refused(Binary.withBody(NO_LOCALS, new Binary().bytes(0xfd, 12).repeat(16, 0).bytes(0x1a).done()), "code", "SIMD", "-mno-simd128");
    refused(Binary.withBody(NO_LOCALS, new byte[] {0x41, 0, (byte) 0xfe, 0x10, 2, 0, 0x1a}), "code", "atomic");
    refused(Binary.withBody(NO_LOCALS, new byte[] {0x41, 0, (byte) 0xfb, 0x1c, 0x1a}), "code", "garbage-collected");
    refused(Binary.withBody(NO_LOCALS, new byte[] {0x06, 0x40, 0x19, 0x0b}), "code", "legacy exception");
    refused(new byte[] {0, 'a', 's', 'm', 0x0d, 0, 1, 0}, "module", "component");
    refused(new byte[] {0, 'a', 's', 'm', 2, 0, 0, 0}, "module", "version 2");
    refused("#!/bin/sh\n".getBytes(), "module", "no WebAssembly module");
    refused(new byte[0], "module", "no WebAssembly module");
  }

  // ---- what is broken ----

  @Test
  void faultsAreFoundInTheirSection() {
    refused(Binary.withBody(NO_LOCALS, new byte[] {0x6a, 0x1a}), "code", "not valid");
    refused(Binary.withBody(NO_LOCALS, new byte[] {0x10, 9}), "code", "not valid");
    refused(Binary.withBody(NO_LOCALS, new byte[] {(byte) 0xff}), "code", "0xff");
    refused(command("(memory 1) (data (i32.const 65530) \"0123456789\")"), "data", "does not fit");
    refused(command("(table 1 funcref) (func $f) (elem (i32.const 3) $f)"), "element", "does not fit");
    byte[] twice = Binary.module().section(1, new Binary().bytes(1, 0x60, 0, 0).done()).section(3, new Binary().bytes(1, 0).done())
        .section(7, new Binary().bytes(2).name("_start").bytes(0, 0).name("_start").bytes(0, 0).done())
        .section(10, new Binary().bytes(1, 2, 0, 0x0b).done()).done();
    refused(twice, "export", "_start", "twice");
    byte[] missing = Binary.module().section(1, new Binary().bytes(1, 0x60, 0, 0).done()).section(3, new Binary().bytes(1, 0).done())
        .section(7, new Binary().bytes(1).name("_start").bytes(0).u32(77).done())
        .section(10, new Binary().bytes(1, 2, 0, 0x0b).done()).done();
    refused(missing, "export", "77");
    refused(Binary.module().section(1, new Binary().bytes(1, 0x60, 0, 0).done())
        .section(2, new Binary().bytes(1).name("wasi_snapshot_preview1").name("sched_yield").bytes(0, 9).done()).done());
    refused(new Binary().bytes(Binary.module().done()).section(77, new byte[] {1}).done(), "module", "77");
  }

  @Test
  void everyTruncationIsRefused() {
    byte[] whole = Wat.file("command/env");
    for (int length = 0; length < whole.length; length++) {
      refused(Arrays.copyOf(whole, length));
    }
    node.prepare(whole).close();
  }

  @Test
  void noChangedByteDoesHarm() throws Exception {
    Set<ErrorCode> expected = EnumSet.of(ErrorCode.MODULE_REFUSED, ErrorCode.TIMED_OUT);
    for (String name : new String[] {"reactor/counter", "command/echo"}) {
      byte[] whole = Wat.file(name);
      Random random = new Random(1);
      for (int i = 8; i < whole.length; i++) {
        byte[] changed = whole.clone();
        changed[i] ^= (byte) (1 << random.nextInt(8));
        try {
          node.prepare(node.image(changed), Limits.DEFAULT, Map.of(), Duration.ofSeconds(5)).close();
        } catch (InstarException e) {
          assertTrue(expected.contains(e.code()), () -> name + ": " + e.problem());
        }
      }
    }
  }

  // ---- what claims more than there is, or too much ----

  @ParameterizedTest
  @CsvSource({"1,type", "2,import", "3,function", "4,table", "5,memory", "6,global", "7,export", "9,element", "10,code", "11,data", "13,tag"})
  void hugeCountsAllocateNothing(int id, String section) {
    for (long count : new long[] {0xffffffffL, 0x7fffffffL, 1_000_000, 900}) {
      refused(Binary.module().section(id, new Binary().u32(count).bytes(0).done()).done(), section);
    }
    refused(Binary.module().bytes(id).u32(0xffffffffL).bytes(1).done(), section, "4294967295");
  }

  @Test
  void hugeLengthsWithinSectionsAllocateNothing() {
    refused(Binary.module().section(0, new Binary().u32(0x7fffffff).done()).done(), "custom");
    refused(Binary.module().section(1, new Binary().bytes(1, 0x60).u32(0x7fffffff).done()).done(), "type");
    refused(Binary.module().section(5, new Binary().bytes(1, 0).done()).section(11, new Binary().bytes(1, 1).u32(0x7fffffff).done()).done());
    refused(Binary.module().section(11, new Binary().bytes(1, 1).u32(0xfffffff0L).done()).done(), "data");
    refused(Binary.module().section(9, new Binary().bytes(1, 1, 0).u32(0x7fffffff).done()).done(), "element");
    refused(Binary.module().section(4, new Binary().bytes(1, 0x70, 0).u32(0xffffffffL).done()).done(), "table", "table-elements");
    refused(Binary.module().section(5, new Binary().bytes(1, 0).u32(65537).done()).done(), "memory", "65537");
    refused(Binary.module().section(5, new Binary().bytes(1, 0).u32(65536).done()).done(), "memory", "2 GiB");
  }

  @Test
  void manyLocalsAreRefused() {
    refused(Binary.withBody(new Binary().bytes(1).u32(0xffffffffL).bytes(0x7f).done(), new byte[0]), "code", "locals");
    refused(Binary.withBody(new Binary().u32(5000).repeat(5000, 0xff, 0x7f, 0x7f).done(), new byte[0]), "code", "locals");
  }

  @Test
  void manyFunctionsAreRefused() {
    byte[] functions = new Binary().u32(100_000).repeat(100_000, 0).done();
    byte[] bodies = new Binary().u32(100_000).repeat(100_000, 2, 0, 0x0b).done();
    byte[] module = Binary.module().section(1, new Binary().bytes(1, 0x60, 0, 0).done()).section(3, functions)
        .section(7, new Binary().bytes(1).name("_start").bytes(0, 0).done()).section(10, bodies).done();
    refused(module, "function", "100000", "50000");
  }

  @Test
  void largeModulesAreRefusedByTheirFiguresInTheConfiguration() {
    reopen("module$_$bytes", 200L);
    byte[] module = command("(memory 1) (data (i32.const 0) \"" + "x".repeat(500) + "\")");
    refused(module, "module", "module-bytes", "200");
    node.backend.apply(TestNode.config("code$_$bytes", 1L));
    refused(module, "code", "code-bytes");
    node.backend.apply(TestNode.config("function$_$bytes", 1));
    refused(module, "code", "function-bytes");
    node.backend.apply(TestNode.config());
    node.prepare(module).close();
  }

  @ParameterizedTest
  @ValueSource(ints = {1000, 19_000, 300_000})
  void deepNestingEnds(int depth) {
    byte[] module = Binary.withBody(NO_LOCALS, new Binary().repeat(depth, 0x02, 0x40).repeat(depth, 0x0b).done());
    if (depth > Bounds.DEPTH) {
      refused(module, "code", "nests");
    } else {
      TestNode.once(node.prepare(module), "").good();
    }
  }

  @Test
  void blocksOverManyOperandsAreRefused() {
    // The compiler copies the operand stack at each open block: 100000 operands times 10000 blocks are gigabytes.
    byte[] body = new Binary().repeat(100_000, 0x41, 0).repeat(10_000, 0x02, 0x40).repeat(10_000, 0x0b).repeat(100_000, 0x1a).done();
    refused(Binary.withBody(NO_LOCALS, body), "code", "operands");
    // One after the other they take no memory, but time.
    byte[] after = new Binary().repeat(200_000, 0x41, 0).repeat(100_000, 0x02, 0x40, 0x0b).repeat(200_000, 0x1a).done();
    refused(Binary.withBody(NO_LOCALS, after), "code", "too long");
  }

  @Test
  void manyLoopsSideBySideAreRefused() {
    // The parser looks through all siblings at the end of each loop.
    refused(Binary.withBody(NO_LOCALS, new Binary().repeat(200_000, 0x03, 0x40, 0x0b).done()), "code", "too long");
  }

  @Test
  void branchesTimesLocalsAreRefused() {
    // The class writer keeps a frame of all locals at each branch.
    byte[] locals = new Binary().bytes(1).u32(9000).bytes(0x7e).done();
    refused(Binary.withBody(locals, new Binary().repeat(20_000, 0x02, 0x40, 0x41, 0, 0x0d, 0, 0x0b).done()), "code", "branches");
  }

  @Test
  void aCompileBombEndsAtItsDeadline() {
    // Many functions over the size of a JVM method: the compiler starts again for each.
    byte[] large = new Binary().bytes(0).repeat(25_000, 0x41, 1, 0x1a, 0x41, 2, 0x1a).bytes(0x0b).done();
    int count = 20;
    Binary bodies = new Binary().u32(count);
    for (int i = 0; i < count; i++) {
      bodies.u32(large.length).bytes(large);
    }
    byte[] module = Binary.module().section(1, new Binary().bytes(1, 0x60, 0, 0).done()).section(3, new Binary().u32(count).repeat(count, 0).done())
        .section(7, new Binary().bytes(1).name("_start").bytes(0, 0).done()).section(10, bodies.done()).done();
    reopen("code$_$bytes", 1L << 30);
    InstarException e = assertThrows(InstarException.class, () -> node.prepare(node.image(module), Limits.DEFAULT, Map.of(), Duration.ofMillis(500)));
    assertTrue(e.code() == ErrorCode.TIMED_OUT || e.code() == ErrorCode.MODULE_REFUSED, e.problem().detail());
    // The compiler's thread is free again, and soon.
    TestNode.once(node.prepare(Wat.file("command/echo")), "x").good();
  }

  // ---- initialisation ----

  @ParameterizedTest
  @ValueSource(strings = {
      "(memory 1) (func $loop (loop $l (br $l))) (start $loop) (func (export \"_start\"))",
      "(memory 1) (func (export \"_initialize\") (loop $l (br_if $l (i32.const 1)))) (func (export \"exec\") (param i32) (result i32) (i32.const 0))",
      "(memory 1) (func (export \"_faasm_zygote\") (result i32) (loop $l (br $l)) (i32.const 0)) "
          + "(func (export \"exec\") (param i32) (result i32) (i32.const 0))",
      "(memory 1) (func $r (result i32) (drop (call $r)) (call $r)) (func (export \"_initialize\") (drop (call $r))) "
          + "(func (export \"exec\") (param i32) (result i32) (i32.const 0))"})
  void anInitialiserThatDoesNotEndIsEnded(String text) {
    byte[] module = wat("(module " + text + ")");
    InstarException e = assertThrows(InstarException.class, () -> node.prepare(node.image(module), Limits.DEFAULT, Map.of(), Duration.ofMillis(700)));
    if (text.contains("$r")) {
      // Endless recursion ends by itself.
      assertEquals(ErrorCode.STACK_OVERFLOW, e.code(), e.problem().detail());
    } else {
      assertEquals(ErrorCode.TIMED_OUT, e.code(), e.problem().detail());
    }
    TestNode.once(node.prepare(Wat.file("command/echo")), "x").good();
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
      "OUT_OF_MEMORY | memory | (i32.eq (memory.grow (i32.const 60000)) (i32.const -1))",
      "OUT_OF_TABLES | tables | (i32.eq (table.grow 0 (ref.null func) (i32.const 2000000)) (i32.const -1))"})
  void theLimitThatAnInitialiserDiedOfIsTold(ErrorCode code, String limit, String refused) {
    for (String initialiser : List.of("(export \"_initialize\")", "$start")) {
      byte[] module = wat("(module (memory 1) (table 1 funcref)"
          + " (func " + initialiser + " (if " + refused + " (then unreachable)))" + (initialiser.equals("$start") ? " (start $start)" : "")
          + " (func (export \"exec\") (param i32) (result i32) (i32.const 0)))");
      InstarException e = assertThrows(InstarException.class, () -> node.prepare(node.image(module), Limits.DEFAULT, Map.of(), Duration.ofSeconds(20)));
      assertEquals(code, e.code(), e.problem().detail());
      assertEquals(limit, e.problem().members().get("limit"));
      assertTrue(e.problem().detail().startsWith("The initialisation (" + (initialiser.equals("$start") ? "start section" : "_initialize") + ") trapped"),
          e.problem().detail());
    }
    TestNode.once(node.prepare(Wat.file("command/echo")), "x").good();
  }

  @Test
  void whatAnInitialiserDoesWrongIsTold() {
    String exec = "(func (export \"exec\") (param i32) (result i32) (i32.const 0))";
    refused(wat("(module (memory 1) (func (export \"_initialize\") unreachable) " + exec + ")"), "module", "_initialize", "unreachable");
    refused(wat("(module (memory 1) (func $s (drop (i32.div_u (i32.const 1) (i32.const 0)))) (start $s) (func (export \"_start\")))"), "module",
        "start section", "integer divide by zero");
    refused(wat("(module (memory 1) (func (export \"_faasm_zygote\") (result i32) (i32.const 3)) " + exec + ")"), "module", "_faasm_zygote", "3");
    refused(wat("(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $x (param i32))) (memory 1) "
        + "(func (export \"_initialize\") (call $x (i32.const 9))) " + exec + ")"), "module", "_initialize", "9");
    refused(wat("(module (memory 1) (func (export \"_initialize\") (param i32)) " + exec + ")"), "export", "_initialize", "parameters");
  }
}
