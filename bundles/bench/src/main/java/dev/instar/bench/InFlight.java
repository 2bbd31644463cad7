package dev.instar.bench;

import dev.instar.bench.Wire.Answer;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ThreadLocalRandom;

/** Exchanges that are in the middle when something is swapped: calls that take seconds, bodies and uploads of which half has been sent, answers that come bit by bit. */
final class InFlight {
  private static final String PACED = "/f/bench/paced";
  private static final int CALL_BYTES = 200;
  private static final int STREAM_BYTES = 40 << 10;
  private static final int STREAM_TIMES = 12;
  private static final int STREAM_PAUSE_MS = 150;
  /** More than a node reads before it makes the call. */
  private static final int BODY_BYTES = 300 << 10;
  private static final long SECOND_HALF_MS = 1000;

  private final URI node;
  private final Tally tally;
  private final byte[] module;
  private final int callMillis;
  private final CountDownLatch begun;
  private final List<Thread> threads = new ArrayList<>();
  private final SplittableRandom random = new SplittableRandom(ThreadLocalRandom.current().nextLong());

  private interface Part {
    void run(Wire wire) throws Exception;
  }

  private InFlight(URI node, Tally tally, byte[] module, int callMillis, int count) {
    this.node = node;
    this.tally = tally;
    this.module = module;
    this.callMillis = callMillis;
    begun = new CountDownLatch(count);
  }

  /**
   * @param module {@code paced}, which is deployed already, as an upload that is to be sent in two halves
   * @param containers whether there is one in a container, too
   */
  static InFlight begin(URI node, Tally tally, byte[] module, int callMillis, int serial, boolean containers) throws InterruptedException {
    InFlight all = new InFlight(node, tally, module, callMillis, containers ? 7 : 6);
    for (int i = 0; i < 2; i++) {
      all.start("a call of " + callMillis + " ms", all::longCall);
      all.start("a streamed answer", all::streamed);
    }
    all.start("a body in two halves", all::halves);
    all.start("an upload in two halves", wire -> all.upload(wire, serial));
    if (containers) {
      all.start("a call in a container", all::inContainer);
    }
    all.begun.await();
    // What has been sent reaches its function.
    Thread.sleep(200);
    return all;
  }

  void await() throws InterruptedException {
    for (Thread thread : threads) {
      thread.join();
    }
  }

  private void start(String what, Part part) {
    threads.add(Thread.ofVirtual().name(what).start(() -> {
      try (Wire wire = new Wire(node)) {
        part.run(wire);
      } catch (Exception e) {
        tally.lost(what, e);
      } finally {
        begun.countDown();
      }
    }));
  }

  private byte[] paced(int bytes, int times, int pauseMs) {
    byte[] body = new byte[bytes];
    synchronized (random) {
      random.nextBytes(body);
    }
    body[0] = (byte) times;
    body[1] = (byte) (times >> 8);
    body[2] = (byte) pauseMs;
    body[3] = (byte) (pauseMs >> 8);
    return body;
  }

  private void longCall(Wire wire) throws IOException {
    byte[] body = paced(CALL_BYTES, 1, callMillis);
    wire.begin("POST", PACED, body.length, body);
    begun.countDown();
    check("a call of " + callMillis + " ms", wire.answer(), 200, body);
  }

  private void inContainer(Wire wire) throws IOException {
    byte[] body = paced(CALL_BYTES, 1, 0);
    wire.begin("POST", Containers.SLOW, body.length, body);
    begun.countDown();
    check("a call in a container", wire.answer(), 200, Example.sum(body));
  }

  private void streamed(Wire wire) throws IOException {
    byte[] body = paced(STREAM_BYTES, STREAM_TIMES, STREAM_PAUSE_MS);
    wire.begin("POST", PACED, body.length, body);
    begun.countDown();
    check("a streamed answer", wire.answer(), 200, Example.repeated(body, STREAM_TIMES));
  }

  private void halves(Wire wire) throws Exception {
    byte[] body = paced(BODY_BYTES, 1, 1);
    wire.begin("POST", PACED, body.length, Arrays.copyOf(body, body.length / 2));
    begun.countDown();
    Thread.sleep(SECOND_HALF_MS);
    wire.send(body, body.length / 2, body.length);
    check("a body in two halves", wire.answer(), 200, body);
  }

  private void upload(Wire wire, int serial) throws Exception {
    String function = "bench/upload" + serial;
    byte[] bytes = Example.marked(module, "x" + serial);
    wire.begin("PUT", "/f/" + function, bytes.length, Arrays.copyOf(bytes, bytes.length / 2));
    begun.countDown();
    Thread.sleep(SECOND_HALF_MS);
    wire.send(bytes, bytes.length / 2, bytes.length);
    Answer uploaded = wire.answer();
    if (uploaded.status() != 201) {
      tally.failed("an upload in two halves", uploaded);
      return;
    }
    byte[] body = paced(100, 1, 1);
    check("what was uploaded in two halves", wire.exchange("POST", "/f/" + function, body), 200, body);
    Answer removed = wire.exchange("DELETE", "/v1/functions/" + function, new byte[0]);
    if (removed.status() != 204) {
      tally.failed("the removal of what was uploaded in two halves", removed);
    }
  }

  private void check(String what, Answer answer, int status, byte[] body) {
    if (answer.status() != status) {
      tally.failed(what, answer);
    } else if (!Arrays.equals(answer.body(), body)) {
      tally.wrong(what + " was answered with other bytes");
    } else {
      tally.right();
    }
  }
}
