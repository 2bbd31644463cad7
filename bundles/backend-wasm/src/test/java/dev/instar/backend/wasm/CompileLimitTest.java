package dev.instar.backend.wasm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.Limits;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.backend.wasm.compile.Compilers;
import dev.instar.backend.wasm.compile.Launch;
import dev.instar.tck.capability.RequiresCapability;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Modules that are made to be hard to compile: their sender gets an error that says which bound they broke, and nobody else anything. */
@RequiresCapability("wabt")
@Timeout(120)
class CompileLimitTest {
  private static final byte[] NO_LOCALS = {0};

  @TempDir
  Path directory;

  private Compilers compilers;
  private TestNode node;

  @BeforeEach
  void open() {
    Object[] settings = {"compile$_$seconds", 4, "compile$_$memory$_$mib", 96};
    compilers = new Compilers(new Launch(directory), TestNode.compilerSettings(TestNode.config(settings)));
    node = new TestNode(directory, compilers, settings);
  }

  @AfterEach
  void nothingIsLeft() throws Exception {
    compilers.close();
    node.close();
    assertEquals(List.of(), compilers.pids());
    assertEquals(0, node.backend.guestMemory());
    try (Stream<Path> files = Files.walk(directory)) {
      assertFalse(files.anyMatch(f -> f.toString().endsWith(".tmp")), "a temporary file is left");
    }
  }

  private PreparedFunction prepare(String user, byte[] module) {
    return node.prepare(user, node.image(module), Limits.DEFAULT, Map.of(), Duration.ofSeconds(60));
  }

  private InstarException refused(byte[] module) {
    InstarException e = assertThrows(InstarException.class, () -> prepare("hostile", module));
    assertTrue(e.code() == ErrorCode.COMPILE_LIMIT || e.code() == ErrorCode.MODULE_REFUSED, e.problem().toString());
    assertTrue(e.problem().detail().length() > 40, e.problem().detail());
    return e;
  }

  private static byte[] functions(int count, byte[] body) {
    Binary bodies = new Binary().u32(count);
    for (int i = 0; i < count; i++) {
      bodies.u32(body.length).bytes(body);
    }
    return Binary.module().section(1, new Binary().bytes(1, 0x60, 0, 0).done()).section(3, new Binary().u32(count).repeat(count, 0).done())
        .section(7, new Binary().bytes(1).name("_start").bytes(0, 0).done()).section(10, bodies.done()).done();
  }

  /** Functions over the size of a JVM method: for each of them the compiler begins again. */
  private static byte[] bomb() {
    return functions(60, new Binary().bytes(0).repeat(25_000, 0x41, 1, 0x1a, 0x41, 2, 0x1a).bytes(0x0b).done());
  }

  @Test
  void theSenderOfABombLearnsWhichBoundItBroke() {
    InstarException e = refused(bomb());
    assertEquals(ErrorCode.COMPILE_LIMIT, e.code());
    assertEquals("memory", e.problem().members().get("limit"));
    assertEquals(96L, e.problem().members().get("value"));
    assertTrue(e.problem().detail().contains("96 MiB of memory (compile-memory-mib)"), e.problem().detail());
    node.backend.apply(TestNode.config("compile$_$seconds", 1, "compile$_$memory$_$mib", 512));
    e = refused(bomb());
    assertEquals(ErrorCode.COMPILE_LIMIT, e.code());
    assertEquals("time", e.problem().members().get("limit"));
    assertTrue(e.problem().detail().contains("1 s (compile-seconds)"), e.problem().detail());
  }

  @Test
  void manyKindsOfBombsAreRefusedOrDone() {
    node.backend.apply(TestNode.config("compile$_$seconds", 2, "compile$_$memory$_$mib", 96));
    // Each is within the bounds that are checked beforehand, or just over them.
    byte[] switches = new Binary().bytes(0).repeat(2000, 0x02, 0x40).bytes(0x41, 0, 0x0e).u32(200_000).repeat(200_001, 0).repeat(2000, 0x0b)
        .bytes(0x0b).done();
    byte[] locals = new Binary().bytes(1).u32(9999).bytes(0x7e).repeat(2000, 0x41, 0, 0x1a).bytes(0x0b).done();
    byte[] operands = new Binary().bytes(0).repeat(100_000, 0x41, 1).repeat(100_000, 0x1a).bytes(0x0b).done();
    byte[] giant = new Binary().bytes(0).repeat(500_000, 0x01).repeat(100_000, 0x41, 1, 0x1a).bytes(0x0b).done();
    byte[] nested = new Binary().bytes(0).repeat(19_000, 0x02, 0x40).repeat(19_000, 0x0b).bytes(0x0b).done();
    byte[] empty = {0, 0x0b};
    for (byte[] module : List.of(functions(20, switches), functions(400, locals), functions(10, operands), functions(20, giant), functions(20, nested),
        functions(49_999, empty), functions(100_000, empty))) {
      try (PreparedFunction done = prepare("hostile", module)) {
        assertTrue(done.describe().containsKey("code"));
      } catch (InstarException e) {
        assertTrue(e.code() == ErrorCode.COMPILE_LIMIT || e.code() == ErrorCode.MODULE_REFUSED || e.code() == ErrorCode.OUT_OF_MEMORY,
            e.problem().toString());
      }
    }
    assertEquals("still here", TestNode.once(prepare("good", Wat.file("command/echo")), "still here").text());
  }

  @Test
  void callsAndUploadsOfOthersGoOnMeanwhile() throws Exception {
    node.backend.apply(TestNode.config("compile$_$seconds", 3, "compile$_$memory$_$mib", 512));
    try (PreparedFunction echo = prepare("good", Wat.file("command/echo")); Sandbox sandbox = TestNode.start(echo);
        ExecutorService hostile = Executors.newFixedThreadPool(3)) {
      List<Future<InstarException>> bombs = Stream.generate(() -> hostile.submit(() -> assertThrows(InstarException.class, () -> prepare("hostile", bomb())))).limit(3).toList();
      int calls = 0;
      int uploads = 0;
      while (!bombs.getFirst().isDone() || calls < 10) {
        String said = "call " + ++calls;
        assertEquals(said, TestNode.call(sandbox, said).text());
        if (uploads < 5) {
          byte[] fresh = Wat.compile("(module (memory 1) (func (export \"_start\") (drop (i32.const " + ++uploads + "))))");
          prepare("good", fresh).close();
        }
        Thread.sleep(20);
      }
      assertEquals(5, uploads);
      ErrorCode first = bombs.getFirst().get().code();
      assertTrue(first == ErrorCode.COMPILE_LIMIT || first == ErrorCode.TIMED_OUT, first.code());
      bombs.forEach(bomb -> bomb.cancel(true));
    }
  }

  @Test
  void aModuleNearTheLargestCompilesOrIsRefusedClearly() {
    // 12 MiB of code in functions of 2 KiB each: more than 96 MiB of heap take.
    byte[] body = new Binary().bytes(0).repeat(700, 0x41, 1, 0x1a).bytes(0x0b).done();
    node.backend.apply(TestNode.config("compile$_$seconds", 60, "compile$_$memory$_$mib", 96));
    InstarException e = refused(functions(6000, body));
    assertEquals(ErrorCode.COMPILE_LIMIT, e.code(), e.problem().detail());
    assertEquals("memory", e.problem().members().get("limit"));
    TestNode.once(prepare("hostile", functions(300, body)), "").good();
  }

  @Test
  void whatIsInterpretedIsChargedForAsLongAsItIsKept() {
    byte[] large = new Binary().bytes(0).repeat(50_000, 0x41, 1, 0x1a).bytes(0x0b).done();
    PreparedFunction kept = prepare("good", functions(1, large));
    assertEquals("0 functions compiled, 1 interpreted", kept.describe().get("code"));
    long charged = node.backend.guestMemory();
    assertTrue(charged >= 200L * large.length, charged + " bytes");
    kept.close();
    assertEquals(0, node.backend.guestMemory());
  }

  // ---- initialisation

  @Test
  void initialisationHasItsOwnBound() {
    byte[] endless = Wat.compile("(module (memory 1) (func $loop (loop $l (br $l))) (start $loop) (func (export \"_start\")))");
    Limits d = Limits.DEFAULT;
    Limits quick = new Limits(d.memoryBytes(), Duration.ofMillis(300), d.inputBytes(), d.outputBytes(), d.logBytes(), d.concurrency());
    InstarException e = assertThrows(InstarException.class,
        () -> node.prepare("hostile", node.image(endless), quick, Map.of(), Duration.ofSeconds(60)));
    assertEquals(ErrorCode.TIMED_OUT, e.code());
    assertEquals(300L, e.problem().members().get("limitMillis"));
    node.backend.apply(TestNode.config("initialise$_$seconds", 1));
    e = assertThrows(InstarException.class, () -> prepare("hostile", endless));
    assertEquals(1000L, e.problem().members().get("limitMillis"));
    assertTrue(e.problem().detail().contains("initialise-seconds"), e.problem().detail());
    assertFalse(Thread.getAllStackTraces().keySet().stream().anyMatch(t -> t.getName().equals("wasm-initialise")), "it runs on");
  }
}
