package dev.instar.backend.process;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.invocation.CallInput;
import dev.instar.api.sandbox.Call;
import dev.instar.api.sandbox.GuestLog;
import dev.instar.api.sandbox.Sandbox;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Programs that break the guest protocol, die, or will not: each costs only itself. */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class HostileChildTest {
  private static final byte[] NOTHING = {};
  @TempDir
  Path directory;
  private Bench bench;

  @BeforeEach
  void open() throws IOException {
    bench = new Bench(directory);
  }

  @AfterEach
  void nothingIsLeft() throws Exception {
    bench.close();
    for (long until = System.nanoTime() + Duration.ofSeconds(5).toNanos(); System.nanoTime() < until; Thread.sleep(10)) {
      if (ProcessHandle.current().descendants().findAny().isEmpty() && guestThreads().isEmpty()) {
        break;
      }
    }
    assertEquals(List.of(), ProcessHandle.current().descendants().toList());
    assertEquals(List.of(), guestThreads());
    try (Stream<Path> left = Files.list(bench.scratch)) {
      assertEquals(List.of(), left.toList());
    }
  }

  private static List<String> guestThreads() {
    return Thread.getAllStackTraces().keySet().stream().map(Thread::getName).filter(name -> name.startsWith("guest-")).toList();
  }

  private InstarException startRefused(String script) {
    return assertThrows(InstarException.class, () -> bench.start(script));
  }

  private InstarException callRefused(String script) throws Exception {
    Sandbox sandbox = bench.start(Bench.GREETING + script);
    InstarException e = assertThrows(InstarException.class, () -> bench.call(sandbox, NOTHING));
    assertFalse(sandbox.reusable());
    sandbox.close();
    return e;
  }

  private static void assertCrashed(String detail, InstarException e) {
    assertEquals(detail, e.problem().detail());
    assertEquals(ErrorCode.SANDBOX_CRASHED, e.code());
  }

  @Test
  void aProgramThatPrintsIsToldSo() {
    assertCrashed("The process broke the guest protocol: a frame's length is 1214606444, over 65536 "
        + "(it begins with the text 'Hello': does something print to the standard output?).",
        startRefused("#!/bin/sh\necho Hello world\nsleep 60\n"));
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
      "\\177\\377\\377\\377\\040 | a frame's length is 2147483647, over 65536",
      "\\000\\000\\000\\000\\177 | a frame has the unknown type 0x7f",
      "\\000\\000\\000\\005\\040\\000\\000\\000\\002x | the guest sent an OUTPUT for call 2 during call 1",
      "\\000\\000\\000\\000\\002 | the guest sent a READY during call 1",
      "\\000\\000\\000\\011\\042\\000\\000\\000\\001\\011\\000\\000\\000\\000 | a frame RESULT has the status 9"})
  void aWrongFrameEndsTheCallAndTheProcess(String octal, String breach) throws Exception {
    assertCrashed("The process broke the guest protocol: " + breach + ".", callRefused("printf '" + octal + "'\nexec sleep 60\n"));
  }

  @Test
  void aFloodOfZeroesEndsAtItsFirstFrame() throws Exception {
    assertCrashed("The process broke the guest protocol: a frame has the unknown type 0x00.", callRefused("exec cat /dev/zero\n"));
  }

  @Test
  void anEndInTheMiddleOfAFrameIsABreach() throws Exception {
    assertCrashed("The process broke the guest protocol: the stream ended inside a frame OUTPUT.",
        callRefused("printf '\\000\\000\\000\\100\\040\\000\\000\\000\\001half'\n"));
  }

  @Test
  void aDeathInACallIsReportedWithItsStatusAndLastWords() throws Exception {
    InstarException e = callRefused("head -c 9 >/dev/null\nprintf 'first\\nno \\033[31mmore luck\\n' >&2\nexit 3\n");
    assertCrashed("The process ended with exit status 3 before it had answered. It said: no  [31mmore luck", e);
    assertEquals(3, e.problem().members().get("exitStatus"));
    assertTrue(bench.logged().contains("first\n"), bench.logged());
  }

  @Test
  void aDeathBySignalIsNamed() throws Exception {
    assertCrashed("The process ended with exit status 137 (signal 9) before it had answered.", callRefused("kill -9 $$\n"));
  }

  @Test
  void aDeathBeforeReadyIsReported() {
    assertCrashed("The process ended with exit status 5 before it was ready. It said: cannot find my settings",
        startRefused("#!/bin/sh\necho cannot find my settings >&2\nexit 5\n"));
  }

  @Test
  void silenceAtTheStartTimesOut() throws Exception {
    InstarException e = assertThrows(InstarException.class,
        () -> bench.start(bench.prepare("#!/bin/sh\necho waiting >&2\nexec sleep 60\n", Map.of()), Duration.ofMillis(500)));
    assertEquals(ErrorCode.TIMED_OUT, e.code());
    assertTrue(e.problem().detail().startsWith("The program did not say HELLO in time"), e.problem().detail());
  }

  /** Its client takes no notice of an interrupt, and the whole answer is there when it takes the next bytes at last. */
  @Test
  void anAnswerThatIsTakenAfterTheKillHasTimedOut() throws Exception {
    Sandbox sandbox = bench.start(Bench.GREETING + "printf '\\000\\000\\000\\005\\040\\000\\000\\000\\001x'\n" + Bench.ANSWER + "exec sleep 60\n");
    OutputStream slow = new OutputStream() {
      @Override
      public void write(int b) throws IOException {
        try {
          // For the answer to be read from the pipe.
          Thread.sleep(200);
          sandbox.kill();
          Thread.sleep(1);
          throw new AssertionError("A kill interrupts the caller.");
        } catch (InterruptedException ignored) {
          // As a write that cannot be interrupted.
        }
      }
    };
    InstarException e = assertThrows(InstarException.class,
        () -> sandbox.call(new Call("test", CallInput.of(NOTHING), slow, GuestLog.NONE, Instant.now().plusSeconds(30))));
    assertEquals(ErrorCode.TIMED_OUT, e.code());
    assertFalse(sandbox.reusable());
    sandbox.close();
  }

  @Test
  void aSecondAnswerEndsTheProcess() throws Exception {
    Sandbox sandbox = bench.start(Bench.GREETING + Bench.ANSWER + Bench.ANSWER + "exec sleep 60\n");
    try {
      bench.call(sandbox, NOTHING);
    } catch (InstarException e) {
      throw new AssertionError("The first answer is a good one.", e);
    }
    while (sandbox.reusable()) {
      Thread.sleep(1);
    }
    assertThrows(InstarException.class, () -> bench.call(sandbox, NOTHING));
  }

  @Test
  void aProcessThatAnswersAndEndsHasAnswered() throws Exception {
    Sandbox sandbox = bench.start(Bench.GREETING + "head -c 9 >/dev/null\n" + Bench.ANSWER);
    assertEquals("", bench.call(sandbox, new byte[1 << 20]));
    while (sandbox.reusable()) {
      Thread.sleep(1);
    }
    assertThrows(InstarException.class, () -> bench.call(sandbox, NOTHING));
  }

  @Test
  void aProcessThatClosesItsInputCanStillAnswer() throws Exception {
    assertEquals("", bench.call(bench.start(Bench.GREETING + "exec 0<&-\n" + Bench.ANSWER + "sleep 60\n"), new byte[1 << 20]));
  }

  @Test
  void aFloodOfErrorsGoesToTheLogAndDelaysNothing() throws Exception {
    Sandbox sandbox = bench.start(Bench.GREETING + "yes 'the log' >&2 &\nsleep 0.2\n" + Bench.ANSWER + "exec sleep 60\n");
    bench.call(sandbox, NOTHING);
    assertTrue(bench.logged().contains("the log\nthe log\n"));
    sandbox.close();
  }

  @Test
  void aProcessThatIgnoresItsEndIsKilled() throws Exception {
    Sandbox sandbox = bench.start(Bench.GREETING + "trap '' TERM HUP INT\nwhile :; do sleep 1; done\n");
    long start = System.nanoTime();
    sandbox.close();
    assertTrue(Duration.ofNanos(System.nanoTime() - start).compareTo(Duration.ofSeconds(10)) < 0, "close waited for it");
  }

  /** A child, a grandchild whose parent has gone, and one in a session of its own. */
  private static final String FAMILY = """
      sleep 1000 & echo $! >>"$PIDS"
      (sleep 1001 & echo $! >>"$PIDS")
      sh -c 'trap "" HUP; sleep 1002 & echo $! >>"$PIDS"; echo $$ >>"$PIDS"'
      echo done >>"$PIDS"
      """;

  private List<Long> family(Path pids) throws Exception {
    for (long until = System.nanoTime() + Duration.ofSeconds(20).toNanos(); System.nanoTime() < until; Thread.sleep(10)) {
      if (Files.exists(pids) && Files.readString(pids).contains("done")) {
        return Files.readAllLines(pids).stream().filter(line -> !line.equals("done")).map(Long::valueOf).toList();
      }
    }
    throw new AssertionError("The script did not get so far.");
  }

  private static void assertEnd(List<Long> pids) throws InterruptedException {
    List<ProcessHandle> alive = List.of();
    for (long until = System.nanoTime() + Duration.ofSeconds(5).toNanos(); System.nanoTime() < until; Thread.sleep(10)) {
      alive = pids.stream().map(ProcessHandle::of).flatMap(Optional::stream).filter(HostileChildTest::runs).toList();
      if (alive.isEmpty()) {
        return;
      }
    }
    throw new AssertionError("Still there: " + alive);
  }

  /** A process that nobody has reaped yet (its parent is init, which in a container may be slow or not there) has ended all the same. */
  static boolean runs(ProcessHandle process) {
    try {
      String stat = Files.readString(Path.of("/proc", Long.toString(process.pid()), "stat"));
      return stat.charAt(stat.lastIndexOf(')') + 2) != 'Z';
    } catch (IOException noProcOrNoProcess) {
      return process.isAlive() && !Files.isDirectory(Path.of("/proc/self"));
    }
  }

  @Test
  void descendantsEndWithAKill() throws Exception {
    Path pids = directory.resolve("pids");
    Sandbox sandbox = bench.start(bench.prepare(Bench.GREETING + FAMILY + "exec sleep 1003\n", Map.of("PIDS", pids.toString())),
        Duration.ofSeconds(30));
    List<Long> family = family(pids);
    assertEquals(4, family.size());
    sandbox.kill();
    assertEnd(family);
    sandbox.close();
  }

  @Test
  void descendantsEndWithAClose() throws Exception {
    Path pids = directory.resolve("pids");
    Sandbox sandbox = bench.start(bench.prepare(Bench.GREETING + FAMILY + "cat >/dev/null\n", Map.of("PIDS", pids.toString())),
        Duration.ofSeconds(30));
    List<Long> family = family(pids);
    sandbox.close();
    assertEnd(family);
  }

  /** They hold the pipes, so without their end nobody would hear of the end of the process. */
  @Test
  void descendantsEndWithTheirProcess() throws Exception {
    Path pids = directory.resolve("pids");
    Sandbox sandbox = bench.start(bench.prepare(Bench.GREETING + FAMILY + "head -c 9 >/dev/null\nexit 4\n", Map.of("PIDS", pids.toString())),
        Duration.ofSeconds(30));
    List<Long> family = family(pids);
    InstarException e = assertThrows(InstarException.class, () -> bench.call(sandbox, NOTHING));
    assertEquals(4, e.problem().members().get("exitStatus"));
    assertEnd(family);
  }

  @Test
  void theEndOfTheBackendEndsEverySandbox() throws Exception {
    Sandbox one = bench.start(Bench.GREETING + "exec sleep 1000\n");
    Sandbox two = bench.start(Bench.GREETING + "exec sleep 1001\n");
    assertTrue(one.reusable() && two.reusable());
    bench.backend.deactivate();
    assertFalse(one.reusable() || two.reusable());
    assertTrue(ProcessHandle.current().descendants().noneMatch(HostileChildTest::runs));
  }
}
