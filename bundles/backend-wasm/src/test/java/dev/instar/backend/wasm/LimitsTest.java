package dev.instar.backend.wasm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.Image;
import dev.instar.api.function.Limits;
import dev.instar.api.sandbox.GuestLog;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Resettable;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.api.sandbox.StartContext;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Each limit with a module that reaches it, in a call between two that do not. */
class LimitsTest extends NodeTest {
  private static final Limits SMALL = new Limits(1 << 20, 100, 1 << 20, Duration.ofSeconds(30), Duration.ofSeconds(30), 1 << 20, 1 << 20, 1000, 8,
      1 << 20, 10, 4);

  /** A command that does something when it has input, and else nothing. */
  private static byte[] command(String body) {
    return Wat.compile("""
        (module
          (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "path_create_directory" (func $mkdir (param i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (memory 2) (table $t 10 funcref)
          (data (i32.const 100) "file")
          (func $deep (call $deep))
          (func $new (result i32)
            (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 4) (i32.const 1) (i64.const 70) (i64.const 0) (i32.const 0) (i32.const 16)))
          (func (export "_start")
            (i32.store (i32.const 0) (i32.const 1000))
            (i32.store (i32.const 4) (i32.const 1000))
            (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
            (if (i32.load (i32.const 8)) (then
        """ + body + ")) ))");
  }

  private PreparedFunction prepare(byte[] module, Limits limits) throws Exception {
    Path rootfs = Files.createDirectories(directory.resolve("rootfs"));
    return node.prepare(node.image(module, Optional.of(rootfs)), limits, Map.of(), Duration.ofSeconds(60));
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
      "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable | out-of-memory | memory | limitBytes | 1048576",
      "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) (i32.store (i32.const -4) (i32.const 1)) | out-of-memory | memory | limitBytes | 1048576",
      "(loop $l (br_if $l (i32.ne (table.grow $t (ref.null func) (i32.const 7)) (i32.const -1)))) unreachable | out-of-tables | tables | limitCount | 100",
      "(loop $l (br_if $l (i32.eqz (call $new)))) (call $exit (i32.const 1)) | out-of-files | openFiles | limitCount | 8",
      "(drop (call $new)) (i32.store (i32.const 4) (i32.const 65536)) (loop $l (br_if $l (i32.eqz (call $write (i32.load (i32.const 16)) (i32.const 0)"
          + " (i32.const 1) (i32.const 8))))) (call $exit (i32.const 1)) | files-full | fileBytes | limitBytes | 1048576",
      "(loop $l (i32.store8 (i32.const 100) (i32.add (i32.load8_u (i32.const 100)) (i32.const 1))) (br_if $l (i32.eqz (call $mkdir (i32.const 3)"
          + " (i32.const 100) (i32.const 4))))) (call $exit (i32.const 1)) | too-many-files | madeFiles | limitCount | 10"})
  void whoDiesOfALimitIsToldWhich(String body, String code, String limit, String unit, long value) throws Exception {
    try (PreparedFunction prepared = prepare(command(body), SMALL); Sandbox sandbox = TestNode.start(prepared)) {
      long before = node.backend.guestMemory();
      for (int i = 0; i < 3; i++) {
        TestNode.call(sandbox, "").good();
        var problem = TestNode.call(sandbox, "go").bad().problem();
        assertEquals(code, problem.code().code(), problem.detail());
        assertEquals(limit, problem.members().get("limit"));
        assertEquals(value, ((Number) problem.members().get(unit)).longValue());
        assertTrue(problem.members().containsKey("trap") || problem.members().get("exitCode").equals(1), problem.toString());
        assertTrue(problem.detail().contains("--"), problem.detail());
        assertTrue(sandbox.reusable());
      }
      TestNode.call(sandbox, "").good();
      assertTrue(node.backend.guestMemory() - before < 600_000, "what a reset leaves");
    }
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
      "(drop (memory.grow (i32.const 1000))) (drop (i32.div_s (i32.const 1) (i32.load (i32.const 50)))) | function-trapped",
      "(drop (memory.grow (i32.const 1000))) (drop (memory.grow (i32.const 1))) unreachable | function-trapped",
      "(drop (table.grow $t (ref.null func) (i32.const 999))) (drop (table.grow $t (ref.null func) (i32.const 1))) unreachable | function-trapped",
      "(call $exit (i32.const 1)) | function-failed",
      "(call $deep) | stack-overflow"})
  void whoDiesOfSomethingElseIsToldThat(String body, String code) throws Exception {
    try (PreparedFunction prepared = prepare(command(body), SMALL); Sandbox sandbox = TestNode.start(prepared)) {
      assertEquals(code, TestNode.call(sandbox, "go").bad().code().code());
      TestNode.call(sandbox, "").good();
    }
  }

  @Test
  void whoGoesOnAfterARefusalIsNotToldOfIt() throws Exception {
    try (PreparedFunction prepared = prepare(command("(drop (memory.grow (i32.const 1000)))"), SMALL); Sandbox sandbox = TestNode.start(prepared)) {
      TestNode.call(sandbox, "go").good();
    }
  }

  @Test
  void tablesThatBeginWithMoreAreRefused() {
    byte[] module = Wat.compile("(module (table 60 funcref) (table 41 funcref) (func (export \"_start\")))");
    InstarException e = assertThrows(InstarException.class, () -> prepare(module, SMALL));
    assertEquals(ErrorCode.OUT_OF_TABLES, e.code());
    assertEquals(100, e.problem().members().get("limitCount"));
  }

  @Test
  void aMemoryBudgetThatIsUsedUpAsksForRoomUntilThereIsNone() throws Exception {
    reopen("guest$_$memory$_$bytes", 16L << 20);
    byte[] small = command("(memory.fill (i32.const 4096) (i32.const 1) (i32.const 126000))");
    byte[] large = command("(drop (memory.grow (i32.const 212)))");
    Deque<Sandbox> idle = new ArrayDeque<>();
    try (PreparedFunction one = prepare(small, SMALL); PreparedFunction other = prepare(large, TestNode.memory(16 << 20))) {
      // What waits keeps what it had, up to a quarter of all.
      while (node.backend.guestMemory() < 3 << 20) {
        assertTrue(idle.size() < 100, "an idle sandbox keeps nothing");
        idle.add(TestNode.start(one));
        TestNode.call(idle.getLast(), "go").good();
        ((Resettable) idle.getLast()).reset();
      }
      int before = idle.size();
      StartContext.Room room = () -> {
        Sandbox oldest = idle.poll();
        if (oldest != null) {
          oldest.close();
        }
        return oldest != null;
      };
      try (Sandbox needy = TestNode.start(other)) {
        InstarException e = TestNode.call(needy, "go").bad();
        assertEquals(ErrorCode.NODE_BUSY, e.code());
        assertTrue(e.problem().retryAfter().isPresent());
      }
      try (Sandbox needy = other.start(new StartContext("needy", Instant.now().plusSeconds(60), GuestLog.NONE, room))) {
        TestNode.call(needy, "go").good();
        assertTrue(idle.size() < before, "nobody was asked");
        assertTrue(!idle.isEmpty(), "more was closed than was needed");
      }
      idle.forEach(Sandbox::close);
    }
  }

  /** A start function that grows the memory of 2 pages by some and fills all of it. */
  private static byte[] initialised(int pages, boolean filled) {
    return Wat.compile("""
        (module (memory 2)
          (func $init (if (i32.eq (memory.grow (i32.const %d)) (i32.const -1)) (then unreachable))
            (memory.fill (i32.const 0) (i32.const 1) (i32.mul (i32.const %d) (memory.size))))
          (start $init)
          (func (export "_start")))""".formatted(pages, filled ? 65536 : 0));
  }

  /** Both for the memory while it runs, and for the image that is kept of it. */
  @ParameterizedTest
  @CsvSource({"220, false", "105, true"})
  void anInitialisationAsksForRoomTooUntilThereIsNone(int pages, boolean filled) throws Exception {
    reopen("guest$_$memory$_$bytes", 16L << 20);
    Deque<Sandbox> idle = new ArrayDeque<>();
    try (PreparedFunction one = prepare(command("(memory.fill (i32.const 4096) (i32.const 1) (i32.const 126000))"), SMALL)) {
      while (node.backend.guestMemory() < 3 << 20) {
        assertTrue(idle.size() < 100, "an idle sandbox keeps nothing");
        idle.add(TestNode.start(one));
        TestNode.call(idle.getLast(), "go").good();
        ((Resettable) idle.getLast()).reset();
      }
      int before = idle.size();
      Image image = node.image(initialised(pages, filled));
      long held = node.backend.guestMemory();
      assertEquals(ErrorCode.NODE_BUSY,
          assertThrows(InstarException.class, () -> node.prepare(image, TestNode.memory(16 << 20), Map.of(), Duration.ofSeconds(60))).code());
      assertEquals(held, node.backend.guestMemory());
      StartContext.Room room = () -> {
        Sandbox oldest = idle.poll();
        if (oldest != null) {
          oldest.close();
        }
        return oldest != null;
      };
      try (PreparedFunction other = node.prepare("demo", image, TestNode.memory(16 << 20), Map.of(), Duration.ofSeconds(60), room)) {
        assertTrue(idle.size() < before, "nobody was asked");
        assertTrue(!idle.isEmpty(), "more was closed than was needed");
        assertTrue(other.describe().get("initialised").contains("start function"), other.describe().toString());
      }
      idle.forEach(Sandbox::close);
    }
  }
}
