package dev.instar.listener;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.http.HttpEntry;
import dev.instar.api.http.ServiceSlot;
import dev.instar.tck.http.RawHttp;
import dev.instar.tck.http.RawHttp.Answer;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What web pages of others may make a browser do: nothing. */
class SiteIT {
  private final AtomicInteger reached = new AtomicInteger();
  private HttpListener listener;

  @BeforeEach
  void open() {
    ServiceSlot<HttpEntry> entries = new ServiceSlot<>("gateway");
    entries.bind((request, response, callback) -> {
      reached.incrementAndGet();
      callback.succeeded();
      return true;
    }, Map.of());
    listener = HttpListener.open(Settings.FREE_PORT.on("127.0.0.1", List.of("Node.Example")), entries);
  }

  @AfterEach
  void close() {
    listener.close();
  }

  private Answer send(String method, String host, String... headers) throws Exception {
    return RawHttp.exchange(listener.port(), method + " / HTTP/1.1\r\nHost: " + host.replace("PORT", Integer.toString(listener.port())) + "\r\n"
        + String.join("", List.of(headers).stream().map(h -> h.replace("PORT", Integer.toString(listener.port())) + "\r\n").toList()) + "Content-Length: 0\r\n\r\n");
  }

  private static void assertRefused(int status, String code, Answer answer) {
    assertEquals(status, answer.status(), answer::toString);
    assertEquals(code, answer.code(), answer::toString);
  }

  @Test
  void onlyNamesOfTheNodeAreServed() throws Exception {
    for (String host : List.of("localhost", "LocalHost:PORT", "localhost.", "127.0.0.1:PORT", "127.0.0.1", "127.1.2.3", "[::1]", "[::1]:PORT", "[0:0:0:0:0:0:0:1]", "fn.localhost", "node.example", "node.EXAMPLE:443")) {
      assertEquals(200, send("GET", host).status(), host);
    }
    int served = reached.get();
    for (String host : List.of("evil.example", "evil.example:PORT", "localhost.evil.example", "127.0.0.1.evil.example", "192.0.2.7", "10.0.0.1:PORT", "0.0.0.0", "[2001:db8::1]", "notlocalhost", "node.example.evil",
        "a.node.example", "localhost%2eevil", "2130706433", "127.1")) {
      for (String method : List.of("GET", "POST", "OPTIONS")) {
        Answer answer = send(method, host);
        assertTrue(answer.status() == 421 && "wrong-host".equals(answer.code()) || answer.status() == 400, () -> method + host + answer);
      }
    }
    assertRefused(421, "wrong-host", RawHttp.exchange(listener.port(), "GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n"));
    assertEquals(served, reached.get());
    assertEquals(200, RawHttp.exchange(listener.port(), "GET / HTTP/1.0\r\n\r\n").status(), "no browser leaves it out");
  }

  /** A caller could keep threads busy with a resolver that does not answer. */
  @Test
  void nobodyIsAskedAboutAHost() throws Exception {
    assertTrue(InetAddress.getByName("127.0.0.1").isLoopbackAddress());
    assertThrows(UnknownHostException.class, () -> InetAddress.getByName("asked.invalid"));
    assertTrue(AskedResolver.ASKED.contains("asked.invalid"), "what is asked is noted");
    for (String host : List.of("999.0.0.1", "127.0.0.256", "[::fffff]", "evil.invalid", "1.2.3.evil")) {
      Answer answer = send("GET", host);
      assertTrue(answer.status() == 421 || answer.status() == 400, () -> host + answer);
      assertFalse(AskedResolver.ASKED.contains(host.replaceAll("[\\[\\]]", "")), host);
    }
  }

  @Test
  void aPageOfAnotherSiteChangesNothing() throws Exception {
    for (String method : List.of("POST", "PUT", "DELETE", "PATCH")) {
      for (String headers : List.of("Origin: http://evil.example", "Origin: https://evil.example", "Origin: null", "Origin: http://localhost:1", "Origin: http://127.0.0.1:PORT", "Origin: http://localhost",
          "Origin: file://", "Origin: x", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "sec-fetch-site: Cross-Site", "Sec-Fetch-Site:", "Origin:")) {
        assertRefused(403, "cross-site", send(method, "localhost:PORT", headers));
      }
      assertRefused(403, "cross-site", send(method, "localhost:PORT", "Origin: http://localhost:PORT", "Origin: http://evil.example"));
      assertRefused(403, "cross-site", send(method, "localhost:PORT", "Origin: http://localhost:PORT", "Sec-Fetch-Site: cross-site"));
    }
    assertEquals(0, reached.get());
  }

  @Test
  void theNodesOwnPagesAndProgramsAreServed() throws Exception {
    for (String headers : List.of("X: y", "Origin: http://localhost:PORT", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: none", "Origin: https://node.example", "Origin: http://node.example:99")) {
      assertEquals(200, send("POST", "localhost:PORT", headers).status(), headers);
    }
    assertEquals(200, send("POST", "node.example", "Origin: http://node.example").status());
    assertEquals(200, send("GET", "localhost:PORT", "Origin: http://evil.example", "Sec-Fetch-Site: cross-site").status(), "a link may lead here; the page does not see what comes");
  }

  @Test
  void offLoopbackNothingOpensInClearText() {
    InstarException e = assertThrows(InstarException.class, () -> HttpListener.open(Settings.FREE_PORT.on("0.0.0.0", List.of()), new ServiceSlot<>("gateway")));
    assertEquals(ErrorCode.FORBIDDEN, e.code());
    for (String word : List.of("0.0.0.0", "tls-certificate", "tls-key", "dev.instar.listener.cfg.json", "instar users add", "--host 127.0.0.1")) {
      assertTrue(e.problem().detail().contains(word), e.problem().detail());
    }
  }
}
