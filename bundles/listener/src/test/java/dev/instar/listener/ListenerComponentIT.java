package dev.instar.listener;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.InstarException;
import dev.instar.api.http.HttpEntry;
import dev.instar.tck.http.Identity;
import dev.instar.tck.http.RawHttp;
import java.lang.reflect.Proxy;
import java.net.ConnectException;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ListenerComponentIT {
  private static final String GET = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
  private final ListenerComponent component = new ListenerComponent();

  @AfterEach
  void stop() {
    component.deactivate();
    System.clearProperty(ListenerComponent.PROBLEM);
  }

  /** The defaults of the configuration type, but for what is given. */
  private static ListenerConfig config(Map<String, Object> given) {
    Map<String, Object> all = new HashMap<>(Map.of("port", 0, "entry$_$wait$_$ms", 100, "stop$_$timeout$_$ms", 5000));
    all.putAll(given);
    return (ListenerConfig) Proxy.newProxyInstance(ListenerConfig.class.getClassLoader(), new Class<?>[] {ListenerConfig.class},
        (proxy, method, arguments) -> all.getOrDefault(method.getName(), method.getDefaultValue()));
  }

  private static HttpEntry saying(String text) {
    return (request, response, callback) -> {
      response.write(true, ByteBuffer.wrap(text.getBytes()), callback);
      return true;
    };
  }

  private static int port() {
    return Integer.parseInt(System.getProperty(ListenerComponent.PORT));
  }

  @Test
  void publishesItsRealPortAndServesTheBestEntryOfItsName() throws Exception {
    component.addEntry(saying("all"), Map.of("service.id", 1L));
    HttpEntry admin = saying("admin");
    component.addEntry(admin, Map.of("service.id", 2L, "service.ranking", 9, HttpEntry.LISTENER, "admin"));
    component.activate(config(Map.of()));
    assertEquals("all", RawHttp.exchange(port(), GET).text());
    component.modified(config(Map.of("name", "admin")));
    assertEquals("admin", RawHttp.exchange(port(), GET).text());
    component.removeEntry(admin);
    assertEquals("all", RawHttp.exchange(port(), GET).text());
    component.deactivate();
    assertNull(System.getProperty(ListenerComponent.PORT));
  }

  @Test
  void aChangedLimitHoldsWithoutANewPort() throws Exception {
    component.addEntry(saying("x"), Map.of());
    component.activate(config(Map.of()));
    int port = port();
    String large = "GET / HTTP/1.1\r\nHost: localhost\r\nX: " + "a".repeat(3000) + "\r\n\r\n";
    assertEquals(200, RawHttp.exchange(port, large).status());
    component.modified(config(Map.of("max$_$header$_$bytes", 2048)));
    assertEquals(port, port());
    assertEquals(431, RawHttp.exchange(port, large).status());
  }

  @Test
  void aChangedPortLetsRunningExchangesEnd() throws Exception {
    CountDownLatch running = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    component.addEntry((request, response, callback) -> {
      running.countDown();
      go.await();
      return saying("whole").handle(request, response, callback);
    }, Map.of());
    component.activate(config(Map.of()));
    int old = port();
    int free;
    try (ServerSocket socket = new ServerSocket(0)) {
      free = socket.getLocalPort();
    }
    try (RawHttp http = new RawHttp(old)) {
      http.send(GET);
      running.await();
      component.modified(config(Map.of("port", free)));
      assertEquals(free, port());
      assertNotEquals(old, free);
      go.countDown();
      assertEquals("whole", http.answer().text());
    }
    assertEquals("whole", RawHttp.exchange(free, GET).text());
    boolean closed = false;
    while (!closed) {
      try {
        new RawHttp(old).close();
        Thread.sleep(10);
      } catch (ConnectException e) {
        closed = true;
      }
    }
  }

  @Test
  void aPortThatCannotBeTakenLeavesTheOldOne() throws Exception {
    component.addEntry(saying("x"), Map.of());
    component.activate(config(Map.of()));
    int port = port();
    try (ServerSocket taken = new ServerSocket(0, 1, java.net.InetAddress.getLoopbackAddress())) {
      component.modified(config(Map.of("port", taken.getLocalPort())));
      assertTrue(System.getProperty(ListenerComponent.PROBLEM).contains("port " + taken.getLocalPort()));
    }
    assertEquals(port, port());
    assertEquals(200, RawHttp.exchange(port, GET).status());
    component.modified(config(Map.of("bind", "0.0.0.0")));
    assertEquals(200, RawHttp.exchange(port, GET).status());
    assertTrue(System.getProperty(ListenerComponent.PROBLEM).contains("off loopback"));
  }

  private String objection(String key, Object value) {
    Map<String, Object> values = new HashMap<>(Map.of("port", 0, "bind", "127.0.0.1", "tls-certificate", "", "tls-key", ""));
    values.put(key, value);
    return component.objection(values).map(problem -> problem.key().orElse("") + "=" + problem.value().orElse("") + ": " + problem.detail()).orElse("");
  }

  @Test
  void whatWouldNotHoldIsSaidBeforehandAndChangesNothing() throws Exception {
    component.addEntry(saying("x"), Map.of());
    assertEquals("", objection("bind", "192.0.2.1"), "nothing is open that could stay");
    component.activate(config(Map.of()));
    int port = port();
    assertEquals("", objection("port", 0));
    assertTrue(objection("bind", "192.0.2.1").startsWith("bind=192.0.2.1: The listener does not open on 192.0.2.1 in clear text"), objection("bind", "192.0.2.1"));
    assertTrue(objection("bind", "no.such.host.invalid").contains("there is no such address"), objection("bind", "no.such.host.invalid"));
    assertTrue(objection("port", port).startsWith("port=" + port + ": The listener cannot open port " + port), objection("port", port));
    assertTrue(objection("tls-certificate", "/no/such/file").startsWith("tls-certificate=/no/such/file: "), objection("tls-certificate", "/no/such/file"));
    assertEquals(port, port());
    assertNull(System.getProperty(ListenerComponent.PROBLEM));
    assertEquals(200, RawHttp.exchange(port, GET).status());
  }

  /** Whoever looks after the node learns that what he has configured does not hold, before it is started again with it. */
  @Test
  void whatDoesNotHoldIsToldUntilItIsTakenBack() throws Exception {
    component.addEntry(saying("x"), Map.of());
    component.activate(config(Map.of()));
    component.modified(config(Map.of("tls$_$certificate", "crt.pem", "tls$_$key", "key.pem")));
    assertTrue(System.getProperty(ListenerComponent.PROBLEM).contains("only with a restart"));
    component.modified(config(Map.of()));
    assertNull(System.getProperty(ListenerComponent.PROBLEM));
    component.modified(config(Map.of("tls$_$certificate", "\0")));
    assertTrue(System.getProperty(ListenerComponent.PROBLEM).contains("tls-certificate"));
    assertEquals(200, RawHttp.exchange(port(), GET).status());
  }

  /** The only test that listens elsewhere than on the loopback, for a moment and with TLS. */
  @Test
  void anEntryThatAsksForNoCredentialsGetsNothingFromOffLoopback(@TempDir Path dir) throws Exception {
    Identity identity = Identity.make(dir, "node", "ip:127.0.0.1");
    HttpEntry open = saying("open");
    component.addEntry(open, Map.of("service.ranking", 9));
    component.addEntry(saying("asks"), Map.of(HttpEntry.CREDENTIALS, true));
    component.activate(config(Map.of("tls$_$certificate", identity.certificate().toString(), "tls$_$key", identity.key().toString())));
    assertEquals(identity.certificate().toString(), System.getProperty(ListenerComponent.CERTIFICATE));
    try (HttpClient client = HttpClient.newBuilder().sslContext(Identity.trusting(identity)).build()) {
      assertEquals("open", get(client));
      component.modified(config(Map.of("bind", "0.0.0.0", "tls$_$certificate", identity.certificate().toString(), "tls$_$key", identity.key().toString())));
      assertEquals("asks", get(client));
      component.modified(config(Map.of()));
      assertNull(System.getProperty(ListenerComponent.CERTIFICATE));
      assertEquals("open", RawHttp.exchange(port(), GET).text());
    }
  }

  private static String get(HttpClient client) throws Exception {
    return client.send(HttpRequest.newBuilder(URI.create("https://127.0.0.1:" + port() + "/")).build(), HttpResponse.BodyHandlers.ofString()).body();
  }

  @Test
  void saysWhyItDoesNotListen() {
    assertThrows(InstarException.class, () -> component.activate(config(Map.of("bind", "0.0.0.0"))));
    assertNull(System.getProperty(ListenerComponent.PORT));
    assertTrue(System.getProperty(ListenerComponent.PROBLEM).contains("off loopback"));
    assertTrue(System.getProperty(ListenerComponent.PROBLEM).endsWith(" or use --host 127.0.0.1."));
  }
}
