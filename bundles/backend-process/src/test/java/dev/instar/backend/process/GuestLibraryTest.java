package dev.instar.backend.process;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.tck.capability.RequiresCapability;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** examples/process/instar_guest.py as a function's author sees it, packed by bundle.py as the README there says. */
@RequiresCapability("python3")
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class GuestLibraryTest {
  private static final Path EXAMPLES = Path.of("../../examples/process").toAbsolutePath().normalize();
  @TempDir
  Path directory;
  private Bench bench;

  @BeforeEach
  void open() throws IOException {
    bench = new Bench(directory);
  }

  @AfterEach
  void close() {
    bench.close();
  }

  private Path bundle(Path function, Path output) throws Exception {
    Process python = new ProcessBuilder("python3", EXAMPLES.resolve("bundle.py").toString(), function.toString(), output.toString()).inheritIO()
        .start();
    assertEquals(0, python.waitFor());
    return output;
  }

  /** A function whose handle(call) has this body. */
  private Sandbox function(String body) throws Exception {
    Path source = directory.resolve("function.py");
    Files.writeString(source, "import os, subprocess, sys, threading\nimport instar_guest\n\ndef handle(call):\n" + body.indent(4)
        + "\ninstar_guest.serve(handle)\n");
    return bench.start(bench.prepare(bundle(source, directory.resolve("function")), Map.of()), Duration.ofSeconds(30));
  }

  private String call(String body, String input) throws Exception {
    return bench.call(function(body), input.getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void theExampleRunsFromOneFile() throws Exception {
    Path echo = bundle(EXAMPLES.resolve("echo.py"), directory.resolve("echo"));
    assertTrue(new String(Files.readAllBytes(echo), StandardCharsets.ISO_8859_1).startsWith("#!/usr/bin/env python3\n"));
    Sandbox sandbox = bench.start(bench.prepare(echo, Map.of()), Duration.ofSeconds(30));
    assertEquals("hello", bench.call(sandbox, "hello".getBytes(StandardCharsets.UTF_8)));
  }

  @Test
  void theSameSourcesGiveTheSameFile() throws Exception {
    assertArrayEquals(Files.readAllBytes(bundle(EXAMPLES.resolve("echo.py"), directory.resolve("one"))),
        Files.readAllBytes(bundle(EXAMPLES.resolve("echo.py"), directory.resolve("two"))));
  }

  @Test
  void inputCanBeReadInEveryWay() throws Exception {
    assertEquals("first|second\n|th|ird", call("""
        line = call.input.readline()
        rest = next(call.input), call.input.read(2), call.input.read(), call.input.read()
        call.output.write(b"|".join((line.strip(),) + rest[:3]) + rest[3])
        """, "first\nsecond\nthird"));
  }

  @Test
  void aLargeInputThatIsReadLateArrivesWhole() throws Exception {
    byte[] input = new byte[3_000_000];
    new Random(5).nextBytes(input);
    Sandbox sandbox = function("""
        import hashlib, time
        first = call.input.read(1)
        time.sleep(0.1)
        call.output.write(hashlib.sha256(first + call.input.read()).hexdigest().encode())
        """);
    for (int i = 0; i < 3; i++) {
      assertEquals(Digest.of(input).hex(), bench.call(sandbox, input));
    }
  }

  @Test
  void whatIsPrintedGoesToTheLogAndNotIntoTheAnswer() throws Exception {
    assertEquals("answer", call("""
        print("printed ü")
        sys.stderr.write("complained\\n")
        call.log("logged")
        subprocess.run(["sh", "-c", "echo from a child; read nothing || echo no input"])
        call.output.write(b"answer")
        """, ""));
    for (String words : new String[] {"printed ü\n", "complained\n", "logged\n", "from a child\n", "no input\n"}) {
      // What a child of the function writes comes by another way, at its own time.
      for (int i = 0; i < 500 && !bench.logged().contains(words); i++) {
        Thread.sleep(10);
      }
      assertTrue(bench.logged().contains(words), () -> words + " is not in " + bench.logged());
    }
  }

  @Test
  void aLineLongerThanAFrameIsLoggedWhole() throws Exception {
    call("call.log('x' * 200000 + 'end')", "");
    assertEquals("x".repeat(200_000) + "end\n", bench.logged());
  }

  @Test
  void theCallTellsItsInvocationAndDeadline() throws Exception {
    assertEquals("test True", call("call.output.write(('%s %s' % (call.invocation, 10 < call.deadline <= 30)).encode())", ""));
  }

  @Test
  void anExceptionIsATrapWithItsTracebackInTheLogAndTheProcessGoesOn() throws Exception {
    Sandbox sandbox = function("call.output.write(b'%d' % (10 // int(call.input.read())))");
    InstarException e = assertThrows(InstarException.class, () -> bench.call(sandbox, new byte[] {'0'}));
    assertEquals(ErrorCode.FUNCTION_TRAPPED, e.code());
    assertTrue(e.problem().detail().startsWith("The function trapped: ZeroDivisionError: "), e.problem().detail());
    assertTrue(bench.logged().contains("Traceback (most recent call last)"), bench.logged());
    assertTrue(sandbox.reusable());
    assertEquals("5", bench.call(sandbox, new byte[] {'2'}));
  }

  @Test
  void anExitIsAFailureOrAnAnswer() throws Exception {
    Sandbox sandbox = function("call.output.write(b'said')\nsys.exit(eval(call.input.read()))");
    assertEquals("said", bench.call(sandbox, "0".getBytes(StandardCharsets.UTF_8)));
    assertEquals("said", bench.call(sandbox, "None".getBytes(StandardCharsets.UTF_8)));
    InstarException e = assertThrows(InstarException.class, () -> bench.call(sandbox, "-3".getBytes(StandardCharsets.UTF_8)));
    assertEquals(ErrorCode.FUNCTION_FAILED, e.code());
    assertEquals(-3, e.problem().members().get("exitCode"));
    e = assertThrows(InstarException.class, () -> bench.call(sandbox, "'no more ' + 'ö' * 5000".getBytes(StandardCharsets.UTF_8)));
    assertEquals(1, e.problem().members().get("exitCode"));
    assertTrue(e.problem().detail().startsWith("The function ended with exit code 1: no more öö"), e.problem().detail());
  }

  @Test
  void memoryThatIsRefusedIsReportedAsSuch() throws Exception {
    assertEquals(ErrorCode.OUT_OF_MEMORY, assertThrows(InstarException.class, () -> call("raise MemoryError", "")).code());
  }

  @Test
  void threadsOfTheFunctionMayLogAtAnyTime() throws Exception {
    Sandbox sandbox = function("""
        def chat():
            for i in range(200):
                print("word", i)
        threading.Thread(target=chat).start()
        """);
    for (int i = 0; i < 20; i++) {
      assertEquals("", bench.call(sandbox, new byte[0]));
      assertTrue(sandbox.reusable());
    }
  }
}
