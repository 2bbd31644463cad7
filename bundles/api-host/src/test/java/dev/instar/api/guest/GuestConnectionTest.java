package dev.instar.api.guest;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.guest.Frame.Status;
import dev.instar.api.invocation.CallInput;
import dev.instar.api.sandbox.Call;
import dev.instar.api.sandbox.GuestLog;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The host's end against a guest that the test plays, over a Unix socket: the protocol does not need pipes. */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class GuestConnectionTest {
  @TempDir
  Path directory;
  private SocketChannel hostSide;
  private SocketChannel guestSide;
  private GuestConnection host;
  private FrameReader fromHost;
  private FrameWriter toHost;
  private final ByteArrayOutputStream answer = new ByteArrayOutputStream();
  private final ByteArrayOutputStream log = new ByteArrayOutputStream();
  private final List<Thread> threads = new ArrayList<>();
  private volatile boolean closing;

  @BeforeEach
  void connect() throws IOException {
    UnixDomainSocketAddress address = UnixDomainSocketAddress.of(directory.resolve("s"));
    try (ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX).bind(address)) {
      guestSide = SocketChannel.open(address);
      hostSide = server.accept();
    }
    host = new GuestConnection("test", Channels.newInputStream(hostSide), Channels.newOutputStream(hostSide));
    fromHost = new FrameReader(Channels.newInputStream(guestSide));
    toHost = new FrameWriter(Channels.newOutputStream(guestSide));
  }

  @AfterEach
  void close() throws Exception {
    closing = true;
    host.close();
    guestSide.close();
    hostSide.close();
    for (Thread thread : threads) {
      thread.interrupt();
      thread.join();
    }
  }

  private interface Script {
    void play() throws Exception;
  }

  /** Plays the guest's part on a thread of its own. A part that fails closes the guest's side, so that the host's part fails too. */
  private void guest(Script script) {
    threads.add(Thread.ofVirtual().start(() -> {
      try {
        script.play();
      } catch (Throwable e) {
        if (!closing) {
          e.printStackTrace();
        }
        try {
          guestSide.close();
        } catch (IOException closing) {
          e.addSuppressed(closing);
        }
      }
    }));
  }

  private void handshake() throws Exception {
    toHost.write(new Frame.Hello(1, 1));
    toHost.write(new Frame.Ready());
    host.handshake(Instant.now().plusSeconds(30), log::write);
    assertEquals(Optional.of(new Frame.Hello(1, 1)), fromHost.read());
  }

  private Call call(InputStream input) {
    return new Call("i-1", new CallInput(input, OptionalLong.empty()), answer, log::write, Instant.now().plusSeconds(30));
  }

  private Call call(String input) {
    return new Call("i-1", CallInput.of(input.getBytes(StandardCharsets.UTF_8)), answer, log::write, Instant.now().plusSeconds(30));
  }

  private static ByteBuffer utf8(String text) {
    return ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
  }

  private Frame next() throws IOException {
    return fromHost.read().orElseThrow();
  }

  @Test
  void aCallCarriesItsMetadataInputAnswerAndLog() throws Exception {
    handshake();
    guest(() -> {
      Frame.Call begun = assertInstanceOf(Frame.Call.class, next());
      assertEquals(1, begun.call());
      assertEquals("i-1", begun.metadata().get("invocation"));
      assertTrue(Long.parseLong(begun.metadata().get("deadline-ms")) > 1000);
      assertEquals(new Frame.Input(1, utf8("hi")), next());
      assertEquals(new Frame.InputEnd(1), next());
      toHost.write(new Frame.Log(1, utf8("a word")));
      toHost.write(new Frame.Output(1, utf8("an ")));
      toHost.write(new Frame.Output(1, utf8("answer")));
      toHost.write(new Frame.Result(1, Status.ANSWERED, 0, ""));
    });
    host.call(call("hi"));
    assertEquals("an answer", answer.toString(StandardCharsets.UTF_8));
    assertEquals("a word", log.toString(StandardCharsets.UTF_8));
    assertTrue(host.usable());
  }

  @Test
  void anEmptyInputOfKnownLengthEndsAtOnce() throws Exception {
    handshake();
    guest(() -> {
      next();
      assertEquals(new Frame.InputEnd(1), next());
      toHost.write(new Frame.Result(1, Status.ANSWERED, 0, ""));
    });
    host.call(call(""));
  }

  @Test
  void inputWaitsForCredit() throws Exception {
    handshake();
    byte[] input = new byte[300_000];
    new Random(1).nextBytes(input);
    ByteArrayOutputStream got = new ByteArrayOutputStream();
    guest(() -> {
      next();
      // Without a grant no more than the first credit comes: what comes next is the PONG.
      while (got.size() < Frame.INITIAL_CREDIT) {
        take(got, next());
      }
      toHost.write(new Frame.Ping(1));
      assertEquals(new Frame.Pong(1), next());
      assertEquals(Frame.INITIAL_CREDIT, got.size());
      toHost.write(new Frame.Credit(1, 1));
      take(got, next());
      toHost.write(new Frame.Ping(2));
      assertEquals(new Frame.Pong(2), next());
      assertEquals(Frame.INITIAL_CREDIT + 1, got.size());
      toHost.write(new Frame.Credit(1, 1 << 20));
      Frame frame = next();
      for (; frame instanceof Frame.Input; frame = next()) {
        take(got, frame);
      }
      assertEquals(new Frame.InputEnd(1), frame);
      toHost.write(new Frame.Result(1, Status.ANSWERED, 0, ""));
    });
    host.call(call(new ByteArrayInputStream(input)));
    assertArrayEquals(input, got.toByteArray());
  }

  private static void take(ByteArrayOutputStream got, Frame frame) {
    ByteBuffer data = assertInstanceOf(Frame.Input.class, frame).data();
    got.write(data.array(), data.arrayOffset() + data.position(), data.remaining());
  }

  @Test
  void boundlessCreditIsABreach() throws Exception {
    handshake();
    guest(() -> {
      next();
      for (int i = 0; i < 20; i++) {
        toHost.write(new Frame.Credit(1, 1 << 20));
      }
    });
    CountDownLatch end = new CountDownLatch(1);
    assertBreach("the guest granted more than 16777216 bytes of input at a time", new InputStream() {
      @Override
      public int read() throws IOException {
        try {
          end.await();
        } catch (InterruptedException e) {
          throw new InterruptedIOException();
        }
        return -1;
      }
    });
  }

  private void assertBreach(String message, InputStream input) {
    assertEquals(message, assertThrows(FrameException.class, () -> host.call(call(input))).getMessage());
    assertFalse(host.usable());
  }

  @Test
  void everyEndOfAFunctionHasItsCodeAndLeavesTheGuestUsable() throws Exception {
    handshake();
    record End(Status status, int exitCode, String message, ErrorCode code, String detail) {}
    List<End> ends = List.of(new End(Status.FAILED, 7, "", ErrorCode.FUNCTION_FAILED, "The function ended with exit code 7."),
        new End(Status.FAILED, -1, "no\n\u001b[31mway", ErrorCode.FUNCTION_FAILED, "The function ended with exit code -1: no [31mway"),
        new End(Status.TRAPPED, 0, "ValueError: x", ErrorCode.FUNCTION_TRAPPED, "The function trapped: ValueError: x"),
        new End(Status.OUT_OF_MEMORY, 0, "", ErrorCode.OUT_OF_MEMORY, "The function was refused memory."));
    guest(() -> {
      for (End end : ends) {
        Frame frame = next();
        while (!(frame instanceof Frame.Call)) {
          frame = next();
        }
        toHost.write(new Frame.Result(((Frame.Call) frame).call(), end.status(), end.exitCode(), end.message()));
      }
    });
    for (End end : ends) {
      InstarException e = assertThrows(InstarException.class, () -> host.call(call("")));
      assertEquals(end.code(), e.code());
      assertEquals(end.detail(), e.problem().detail());
      assertTrue(host.usable());
    }
  }

  @Test
  void twoHellosAreABreach() throws Exception {
    toHost.write(new Frame.Hello(1, 1));
    toHost.write(new Frame.Hello(1, 1));
    assertEquals("the guest sent a HELLO while no call was running",
        assertThrows(FrameException.class, () -> host.handshake(Instant.now().plusSeconds(30), GuestLog.NONE)).getMessage());
  }

  @Test
  void aGuestThatBeginsWithoutHelloIsRefused() throws Exception {
    toHost.write(new Frame.Ready());
    assertEquals("the first frame is not a HELLO but a READY",
        assertThrows(FrameException.class, () -> host.handshake(Instant.now().plusSeconds(30), GuestLog.NONE)).getMessage());
  }

  @Test
  void aGuestOfOtherVersionsIsTold() throws Exception {
    toHost.write(new Frame.Hello(2, 3));
    assertEquals("the guest speaks its versions 2 to 3, this host only version 1",
        assertThrows(FrameException.class, () -> host.handshake(Instant.now().plusSeconds(30), GuestLog.NONE)).getMessage());
    assertEquals(new Frame.Hello(1, 1), next());
    assertEquals(new Frame.Bye("This host speaks version 1 only."), next());
    assertEquals(Optional.empty(), fromHost.read());
  }

  @Test
  void aGuestOfNewerVersionsThatKnowsThisOneIsTaken() throws Exception {
    toHost.write(new Frame.Hello(1, 9));
    toHost.write(new Frame.Ready());
    host.handshake(Instant.now().plusSeconds(30), GuestLog.NONE);
    assertTrue(host.usable());
  }

  @Test
  void aSilentGuestTimesOut() {
    InstarException e = assertThrows(InstarException.class, () -> host.handshake(Instant.now().plusMillis(20), GuestLog.NONE));
    assertEquals(ErrorCode.TIMED_OUT, e.code());
    assertFalse(host.usable());
  }

  @Test
  void aGuestThatIsNeverReadyTimesOut() throws Exception {
    toHost.write(new Frame.Hello(1, 1));
    InstarException e = assertThrows(InstarException.class, () -> host.handshake(Instant.now().plusMillis(300), GuestLog.NONE));
    assertEquals(ErrorCode.TIMED_OUT, e.code());
    assertTrue(e.problem().detail().contains("initialisation"), e.problem().detail());
  }

  @Test
  void aSecondAnswerIsABreach() throws Exception {
    handshake();
    guest(() -> {
      next();
      toHost.write(new Frame.Result(1, Status.ANSWERED, 0, ""));
      toHost.write(new Frame.Result(1, Status.ANSWERED, 0, ""));
      guestSide.shutdownOutput();
    });
    host.call(call(""));
    while (host.usable()) {
      Thread.sleep(1);
    }
    assertThrows(IOException.class, () -> host.call(call("")));
  }

  @Test
  void anAnswerToAnotherCallIsABreach() throws Exception {
    handshake();
    guest(() -> toHost.write(new Frame.Output(2, utf8("x"))));
    assertBreach("the guest sent an OUTPUT for call 2 during call 1", InputStream.nullInputStream());
    assertEquals("", answer.toString(StandardCharsets.UTF_8));
  }

  @Test
  void aFrameOfTheHostFromTheGuestIsABreach() throws Exception {
    handshake();
    guest(() -> toHost.write(new Frame.Input(1, utf8("x"))));
    assertBreach("the guest sent an INPUT during call 1", InputStream.nullInputStream());
  }

  @Test
  void aGuestThatEndsInACallIsAnEndOfFile() throws Exception {
    handshake();
    guest(() -> {
      next();
      guestSide.close();
    });
    assertThrows(EOFException.class, () -> host.call(call("")));
    assertFalse(host.usable());
  }

  @Test
  void aGuestThatEndsWhileIdleIsNotUsable() throws Exception {
    handshake();
    guestSide.close();
    while (host.usable()) {
      Thread.sleep(1);
    }
    assertThrows(EOFException.class, () -> host.call(call("")));
  }

  @Test
  void aGoodbyeIsPassedOn() throws Exception {
    handshake();
    guest(() -> {
      next();
      toHost.write(new Frame.Bye("had enough"));
    });
    assertEquals("the guest said goodbye: had enough", assertThrows(EOFException.class, () -> host.call(call(""))).getMessage());
    assertFalse(host.usable());
  }

  @Test
  void wordsBetweenCallsGoToTheLogOfTheStart() throws Exception {
    handshake();
    toHost.write(new Frame.Log(0, utf8("idle words")));
    while (log.size() < 10) {
      assertTrue(host.usable());
      Thread.sleep(1);
    }
    assertEquals("idle words", log.toString(StandardCharsets.UTF_8));
  }

  @Test
  void anInterruptEndsTheWaitAndTheConnection() throws Exception {
    handshake();
    AtomicReference<Throwable> end = new AtomicReference<>();
    Thread caller = Thread.ofVirtual().start(() -> {
      try {
        host.call(call(""));
      } catch (Throwable t) {
        end.set(t);
      }
    });
    next();
    caller.interrupt();
    caller.join();
    assertInstanceOf(InterruptedException.class, end.get());
    assertFalse(host.usable());
  }

  /**
   * The guest neither reads nor answers while the caller's body is large: the host holds a credit's worth and waits, and an interrupt still ends it.
   */
  @Test
  void aGuestThatDoesNotReadBlocksNobodyForGood() throws Exception {
    handshake();
    AtomicReference<Throwable> end = new AtomicReference<>();
    Thread caller = Thread.ofVirtual().start(() -> {
      try {
        host.call(call(new ByteArrayInputStream(new byte[32 << 20])));
      } catch (Throwable t) {
        end.set(t);
      }
    });
    toHost.write(new Frame.Credit(1, 15 << 20));
    Thread.sleep(200);
    caller.interrupt();
    caller.join();
    assertInstanceOf(InterruptedException.class, end.get());
  }

  @Test
  void aLateFailureOfAnEarlierInputDoesNotHitTheNextCall() throws Exception {
    handshake();
    CountDownLatch reading = new CountDownLatch(1);
    CountDownLatch fail = new CountDownLatch(1);
    CountDownLatch failed = new CountDownLatch(1);
    InputStream stubborn = new InputStream() {
      @Override
      public int read() throws IOException {
        reading.countDown();
        // Heeds no interrupt, and clears it, as a careless stream does.
        while (fail.getCount() > 0) {
          try {
            fail.await();
          } catch (InterruptedException e) {
            continue;
          }
        }
        failed.countDown();
        throw new IOException("too late");
      }
    };
    guest(() -> {
      next();
      reading.await();
      toHost.write(new Frame.Result(1, Status.ANSWERED, 0, ""));
      next();
      fail.countDown();
      failed.await();
      Thread.sleep(50);
      toHost.write(new Frame.Output(2, utf8("second")));
      toHost.write(new Frame.Result(2, Status.ANSWERED, 0, ""));
    });
    host.call(call(stubborn));
    host.call(call(""));
    assertEquals("second", answer.toString(StandardCharsets.UTF_8));
  }

  @Test
  void aSlowCallerHoldsTheGuestBackAndNothingElse() throws Exception {
    handshake();
    CountDownLatch read = new CountDownLatch(1);
    CountDownLatch flooded = new CountDownLatch(1);
    OutputStream slow = new OutputStream() {
      @Override
      public void write(int b) {
        throw new AssertionError();
      }

      @Override
      public void write(byte[] b, int offset, int length) throws IOException {
        try {
          read.await();
        } catch (InterruptedException e) {
          throw new InterruptedIOException();
        }
        answer.write(b, offset, length);
      }
    };
    guest(() -> {
      next();
      for (int i = 0; i < 100; i++) {
        toHost.write(new Frame.Output(1, ByteBuffer.allocate(60_000)));
      }
      flooded.countDown();
      toHost.write(new Frame.Result(1, Status.ANSWERED, 0, ""));
    });
    Thread caller = Thread.ofVirtual().start(() -> {
      try {
        host.call(new Call("i-2", CallInput.of(new byte[0]), slow, GuestLog.NONE, Instant.now().plusSeconds(30)));
      } catch (IOException | InterruptedException e) {
        throw new AssertionError(e);
      }
    });
    assertFalse(flooded.await(300, TimeUnit.MILLISECONDS), "6 MB went somewhere.");
    read.countDown();
    caller.join();
    assertEquals(6_000_000, answer.size());
  }

  /** Larger than what a socket holds, so that the answers back up. */
  private static final int MANY = 100_000;

  @Test
  void anIdleGuestThatPingsAndDoesNotReadIsNotUsableAndHoldsNobodyUp() throws Exception {
    handshake();
    guest(() -> {
      for (int i = 0; i < MANY; i++) {
        toHost.write(new Frame.Ping(i));
      }
    });
    while (host.usable()) {
      Thread.sleep(1);
    }
    assertThrows(IOException.class, () -> host.call(call("")));
  }

  @Test
  void anIdleGuestThatTalksWithoutEndDoesNotKeepTheHostListening() throws Exception {
    toHost.write(new Frame.Hello(1, 1));
    toHost.write(new Frame.Ready());
    // Slower than the guest: there is always more to hear.
    host.handshake(Instant.now().plusSeconds(30), (bytes, offset, length) -> LockSupport.parkNanos(1_000_000));
    guest(() -> {
      while (true) {
        toHost.write(new Frame.Log(0, utf8("on and on")));
      }
    });
    for (int i = 0; i < 10; i++) {
      assertTrue(host.usable());
      Thread.sleep(10);
    }
  }
}
