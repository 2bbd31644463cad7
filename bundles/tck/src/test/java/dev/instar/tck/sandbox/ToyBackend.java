package dev.instar.tck.sandbox;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.sandbox.BackendDescription;
import dev.instar.api.sandbox.BackendDescription.Isolation;
import dev.instar.api.sandbox.BackendDescription.Shape;
import dev.instar.api.sandbox.Call;
import dev.instar.api.sandbox.Checkpointable;
import dev.instar.api.sandbox.PrepareRequest;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Probe;
import dev.instar.api.sandbox.Resettable;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.api.sandbox.SandboxBackend;
import dev.instar.api.sandbox.StartContext;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.security.SecureRandom;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.LockSupport;

/** A backend whose functions are fixtures written in Java: right in all that the suite asks, and wrong in one thing when told so. */
final class ToyBackend implements SandboxBackend {
  private final Flaw flaw;
  private final Set<ToySandbox> all = new HashSet<>();
  private static int sharedCount;
  private static volatile byte[] lastRead = {};
  private final SecureRandom random = new SecureRandom();
  private final Map<String, State> store = new ConcurrentHashMap<>();
  private volatile int lastCount;
  private final Map<String, byte[]> seeds = new ConcurrentHashMap<>();
  private int described;

  ToyBackend(Flaw flaw) {
    this.flaw = flaw;
  }

  int stored() {
    return store.size();
  }

  /** What an initialisation makes. */
  private record State(int count, Map<String, String> environment) {}

  @Override
  public BackendDescription describe() {
    return new BackendDescription("toy", "Functions in Java, for the suite's own test.", Set.of("toy"), Shape.IN_PROCESS, Isolation.SOFTWARE,
        flaw != Flaw.SAYS_IT_DOES_NOT_RESET, flaw == Flaw.DESCRIBES_ITSELF_ANEW ? "" + described++ : "1");
  }

  @Override
  public Probe probe() {
    return new Probe.Usable("Java");
  }

  @Override
  public PreparedFunction prepare(PrepareRequest request) {
    try {
      return new Prepared(request, Fixture.valueOf(Files.readString(request.image().program())));
    } catch (IOException e) {
      throw new InstarException(ErrorCode.MODULE_REFUSED, "The image cannot be read.");
    }
  }

  private final class Prepared implements PreparedFunction, Checkpointable {
    private final PrepareRequest request;
    private final Fixture fixture;
    private final byte[] seed = drawn();
    private final String key;
    private final State state;
    private boolean closed;

    Prepared(PrepareRequest request, Fixture fixture) {
      this.request = request;
      this.fixture = fixture;
      if (fixture == Fixture.BAD && flaw != Flaw.TAKES_BAD_ARTIFACTS) {
        throw new InstarException(ErrorCode.MODULE_REFUSED, "The fixture is bad.");
      }
      Map<String, String> environment = request.version().spec().environment();
      key = fixture + (flaw == Flaw.TAKES_THE_STATE_OF_ANOTHER_ENVIRONMENT ? "" : " " + new TreeMap<>(environment));
      state = store.getOrDefault(key, new State(0, environment));
    }

    @Override
    public void checkpoint() throws InterruptedException {
      if (flaw == Flaw.STORES_ON_WHEN_INTERRUPTED) {
        for (long end = System.nanoTime() + 2_000_000_000L; System.nanoTime() < end; LockSupport.parkNanos(1_000_000)) {
          Thread.interrupted();
        }
      }
      if (Thread.interrupted()) {
        throw new InterruptedException();
      }
      if (flaw == Flaw.ENDS_CALLS_WHILE_IT_STORES) {
        synchronized (all) {
          all.forEach(ToySandbox::kill);
        }
      }
      if (flaw == Flaw.STORES_WHAT_WAS_DRAWN) {
        seeds.put(key, seed);
      }
      if (flaw != Flaw.STORES_NOTHING_AND_DOES_NOT_SAY_SO) {
        store.putIfAbsent(flaw == Flaw.STORES_A_STATE_AGAIN ? key + store.size() : key,
            flaw == Flaw.STORES_WHAT_A_CALL_LEFT ? new State(lastCount, state.environment) : state);
      }
    }

    @Override
    public Map<String, String> describe() {
      return Map.of("entry", flaw == Flaw.SAYS_NOTHING_OF_ITS_ENTRY ? "" : "a Java method", "reset", "all",
          "limits", "memory, tables, openFiles, fileBytes, madeFiles" + (flaw == Flaw.NAMES_A_LIMIT_THAT_IS_NONE ? ", sockets" : ""));
    }

    @Override
    public Sandbox start(StartContext context) {
      if (closed && flaw != Flaw.STARTS_WHEN_CLOSED) {
        throw new InstarException(ErrorCode.NOT_READY, "The prepared function is closed.");
      }
      if (flaw == Flaw.LEAKS_A_THREAD) {
        Thread.ofPlatform().daemon().name("leak").start(() -> {
          try {
            Thread.sleep(60_000);
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
          }
        });
      }
      if (flaw == Flaw.LEAKS_A_PROCESS) {
        try {
          // Long enough to be found, and gone by itself soon after.
          new ProcessBuilder("sleep", "4").start();
        } catch (IOException e) {
          throw new AssertionError(e);
        }
      }
      ToySandbox sandbox = new ToySandbox(request, fixture, state, flaw == Flaw.REPEATS_WHAT_WAS_DRAWN ? seed : seeds.getOrDefault(key, drawn()));
      synchronized (all) {
        all.add(sandbox);
      }
      return sandbox;
    }

    @Override
    public void close() {
      closed = true;
    }
  }

  private byte[] drawn() {
    byte[] bytes = new byte[16];
    random.nextBytes(bytes);
    return bytes;
  }

  /** What ends a function of the toy from inside. */
  private static final class Ended extends RuntimeException {
    private static final long serialVersionUID = 1;
    private final transient Problem problem;

    Ended(Problem problem) {
      this.problem = problem;
    }
  }

  private final class ToySandbox implements Sandbox, Resettable {
    private final PrepareRequest request;
    private final Fixture fixture;
    private Optional<Thread> caller = Optional.empty();
    private volatile boolean killed;
    private volatile boolean closed;
    private volatile boolean spoiled;
    private byte[] seed;
    private int count;
    private long made;
    private boolean fresh = true;
    private final State state;

    ToySandbox(PrepareRequest request, Fixture fixture, State state, byte[] seed) {
      this.request = request;
      this.fixture = fixture;
      this.state = state;
      this.seed = seed;
      this.count = state.count;
    }

    @Override
    public void call(Call call) throws InterruptedException {
      synchronized (this) {
        if (killed && flaw != Flaw.FORGETS_AN_EARLY_KILL) {
          throw timedOut();
        }
        if (closed && flaw != Flaw.CALLS_WHEN_CLOSED) {
          throw new InstarException(ErrorCode.SANDBOX_CRASHED, "The sandbox is closed.");
        }
        caller = Optional.of(Thread.currentThread());
        fresh = false;
      }
      try {
        run(call);
      } catch (Ended e) {
        throw new InstarException(e.problem);
      } catch (InstarException e) {
        spoiled = true;
        if (e.code() == ErrorCode.OUTPUT_TOO_LARGE && flaw == Flaw.HIDES_THE_OUTPUT_LIMIT || e.code() == ErrorCode.TOO_LARGE
            && flaw == Flaw.HIDES_THE_INPUT_LIMIT) {
          throw new InstarException(ErrorCode.FUNCTION_TRAPPED, "A write failed.");
        }
        throw killed ? timedOut() : e;
      } catch (IOException e) {
        spoiled = true;
        if (killed) {
          throw timedOut();
        }
        throw new InstarException(flaw == Flaw.TAKES_A_GONE_CALLER_FOR_A_TRAP
            ? ErrorCode.FUNCTION_TRAPPED : ErrorCode.CALLER_GONE, "The caller went away.");
      } catch (InterruptedException e) {
        spoiled = flaw != Flaw.IS_REUSABLE_AFTER_AN_INTERRUPT && flaw != Flaw.IS_REUSABLE_AFTER_A_KILL;
        if (killed) {
          if (flaw == Flaw.TAKES_A_KILL_FOR_SUCCESS) {
            return;
          }
          throw timedOut();
        }
        if (flaw == Flaw.SWALLOWS_INTERRUPTS) {
          throw new InstarException(ErrorCode.SANDBOX_CRASHED, "The sandbox ended.");
        }
        throw e;
      } finally {
        synchronized (this) {
          caller = Optional.empty();
          if (killed && flaw == Flaw.LEAVES_THE_INTERRUPT_FLAG) {
            Thread.currentThread().interrupt();
          } else if (killed) {
            Thread.interrupted();
          }
        }
      }
    }

    private static InstarException timedOut() {
      return new InstarException(ErrorCode.TIMED_OUT, "The call was ended.");
    }

    private void say(Call call, String text) throws IOException {
      call.output().write(text.getBytes(StandardCharsets.UTF_8));
    }

    private void got(Call call, Flaw boundless, long limit) throws IOException {
      say(call, Long.toString(flaw == boundless ? limit + 1 : limit));
    }

    private void run(Call call) throws IOException, InterruptedException {
      InputStream in = call.input().stream();
      switch (fixture) {
        case ECHO, SLOW_READER -> echo(call, in);
        case IGNORE_INPUT -> {
          if (flaw == Flaw.WAITS_FOR_THE_INPUT) {
            in.readAllBytes();
          }
          say(call, "ignored");
        }
        case TRAP -> {
          if (flaw == Flaw.LETS_A_TRAP_THROUGH) {
            throw new ArithmeticException("/ by zero");
          }
          throw new Ended(Problem.of(ErrorCode.FUNCTION_TRAPPED, "The function trapped."));
        }
        case FAIL -> throw new Ended(Problem.of(ErrorCode.FUNCTION_FAILED, "Exit code 7.", flaw == Flaw.HIDES_THE_EXIT_CODE
            ? Map.of("exitCode", 1) : Map.of("exitCode", 7)));
        case SPIN, SLEEP -> {
          while (!Thread.interrupted()) {
            Thread.sleep(0, 100_000);
          }
          throw new InterruptedException();
        }
        case GROW -> got(call, Flaw.BOUNDS_NO_MEMORY, request.version().spec().limits().memoryBytes());
        case GROW_TABLE -> got(call, Flaw.BOUNDS_NO_TABLES, request.version().spec().limits().tableElements());
        case OPEN_FILES -> got(call, Flaw.BOUNDS_NO_OPEN_FILES, request.version().spec().limits().openFiles());
        case FILL_FILE -> got(call, Flaw.BOUNDS_NO_FILE_BYTES, request.version().spec().limits().fileBytes());
        case MAKE_FILES -> {
          long limit = request.version().spec().limits().madeFiles();
          got(call, Flaw.BOUNDS_NO_MADE_FILES, flaw == Flaw.COUNTS_WHAT_A_CALL_HAS_MADE_IN_THE_NEXT ? limit - made : limit);
          made = limit;
        }
        case RECURSE -> throw new Ended(Problem.of(ErrorCode.FUNCTION_TRAPPED, "The stack is used up."));
        case FLOOD -> {
          byte[] bytes = new byte[4096];
          while (!Thread.interrupted()) {
            call.output().write(bytes);
          }
          throw new InterruptedException();
        }
        case LOG -> {
          byte[] bytes = in.readAllBytes();
          if (flaw != Flaw.DROPS_THE_LOG) {
            call.log().write(bytes, 0, bytes.length);
          }
          say(call, "logged");
        }
        case COUNTER -> say(call, Integer.toString(flaw == Flaw.SHARES_STATE ? ++sharedCount : (lastCount = ++count)));
        case DRAWN -> call.output().write(seed);
        case ENV -> {
          String name = new String(in.readAllBytes(), StandardCharsets.UTF_8);
          String other = flaw == Flaw.PASSES_THE_NODES_ENVIRONMENT ? System.getenv().getOrDefault(name, "") : "";
          say(call, flaw == Flaw.FORGETS_THE_ENVIRONMENT ? "" : state.environment.getOrDefault(name, other));
        }
        case BAD -> {}
      }
    }

    private void echo(Call call, InputStream in) throws IOException, InterruptedException {
      byte[] bytes = flaw == Flaw.BUFFERS_THE_INPUT ? in.readAllBytes() : new byte[1000];
      try {
        for (int got = flaw == Flaw.BUFFERS_THE_INPUT ? bytes.length : in.read(bytes); got > 0; got = in.read(bytes)) {
          if (flaw == Flaw.MIXES_ANSWERS) {
            lastRead = Arrays.copyOf(bytes, got);
            Thread.yield();
            bytes = Arrays.copyOf(lastRead, 1000);
          }
          call.output().write(bytes, 0, flaw == Flaw.DROPS_THE_LAST_BYTE && got < 1000 ? got - 1 : got);
        }
      } catch (IOException e) {
        if (flaw != Flaw.TAKES_A_CUT_INPUT_FOR_ITS_END) {
          throw e;
        }
      }
    }

    @Override
    public boolean reusable() {
      return !closed && !spoiled && (!killed || flaw == Flaw.IS_REUSABLE_AFTER_A_KILL);
    }

    @Override
    public synchronized void kill() {
      if (closed && flaw == Flaw.THROWS_ON_A_LATE_KILL) {
        throw new IllegalStateException("closed");
      }
      if (flaw == Flaw.IGNORES_KILL || killed) {
        return;
      }
      killed = true;
      if (flaw != Flaw.DOES_NOT_REACH_A_STUCK_CALLER) {
        caller.ifPresent(Thread::interrupt);
      }
      if (flaw == Flaw.KILLS_ITS_NEIGHBOURS) {
        synchronized (all) {
          all.forEach(one -> one.killed = true);
        }
      }
    }

    @Override
    public void reset() {
      if (fresh && flaw == Flaw.FAILS_A_SECOND_RESET) {
        throw new InstarException(ErrorCode.SANDBOX_CRASHED, "There is nothing to reset.");
      }
      fresh = true;
      if (flaw != Flaw.DOES_NOT_RESET) {
        count = state.count;
        seed = flaw == Flaw.REPEATS_WHAT_WAS_DRAWN || flaw == Flaw.REPEATS_WHAT_WAS_DRAWN_AFTER_A_RESET ? seed : drawn();
      }
    }

    @Override
    public synchronized void close() {
      if (closed && flaw == Flaw.THROWS_ON_A_SECOND_CLOSE) {
        throw new IllegalStateException("closed");
      }
      if (flaw != Flaw.LEAVES_A_CALL_RUNNING) {
        caller.ifPresent(Thread::interrupt);
      }
      closed = true;
    }
  }
}
