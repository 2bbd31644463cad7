package dev.instar.backend.wasm.compile;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.objectweb.asm.ClassWriter;
import org.objectweb.asm.Opcodes;

/** Real processes, and such as play one. */
@Timeout(120)
class CompilersTest {
  private static final Duration LONG = Duration.ofSeconds(60);
  private static final int MUCH = 64 << 20;
  private static final byte[] EMPTY = {0, 'a', 's', 'm', 1, 0, 0, 0};

  @TempDir
  Path directory;

  private final List<Compilers> open = new ArrayList<>();

  private Compilers compilers(Launch launch, Compilers.Settings settings) {
    Compilers compilers = new Compilers(launch, settings);
    open.add(compilers);
    return compilers;
  }

  private Compilers compilers(Duration time, int heapMib) {
    return compilers(new Launch(directory), new Compilers.Settings(1, time, heapMib));
  }

  @AfterEach
  void nothingIsLeft() throws Exception {
    // Other tests in this JVM have processes of their own.
    List<Long> own = open.stream().flatMap(compilers -> compilers.pids().stream()).toList();
    open.forEach(Compilers::close);
    eventually("no process is left", () -> own.stream().flatMap(pid -> ProcessHandle.of(pid).stream()).noneMatch(ProcessHandle::isAlive));
    eventually("no thread is left", () -> Thread.getAllStackTraces().keySet().stream().noneMatch(t -> t.getName().startsWith("wasm-compile-")
        && !t.getName().equals("wasm-compile-keeper")));
    try (Stream<Path> files = Files.list(directory)) {
      assertEquals(List.of(), files.filter(f -> !f.toString().endsWith(".frames")).toList());
    }
  }

  private static void eventually(String what, Callable<Boolean> condition) throws Exception {
    long end = System.nanoTime() + 20_000_000_000L;
    while (!condition.call()) {
      assertTrue(System.nanoTime() < end, () -> "never: " + what);
      Thread.sleep(5);
    }
  }

  private static Code compile(Compilers compilers, String user, byte[] module, int functions, int limit, Duration patience) throws Exception {
    return compilers.compile(user, module, 16, 0, functions, limit, System.nanoTime() + patience.toNanos());
  }

  private static Code sample(Compilers compilers, String user) throws Exception {
    return compile(compilers, user, Sample.module(), 60, MUCH, LONG);
  }

  private static CompletableFuture<Code> async(Callable<Code> work) {
    CompletableFuture<Code> result = new CompletableFuture<>();
    Thread.ofVirtual().start(() -> {
      try {
        result.complete(work.call());
      } catch (Throwable e) {
        result.completeExceptionally(e);
      }
    });
    return result;
  }

  @Test
  void tellsThatNoProcessCanBeStartedUntilOneCan() throws Exception {
    AtomicBoolean full = new AtomicBoolean(true);
    Compilers compilers = compilers(new Launch(directory) {
      @Override
      ProcessBuilder process(int heapMib) throws IOException {
        return full.get() ? new ProcessBuilder("/no/such/program") : super.process(heapMib);
      }
    }, new Compilers.Settings(1, LONG, 256));
    assertEquals(Optional.empty(), compilers.failure());
    assertThrows(CompilerFailed.class, () -> sample(compilers, "a"));
    assertTrue(compilers.failure().orElse("").contains("/no/such/program"), compilers.failure()::toString);
    full.set(false);
    sample(compilers, "a");
    assertEquals(Optional.empty(), compilers.failure());
  }

  /** Functions that are too large for a method of the JVM: for each of them the compiler begins again. */
  private static byte[] bomb(int functions) {
    var body = new ByteArrayOutputStream();
    body.write(0);
    for (int i = 0; i < 25_000; i++) {
      body.writeBytes(new byte[] {0x41, 1, 0x1a, 0x41, 2, 0x1a});
    }
    body.write(0x0b);
    var code = new ByteArrayOutputStream();
    number(code, functions);
    for (int i = 0; i < functions; i++) {
      number(code, body.size());
      code.writeBytes(body.toByteArray());
    }
    var types = new ByteArrayOutputStream();
    number(types, functions);
    types.writeBytes(new byte[functions]);
    var module = new ByteArrayOutputStream();
    module.writeBytes(new byte[] {0, 'a', 's', 'm', 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0});
    section(module, 3, types.toByteArray());
    section(module, 10, code.toByteArray());
    return module.toByteArray();
  }

  private static void section(ByteArrayOutputStream module, int id, byte[] content) {
    module.write(id);
    number(module, content.length);
    module.writeBytes(content);
  }

  private static void number(ByteArrayOutputStream out, int value) {
    int left = value;
    for (; left >= 0x80; left >>>= 7) {
      out.write(left & 0x7f | 0x80);
    }
    out.write(left);
  }

  // ---- the real process

  @Test
  void oneProcessServesAUserAndNoOther() throws Exception {
    Compilers compilers = compilers(LONG, 256);
    Code code = sample(compilers, "a");
    assertEquals(Translator.HELPERS, code.classes().keySet().iterator().next());
    assertTrue(code.classes().containsKey(Code.MACHINE));
    // On a busy machine a process may have taken so long that it is not kept, and what is seen there is a spare, which is anybody's; then the next users show it.
    boolean apart = false;
    for (int turn = 0; turn < 5 && !apart; turn++) {
      String one = "a" + turn;
      long first = 0;
      for (int i = 0; i < 50 && !compilers.pids().contains(first); i++) {
        first = compilers.pids().stream().findFirst().orElse(0L);
        sample(compilers, one);
      }
      assertTrue(compilers.pids().contains(first), "no process served a user twice");
      sample(compilers, "b" + turn);
      apart = !compilers.pids().contains(first);
    }
    assertTrue(apart, "the module of a user came to the process that had another's, each time");
    List<Long> before = List.of(0L);
    for (int i = 0; i < 50 && !compilers.pids().containsAll(before); i++) {
      Malformed invalid = assertThrows(Malformed.class, () -> compile(compilers, "b", new byte[] {0, 'a', 's', 'm', 1, 0, 0, 0, 3, 2, 1, 0}, 1, MUCH, LONG));
      assertFalse(invalid.getMessage().isEmpty());
      before = compilers.pids();
      sample(compilers, "b");
    }
    assertTrue(compilers.pids().containsAll(before), "a module that is not valid costs no process");
  }

  @Test
  void itInheritsNothing() throws Exception {
    Compilers compilers = compilers(LONG, 256);
    // On a busy machine a process may have taken so long that it is not kept.
    do {
      sample(compilers, "a");
    } while (compilers.pids().isEmpty());
    Path proc = Path.of("/proc", Long.toString(compilers.pids().getFirst()));
    assertEquals(Set.of("LC_ALL=C.UTF-8", "MALLOC_ARENA_MAX=1"), withoutShell(Files.readString(proc.resolve("environ"))));
    try (Stream<Path> descriptors = Files.list(proc.resolve("fd"))) {
      for (Path descriptor : descriptors.toList()) {
        Optional<Path> target = link(descriptor);
        boolean own = target.isEmpty() || target.get().toString().startsWith("pipe:") || target.get().toString().endsWith(".jar")
            || target.get().startsWith("/dev") || target.get().endsWith("modules") || target.get().toString().endsWith(".jsa");
        assertTrue(own, () -> "it has " + target);
      }
    }
    String limits = Files.readString(proc.resolve("limits"));
    assertTrue(limits.matches("(?s).*Max file size +0 +0 .*"), limits);
    assertTrue(limits.matches("(?s).*Max core file size +0 +0 .*"), limits);
    assertFalse(limits.matches("(?s).*Max address space +unlimited.*"), limits);
    assertEquals("1000", Files.readString(proc.resolve("oom_score_adj")).strip());
  }

  /** The shell sets PWD and the like for what it starts. */
  private static Set<String> withoutShell(String environment) {
    Set<String> own = new java.util.TreeSet<>(List.of(environment.split("\0")));
    own.removeIf(variable -> variable.matches("(PWD|OLDPWD|SHLVL|_)=.*"));
    return own;
  }

  private static Optional<Path> link(Path descriptor) {
    try {
      return Optional.of(Files.readSymbolicLink(descriptor));
    } catch (IOException e) {
      // Closed meanwhile.
      return Optional.empty();
    }
  }

  @Test
  void whatTakesTooLongIsEndedAndNobodyElseNotices() throws Exception {
    Compilers compilers = compilers(Duration.ofSeconds(3), 512);
    CompletableFuture<Code> bomb = async(() -> compile(compilers, "a", bomb(100), 100, MUCH, LONG));
    eventually("it has begun", () -> !compilers.pids().isEmpty());
    long doomed = compilers.pids().getFirst();
    sample(compilers, "b");
    CompileLimit e = assertInstanceOf(CompileLimit.class, assertThrows(ExecutionException.class, () -> bomb.get(60, TimeUnit.SECONDS)).getCause());
    assertEquals(CompileLimit.What.TIME, e.what());
    assertEquals(3, e.value());
    eventually("its process has gone", () -> ProcessHandle.of(doomed).filter(ProcessHandle::isAlive).isEmpty());
    sample(compilers, "a");
  }

  @Test
  void whatTakesLongGoesToTheBackgroundAndSoDoesItsUser() throws Exception {
    Compilers compilers = compilers(Duration.ofSeconds(4), 256);
    CompletableFuture<Code> slow = async(() -> compile(compilers, "mallory", bomb(100), 100, MUCH, LONG));
    eventually("it begins", () -> !compilers.busy().isEmpty());
    long process = compilers.busy().getFirst();
    assertTrue(policies(process).stream().allMatch(policy -> policy == 0), "everybody begins in the foreground");
    eventually("in the background", () -> Set.copyOf(policies(process)).equals(Set.of(5)));
    assertThrows(ExecutionException.class, slow::get);
    eventually("there is a spare", () -> compilers.busy().isEmpty() && !compilers.pids().isEmpty());
    long spare = compilers.pids().getFirst();

    // What does not take long tells nothing of its process, for it is over too soon: so another that does.
    CompletableFuture<Code> next = async(() -> compile(compilers, "mallory", bomb(100), 100, MUCH, LONG));
    eventually("his next begins there", () -> compilers.busy().stream().anyMatch(pid -> Set.copyOf(policies(pid)).equals(Set.of(5))));
    assertTrue(compilers.pids().contains(spare) && !compilers.busy().contains(spare), "he has left the spare to others");
    CompletableFuture<Code> other = async(() -> compile(compilers, "alice", bomb(100), 100, MUCH, Duration.ofMillis(500)));
    eventually("another's begins in the foreground", () -> compilers.busy().stream().anyMatch(pid -> policies(pid).contains(0)));
    assertThrows(ExecutionException.class, other::get);
    assertThrows(ExecutionException.class, next::get);
  }

  /** How the kernel schedules the threads of a process: 0 is the ordinary policy, 5 is SCHED_IDLE (proc(5), the 41st field of stat). */
  private static List<Integer> policies(long process) {
    List<Integer> policies = new ArrayList<>();
    try (Stream<Path> threads = Files.list(Path.of("/proc", Long.toString(process), "task"))) {
      for (Path thread : threads.toList()) {
        String stat = Files.readString(thread.resolve("stat"));
        policies.add(Integer.valueOf(stat.substring(stat.lastIndexOf(')') + 2).split(" ")[38]));
      }
    } catch (IOException | UncheckedIOException e) {
      // A thread, or the process, has ended meanwhile.
    }
    return policies;
  }

  @Test
  void whatTakesTooMuchMemoryIsEnded() throws Exception {
    Compilers compilers = compilers(LONG, 64);
    CompileLimit e = assertThrows(CompileLimit.class, () -> compile(compilers, "a", bomb(20), 20, MUCH, LONG));
    assertEquals(CompileLimit.What.MEMORY, e.what());
    assertEquals(64, e.value());
    sample(compilers, "a");
  }

  @Test
  void tooMuchBytecodeIsRefused() throws Exception {
    Compilers compilers = compilers(LONG, 256);
    CompileLimit e = assertThrows(CompileLimit.class, () -> compile(compilers, "a", Sample.module(), 60, 1000, LONG));
    assertEquals(CompileLimit.What.CODE, e.what());
    sample(compilers, "a");
  }

  @Test
  void whoGivesUpIsNotKeptAndLeavesNothing() throws Exception {
    Compilers compilers = compilers(LONG, 512);
    assertThrows(TimeoutException.class, () -> compile(compilers, "a", bomb(100), 100, MUCH, Duration.ofMillis(300)));
    CompletableFuture<Thread> thread = new CompletableFuture<>();
    CompletableFuture<Code> bomb = async(() -> {
      thread.complete(Thread.currentThread());
      return compile(compilers, "a", bomb(100), 100, MUCH, LONG);
    });
    eventually("it has begun", () -> !compilers.pids().isEmpty());
    thread.get().interrupt();
    assertInstanceOf(InterruptedException.class, assertThrows(ExecutionException.class, () -> bomb.get(20, TimeUnit.SECONDS)).getCause());
    sample(compilers, "a");
  }

  @Test
  void aProcessThatIsKilledIsReplacedOnce() throws Exception {
    Compilers compilers = compilers(LONG, 512);
    CompletableFuture<Code> once = async(() -> compile(compilers, "a", bomb(6), 6, MUCH, LONG));
    long first = begun(compilers, -1);
    ProcessHandle.of(first).orElseThrow().destroyForcibly();
    assertEquals(6, once.get(60, TimeUnit.SECONDS).interpreted().size());

    CompletableFuture<Code> twice = async(() -> compile(compilers, "b", bomb(100), 100, MUCH, LONG));
    long second = begun(compilers, first);
    ProcessHandle.of(second).orElseThrow().destroyForcibly();
    long third = begun(compilers, second);
    ProcessHandle.of(third).orElseThrow().destroyForcibly();
    CompilerFailed e = assertInstanceOf(CompilerFailed.class, assertThrows(ExecutionException.class, () -> twice.get(60, TimeUnit.SECONDS)).getCause());
    assertTrue(e.getMessage().contains("137"), e.getMessage());
    sample(compilers, "b");
  }

  /** The process that is at work on something, other than one before. */
  private static long begun(Compilers compilers, long but) throws Exception {
    long[] found = {0};
    eventually("one is at work", () -> {
      for (long pid : compilers.busy()) {
        if (pid != but) {
          found[0] = pid;
        }
      }
      return found[0] != 0;
    });
    // Into its work.
    Thread.sleep(100);
    return found[0];
  }

  @Test
  void theEndOfTheNodeEndsItInTheMidstOfItsWork() throws Exception {
    Process node = new ProcessBuilder(Launch.java().toString(), "-XX:TieredStopAtLevel=1", "-cp", System.getProperty("java.class.path"),
        DyingNode.class.getName()).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    try {
      long child = new DataInputStream(node.getInputStream()).readLong();
      ProcessHandle compiling = ProcessHandle.of(child).orElseThrow();
      assertTrue(compiling.isAlive());
      node.destroyForcibly();
      eventually("it ends too", () -> !compiling.isAlive());
    } finally {
      node.destroyForcibly();
    }
  }

  /** A node that says which process compiles for it, and is killed then. */
  static final class DyingNode {
    private DyingNode() {}

    public static void main(String[] arguments) throws Exception {
      Compilers compilers = new Compilers(new Launch(Path.of("unused")), new Compilers.Settings(1, LONG, 512));
      async(() -> compile(compilers, "a", bomb(200), 200, MUCH, LONG));
      long child = begun(compilers, -1);
      new DataOutputStream(System.out).writeLong(child);
      System.out.flush();
      Thread.sleep(60_000);
    }
  }

  // ---- such as play one

  /** A process that says what was written beforehand, whatever it is asked. */
  private static final class Played extends Launch {
    private final List<String> command;

    Played(Path directory, String... command) {
      super(directory);
      this.command = List.of(command);
    }

    @Override
    ProcessBuilder process(int heapMib) {
      return new ProcessBuilder(command);
    }
  }

  private static void answer(ByteArrayOutputStream out, int number, byte kind, Frames.Payload payload) throws IOException {
    Frames.answer(out, number, kind, payload);
  }

  private Compilers saying(byte[] words, String then) throws IOException {
    Path file = Files.write(directory.resolve(words.length + ".frames"), words);
    return compilers(new Played(directory, "/bin/sh", "-c", "cat \"$1\"; " + then, "sh", file.toString()),
        new Compilers.Settings(1, Duration.ofSeconds(1), 64));
  }

  @ParameterizedTest
  @CsvSource({"garbage,something else", "short,status 0", "oversized,are allowed", "checksum,checksum", "another,something else", "unready,something else",
      "form,form", "counts,more than there is", "hostile,calls java/lang/System.exit", "silent-end,status 7"})
  void nonsenseIsToldAndNotBelieved(String kind, String words) throws Exception {
    var out = new ByteArrayOutputStream();
    if (!kind.equals("unready") && !kind.equals("garbage")) {
      answer(out, 0, Frames.READY, p -> {});
    }
    String then = "exec cat >/dev/null";
    switch (kind) {
      case "garbage" -> out.writeBytes("OpenJDK 64-Bit Server VM warning: all kinds of things that a JVM may say".getBytes());
      case "short" -> {
        var whole = new ByteArrayOutputStream();
        answer(whole, 1, Frames.CODE, new Code(Map.of(Code.MACHINE, new byte[100]), Set.of())::write);
        out.writeBytes(Arrays.copyOf(whole.toByteArray(), 60));
        then = "exit 0";
      }
      case "oversized" -> answer(out, 1, Frames.CODE, p -> p.write(new byte[8 << 20]));
      case "checksum" -> {
        var whole = new ByteArrayOutputStream();
        answer(whole, 1, Frames.CODE, new Code(Map.of(Code.MACHINE, new byte[100]), Set.of())::write);
        byte[] changed = whole.toByteArray();
        changed[50] ^= 1;
        out.writeBytes(changed);
      }
      case "another" -> answer(out, 2, Frames.CODE, p -> p.write(1));
      case "unready" -> answer(out, 1, Frames.CODE, p -> p.write(1));
      case "form" -> answer(out, 1, Frames.CODE, p -> {
        new Code(Map.of(Code.MACHINE, new byte[100]), Set.of()).write(p);
        p.write(1);
      });
      case "counts" -> answer(out, 1, Frames.CODE, p -> p.writeInt(Integer.MAX_VALUE));
      case "hostile" -> answer(out, 1, Frames.CODE, new Code(Map.of(Code.MACHINE, hostile()), Set.of())::write);
      default -> then = "cat >/dev/null & exit 7";
    }
    Compilers compilers = saying(out.toByteArray(), then);
    CompilerFailed e = assertThrows(CompilerFailed.class, () -> compile(compilers, "a", EMPTY, 0, 1 << 20, LONG));
    assertTrue(e.getMessage().contains(words), e.getMessage());
  }

  private static byte[] hostile() {
    ClassWriter writer = new ClassWriter(0);
    String machine = Code.MACHINE.replace('.', '/');
    writer.visit(Opcodes.V11, Opcodes.ACC_PUBLIC, machine, null, "java/lang/Object", new String[] {"com/dylibso/chicory/runtime/Machine"});
    var method = writer.visitMethod(Opcodes.ACC_PUBLIC | Opcodes.ACC_STATIC, "func_0", "()V", null, null);
    method.visitCode();
    method.visitInsn(Opcodes.ICONST_0);
    method.visitMethodInsn(Opcodes.INVOKESTATIC, "java/lang/System", "exit", "(I)V", false);
    method.visitInsn(Opcodes.RETURN);
    method.visitMaxs(1, 0);
    method.visitEnd();
    return writer.toByteArray();
  }

  @Test
  void silenceHasAnEnd() throws Exception {
    var out = new ByteArrayOutputStream();
    answer(out, 0, Frames.READY, p -> {});
    Compilers compilers = saying(out.toByteArray(), "cat >/dev/null; :");
    CompileLimit e = assertThrows(CompileLimit.class, () -> compile(compilers, "a", EMPTY, 0, 1 << 20, LONG));
    assertEquals(CompileLimit.What.TIME, e.what());
    // Nor does one that reads nothing hold up who writes to it: the module is larger than a pipe.
    Compilers deaf = saying(out.toByteArray(), "exec sleep 60");
    assertThrows(CompileLimit.class, () -> compile(deaf, "a", bomb(10), 10, 1 << 20, LONG));
  }

  @Test
  void whatCannotBeStartedIsTold() {
    Compilers compilers = compilers(new Played(directory, "/nowhere/java"), new Compilers.Settings(1, LONG, 64));
    CompilerFailed e = assertThrows(CompilerFailed.class, () -> compile(compilers, "a", EMPTY, 0, 1 << 20, LONG));
    assertTrue(e.getMessage().contains("/nowhere/java"), e.getMessage());
    assertNotEquals(null, e.getCause());
  }

  @Test
  void afterTheEndThereIsNone() throws Exception {
    Compilers compilers = compilers(LONG, 256);
    CompletableFuture<Code> bomb = async(() -> compile(compilers, "a", bomb(100), 100, MUCH, LONG));
    begun(compilers, -1);
    compilers.close();
    assertInstanceOf(InterruptedException.class, assertThrows(ExecutionException.class, () -> bomb.get(20, TimeUnit.SECONDS)).getCause());
    assertThrows(InterruptedException.class, () -> sample(compilers, "a"));
    assertEquals(List.of(), compilers.pids());
  }
}
