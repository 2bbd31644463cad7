package dev.instar.tck.sandbox;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Image;
import dev.instar.api.function.Limits;
import dev.instar.api.function.Variant;
import dev.instar.api.sandbox.BackendDescription;
import dev.instar.api.sandbox.BackendDescription.Isolation;
import dev.instar.api.sandbox.BackendDescription.Shape;
import dev.instar.api.sandbox.Checkpointable;
import dev.instar.api.sandbox.GuestLog;
import dev.instar.api.sandbox.PrepareRequest;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Probe;
import dev.instar.api.sandbox.Resettable;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.api.sandbox.SandboxBackend;
import dev.instar.api.sandbox.StartContext;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.io.SequenceInputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What every {@link SandboxBackend} promises, as tests. A backend's own test extends this class and supplies the backend and its
 * {@link Fixtures}:
 *
 * <pre>
 * class WasmBackendConformanceTest extends SandboxBackendSuite {
 *   protected SandboxBackend openBackend() { return new WasmBackend(…); }
 *   protected Fixtures fixtures() { return fixture -&gt; Fixtures.ofFile(Path.of("target/fixtures", fixture + ".wasm"), Variant.WASM); }
 * }
 * </pre>
 *
 * The suite plays the scheduler: it prepares, starts, calls on a thread of the kind that the shape asks for, resets a {@link Resettable} sandbox
 * after each call, closes sandboxes before prepared functions, and after each test looks for what was left behind. Its bounds in time are
 * generous, to hold on a busy machine: they tell an end from none, not fast from slow.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
@ExtendWith(NotApplicable.Handler.class)
public abstract class SandboxBackendSuite {
  private static final byte[] NOTHING = {};
  private static final AtomicLong SANDBOXES = new AtomicLong();

  private final List<AutoCloseable> open = new ArrayList<>();
  private Set<Long> childrenBefore = Set.of();
  private Set<Thread> threadsBefore = Set.of();
  private SandboxBackend backend;
  private BackendDescription description;

  /** The backend under test, ready to be used. Called once for the class. */
  protected abstract SandboxBackend openBackend() throws Exception;

  /** Gives back what {@link #openBackend} took. Called once, after the last test. */
  protected void closeBackend(SandboxBackend backend) throws Exception {}

  /** This backend's forms of the functions that the suite calls. */
  protected abstract Fixtures fixtures();

  /** How many times {@link #cyclesLeaveNothing} starts, calls and closes. */
  protected int cycles() {
    return 200;
  }

  /**
   * How many states the snapshot store has that the backend under test uses. Empty where the test gives it none; then only those promises of
   * {@link Checkpointable} are tested that hold without.
   */
  protected OptionalInt storedStates() {
    return OptionalInt.empty();
  }

  /** By when what must happen at some time must have happened: a start, an answer. */
  protected Duration patience() {
    return Duration.ofSeconds(60);
  }

  /** By when a call that was killed must have ended, and what was closed must have gone. The contract says a second; a busy machine gets more. */
  protected Duration bound() {
    return Duration.ofSeconds(5);
  }

  /** Whether a platform thread that a test has left may go on: one of a pool of the backend that lives as long as the backend. */
  protected boolean mayStay(Thread thread) {
    return false;
  }

  /** Whether a process that a test has left may go on: one of the backend itself, in which nothing of a sandbox runs. */
  protected boolean mayStay(ProcessHandle process) {
    return false;
  }

  /**
   * Run after each test, when all that it opened is closed: fails when something is left. This looks for child processes of this JVM and for
   * platform threads; a backend that holds other things (directories, mounts, cgroups) overrides it, calls it and looks for those.
   */
  protected void assertNothingLeft() throws Exception {
    // A process is reaped and a thread ends a moment after it was told to.
    List<String> left = List.of();
    for (long until = System.nanoTime() + bound().toNanos(); System.nanoTime() < until; Thread.sleep(10)) {
      left = left();
      if (left.isEmpty()) {
        return;
      }
    }
    fail("Left behind: " + left);
  }

  private List<String> left() {
    List<String> left = new ArrayList<>();
    ProcessHandle.current().descendants().filter(p -> !childrenBefore.contains(p.pid()) && !mayStay(p))
        .forEach(p -> left.add("process " + p.pid() + " " + p.info().command().orElse("")));
    for (Thread thread : Thread.getAllStackTraces().keySet()) {
      if (!threadsBefore.contains(thread) && thread != Thread.currentThread() && !ofThePlatform(thread) && !mayStay(thread)) {
        left.add("thread '" + thread.getName() + "'");
      }
    }
    return left;
  }

  /** Threads that the JDK or JUnit keep for themselves. */
  private static boolean ofThePlatform(Thread thread) {
    String name = thread.getName();
    return name.startsWith("ForkJoinPool") || name.startsWith("process reaper") || name.startsWith("junit-") || name.startsWith("VirtualThread-")
        || name.endsWith("-Poller") || name.endsWith("Cleaner") || name.startsWith("Cleaner-") || name.equals("Attach Listener")
        || thread.getThreadGroup() != null && thread.getThreadGroup().getName().equals("system");
  }

  @BeforeAll
  final void open() throws Exception {
    backend = openBackend();
    description = backend.describe();
  }

  @AfterAll
  final void closeBackend() throws Exception {
    if (backend != null) {
      closeBackend(backend);
    }
  }

  @BeforeEach
  final void remember() {
    childrenBefore = ProcessHandle.current().descendants().map(ProcessHandle::pid).collect(Collectors.toSet());
    threadsBefore = Set.copyOf(Thread.getAllStackTraces().keySet());
  }

  @AfterEach
  final void closeAll() throws Exception {
    List<AutoCloseable> closing = new ArrayList<>(open).reversed();
    open.clear();
    for (AutoCloseable one : closing) {
      one.close();
    }
    assertNothingLeft();
  }

  // What the suite does in the scheduler's place.

  private PreparedFunction prepare(Fixture fixture) throws Exception {
    return prepare(fixture, Limits.DEFAULT, Map.of());
  }

  private PreparedFunction prepare(Fixture fixture, Limits limits, Map<String, String> environment) throws Exception {
    return prepare(request(fixture, limits, environment));
  }

  private PrepareRequest request(Fixture fixture, Limits limits, Map<String, String> environment) throws Exception {
    Optional<String> gap = fixtures().inexpressible(fixture);
    if (gap.isPresent()) {
      throw new NotApplicable("The backend '" + description.name() + "' has no fixture " + fixture + ": " + gap.get());
    }
    Image image = fixtures().image(fixture);
    Variant variant = new Variant(image.digest(), image.kind(), Optional.of(description.name()));
    FunctionVersion version = new FunctionVersion(new FunctionName("tck", fixture.name().toLowerCase().replace('_', '-')), 1,
        "tck-" + fixture + "-" + SANDBOXES.incrementAndGet(), Instant.now(), new FunctionSpec(List.of(variant), limits, environment, Map.of()));
    return new PrepareRequest(version, variant, image, Instant.now().plus(patience()));
  }

  private PreparedFunction prepare(PrepareRequest request) throws Exception {
    PreparedFunction prepared = backend.prepare(request);
    assertNotNull(prepared);
    open.add(prepared);
    return prepared;
  }

  private Sandbox start(PreparedFunction prepared) throws InterruptedException {
    Sandbox sandbox = prepared.start(new StartContext("tck-" + SANDBOXES.incrementAndGet(), Instant.now().plus(patience()), GuestLog.NONE));
    assertNotNull(sandbox);
    open.add(sandbox);
    return sandbox;
  }

  private Sandbox start(Fixture fixture) throws Exception {
    return start(prepare(fixture));
  }

  /** On a thread of its own, as the scheduler does. Null when it ended well. */
  private static Throwable checkpoint(PreparedFunction prepared, boolean interrupted, Duration bound) throws InterruptedException {
    if (!(prepared instanceof Checkpointable state)) {
      throw new NotApplicable("The backend stores no states.");
    }
    AtomicReference<Throwable> end = new AtomicReference<>();
    Thread thread = Thread.ofPlatform().daemon().name("tck-checkpoint").start(() -> {
      try {
        if (interrupted) {
          Thread.currentThread().interrupt();
        }
        state.checkpoint();
      } catch (Throwable e) {
        end.set(e);
      }
    });
    assertTrue(thread.join(bound), () -> "The checkpoint had not ended after " + bound + ".");
    return end.get();
  }

  private void checkpoint(PreparedFunction prepared) throws InterruptedException {
    Throwable end = checkpoint(prepared, false, patience());
    if (end != null) {
      throw new AssertionError("The checkpoint failed: " + end, end);
    }
  }

  private void close(AutoCloseable one) throws Exception {
    open.remove(one);
    one.close();
  }

  private Attempt attempt(Sandbox sandbox, byte[] input) {
    return Attempt.of(description.shape(), sandbox, input);
  }

  /** Calls, resets where there is a reset, and returns the answer. */
  private byte[] call(Sandbox sandbox, byte[] input) throws InterruptedException {
    byte[] answer = attempt(sandbox, input).answer(patience());
    settle(sandbox);
    return answer;
  }

  private String call(Sandbox sandbox, String input) throws InterruptedException {
    return new String(call(sandbox, utf8(input)), StandardCharsets.UTF_8);
  }

  private InstarException refused(Sandbox sandbox, byte[] input) throws InterruptedException {
    return attempt(sandbox, input).refused(patience());
  }

  private static void settle(Sandbox sandbox) {
    if (sandbox.reusable() && sandbox instanceof Resettable resettable) {
      resettable.reset();
    }
  }

  /** A sandbox of another function still answers: what happened to one is nothing to the others. */
  private void assertOthersWork() throws Exception {
    assertEquals("still here", call(start(Fixture.ECHO), "still here"));
  }

  private static void assertCode(InstarException e, ErrorCode first, ErrorCode... others) {
    Set<ErrorCode> allowed = EnumSet.of(first, others);
    assertTrue(allowed.contains(e.code()), () -> "The code is " + e.code() + " (" + e.problem().detail() + "), expected one of " + allowed);
    assertFalse(e.problem().detail().isBlank(), "The problem has no detail.");
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static byte[] random(int seed, int size) {
    byte[] bytes = new byte[size];
    new Random(seed).nextBytes(bytes);
    return bytes;
  }

  /** Blocks every reader until it is let go, then ends. */
  private static final class Held extends InputStream {
    private final CountDownLatch released = new CountDownLatch(1);

    @Override
    public int read() throws IOException {
      try {
        released.await();
        return -1;
      } catch (InterruptedException e) {
        throw new InterruptedIOException();
      }
    }

    @Override
    public int read(byte[] b, int offset, int length) throws IOException {
      return length == 0 ? 0 : read();
    }

    @Override
    public void close() {
      released.countDown();
    }
  }

  /** Fails every read. */
  private static InputStream failing(Throwable failure) {
    return new InputStream() {
      @Override
      public int read() throws IOException {
        throw SandboxBackendSuite.<RuntimeException>raise(failure);
      }

      @Override
      public int read(byte[] b, int offset, int length) throws IOException {
        return read();
      }
    };
  }

  @SuppressWarnings("unchecked")
  private static <T extends Throwable> RuntimeException raise(Throwable t) throws T {
    throw (T) t;
  }

  /** Takes {@code limit} bytes and fails every write after. */
  private static OutputStream failingAfter(long limit, Throwable failure) {
    return new OutputStream() {
      private long written;

      @Override
      public void write(int b) throws IOException {
        write(new byte[] {(byte) b}, 0, 1);
      }

      @Override
      public void write(byte[] b, int offset, int length) throws IOException {
        written += length;
        if (written > limit) {
          throw SandboxBackendSuite.<RuntimeException>raise(failure);
        }
      }
    };
  }

  // Description and probe.

  @Test
  void describesItselfAndAlwaysTheSame() {
    assertFalse(description.name().isBlank());
    assertFalse(description.summary().isBlank());
    assertFalse(description.version().isBlank());
    assertFalse(description.kinds().isEmpty());
    assertNotNull(description.shape());
    assertNotNull(description.isolation());
    assertEquals(description, backend.describe());
  }

  @Test
  void probeNamesWhatItFoundOrWhatIsMissing() {
    switch (backend.probe()) {
      case Probe.Usable usable -> assertFalse(usable.detail().isBlank());
      case Probe.Missing missing -> fail("This host lacks '" + missing.what() + "' (" + missing.remedy()
          + "): guard the test with @RequiresCapability.");
    }
  }

  @Test
  void preparedFunctionTellsItsEntryAndItsReset() throws Exception {
    Map<String, String> told = prepare(Fixture.ECHO).describe();
    assertFalse(told.getOrDefault("entry", "").isBlank(), () -> "entry is missing in " + told);
    assertFalse(told.getOrDefault("reset", "").isBlank(), () -> "reset is missing in " + told);
  }

  @Test
  void sandboxesResetWhenTheDescriptionSaysSo() throws Exception {
    assertEquals(description.resets(), start(Fixture.ECHO) instanceof Resettable);
  }

  // Calls.

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 255, 4096, 65_535, 65_536, 65_537, 1 << 20, 5_000_001})
  void echoesEverySize(int size) throws Exception {
    byte[] input = random(size, size);
    assertArrayEquals(input, call(start(Fixture.ECHO), input));
  }

  @Test
  void echoesInputOfUnknownLength() throws Exception {
    byte[] input = random(3, 300_000);
    Attempt attempt = Attempt.of(description.shape(), start(Fixture.ECHO),
        new SequenceInputStream(new ByteArrayInputStream(input, 0, 17), new ByteArrayInputStream(input, 17, input.length - 17)));
    assertArrayEquals(input, attempt.answer(patience()));
  }

  @Test
  void echoesEveryByteValue() throws Exception {
    byte[] input = new byte[256];
    for (int i = 0; i < 256; i++) {
      input[i] = (byte) i;
    }
    assertArrayEquals(input, call(start(Fixture.ECHO), input));
  }

  @Test
  void aSandboxTakesManyCalls() throws Exception {
    Sandbox sandbox = start(Fixture.ECHO);
    for (int i = 0; i < 50; i++) {
      byte[] input = random(i, i * 997);
      assertArrayEquals(input, call(sandbox, input), "call " + i);
      assertTrue(sandbox.reusable(), "after call " + i);
    }
  }

  @Test
  void concurrentSandboxesDoNotMixTheirAnswers() throws Exception {
    PreparedFunction prepared = prepare(Fixture.ECHO);
    List<Sandbox> sandboxes = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      sandboxes.add(start(prepared));
    }
    for (int round = 0; round < 10; round++) {
      List<Attempt> attempts = new ArrayList<>();
      for (int i = 0; i < sandboxes.size(); i++) {
        attempts.add(attempt(sandboxes.get(i), random(round * 100 + i, 10_000 + i)));
      }
      for (int i = 0; i < sandboxes.size(); i++) {
        assertArrayEquals(random(round * 100 + i, 10_000 + i), attempts.get(i).answer(patience()), "round " + round + ", sandbox " + i);
        settle(sandboxes.get(i));
      }
    }
  }

  @Test
  void answerStreamsWhileInputStillComes() throws Exception {
    Sandbox sandbox = start(Fixture.SLOW_READER);
    try (Held held = new Held()) {
      Attempt attempt = Attempt.of(description.shape(), sandbox, new SequenceInputStream(new ByteArrayInputStream(utf8("one")), held));
      assertTrue(attempt.output().awaitSize(3, patience()), "No answer before the input's end.");
      assertTrue(attempt.running());
      held.close();
      assertEquals("one", new String(attempt.answer(patience()), StandardCharsets.UTF_8));
    }
  }

  @Test
  void aFunctionNeedNotReadItsInput() throws Exception {
    Sandbox sandbox = start(Fixture.IGNORE_INPUT);
    byte[] large = random(1, 8 << 20);
    for (int i = 0; i < 3 && sandbox.reusable(); i++) {
      assertEquals("ignored", new String(call(sandbox, large), StandardCharsets.UTF_8), "call " + i);
    }
  }

  @Test
  void aFunctionNeedNotWaitForItsInput() throws Exception {
    Sandbox sandbox = start(Fixture.IGNORE_INPUT);
    try (Held held = new Held()) {
      assertEquals("ignored", new String(Attempt.of(description.shape(), sandbox, held).answer(patience()), StandardCharsets.UTF_8));
    }
  }

  @Test
  void whatTheFunctionLogsArrivesBeforeTheCallEnds() throws Exception {
    Attempt attempt = attempt(start(Fixture.LOG), utf8("a word for the log"));
    assertEquals("logged", new String(attempt.answer(patience()), StandardCharsets.UTF_8));
    assertTrue(attempt.log().text().contains("a word for the log"), () -> "The log has '" + attempt.log().text() + "'.");
  }

  @Test
  void theFunctionSeesItsEnvironment() throws Exception {
    Sandbox sandbox = start(prepare(Fixture.ENV, Limits.DEFAULT, Map.of("GREETING", "hello, wörld", "EMPTY", "")));
    assertEquals("hello, wörld", call(sandbox, "GREETING"));
    assertEquals("", call(sandbox, "EMPTY"));
    assertEquals("", call(sandbox, "NO_SUCH_VARIABLE"));
  }

  @Test
  void theFunctionDoesNotSeeTheEnvironmentOfTheNode() throws Exception {
    // What a program of the host needs to run at all, and what interpreters set for themselves.
    Set<String> harmless = Set.of("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "PWD", "OLDPWD", "SHLVL", "_");
    Sandbox sandbox = start(Fixture.ENV);
    for (var variable : System.getenv().entrySet()) {
      if (!harmless.contains(variable.getKey()) && !variable.getValue().isEmpty()) {
        assertEquals("", call(sandbox, variable.getKey()), variable.getKey());
      }
    }
  }

  // State.

  @Test
  void stateIsUndoneByAResetAndKeptWithoutOne() throws Exception {
    Sandbox sandbox = start(Fixture.COUNTER);
    for (int i = 1; i <= 4; i++) {
      assertEquals(description.resets() ? "1" : "" + i, call(sandbox, ""), "call " + i);
    }
  }

  @Test
  void sandboxesOfOneFunctionShareNoState() throws Exception {
    PreparedFunction prepared = prepare(Fixture.COUNTER);
    Sandbox one = start(prepared);
    assertEquals("1", call(one, ""));
    call(one, "");
    assertEquals("1", call(start(prepared), ""));
  }

  /** Whatever a backend keeps of an initialised function to start others from. */
  @Test
  void whatWasDrawnAtFirstDoesNotRepeat() throws Exception {
    PreparedFunction prepared = prepare(Fixture.DRAWN);
    Sandbox one = start(prepared);
    Sandbox other = start(prepared);
    List<String> drawn = new ArrayList<>(List.of(drawn(one), drawn(other)));
    if (description.resets()) {
      drawn.add(drawn(one));
      settle(other);
      drawn.add(drawn(other));
    }
    assertEquals(drawn.size(), Set.copyOf(drawn).size(), () -> "Some were drawn twice: " + drawn);
  }

  private String drawn(Sandbox sandbox) throws InterruptedException {
    byte[] answer = call(sandbox, NOTHING);
    assertEquals(16, answer.length);
    return HexFormat.of().formatHex(answer);
  }

  @Test
  void resetCanComeTwiceAndBeforeTheFirstCall() throws Exception {
    Sandbox sandbox = start(Fixture.COUNTER);
    if (!description.resets()) {
      assertFalse(sandbox instanceof Resettable, "The description says that nothing is reset, but the sandbox is Resettable.");
      throw new NotApplicable("The backend '" + description.name() + "' does not reset.");
    }
    Resettable resettable = assertInstanceOf(Resettable.class, sandbox);
    resettable.reset();
    resettable.reset();
    assertEquals("1", new String(attempt(sandbox, NOTHING).answer(patience()), StandardCharsets.UTF_8));
    resettable.reset();
    resettable.reset();
    assertEquals("1", new String(attempt(sandbox, NOTHING).answer(patience()), StandardCharsets.UTF_8));
  }

  // What a function does wrong.

  @Test
  void anExitCodeIsReported() throws Exception {
    Sandbox sandbox = start(Fixture.FAIL);
    InstarException e = refused(sandbox, NOTHING);
    assertCode(e, ErrorCode.FUNCTION_FAILED);
    assertEquals(7L, ((Number) e.problem().members().get("exitCode")).longValue());
    if (sandbox.reusable()) {
      settle(sandbox);
      assertCode(refused(sandbox, NOTHING), ErrorCode.FUNCTION_FAILED);
    }
    assertOthersWork();
  }

  @Test
  void aTrapHurtsOnlyItsOwnCall() throws Exception {
    Sandbox neighbour = start(Fixture.ECHO);
    PreparedFunction prepared = prepare(Fixture.TRAP);
    for (int i = 0; i < 3; i++) {
      Sandbox sandbox = start(prepared);
      assertCode(refused(sandbox, NOTHING), ErrorCode.FUNCTION_TRAPPED, ErrorCode.SANDBOX_CRASHED);
      if (sandbox.reusable()) {
        settle(sandbox);
        assertCode(refused(sandbox, NOTHING), ErrorCode.FUNCTION_TRAPPED, ErrorCode.SANDBOX_CRASHED);
      }
      assertEquals("neighbour", call(neighbour, "neighbour"));
    }
    assertOthersWork();
  }

  @Test
  void theThreadOfATrapTakesFurtherCalls() throws Exception {
    Sandbox trap = start(Fixture.TRAP);
    Sandbox echo = start(Fixture.ECHO);
    // A sandbox that calls two others: both run on one thread.
    Sandbox both = new Sandbox() {
      @Override
      public void call(dev.instar.api.sandbox.Call call) throws InterruptedException {
        assertThrows(InstarException.class, () -> trap.call(call));
        echo.call(call);
      }

      @Override
      public boolean reusable() {
        return false;
      }

      @Override
      public void kill() {}

      @Override
      public void close() {}
    };
    assertEquals("", new String(attempt(both, NOTHING).answer(patience()), StandardCharsets.UTF_8));
  }

  @Test
  void endlessRecursionEnds() throws Exception {
    Sandbox sandbox = start(Fixture.RECURSE);
    assertCode(refused(sandbox, NOTHING), ErrorCode.STACK_OVERFLOW, ErrorCode.FUNCTION_TRAPPED, ErrorCode.FUNCTION_FAILED, ErrorCode.OUT_OF_MEMORY,
        ErrorCode.SANDBOX_CRASHED);
    assertOthersWork();
  }

  @Test
  void memoryIsBounded() throws Exception {
    if (description.isolation() == Isolation.NONE) {
      throw new NotApplicable("The backend '" + description.name() + "' isolates nothing, so it bounds no memory.");
    }
    Limits d = Limits.DEFAULT;
    long bound = 24L << 20;
    Attempt attempt = attempt(start(prepare(Fixture.GROW,
        new Limits(bound, d.timeout(), d.inputBytes(), d.outputBytes(), d.logBytes(), d.concurrency()), Map.of())), NOTHING);
    Throwable end = attempt.end(patience());
    if (end == null) {
      long got = Long.parseLong(attempt.output().text().strip());
      assertTrue(got <= bound, () -> "The function got " + got + " bytes, over its limit of " + bound + ".");
    } else {
      assertCode(assertInstanceOf(InstarException.class, end), ErrorCode.OUT_OF_MEMORY, ErrorCode.FUNCTION_TRAPPED, ErrorCode.FUNCTION_FAILED,
          ErrorCode.SANDBOX_CRASHED);
    }
    assertOthersWork();
  }

  @Test
  void whatItSaysOfItsLimitsAreLimits() throws Exception {
    Set<String> unknown = new HashSet<>(limits(prepare(Fixture.ECHO)));
    unknown.removeAll(Set.of("memory", "tables", "openFiles", "fileBytes", "madeFiles"));
    assertEquals(Set.of(), unknown, "The description names limits that there are not.");
  }

  /** Those that {@link PreparedFunction#describe} names. */
  private static List<String> limits(PreparedFunction prepared) {
    String named = prepared.describe().getOrDefault("limits", "");
    return named.isBlank() ? List.of() : List.of(named.split(", *"));
  }

  private static Limits bounded(String limit, long bound) {
    Limits d = Limits.DEFAULT;
    return new Limits(limit.equals("memory") ? bound : d.memoryBytes(), limit.equals("tables") ? (int) bound : d.tableElements(), d.stackBytes(),
        d.timeout(), d.runTime(), d.inputBytes(), d.outputBytes(), d.logBytes(), limit.equals("openFiles") ? (int) bound : d.openFiles(),
        limit.equals("fileBytes") ? bound : d.fileBytes(), limit.equals("madeFiles") ? (int) bound : d.madeFiles(), d.concurrency());
  }

  @ParameterizedTest
  @CsvSource({"memory, GROW, 25165824", "tables, GROW_TABLE, 100", "openFiles, OPEN_FILES, 20", "fileBytes, FILL_FILE, 1048576",
      "madeFiles, MAKE_FILES, 50"})
  void aLimitThatItNamesBounds(String limit, Fixture fixture, long bound) throws Exception {
    if (!limits(prepare(Fixture.ECHO)).contains(limit)) {
      throw new NotApplicable("The backend '" + description.name() + "' does not say that it honours the limit '" + limit + "'.");
    }
    Sandbox sandbox = start(prepare(fixture, bounded(limit, bound), Map.of()));
    // Twice where there is a reset: what a call was given is there for the next.
    for (int i = 0; i < 2 && (i == 0 || sandbox.reusable() && sandbox instanceof Resettable); i++) {
      Attempt attempt = attempt(sandbox, NOTHING);
      Throwable end = attempt.end(patience());
      if (end == null) {
        long got = Long.parseLong(attempt.output().text().strip());
        // What is there from the beginning, and what is given in larger pieces, leaves a function less than all; not less than half of these.
        assertTrue(got <= bound && got > bound / 2, () -> "The function got " + got + " of its limit of " + bound + " of " + limit + ".");
      } else {
        InstarException e = assertInstanceOf(InstarException.class, end);
        assertCode(e, ErrorCode.OUT_OF_MEMORY, ErrorCode.OUT_OF_TABLES, ErrorCode.OUT_OF_FILES, ErrorCode.FILES_FULL, ErrorCode.TOO_MANY_FILES);
        assertEquals(limit, e.problem().members().get("limit"));
      }
      settle(sandbox);
    }
    assertOthersWork();
  }

  @Test
  void aFloodEndsAtTheLimitOfTheOutput() throws Exception {
    Sandbox sandbox = start(Fixture.FLOOD);
    InstarException limit = new InstarException(Problem.of(ErrorCode.OUTPUT_TOO_LARGE, "The answer is over 1 MiB.", Map.of("limitBytes", 1L << 20)));
    InstarException e = Attempt.of(description.shape(), sandbox, InputStream.nullInputStream(), failingAfter(1 << 20, limit)).refused(patience());
    assertEquals(limit.problem(), e.problem());
    assertOthersWork();
  }

  @Test
  void inputOverItsLimitEndsTheCall() throws Exception {
    InstarException limit = new InstarException(Problem.of(ErrorCode.TOO_LARGE, "The body is over 100000 bytes.", Map.of("limitBytes", 100_000L)));
    InputStream input = new SequenceInputStream(new ByteArrayInputStream(random(1, 100_000)), failing(limit));
    InstarException e = Attempt.of(description.shape(), start(Fixture.ECHO), input).refused(patience());
    assertEquals(limit.problem(), e.problem());
    assertOthersWork();
  }

  @Test
  void aCallerThatGoesWhileItSendsEndsTheCall() throws Exception {
    InputStream input = new SequenceInputStream(new ByteArrayInputStream(random(1, 1000)), failing(new IOException("connection reset")));
    assertCode(Attempt.of(description.shape(), start(Fixture.ECHO), input).refused(patience()), ErrorCode.CALLER_GONE);
    assertOthersWork();
  }

  @Test
  void aCallerThatGoesWhileItReadsEndsTheCall() throws Exception {
    Sandbox sandbox = start(Fixture.FLOOD);
    OutputStream output = failingAfter(100_000, new IOException("broken pipe"));
    assertCode(Attempt.of(description.shape(), sandbox, InputStream.nullInputStream(), output).refused(patience()), ErrorCode.CALLER_GONE);
    assertOthersWork();
  }

  @Test
  void aBadArtifactIsRefused() throws Exception {
    InstarException e = assertThrows(InstarException.class, () -> start(prepare(Fixture.BAD)));
    assertCode(e, ErrorCode.MODULE_REFUSED, ErrorCode.SANDBOX_CRASHED);
    assertOthersWork();
  }

  // Cancellation.

  @ParameterizedTest
  @EnumSource(names = {"SPIN", "SLEEP", "FLOOD"})
  void killEndsARunningCall(Fixture fixture) throws Exception {
    Sandbox sandbox = start(fixture);
    Attempt attempt = Attempt.of(description.shape(), sandbox, InputStream.nullInputStream(), OutputStream.nullOutputStream()).underWay(200);
    assertTrue(attempt.running(), "The fixture ended by itself.");
    sandbox.kill();
    assertCode(attempt.refused(bound()), ErrorCode.TIMED_OUT);
    assertFalse(sandbox.reusable());
    assertOthersWork();
  }

  @Test
  void killEndsACallThatWaitsForItsInput() throws Exception {
    Sandbox sandbox = start(Fixture.ECHO);
    try (Held held = new Held()) {
      Attempt attempt = Attempt.of(description.shape(), sandbox, held).underWay(100);
      assertTrue(attempt.running());
      sandbox.kill();
      // An in-process function reads on the thread of the call, where only the caller's stream can end a read; the node closes it on a time-out.
      if (description.shape() == Shape.IN_PROCESS) {
        held.close();
      }
      assertCode(attempt.refused(bound()), ErrorCode.TIMED_OUT);
    }
  }

  @Test
  void killEndsACallWhoseCallerDoesNotRead() throws Exception {
    Sandbox sandbox = start(Fixture.FLOOD);
    CountDownLatch writing = new CountDownLatch(1);
    OutputStream stuck = new OutputStream() {
      @Override
      public void write(int b) throws IOException {
        writing.countDown();
        try {
          new CountDownLatch(1).await();
        } catch (InterruptedException e) {
          throw new InterruptedIOException();
        }
      }

      @Override
      public void write(byte[] b, int offset, int length) throws IOException {
        write(0);
      }
    };
    Attempt attempt = Attempt.of(description.shape(), sandbox, InputStream.nullInputStream(), stuck);
    writing.await();
    sandbox.kill();
    assertCode(attempt.refused(bound()), ErrorCode.TIMED_OUT);
    assertFalse(sandbox.reusable());
  }

  @Test
  void killBeforeACallEndsTheCall() throws Exception {
    Sandbox sandbox = start(Fixture.ECHO);
    sandbox.kill();
    assertCode(attempt(sandbox, NOTHING).refused(bound()), ErrorCode.TIMED_OUT);
    assertFalse(sandbox.reusable());
  }

  @Test
  void killCanComeTwiceAndAfterTheCall() throws Exception {
    Sandbox sandbox = start(Fixture.SPIN);
    Attempt attempt = attempt(sandbox, NOTHING).underWay(100);
    sandbox.kill();
    sandbox.kill();
    assertCode(attempt.refused(bound()), ErrorCode.TIMED_OUT);
    sandbox.kill();
    assertFalse(sandbox.reusable());
  }

  @Test
  void killAfterCloseDoesNothing() throws Exception {
    Sandbox sandbox = start(Fixture.ECHO);
    sandbox.close();
    sandbox.kill();
    assertFalse(sandbox.reusable());
    assertOthersWork();
  }

  @Test
  void killHitsOnlyItsOwnSandbox() throws Exception {
    PreparedFunction prepared = prepare(Fixture.SLOW_READER);
    Sandbox killed = start(prepared);
    Sandbox other = start(prepared);
    Sandbox spinning = start(Fixture.SPIN);
    Attempt victim = attempt(spinning, NOTHING).underWay(50);
    killed.kill();
    spinning.kill();
    assertEquals("unharmed", call(other, "unharmed"));
    assertCode(victim.refused(bound()), ErrorCode.TIMED_OUT);
    assertEquals("unharmed", call(other, "unharmed"));
  }

  @Test
  void aKillThatRacesTheEndOfACallIsATimeOutOrAnAnswer() throws Exception {
    PreparedFunction prepared = prepare(Fixture.ECHO);
    Random random = new Random(7);
    for (int i = 0; i < 20; i++) {
      Sandbox sandbox = start(prepared);
      Attempt attempt = attempt(sandbox, utf8("raced"));
      Thread.sleep(0, random.nextInt(999_999));
      sandbox.kill();
      Throwable end = attempt.end(bound());
      if (end != null) {
        assertCode(assertInstanceOf(InstarException.class, end), ErrorCode.TIMED_OUT);
      } else {
        assertEquals("raced", attempt.output().text());
      }
      assertFalse(sandbox.reusable());
      sandbox.close();
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"SPIN", "SLEEP"})
  void anInterruptEndsTheCall(Fixture fixture) throws Exception {
    Sandbox sandbox = start(fixture);
    Attempt attempt = attempt(sandbox, NOTHING).underWay(200);
    assertTrue(attempt.running(), "The fixture ended by itself.");
    attempt.interrupt();
    assertInstanceOf(InterruptedException.class, attempt.end(bound()));
    assertFalse(sandbox.reusable(), "A sandbox whose call was interrupted is in no known state.");
    assertOthersWork();
  }

  @Test
  void closeEndsARunningCall() throws Exception {
    Sandbox sandbox = start(Fixture.SPIN);
    Attempt attempt = attempt(sandbox, NOTHING).underWay(100);
    assertTrue(attempt.running(), "The fixture ended by itself.");
    sandbox.close();
    assertNotNull(attempt.end(bound()), "The call ended with success.");
    assertFalse(sandbox.reusable());
  }

  // State that outlives the node.

  @Test
  void whatIsStoredIsTheInitialisedStateAndNothingThatACallHasLeft() throws Exception {
    PrepareRequest request = request(Fixture.COUNTER, Limits.DEFAULT, Map.of());
    PreparedFunction first = prepare(request);
    Sandbox used = start(first);
    assertEquals("1", new String(attempt(used, NOTHING).answer(patience()), StandardCharsets.UTF_8));
    checkpoint(first);
    settle(used);
    assertEquals(description.resets() ? "1" : "2", call(used, ""));
    Sandbox beside = start(first);
    assertEquals("1", call(beside, ""));
    close(beside);
    close(used);
    close(first);
    assertEquals("1", call(start(prepare(request)), ""));
  }

  @Test
  void whatWasDrawnAtFirstDoesNotRepeatFromWhatIsStored() throws Exception {
    PrepareRequest request = request(Fixture.DRAWN, Limits.DEFAULT, Map.of());
    PreparedFunction first = prepare(request);
    Sandbox before = start(first);
    List<String> drawn = new ArrayList<>(List.of(drawn(before)));
    checkpoint(first);
    close(before);
    close(first);
    PreparedFunction second = prepare(request);
    drawn.add(drawn(start(second)));
    drawn.add(drawn(start(second)));
    assertEquals(drawn.size(), Set.copyOf(drawn).size(), () -> "Some were drawn twice: " + drawn);
  }

  @Test
  void aStoredStateIsOfItsEnvironmentOnly() throws Exception {
    PreparedFunction one = prepare(Fixture.ENV, Limits.DEFAULT, Map.of("GREETING", "one"));
    checkpoint(one);
    assertEquals("two", call(start(prepare(Fixture.ENV, Limits.DEFAULT, Map.of("GREETING", "two"))), "GREETING"));
    assertEquals("", call(start(prepare(Fixture.ENV, Limits.DEFAULT, Map.of())), "GREETING"));
    assertEquals("one", call(start(prepare(Fixture.ENV, Limits.DEFAULT, Map.of("GREETING", "one"))), "GREETING"));
  }

  @Test
  void aCheckpointHurtsNoCallThatRuns() throws Exception {
    PreparedFunction prepared = prepare(Fixture.ECHO);
    try (Held held = new Held()) {
      Attempt running = Attempt.of(description.shape(), start(prepared), new SequenceInputStream(new ByteArrayInputStream(utf8("unharmed")), held))
          .underWay(50);
      checkpoint(prepared);
      held.close();
      assertEquals("unharmed", new String(running.answer(patience()), StandardCharsets.UTF_8));
    }
    assertEquals("afterwards", call(start(prepared), "afterwards"));
  }

  @Test
  void anInterruptEndsACheckpoint() throws Exception {
    PrepareRequest request = request(Fixture.ECHO, Limits.DEFAULT, Map.of("STATE", "interrupted " + SANDBOXES.incrementAndGet()));
    PreparedFunction prepared = prepare(request);
    Throwable end = checkpoint(prepared, true, bound());
    if (end != null) {
      // It may have come too late.
      assertInstanceOf(InterruptedException.class, end);
    }
    assertEquals("afterwards", call(start(prepared), "afterwards"));
    assertEquals("again", call(start(prepare(request)), "again"));
  }

  @Test
  void aStateIsStoredOnce() throws Exception {
    int before = storedStates().orElseThrow(() -> new NotApplicable("The test gives the backend '" + description.name() + "' no snapshot store."));
    PrepareRequest request = request(Fixture.ECHO, Limits.DEFAULT, Map.of("STATE", "stored " + SANDBOXES.incrementAndGet()));
    PreparedFunction first = prepare(request);
    PreparedFunction second = prepare(request);
    checkpoint(first);
    int stored = storedStates().orElseThrow();
    if (stored == before) {
      assertFalse(first.describe().getOrDefault("snapshot", "").isBlank(), () -> "Nothing is stored, and describe does not say why: " + first.describe());
    } else {
      assertEquals(before + 1, stored);
    }
    checkpoint(second);
    assertEquals(stored, storedStates().orElseThrow(), "after a second checkpoint of the same");
    close(second);
    close(first);
    PreparedFunction restored = prepare(request);
    checkpoint(restored);
    assertEquals(stored, storedStates().orElseThrow(), "after a checkpoint of what was restored");
    assertEquals("restored", call(start(restored), "restored"));
  }

  // The end.

  @Test
  void closeIsIdempotentAndEndsTheSandbox() throws Exception {
    Sandbox sandbox = start(Fixture.ECHO);
    call(sandbox, "one");
    sandbox.close();
    sandbox.close();
    assertFalse(sandbox.reusable());
    assertInstanceOf(InstarException.class, attempt(sandbox, NOTHING).end(bound()), "A closed sandbox refuses a call.");
  }

  @Test
  void aClosedPreparedFunctionStartsNothing() throws Exception {
    PreparedFunction prepared = prepare(Fixture.ECHO);
    start(prepared).close();
    prepared.close();
    assertThrows(InstarException.class, () -> start(prepared));
  }

  @Test
  void cyclesLeaveNothing() throws Exception {
    PreparedFunction prepared = prepare(Fixture.ECHO);
    for (int i = 0; i < cycles(); i++) {
      Sandbox sandbox = start(prepared);
      assertEquals("cycle " + i, call(sandbox, "cycle " + i));
      sandbox.close();
      open.remove(sandbox);
    }
  }
}
