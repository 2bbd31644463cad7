package dev.instar.gateway;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.Problem;
import dev.instar.api.function.Limits;
import dev.instar.api.invocation.Invocation;
import dev.instar.api.invocation.Invoker;
import dev.instar.api.invocation.Outcome;
import dev.instar.tck.http.RawHttp;
import dev.instar.tck.http.RawHttp.Answer;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Calls that the gateway begins on the thread that reads and an invoker ends on a thread of its own. */
@Timeout(60)
class BegunCallsIT {
  private static final String CALL = "/v1/functions/demo/echo/invoke";

  /** Of a listener whose stop waits little. */
  private static final dev.instar.listener.Settings PORT = new dev.instar.listener.Settings("main", "127.0.0.1", 0, 16 << 10, Duration.ofSeconds(10), Duration.ofSeconds(30), 512,
      Duration.ofSeconds(10), 100, Duration.ofSeconds(10), Duration.ofMillis(300), 128, 128);

  private final Node node = new Node(Settings.DEFAULT, PORT);
  private final AtomicInteger invoked = new AtomicInteger();
  private final AtomicInteger ended = new AtomicInteger();
  private final CountDownLatch began = new CountDownLatch(1);
  private volatile Begin begin = (call, told) -> Optional.empty();

  private interface Begin {
    Optional<Runnable> begin(Invocation call, Consumer<Optional<Outcome>> told);
  }

  @BeforeEach
  void takeTheInvokersPlace() {
    node.function("demo/echo", Limits.DEFAULT);
    node.services.invokers().unbind(node.invoker);
    node.services.invokers().bind(new Invoker() {
      @Override
      public Outcome invoke(Invocation invocation) throws InterruptedException {
        invoked.incrementAndGet();
        return node.invoker.invoke(invocation);
      }

      @Override
      public Optional<Runnable> begin(Invocation invocation, Consumer<Optional<Outcome>> told) {
        return begin.begin(invocation, told);
      }
    }, Map.of());
  }

  @AfterEach
  void nothingIsLeft() throws Exception {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (node.gateway().inFlight() > 0 && System.nanoTime() < end) {
      Thread.sleep(5);
    }
    assertEquals(0, node.gateway().inFlight());
    node.close();
  }

  /** Runs the scripted function on a thread of its own. */
  private Optional<Runnable> aside(Invocation call, Consumer<Optional<Outcome>> told) {
    Thread thread = Thread.ofPlatform().start(() -> told.accept(Optional.of(outcome(call))));
    return Optional.of(() -> {
      ended.incrementAndGet();
      thread.interrupt();
    });
  }

  private Outcome outcome(Invocation call) {
    try {
      return node.invoker.invoke(call);
    } catch (InterruptedException e) {
      return new Outcome.Failed(Problem.of(ErrorCode.INTERNAL, "killed"));
    }
  }

  @Test
  void theAnswerIsTheSameAsOfAnInvokedOne() throws Exception {
    Answer invokedOne = node.call("POST", CALL, "hello");
    begin = this::aside;
    Answer begunOne = node.call("POST", CALL, "hello");
    assertEquals(1, invoked.get());
    assertEquals("hello", begunOne.text());
    assertEquals(200, begunOne.status());
    assertEquals(invokedOne.headers().keySet(), begunOne.headers().keySet());
    assertEquals("scripted", begunOne.headers().get("instar-backend"));
  }

  @Test
  void oneThatIsToldBeforeBeginReturnsIsAnsweredOnce() throws Exception {
    begin = (call, told) -> {
      told.accept(Optional.of(outcome(call)));
      return Optional.of(ended::incrementAndGet);
    };
    try (RawHttp http = new RawHttp(node.port())) {
      for (int i = 0; i < 50; i++) {
        assertEquals("n" + i % 10, http.send("POST " + CALL + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nn" + i % 10).answer().text());
      }
    }
    assertEquals(0, invoked.get());
  }

  @Test
  void requestsThatAreSentAheadAreAnsweredInTheirOrder() throws Exception {
    begin = this::aside;
    int many = 200;
    StringBuilder requests = new StringBuilder();
    List<String> expected = new ArrayList<>();
    for (int i = 0; i < many; i++) {
      String body = "number " + i;
      expected.add(body);
      requests.append("POST ").append(CALL).append(" HTTP/1.1\r\nHost: localhost\r\nContent-Length: ").append(body.length()).append("\r\n\r\n").append(body);
    }
    List<String> answers = new ArrayList<>();
    try (RawHttp http = new RawHttp(node.port())) {
      http.send(requests.toString());
      for (int i = 0; i < many; i++) {
        answers.add(http.answer().text());
      }
    }
    assertEquals(expected, answers);
  }

  @Test
  void aBodyThatComesInPiecesIsWhole() throws Exception {
    begin = this::aside;
    try (RawHttp http = new RawHttp(node.port())) {
      for (int i = 0; i < 10; i++) {
        http.send("POST " + CALL + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhello");
        Thread.sleep(5);
        assertEquals("helloworld", http.send("world").answer().text());
      }
    }
  }

  @Test
  void aFailureIsAProblemAndTheConnectionIsKept() throws Exception {
    node.invoker.script(ScriptedInvoker.failing(Problem.of(ErrorCode.FUNCTION_FAILED, "exit status 3")));
    begin = this::aside;
    try (RawHttp http = new RawHttp(node.port())) {
      Answer answer = http.send("POST " + CALL + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello").answer();
      assertEquals(ErrorCode.FUNCTION_FAILED.status(), answer.status());
      assertTrue(answer.text().contains("exit status 3"));
      node.invoker.script(ScriptedInvoker.ECHO);
      assertEquals("again", http.send("POST " + CALL + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nagain").answer().text());
    }
  }

  @Test
  void anAnswerThatIsTooLongToBeHeldBackStreams() throws Exception {
    byte[] piece = "0123456789abcdef".repeat(1 << 10).getBytes();
    node.invoker.script(call -> {
      for (int i = 0; i < 20; i++) {
        call.output().write(piece);
      }
    });
    begin = this::aside;
    assertEquals(20 * piece.length, node.call("POST", CALL, "x").text().length());
    assertEquals(0, invoked.get());
  }

  @Test
  void whoseChoiceHasGoneIsInvoked() throws Exception {
    begin = (call, told) -> {
      Thread.ofPlatform().start(() -> told.accept(Optional.empty()));
      return Optional.of(() -> {});
    };
    assertEquals("hello", node.call("POST", CALL, "hello").text());
    assertEquals(1, invoked.get());
  }

  @Test
  void aRefusalOfAnInvokerThatGoesIsFollowedByItsSuccessor() throws Exception {
    begin = (call, told) -> {
      node.services.invokers().bind(node.invoker, Map.of("service.ranking", 1));
      Thread.ofPlatform().start(() -> told.accept(Optional.of(new Outcome.Failed(Problem.of(ErrorCode.NOT_READY, "stopping")))));
      return Optional.of(() -> {});
    };
    assertEquals("hello", node.call("POST", CALL, "hello").text());
  }

  @Test
  void aCallWhoseCallerGoesIsEnded() throws Exception {
    CompletableFuture<Boolean> interrupted = new CompletableFuture<>();
    node.invoker.script(call -> {
      began.countDown();
      try {
        Thread.sleep(30_000);
        interrupted.complete(false);
      } catch (InterruptedException e) {
        interrupted.complete(true);
        throw e;
      }
    });
    begin = this::aside;
    try (RawHttp http = new RawHttp(node.port())) {
      http.send("POST " + CALL + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello");
      began.await();
    }
    assertTrue(interrupted.get());
    assertEquals(1, ended.get());
  }

  @Test
  void anUnknownFunctionAndAWrongParameterAreToldAsBefore() throws Exception {
    begin = (call, told) -> call.function().function().equals("echo") ? aside(call, told) : Optional.empty();
    assertEquals(404, node.call("POST", "/v1/functions/demo/nothing/invoke", "x").status());
    assertEquals(400, node.call("POST", CALL + "?timeout=soon", "x").status());
    assertEquals(400, node.call("POST", CALL + "?version=x", "x").status());
    assertEquals(405, node.call("PUT", CALL, "x").status());
  }

  @Test
  void aDrainEndsItWithAnAnswer() throws Exception {
    node.invoker.script(call -> {
      began.countDown();
      Thread.sleep(30_000);
    });
    begin = this::aside;
    try (RawHttp http = new RawHttp(node.port())) {
      http.send("POST " + CALL + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello");
      began.await();
      CompletableFuture<Void> drain = CompletableFuture.runAsync(node::drain);
      Answer answer = http.answer();
      assertEquals(503, answer.status());
      assertTrue(answer.text().contains("not-ready"), answer::text);
      drain.get();
    }
    assertEquals(1, ended.get());
  }

  @Test
  void eachByteIsReadOnceWhateverTheWay() throws IOException {
    // Alternately begun and not begun after its body was looked at.
    AtomicInteger turn = new AtomicInteger();
    begin = (call, told) -> turn.incrementAndGet() % 2 == 0 ? aside(call, told) : Optional.empty();
    try (RawHttp http = new RawHttp(node.port())) {
      for (int i = 0; i < 40; i++) {
        String body = "body " + i + " " + "x".repeat(i * 100);
        assertEquals(body, http.send("POST " + CALL + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + body.length() + "\r\n\r\n" + body).answer().text());
      }
    }
    assertTrue(invoked.get() > 10, () -> invoked + " were invoked");
  }
}
