package dev.instar.backend.container;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.Image;
import dev.instar.api.function.Limits;
import dev.instar.api.function.Variant;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.tck.capability.RequiresCapability;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Python functions whose calls are forked, with this machine's own interpreter in the image. */
@RequiresCapability({"container", "python3"})
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class FramedSandboxTest {
  @TempDir
  static Path images;
  private static Path root;
  private static int files;
  @TempDir
  Path directory;
  private Bench bench;

  @BeforeAll
  static void image() throws Exception {
    root = Files.createDirectory(images.resolve("rootfs"));
    Process process = new ProcessBuilder("sh", Path.of("../../examples/python/root.sh").toAbsolutePath().toString(), root.toString()).redirectErrorStream(true).start();
    assertEquals("", new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8));
    assertEquals(0, process.waitFor());
    try (Stream<Path> all = Files.walk(root)) {
      for (Path path : all.toList()) {
        own(path);
      }
    }
  }

  private static void own(Path path) throws Exception {
    Files.setAttribute(path, "unix:uid", BusyboxImage.FIRST_ID, LinkOption.NOFOLLOW_LINKS);
    Files.setAttribute(path, "unix:gid", BusyboxImage.FIRST_ID, LinkOption.NOFOLLOW_LINKS);
  }

  @BeforeEach
  void open() throws Exception {
    bench = new Bench(directory, "");
  }

  @AfterEach
  void close() throws Exception {
    bench.close();
  }

  /** A function whose file has these lines. */
  private PreparedFunction prepare(String source) throws Exception {
    String name = "f" + ++files + ".py";
    Files.writeString(root.resolve(name), source);
    own(root.resolve(name));
    byte[] config = new JsonMapper().writeValueAsBytes(Map.of("os", "linux", "config", Map.of("Env", List.of("GREETING=hello"))));
    Path file = images.resolve("config-" + files + ".json");
    Files.write(file, config);
    Image image = new Image(Digest.of(config), Variant.CONTAINER, config.length, file, Optional.of(root));
    return bench.prepare(image, Map.of("runtime", "python", "fprocess", "/" + name), Limits.DEFAULT);
  }

  private Sandbox start(String source) throws Exception {
    return bench.start(prepare(source), Duration.ofSeconds(60));
  }

  /** A function whose calls do this. */
  private Sandbox handle(String body) throws Exception {
    return start("import os, sys, time\n\ndef handle(call):\n" + body.indent(4));
  }

  private InstarException fails(ErrorCode code, Sandbox sandbox) {
    InstarException e = assertThrows(InstarException.class, () -> bench.call(sandbox, "x"));
    assertEquals(code, e.code(), e.problem().detail());
    return e;
  }

  @Test
  void eachCallBeginsFromTheLoadedFunctionAndNothingOfItIsLeft() throws Exception {
    PreparedFunction prepared = prepare("""
        import os, random
        loads = [os.getpid()]
        calls = []

        def handle(call):
            calls.append(call.invocation)
            print("logged", os.environ["GREETING"], call.invocation)
            seen = os.listdir("/tmp") + os.listdir("/dev/shm")
            for place in ("/tmp", "/dev/shm"):
                os.makedirs(place + "/d/e/f", mode=0)
                open(place + "/file", "w").close()
                os.symlink("/", place + "/link")
            os.chmod("/tmp", 0)
            others = [p for p in os.listdir("/proc") if p.isdigit() and int(p) not in (1, os.getpid())]
            call.output.write(b"%d %d %s %s %r|" % (loads[0], len(calls), repr(seen).encode(), repr(others).encode(), random.random()))
            call.output.write(call.input.read().upper())
        """);
    assertTrue(prepared.describe().get("entry").contains("forked for each call"), prepared.describe().get("entry"));
    Sandbox sandbox = bench.start(prepared, Duration.ofSeconds(60));
    String[] first = bench.call(sandbox, "one").split("[|]");
    String[] second = bench.call(sandbox, "two").split("[|]");
    assertEquals("ONE", first[1]);
    assertEquals("TWO", second[1]);
    assertTrue(first[0].startsWith("1 1 [] [] "), first[0]);
    assertTrue(second[0].startsWith("1 1 [] [] "), second[0]);
    assertNotEquals(first[0], second[0], "random numbers");
    assertTrue(bench.logged().contains("logged hello i"), bench.logged());
    assertTrue(sandbox.reusable());
  }

  @Test
  void whatACallStartsEndsWithIt() throws Exception {
    Sandbox sandbox = handle("""
        import signal
        others = sum(1 for p in os.listdir("/proc") if p.isdigit() and int(p) not in (1, os.getpid()))
        for _ in range(3):
            if os.fork() == 0:
                os.setsid()
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                if os.fork() == 0:
                    signal.signal(signal.SIGHUP, signal.SIG_IGN)
                while True:
                    time.sleep(1000)
        call.output.write(b"%d" % others)""");
    for (int i = 0; i < 3; i++) {
      assertEquals("0", bench.call(sandbox, ""));
    }
  }

  @Test
  void aFunctionsEndIsTold() throws Exception {
    Sandbox sandbox = handle("""
        how = call.input.read().decode()
        if how == "raise":
            raise ValueError("no such thing")
        if how == "exit":
            sys.exit(7)
        if how == "leave":
            os._exit(9)
        if how == "die":
            os.kill(os.getpid(), 9)
        if how == "memory":
            bytearray(1 << 40)
        call.output.write(how.encode())""");
    assertTrue(assertThrows(InstarException.class, () -> bench.call(sandbox, "raise")).problem().detail().contains("ValueError: no such thing"));
    assertTrue(bench.logged().contains("Traceback"), bench.logged());
    assertEquals(7, assertThrows(InstarException.class, () -> bench.call(sandbox, "exit")).problem().members().get("exitCode"));
    assertEquals(9, assertThrows(InstarException.class, () -> bench.call(sandbox, "leave")).problem().members().get("exitCode"));
    assertTrue(assertThrows(InstarException.class, () -> bench.call(sandbox, "die")).problem().detail().contains("signal 9"));
    assertEquals(ErrorCode.OUT_OF_MEMORY, assertThrows(InstarException.class, () -> bench.call(sandbox, "memory")).code());
    assertEquals("well", bench.call(sandbox, "well"));
    assertTrue(sandbox.reusable());
  }

  @Test
  void largeBodiesPassBothWays() throws Exception {
    Sandbox sandbox = handle("""
        while True:
            piece = call.input.read1(65536)
            if not piece:
                break
            call.output.write(piece)""");
    String large = "0123456789abcdef".repeat(100_000);
    assertArrayEquals(large.getBytes(StandardCharsets.UTF_8), bench.call(sandbox, large).getBytes(StandardCharsets.UTF_8));
    Sandbox ignores = handle("call.output.write(b'ignored')");
    assertEquals("ignored", bench.call(ignores, large));
    assertEquals("ignored", bench.call(ignores, large));
  }

  @Test
  void aCallHasNoWayToWhatItWasForkedFrom() throws Exception {
    Sandbox sandbox = handle("""
        import ctypes, resource
        allowed = []
        def attempt(name, what):
            try:
                what()
                allowed.append(name)
            except OSError:
                pass
        libc = ctypes.CDLL(None, use_errno=True)
        def checked(result):
            if result < 0:
                raise OSError(ctypes.get_errno(), "refused")
        attempt("memory", lambda: open("/proc/1/mem", "r+b"))
        for d in range(20):
            attempt("descriptor %d" % d, lambda: os.close(os.open("/proc/1/fd/%d" % d, os.O_WRONLY)))
        attempt("ptrace", lambda: checked(libc.ptrace(16, 1, None, None)))
        attempt("root", lambda: open("/file", "w"))
        attempt("dev", lambda: open("/dev/file", "w"))
        attempt("program", lambda: open("/.instar/python.py", "a"))
        attempt("shared memory", lambda: checked(libc.shmget(1, 4096, 0o1600)))
        attempt("queue", lambda: checked(libc.msgget(1, 0o1600)))
        attempt("semaphore", lambda: checked(libc.semget(1, 1, 0o1600)))
        attempt("mount", lambda: checked(libc.mount(b"x", b"/tmp", b"tmpfs", 0, None)))
        own = [d for d in os.listdir("/proc/self/fd") if int(d) > 2]
        os.kill(1, 9)
        os.kill(1, 15)
        call.output.write(repr((allowed, len(own))).encode())""");
    // The pipes of input, answer and end, and the directory that is being read.
    assertEquals("([], 4)", bench.call(sandbox, ""));
    assertEquals("([], 4)", bench.call(sandbox, ""));
  }

  @Test
  void whatCannotBeLoadedTellsWhy() throws Exception {
    InstarException e = assertThrows(InstarException.class, () -> start("import nothing_of_that_name\n"));
    assertEquals(ErrorCode.SANDBOX_CRASHED, e.code());
    assertTrue(e.problem().detail().contains("nothing_of_that_name"), e.problem().detail());
    assertTrue(assertThrows(InstarException.class, () -> start("x = 1\n")).problem().detail().contains("has no function handle"));
    assertEquals(ErrorCode.TIMED_OUT, assertThrows(InstarException.class, () -> bench.start(prepare("while True: pass\n"), Duration.ofSeconds(2))).code());
  }

  @Test
  void whoBreaksTheProtocolCostsHimselfOnly() throws Exception {
    Sandbox good = handle("call.output.write(call.input.read())");
    assertEquals("a", bench.call(good, "a"));
    String zygote = "import os, sys\nmain = sys.modules['__main__']\n";
    InstarException e = assertThrows(InstarException.class, () -> start(zygote + "os.write(main.node_out, b'garbage, and more of it')\n"));
    assertEquals(ErrorCode.SANDBOX_CRASHED, e.code());
    assertTrue(e.problem().detail().contains("broke the guest protocol"), e.problem().detail());
    Sandbox result = start(zygote + "def serve(child, payload):\n    main.send(main.RESULT, b'\\0\\0\\0\\7\\0\\0\\0\\0\\0')\nmain.serve = serve\nhandle = print\n");
    assertTrue(fails(ErrorCode.SANDBOX_CRASHED, result).problem().detail().contains("RESULT for call 7"));
    assertFalse(result.reusable());
    Sandbox endless = start(zygote + "def serve(child, payload):\n    while True: main.send(main.PING, b'01234567')\nmain.serve = serve\nhandle = print\n");
    killed(endless);
    assertEquals("b", bench.call(good, "b"));
  }

  /** Its call is ended by a kill. */
  private void killed(Sandbox sandbox) throws Exception {
    CompletableFuture<Throwable> end = new CompletableFuture<>();
    Thread.ofVirtual().start(() -> {
      try {
        bench.call(sandbox, "x");
        end.complete(new AssertionError("answered"));
      } catch (Throwable e) {
        end.complete(e);
      }
    });
    Thread.sleep(300);
    sandbox.kill();
    InstarException e = assertInstanceOf(InstarException.class, end.get(20, TimeUnit.SECONDS));
    assertEquals(ErrorCode.TIMED_OUT, e.code(), e.problem().detail());
    assertFalse(sandbox.reusable());
  }

  @Test
  @RequiresCapability("runc")
  void itRunsUnderRunc() throws Exception {
    bench.close();
    bench = new Bench(Files.createDirectory(directory.resolve("runc")), "runc");
    Sandbox sandbox = handle("call.output.write(call.input.read() + repr(os.listdir('/tmp')).encode())\nopen('/tmp/file', 'w').close()");
    assertEquals("a[]", bench.call(sandbox, "a"));
    assertEquals("b[]", bench.call(sandbox, "b"));
  }

  @Test
  void aKillEndsACall() throws Exception {
    killed(handle("import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: time.sleep(1000)"));
  }

  /** In file systems of its own, lest what must not happen does. */
  @Test
  void itsProgramRefusesToRunAnywhereElse() throws Exception {
    Process process = new ProcessBuilder("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "sh", "-c", "mount -t tmpfs tmpfs /tmp && mount -t tmpfs tmpfs /dev/shm "
        + "&& cat >/tmp/python.py && touch /dev/shm/kept && /usr/bin/python3 -B /tmp/python.py /f.py </dev/null; echo \"ended with $?\"; ls /tmp /dev/shm").redirectErrorStream(true).start();
    try (var to = process.getOutputStream(); var from = Language.class.getResourceAsStream("python.py")) {
      from.transferTo(to);
    }
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertTrue(said.contains("container of Instar only") && said.contains("ended with 1") && said.contains("python.py") && said.contains("kept"), said);
  }
}
