package dev.instar.listener;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.AppenderBase;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.http.HttpEntry;
import dev.instar.api.http.ServiceSlot;
import dev.instar.tck.http.Identity;
import dev.instar.tck.http.RawHttp;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLSocket;
import org.eclipse.jetty.util.Blocker;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;

/** The listener with TLS. */
class TlsIT {
  private static final String NAMES = "dns:localhost,dns:node.example,dns:*.many.example,ip:127.0.0.1";
  @TempDir static Path made;
  private static Identity first;
  private static Identity second;
  @TempDir Path dir;
  private final ServiceSlot<HttpEntry> entries = new ServiceSlot<>("gateway");
  private final CountDownLatch streaming = new CountDownLatch(1);
  private final CountDownLatch goOn = new CountDownLatch(1);
  private Settings.Tls files;
  private HttpListener listener;

  @BeforeAll
  static void make() throws Exception {
    first = Identity.make(made, "first", NAMES);
    second = Identity.make(made, "second", NAMES);
  }

  @BeforeEach
  void open() throws Exception {
    files = new Settings.Tls(dir.resolve("crt.pem"), dir.resolve("key.pem"));
    put(first);
    entries.bind((request, response, callback) -> {
      if (request.getHttpURI().getPath().equals("/slow")) {
        write(response, false, "one");
        streaming.countDown();
        assertTrue(goOn.await(60, TimeUnit.SECONDS));
        write(response, true, "two");
        callback.succeeded();
      } else {
        response.write(true, ByteBuffer.wrap(request.getConnectionMetaData().getHttpVersion().asString().getBytes(StandardCharsets.US_ASCII)), callback);
      }
      return true;
    }, Map.of());
    listen(Settings.FREE_PORT.with(files));
  }

  private static void write(org.eclipse.jetty.server.Response response, boolean last, String text) throws IOException {
    try (Blocker.Callback done = Blocker.callback()) {
      response.write(last, ByteBuffer.wrap(text.getBytes(StandardCharsets.US_ASCII)), done);
      done.block();
    }
  }

  private void listen(Settings settings) {
    listener = HttpListener.open(settings, entries);
  }

  @AfterEach
  void close() {
    goOn.countDown();
    listener.close();
  }

  private void put(Identity identity) throws IOException {
    Files.copy(identity.key(), files.key(), StandardCopyOption.REPLACE_EXISTING);
    Files.copy(identity.certificate(), files.certificate(), StandardCopyOption.REPLACE_EXISTING);
  }

  private HttpResponse<InputStream> get(HttpClient client, String path) throws Exception {
    return client.send(HttpRequest.newBuilder(URI.create("https://localhost:" + listener.port() + path)).timeout(Duration.ofSeconds(60)).build(), HttpResponse.BodyHandlers.ofInputStream());
  }

  private String get(HttpClient client) throws Exception {
    try (InputStream body = get(client, "/").body()) {
      return new String(body.readAllBytes(), StandardCharsets.US_ASCII);
    }
  }

  private static HttpClient client(HttpClient.Version version, Identity... trusted) throws Exception {
    return HttpClient.newBuilder().version(version).sslContext(Identity.trusting(trusted)).build();
  }

  private SSLSocket socket() throws Exception {
    SSLSocket socket = (SSLSocket) Identity.trusting(first).getSocketFactory().createSocket(InetAddress.getLoopbackAddress(), listener.port());
    socket.setSoTimeout(30_000);
    return socket;
  }

  private static String answer(SSLSocket socket, String host) throws IOException {
    socket.getOutputStream().write(("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n").getBytes(StandardCharsets.US_ASCII));
    byte[] bytes = new byte[4096];
    int count = socket.getInputStream().read(bytes);
    return count < 0 ? "" : new String(bytes, 0, count, StandardCharsets.US_ASCII);
  }

  @Test
  void speaksWhatTheHandshakeChooses() throws Exception {
    try (HttpClient two = client(HttpClient.Version.HTTP_2, first); HttpClient one = client(HttpClient.Version.HTTP_1_1, first); HttpClient stranger = client(HttpClient.Version.HTTP_2, second)) {
      assertEquals("HTTP/2.0", get(two));
      assertEquals("HTTP/2.0", get(two));
      assertEquals("HTTP/1.1", get(one));
      assertThrows(SSLException.class, () -> get(stranger));
    }
    try (SSLSocket none = socket()) {
      assertTrue(answer(none, "localhost").startsWith("HTTP/1.1 200"), "who offers nothing speaks HTTP/1.1");
    }
    assertThrows(IOException.class, () -> RawHttp.exchange(listener.port(), "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), "there is no clear text on this port");
  }

  @Test
  void oldProtocolsAreNotSpoken() throws Exception {
    try (SSLSocket socket = socket()) {
      socket.setEnabledProtocols(new String[] {"TLSv1.2"});
      socket.startHandshake();
      assertTrue(socket.getSession().getCipherSuite().contains("ECDHE"), socket.getSession().getCipherSuite());
    }
    try (SSLSocket socket = socket()) {
      socket.setEnabledProtocols(new String[] {"TLSv1.1"});
      assertThrows(SSLException.class, socket::startHandshake);
    }
  }

  @Test
  void theNamesOfTheCertificateAreTheNodes() throws Exception {
    listener.close();
    listen(Settings.FREE_PORT.with(files).on("127.0.0.1", List.of("configured.example")));
    for (String host : new String[] {"localhost", "node.example", "NODE.example.:1", "configured.example", "a.many.example", "127.0.0.1"}) {
      try (SSLSocket socket = socket()) {
        String answer = answer(socket, host);
        assertTrue(answer.startsWith("HTTP/1.1 200"), () -> host + ": " + answer);
      }
    }
    for (String host : new String[] {"evil.example", "many.example", "a.b.many.example", "node.example.evil"}) {
      try (SSLSocket socket = socket()) {
        String answer = answer(socket, host);
        assertTrue(answer.startsWith("HTTP/1.1 421"), () -> host + ": " + answer);
      }
    }
  }

  @Test
  void aChangedCertificateIsTakenAndNothingThatRunsIsLost() throws Exception {
    try (HttpClient running = client(HttpClient.Version.HTTP_1_1, first); HttpClient running2 = client(HttpClient.Version.HTTP_2, first)) {
      try (InputStream one = get(running, "/slow").body(); InputStream two = get(running2, "/slow").body()) {
        assertTrue(streaming.await(30, TimeUnit.SECONDS));
        put(second);
        await(second);
        goOn.countDown();
        assertEquals("onetwo", new String(one.readAllBytes(), StandardCharsets.US_ASCII));
        assertEquals("onetwo", new String(two.readAllBytes(), StandardCharsets.US_ASCII));
      }
      assertEquals("HTTP/2.0", get(running2), "its connection goes on, too");
    }
  }

  /** Until new connections get this certificate. */
  private void await(Identity identity) throws Exception {
    long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
    while (true) {
      try (HttpClient fresh = client(HttpClient.Version.HTTP_1_1, identity)) {
        assertEquals("HTTP/1.1", get(fresh));
        return;
      } catch (SSLException e) {
        assertTrue(System.nanoTime() < end, "the certificate was not taken");
        Thread.sleep(50);
      }
    }
  }

  @Test
  void aCertificateWithoutItsKeyChangesNothing() throws Exception {
    Logger log = (Logger) LoggerFactory.getLogger(HttpListener.class);
    CountDownLatch warned = new CountDownLatch(1);
    AppenderBase<ILoggingEvent> appender = new AppenderBase<>() {
      @Override
      protected void append(ILoggingEvent event) {
        if (event.getFormattedMessage().contains("is not the key") && event.getFormattedMessage().endsWith("The one before it stays in use.")) {
          warned.countDown();
        }
      }
    };
    appender.start();
    log.addAppender(appender);
    try {
      Files.copy(second.certificate(), files.certificate(), StandardCopyOption.REPLACE_EXISTING);
      assertTrue(warned.await(60, TimeUnit.SECONDS));
    } finally {
      log.detachAppender(appender);
    }
    try (HttpClient fresh = client(HttpClient.Version.HTTP_1_1, first)) {
      assertEquals("HTTP/1.1", get(fresh));
    }
    Files.copy(second.key(), files.key(), StandardCopyOption.REPLACE_EXISTING);
    await(second);
  }

  @Test
  void theTimeOfHeadersBeginsWithEachRequest() throws Exception {
    listener.close();
    Settings d = Settings.FREE_PORT.with(files);
    listen(new Settings(d.name(), d.bind(), 0, d.maxHeaderBytes(), Duration.ofSeconds(2), d.idleTimeout(), 0, d.dataRateGrace(), d.maxConnections(), d.entryWait(), d.stopTimeout(), 128, 128,
        d.tls(), d.hosts()));
    try (SSLSocket socket = socket(); HttpClient two = client(HttpClient.Version.HTTP_2, first)) {
      socket.startHandshake();
      get(two);
      for (int i = 0; i < 2; i++) {
        Thread.sleep(2500);
        assertTrue(answer(socket, "localhost").startsWith("HTTP/1.1 200"), "an idle connection is no slow one");
        assertEquals("HTTP/2.0", get(two));
      }
      socket.getOutputStream().write('G');
      Thread.sleep(2500);
      // The first may still find a place in the buffers of the connection that is closed.
      boolean cut = false;
      for (int i = 0; i < 100 && !cut; i++) {
        try {
          cut = answer(socket, "localhost").isEmpty();
        } catch (IOException e) {
          cut = true;
        }
      }
      assertTrue(cut, "slow headers end the connection");
    }
  }

  @Test
  void filesThatCannotBeUsedAreNamed() throws Exception {
    Path crt = first.certificate();
    Path key = first.key();
    refused("gone.pem does not exist", dir.resolve("gone.pem"), key);
    refused("gone.pem does not exist", crt, dir.resolve("gone.pem"));
    refused("is not the key of the first certificate", crt, second.key());
    refused("has no private key", crt, crt);
    refused("has no certificate", Files.writeString(dir.resolve("empty"), ""), key);
    refused("no certificates in PEM form", Files.writeString(dir.resolve("bad"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), key);
    refused("openssl pkcs8", crt, Files.writeString(dir.resolve("rsa"), "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"));
    refused("openssl pkcs8", crt, Files.writeString(dir.resolve("locked"), "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"));
    refused("no key of the certificate's kind", crt, Files.writeString(dir.resolve("bad"), "-----BEGIN PRIVATE KEY-----\nQUJDRA==\n-----END PRIVATE KEY-----\n"));
  }

  private void refused(String why, Path certificate, Path key) {
    InstarException e = assertThrows(InstarException.class, () -> HttpListener.open(Settings.FREE_PORT.with(new Settings.Tls(certificate, key)), entries));
    assertEquals(ErrorCode.BAD_REQUEST, e.code());
    assertTrue(e.problem().detail().contains(why), e.problem().detail());
    assertFalse(e.problem().detail().contains("QUJDRA"), "nothing of the key");
  }
}
