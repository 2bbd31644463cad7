package dev.instar.backend.wasm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.Limits;
import dev.instar.api.invocation.CallInput;
import dev.instar.api.sandbox.Call;
import dev.instar.api.sandbox.Checkpointable;
import dev.instar.api.sandbox.GuestLog;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Resettable;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.tck.capability.RequiresCapability;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What an initialisation drew from the random source or a clock is not there twice. */
@RequiresCapability("wabt")
@Timeout(120)
class UniquenessTest extends NodeTest {
  private static final String IMPORTS = """
      (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
      (import "wasi_snapshot_preview1" "clock_res_get" (func $resolution (param i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_filestat_get" (func $stat (param i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (import "env" "__faasm_write_output" (func $output (param i32 i32)))
      """;

  private static final String DRAW = "(drop (call $random (i32.const 16) (i32.const 8)))";
  private static final String CLOCK = "(drop (call $time (i32.const 0) (i64.const 0) (i32.const 16)))";

  /** A reactor that answers 16 bytes: what was drawn into address 16, how often it was initialised, and how often reseeded. */
  private static byte[] reactor(String declarations) {
    return reactor(declarations, "");
  }

  /** @param first what {@code exec} does before */
  private static byte[] reactor(String declarations, String first) {
    return Wat.compile("(module " + IMPORTS + """
        (memory (export "memory") 1 100)
        (global $inits (mut i32) (i32.const 0))
        (global $reseeds (mut i32) (i32.const 0))
        (data (i32.const 200) "said\\n") (data (i32.const 210) "name")
        (func $say
          (i32.store (i32.const 100) (i32.const 200)) (i32.store (i32.const 104) (i32.const 5))
          (drop (call $write (i32.const 1) (i32.const 100) (i32.const 1) (i32.const 108))))
        (func $init (global.set $inits (i32.add (global.get $inits) (i32.const 1))))
        (func $reseeded (global.set $reseeds (i32.add (global.get $reseeds) (i32.const 1))))
        (func (export "exec") (param $m i32) (result i32)
        """ + first + """
          (i32.store (i32.const 24) (global.get $inits)) (i32.store (i32.const 28) (global.get $reseeds))
          (call $output (i32.const 16) (i32.const 16)) (i32.const 0))
        """ + declarations + ")");
  }

  /** What an instance found. */
  private record Found(long drawn, int inits, int reseeds) {
    static Found of(TestNode.Answer answer) {
      ByteBuffer bytes = ByteBuffer.wrap(answer.good().output()).order(ByteOrder.LITTLE_ENDIAN);
      return new Found(bytes.getLong(), bytes.getInt(), bytes.getInt());
    }
  }

  /** Two calls of each of two sandboxes, and one of a sandbox that was reset without a call. */
  private List<Found> calls(PreparedFunction prepared) {
    List<Found> found = new ArrayList<>();
    try (prepared; Sandbox one = TestNode.start(prepared); Sandbox other = TestNode.start(prepared); Sandbox waited = TestNode.start(prepared)) {
      for (Sandbox sandbox : List.of(one, other, other, one)) {
        found.add(Found.of(TestNode.call(sandbox, "")));
      }
      ((Resettable) waited).reset();
      found.add(Found.of(TestNode.call(waited, "")));
    }
    return found;
  }

  private static void assertUnique(List<Found> found, int inits, int reseeds) {
    Set<Long> values = new HashSet<>();
    for (Found one : found) {
      assertTrue(one.drawn() != 0, found.toString());
      values.add(one.drawn());
      assertEquals(inits, one.inits(), found.toString());
      assertEquals(reseeds, one.reseeds(), found.toString());
    }
    assertEquals(found.size(), values.size(), found.toString());
  }

  private PreparedFunction withFiles(byte[] module, Limits limits) throws Exception {
    Path rootfs = Files.createDirectories(directory.resolve("rootfs"));
    return node.prepare(node.image(module, Optional.of(rootfs)), limits, Map.of(), Duration.ofSeconds(60));
  }

  // ---- initialised anew ----

  @ParameterizedTest
  @ValueSource(strings = {
      "(func (export \"_initialize\") (call $init) " + DRAW + ")",
      "(func (export \"__wasm_call_ctors\") (call $init) " + DRAW + ")",
      "(func (export \"_faasm_zygote\") (result i32) (call $init) " + DRAW + " (i32.const 0))",
      "(func $s (call $init) " + DRAW + ") (start $s)",
      "(func $s (call $init)) (start $s) (func (export \"_initialize\") " + DRAW + ")",
      "(func (export \"_initialize\") (call $init) " + CLOCK + ")",
      "(func (export \"_initialize\") (call $init) (drop (call $time (i32.const 1) (i64.const 0) (i32.const 16))))"})
  void whatWasDrawnIsDrawnAnewForEachCall(String initialiser) {
    PreparedFunction prepared = node.prepare(reactor(initialiser));
    Map<String, String> description = prepared.describe();
    assertTrue(description.get("initialised").startsWith("anew for each call, by "), description.toString());
    assertTrue(description.get("reset").contains("before"), description.toString());
    assertTrue(description.get("uniqueness").contains(initialiser.contains("$time") ? "read a clock" : "drew random"), description.toString());
    assertTrue(description.get("uniqueness").contains("instar_reseed"), description.toString());
    assertUnique(calls(prepared), 1, 0);
  }

  @Test
  void allInitialisersRunAnewAndInTheirOrder() {
    // Each multiplies by ten and adds its number; the segments are there before.
    byte[] module = reactor("""
        (data (i32.const 24) "\\07")
        (func $next (param $n i32)
          (global.set $inits (i32.add (i32.mul (global.get $inits) (i32.const 10)) (i32.add (local.get $n) (i32.sub (i32.load8_u (i32.const 24)) (i32.const 7))))))
        (func $s (call $next (i32.const 1))) (start $s)
        (func (export "_initialize") (call $next (i32.const 2)) """ + DRAW + """
        ) (func (export "__wasm_call_ctors") (call $next (i32.const 9)))
        (func (export "_faasm_zygote") (call $next (i32.const 3)))""");
    assertUnique(calls(node.prepare(module)), 123, 0);
  }

  private static final String HOOK = "(func (export \"instar_reseed\") (call $reseeded) " + DRAW + ")";

  /** Whoever takes pages before the call, the call's input, which has several of them, does not come to lie there. */
  @ParameterizedTest
  @ValueSource(strings = {"_initialize", "instar_reseed"})
  void pagesThatAreTakenBeforeACallAreTheFunctions(String taker) {
    byte[] module = reactor("(func (export \"" + taker + "\") (local $at i32) " + DRAW + """
          (i32.store (i32.const 300) (i32.mul (memory.grow (i32.const 3)) (i32.const 65536)))
          (memory.fill (i32.load (i32.const 300)) (i32.const 77) (i32.const 196608)))""", """
        (local $at i32) (local $end i32)
        (local.set $at (i32.load (i32.const 300))) (local.set $end (i32.add (local.get $at) (i32.const 196608)))
        (loop $l
          (if (i32.ne (i32.load8_u (local.get $at)) (i32.const 77)) (then (return (i32.const 5))))
          (br_if $l (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (local.get $end))))""");
    try (PreparedFunction prepared = node.prepare(module); Sandbox sandbox = TestNode.start(prepared)) {
      for (int i = 0; i < 3; i++) {
        TestNode.call(sandbox, "x".repeat(1_000_000)).good();
      }
    }
  }

  @Test
  void aCommandIsInitialisedAnewWhereItsStartFunctionDraws() {
    String command = "(module " + IMPORTS + """
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func $s (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 8))
          %s
          ;; Neither the call's input nor its answer is for an initialiser.
          (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
          (i32.store (i32.const 32) (i32.load (i32.const 8)))
          (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
        (start $s)
        (func (export "_start")
          (i32.store (i32.const 4) (i32.const 20))
          (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
          (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
          (i32.store (i32.const 4) (i32.load (i32.const 8)))
          (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))""";
    try (PreparedFunction prepared = node.prepare(Wat.compile(command.formatted(DRAW))); Sandbox sandbox = TestNode.start(prepared)) {
      assertEquals("anew for each call, by the start function", prepared.describe().get("initialised"));
      ByteBuffer one = ByteBuffer.wrap(TestNode.call(sandbox, "in").good().output()).order(ByteOrder.LITTLE_ENDIAN);
      ByteBuffer other = ByteBuffer.wrap(TestNode.call(sandbox, "in").good().output()).order(ByteOrder.LITTLE_ENDIAN);
      assertEquals(22, one.capacity());
      assertTrue(one.getLong(0) != other.getLong(0), "both drew " + one.getLong(0));
      assertEquals(0, one.getInt(16), "bytes of input that the initialiser read");
      assertEquals("in", new String(one.array(), 20, 2));
    }
    try (PreparedFunction prepared = node.prepare(Wat.compile(command.formatted("")))) {
      assertEquals("once, by the start function", prepared.describe().get("initialised"));
    }
  }

  @Test
  void aCommandThatDrawsInItsCallIsAsEver() {
    byte[] module = Wat.compile("(module " + IMPORTS + "(memory (export \"memory\") 1) (func (export \"_initialize\") " + DRAW + ") (func (export \"_start\") " + DRAW + CLOCK + "))");
    try (PreparedFunction prepared = node.prepare(module)) {
      assertEquals("nothing to run", prepared.describe().get("initialised"));
      assertFalse(prepared.describe().containsKey("uniqueness"));
    }
  }

  /** What a function can learn of the time without asking for it, and what looks like it. */
  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
      "false | (drop (call $random (i32.const 16) (i32.const 0)))",
      "false | (drop (call $resolution (i32.const 0) (i32.const 16)))",
      "false | (drop (call $time (i32.const 77) (i64.const 0) (i32.const 16)))",
      "true | (drop (call $time (i32.const 2) (i64.const 0) (i32.const 16)))",
      // Subscriptions of the type 0, to a clock; userdata and the rest are zeros: a time-out of nothing.
      "false | (drop (call $poll (i32.const 400) (i32.const 1000) (i32.const 1) (i32.const 2000)))",
      "true | (drop (call $poll (i32.const 400) (i32.const 1000) (i32.const 2) (i32.const 2000)))",
      "false | (drop (call $stat (i32.const 3) (i32.const 1000)))",
      "false | (drop (call $open (i32.const 3) (i32.const 0) (i32.const 210) (i32.const 4) (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 16)))",
      "true | (drop (call $open (i32.const 3) (i32.const 0) (i32.const 210) (i32.const 4) (i32.const 1) (i64.const 2097216) (i64.const 0) (i32.const 0) (i32.const 1000)))"
          + "(drop (call $stat (i32.load (i32.const 1000)) (i32.const 1000)))"})
  void whatTellsTheTimeCounts(boolean counts, String body) throws Exception {
    try (PreparedFunction prepared = withFiles(reactor("(func (export \"_initialize\") " + body + ")"), Limits.DEFAULT)) {
      assertEquals(counts ? "anew for each call, by _initialize" : "once, by _initialize", prepared.describe().get("initialised"));
    }
  }

  @Test
  void filesThatAnInitialiserWritesAreWrittenForEachCall() throws Exception {
    byte[] module = reactor("(func (export \"_initialize\") (call $init) " + DRAW + """
        (if (call $open (i32.const 3) (i32.const 0) (i32.const 210) (i32.const 4) (i32.const 5) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 1000))
          (then unreachable)))""");
    assertUnique(calls(withFiles(module, Limits.DEFAULT)), 1, 0);
  }

  @Test
  void whatAnInitialiserPrintsIsInTheLogOfTheCall() {
    byte[] module = reactor("(func (export \"_initialize\") " + DRAW + " (call $say) (call $output (i32.const 200) (i32.const 4)))");
    try (PreparedFunction prepared = node.prepare(module); Sandbox sandbox = TestNode.start(prepared)) {
      for (int i = 0; i < 2; i++) {
        TestNode.Answer answer = TestNode.call(sandbox, "").good();
        assertEquals("said\n", answer.log());
        assertEquals(16, answer.output().length);
      }
    }
  }

  // ---- reseeded ----

  @ParameterizedTest
  @ValueSource(strings = {
      "(func (export \"_initialize\") (call $init) " + DRAW + ")",
      "(func $s (call $init) " + CLOCK + ") (start $s)",
      "(func (export \"_initialize\") (call $init))"})
  void whoReseedsIsInitialisedOnce(String initialiser) {
    PreparedFunction prepared = node.prepare(reactor(initialiser + HOOK));
    Map<String, String> description = prepared.describe();
    assertTrue(description.get("initialised").startsWith("once, by "), description.toString());
    assertTrue(description.get("uniqueness").startsWith("instar_reseed runs before each call"), description.toString());
    assertUnique(calls(prepared), 1, 1);
  }

  @Test
  void aCommandIsReseededToo() {
    byte[] module = Wat.compile("(module " + IMPORTS + "(memory (export \"memory\") 1) (func (export \"instar_reseed\") " + DRAW + """
        (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 8)))
        (func (export "_start") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))""");
    try (PreparedFunction prepared = node.prepare(module); Sandbox sandbox = TestNode.start(prepared)) {
      long first = ByteBuffer.wrap(TestNode.call(sandbox, "").good().output()).getLong();
      assertTrue(first != ByteBuffer.wrap(TestNode.call(sandbox, "").good().output()).getLong(), "both drew " + first);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"(func (export \"instar_reseed\") (param i32))", "(func (export \"instar_reseed\") (result i32) (i32.const 0))",
      "(global (export \"instar_reseed\") i32 (i32.const 0))"})
  void aHookOfAnotherTypeIsRefused(String hook) {
    InstarException e = assertThrows(InstarException.class, () -> node.prepare(reactor(hook)));
    assertEquals(ErrorCode.MODULE_REFUSED, e.code());
    assertTrue(e.problem().detail().contains("instar_reseed") && e.problem().detail().contains("() -> ()"), e.problem().detail());
  }

  // ---- stored ----

  @Test
  void whatWasDrawnIsNeverStored() throws Exception {
    try (TestStore store = new TestStore(directory)) {
      node.backend.snapshots = store.store();
      byte[] module = reactor("(func (export \"_initialize\") (call $init) " + DRAW + ")");
      try (PreparedFunction prepared = node.prepare(module)) {
        ((Checkpointable) prepared).checkpoint();
        assertTrue(prepared.describe().get("snapshot").matches("cannot be stored: .*random.*instar_reseed.*"), prepared.describe().toString());
      }
      assertEquals(List.of(), store.store().list());
      try (PreparedFunction prepared = node.prepare(module)) {
        assertEquals("anew for each call, by _initialize", prepared.describe().get("initialised"));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"(func (export \"_initialize\") (call $init) " + DRAW + ")", "(func $s (call $init) " + DRAW + ") (start $s)"})
  void whoReseedsDoesSoWhenRestored(String initialiser) throws Exception {
    try (TestStore store = new TestStore(directory)) {
      node.backend.snapshots = store.store();
      byte[] module = reactor(initialiser + HOOK);
      List<Found> found;
      try (PreparedFunction prepared = node.prepare(module); Sandbox sandbox = TestNode.start(prepared)) {
        found = new ArrayList<>(List.of(Found.of(TestNode.call(sandbox, ""))));
        ((Checkpointable) prepared).checkpoint();
      }
      PreparedFunction restored = node.prepare(module);
      assertEquals("from the snapshot", restored.describe().get("initialised"));
      assertEquals("instar_reseed runs before each call", restored.describe().get("uniqueness"));
      found.addAll(calls(restored));
      assertUnique(found, 1, 1);
    }
  }

  @Test
  void whatOneUserDrewIsNoOtherUsers() throws Exception {
    try (TestStore store = new TestStore(directory)) {
      node.backend.snapshots = store.store();
      byte[] module = reactor("(func (export \"_initialize\") " + DRAW + ") (func (export \"instar_reseed\"))");
      long drawn;
      try (PreparedFunction prepared = node.prepare(module)) {
        drawn = first(prepared);
        ((Checkpointable) prepared).checkpoint();
      }
      try (PreparedFunction again = node.prepare(module);
          PreparedFunction other = node.prepare("somebody", node.image(module), Limits.DEFAULT, Map.of(), Duration.ofSeconds(60))) {
        assertEquals("from the snapshot", again.describe().get("initialised"));
        assertEquals(drawn, first(again));
        assertNotEquals(drawn, first(other));
      }
    }
  }

  private static long first(PreparedFunction prepared) {
    try (Sandbox sandbox = TestNode.start(prepared)) {
      return Found.of(TestNode.call(sandbox, "")).drawn();
    }
  }

  // ---- what goes wrong before a call ----

  /** Where nothing was drawn at first, it would be found at the preparation: so these go wrong by what they draw, or by the second time. */
  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
      "unreachable | FUNCTION_TRAPPED | trapped: unreachable",
      "(call $deep) | STACK_OVERFLOW | trapped: call stack exhausted",
      "(call $exit (i32.const 9)) | FUNCTION_FAILED | ended with the status 9",
      "(call $exit (i32.const 0)) | FUNCTION_FAILED | ended with the status 0",
      "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable | OUT_OF_MEMORY | refused memory",
      "(loop $l (br_if $l (i32.eqz (call $open (i32.const 3) (i32.const 0) (i32.const 210) (i32.const 4) (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) "
          + "(i32.const 1000))))) (call $exit (i32.const 1)) | OUT_OF_FILES | descriptor"})
  void aHookThatFailsFailsItsCall(String body, ErrorCode code, String told) throws Exception {
    byte[] module = reactor("(func $deep (call $deep) (call $deep)) (func (export \"instar_reseed\") " + DRAW + body + ")");
    try (PreparedFunction prepared = withFiles(module, TestNode.memory(4 << 20)); Sandbox sandbox = TestNode.start(prepared)) {
      for (int i = 0; i < 3; i++) {
        InstarException e = TestNode.call(sandbox, "").bad();
        assertEquals(code, e.code(), e.problem().detail());
        assertTrue(e.problem().detail().contains(told) && e.problem().detail().contains("Before the call, instar_reseed"), e.problem().detail());
        assertTrue(sandbox.reusable());
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"_initialize", "_faasm_zygote"})
  void anInitialiserThatFailsBeforeACallFailsIt(String name) {
    // A bit of what was drawn decides: each preparation and each call fails with one half.
    byte[] module = reactor("(func (export \"" + name + "\") (result i32) " + DRAW
        + (name.equals("_initialize") ? "(if (i32.and (i32.load8_u (i32.const 16)) (i32.const 1)) (then unreachable)) (i32.const 0))"
        : "(i32.and (i32.load8_u (i32.const 16)) (i32.const 1)))"));
    try (PreparedFunction prepared = prepareSomeTime(module); Sandbox sandbox = TestNode.start(prepared)) {
      Set<Boolean> ends = new HashSet<>();
      for (int i = 0; i < 100; i++) {
        TestNode.Answer answer = TestNode.call(sandbox, "");
        ends.add(answer.failure().isEmpty());
        answer.failure().ifPresent(e -> {
          assertEquals(name.equals("_initialize") ? ErrorCode.FUNCTION_TRAPPED : ErrorCode.FUNCTION_FAILED, e.code());
          assertTrue(e.problem().detail().startsWith("Before the call, " + name), e.problem().detail());
        });
      }
      assertEquals(Set.of(true, false), ends);
    }
  }

  private PreparedFunction prepareSomeTime(byte[] module) {
    for (int i = 0; i < 100; i++) {
      try {
        return node.prepare(module);
      } catch (InstarException e) {
        assertEquals(ErrorCode.MODULE_REFUSED, e.code());
      }
    }
    throw new AssertionError("It failed a hundred times.");
  }

  @ParameterizedTest
  @ValueSource(strings = {"(loop $l (br $l))", "(i64.store (i32.const 424) (i64.const 3600000000000)) (drop (call $poll (i32.const 400) (i32.const 1000) (i32.const 1) (i32.const 2000)))"})
  void aHookThatDoesNotEndIsEndedByAKill(String body) throws Exception {
    byte[] module = reactor("(func (export \"instar_reseed\") (call $say) " + body + ")");
    try (PreparedFunction prepared = node.prepare(module); Sandbox sandbox = TestNode.start(prepared)) {
      CountDownLatch runs = new CountDownLatch(1);
      FutureTask<InstarException> call = new FutureTask<>(() -> assertThrows(InstarException.class, () -> sandbox.call(
          new Call("call", CallInput.of(new byte[0]), OutputStream.nullOutputStream(), (bytes, offset, length) -> runs.countDown(), Instant.now().plusSeconds(60)))));
      Thread caller = Thread.ofPlatform().start(call);
      assertTrue(runs.await(60, TimeUnit.SECONDS));
      sandbox.kill();
      assertEquals(ErrorCode.TIMED_OUT, call.get(60, TimeUnit.SECONDS).code());
      caller.join();
      assertFalse(sandbox.reusable());
    }
  }

  @Test
  void anInterruptEndsAHook() throws Exception {
    byte[] module = reactor("(func (export \"instar_reseed\") (call $say) (loop $l (br $l)))");
    try (PreparedFunction prepared = node.prepare(module); Sandbox sandbox = TestNode.start(prepared)) {
      Thread caller = Thread.currentThread();
      GuestLog interrupts = (bytes, offset, length) -> caller.interrupt();
      assertThrows(InterruptedException.class, () -> sandbox.call(
          new Call("call", CallInput.of(new byte[0]), OutputStream.nullOutputStream(), interrupts, Instant.now().plusSeconds(60))));
      assertFalse(Thread.currentThread().isInterrupted());
    }
  }
}
