package dev.instar.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.ToLongFunction;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Against a server of the JDK that does as each test says. */
@Timeout(60)
class LoadGeneratorTest {
  private static final Duration TIME = Duration.ofMillis(400);

  private interface Answering {
    void answer(HttpExchange exchange, byte[] body, int number) throws IOException;
  }

  private final LoadGenerator generator = new LoadGenerator();
  private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
  private final AtomicInteger requests = new AtomicInteger();
  private final Set<Integer> callers = ConcurrentHashMap.newKeySet();
  private HttpServer server;
  private URI url;

  @BeforeEach
  void open() throws IOException {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.setExecutor(threads);
    url = URI.create("http://127.0.0.1:" + server.getAddress().getPort() + "/f/demo/echo");
  }

  @AfterEach
  void close() {
    generator.close();
    server.stop(0);
    threads.close();
  }

  private void serve(Answering answering) {
    server.createContext("/f/demo/echo", exchange -> {
      callers.add(exchange.getRemoteAddress().getPort());
      answering.answer(exchange, exchange.getRequestBody().readAllBytes(), requests.incrementAndGet());
      exchange.close();
    });
    server.start();
  }

  private static void send(HttpExchange exchange, int status, byte[] body, int length) throws IOException {
    exchange.sendResponseHeaders(status, length);
    exchange.getResponseBody().write(body);
  }

  private Load load() throws IOException, InterruptedException {
    return generator.closed(url, 3, TIME, () -> {}, () -> {});
  }

  /** Loads until the server has had so many requests, however slow the machine is, and so that all its tricks have been played. */
  private List<Load> loads(int least) throws IOException, InterruptedException {
    List<Load> loads = new ArrayList<>();
    do {
      loads.add(load());
    } while (requests.get() < least);
    return loads;
  }

  private static long sum(List<Load> loads, ToLongFunction<Load> count) {
    return loads.stream().mapToLong(count).sum();
  }

  @Test
  void everyRequestIsCountedOnceAndConnectionsStayOpen() throws Exception {
    Set<String> bodies = ConcurrentHashMap.newKeySet();
    serve((exchange, body, number) -> {
      assertEquals("POST", exchange.getRequestMethod());
      bodies.add(HexFormat.of().formatHex(body));
      send(exchange, 200, body, body.length);
    });
    AtomicInteger told = new AtomicInteger();
    Load load = generator.closed(url, 3, TIME, told::incrementAndGet, told::incrementAndGet);
    assertEquals(2, told.get());
    assertEquals(requests.get(), load.sent());
    assertEquals(load.sent(), load.right());
    assertEquals(load.right(), load.latencies().getTotalCount());
    assertEquals(0, load.faults(), load.firstFault());
    assertTrue(load.right() > 0 && load.inTime() <= load.right() && load.right() - load.inTime() <= 3, load::toString);
    assertEquals(load.sent(), bodies.size(), "no two bodies are the same");
    assertEquals(3, callers.size());
    assertTrue(load.nanos() >= TIME.toNanos(), load::toString);
    assertEquals(load.inTime() * 1e9 / load.nanos(), load.perSecond());
  }

  @Test
  void anAnswerInPiecesIsRight() throws Exception {
    serve((exchange, body, number) -> {
      exchange.sendResponseHeaders(200, 0); // chunked
      for (byte b : body) {
        exchange.getResponseBody().write(b);
        exchange.getResponseBody().flush();
      }
    });
    Load load = load();
    assertTrue(load.right() > 0, load::toString);
    assertEquals(0, load.faults(), load.firstFault());
  }

  @Test
  void anotherByteAMissingOneAndOneMoreAreWrong() throws Exception {
    serve((exchange, body, number) -> {
      switch (number) {
        case 2 -> {
          body[LoadGenerator.BODY - 1] ^= 1;
          send(exchange, 200, body, body.length);
        }
        case 3 -> send(exchange, 200, Arrays.copyOf(body, body.length - 1), body.length - 1);
        case 4 -> send(exchange, 200, Arrays.copyOf(body, body.length + 1), body.length + 1);
        case 5 -> exchange.sendResponseHeaders(200, -1);
        default -> send(exchange, 200, body, body.length);
      }
    });
    List<Load> loads = loads(6);
    assertEquals(4, sum(loads, Load::wrong), loads::toString);
    assertEquals(requests.get() - 4, sum(loads, Load::right));
    assertTrue(loads.getFirst().firstFault().endsWith("bytes that are not those of the request"), loads::toString);
  }

  @Test
  void otherStatusesAreRefusalsWhateverTheBody() throws Exception {
    serve((exchange, body, number) -> send(exchange, number == 2 ? 503 : number == 3 ? 201 : 200, body, body.length));
    List<Load> loads = loads(4);
    assertEquals(2, sum(loads, Load::refused), loads::toString);
    assertEquals(requests.get() - 2, sum(loads, Load::right));
    assertTrue(loads.getFirst().firstFault().startsWith("status "), loads::toString);
  }

  @Test
  void aConnectionThatEndsLosesItsRequestAndIsOpenedAnew() throws Exception {
    serve((exchange, body, number) -> {
      if (number == 2) {
        exchange.sendResponseHeaders(200, body.length);
        exchange.getResponseBody().write(body, 0, 10);
        // Closed with bytes missing.
        return;
      }
      send(exchange, 200, body, body.length);
    });
    Load load = generator.closed(url, 1, Duration.ofSeconds(2), () -> {}, () -> {});
    assertEquals(1, load.lost(), load::toString);
    assertEquals(load.sent() - 1, load.right());
    assertEquals(2, callers.size());
  }

  @Test
  void anOpenLoadKeepsItsRateAndCountsTheWaitForAConnection() throws Exception {
    serve((exchange, body, number) -> {
      if (number == 10) {
        try {
          Thread.sleep(300);
        } catch (InterruptedException e) {
          throw new IOException(e);
        }
      }
      send(exchange, 200, body, body.length);
    });
    Load load = generator.open(url, 1, Duration.ofSeconds(1), 200);
    assertEquals(0, load.faults(), load.firstFault());
    assertEquals(requests.get(), load.right());
    // 200 on the average; a Poisson process is over 5 standard deviations away less than once in a million runs.
    assertTrue(load.sent() > 125 && load.sent() < 275, load::toString);
    // Not the one slow answer alone: some 60 requests were due while it held the only connection.
    assertTrue(load.latencies().getCountBetweenValues(Duration.ofMillis(50).toNanos(), Duration.ofSeconds(30).toNanos()) > 20, load::toString);
  }

  @Test
  void aServerThatIsNotThereIsSaid() throws Exception {
    server.start();
    server.stop(0);
    IOException e = assertThrows(IOException.class, this::load);
    assertTrue(e.getMessage().startsWith("No connection to " + url), e.getMessage());
  }
}
