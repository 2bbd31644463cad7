package dev.instar.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.instar.launcher.Shell.Result;
import dev.instar.launcher.Shell.Running;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A node that is told to stop while calls run. */
@Timeout(300)
class ShutdownIT {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Path ECHO = Path.of("target/instar/examples/echo-command/function.wasm").toAbsolutePath();
  /** {@code (module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))}. */
  private static final byte[] ENDLESS = HexFormat.of().parseHex("0061736d0100000001040160000003020100050301000107130206" + "6d656d6f72790200065f737461727400000a09010700" + "03400c000b0b");

  @TempDir
  Path home;
  private Shell shell;
  private final HttpClient http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

  @BeforeEach
  void login() {
    shell = new Shell(home, Map.of());
  }

  @AfterEach
  void logout() {
    http.close();
    shell.close();
  }

  private Running node(int stopMillis) throws Exception {
    Path config = Files.createDirectory(home.resolve("config"));
    try (Stream<Path> files = Files.list(Path.of("target/instar/config"))) {
      for (Path file : files.toList()) {
        Files.copy(file, config.resolve(file.getFileName()));
      }
    }
    Files.writeString(config.resolve("dev.instar.listener.cfg.json"), "{\"stop-timeout-ms\": " + stopMillis + "}");
    Running node = shell.node(home.resolve("data"), "--no-examples", "--config", config.toString());
    Files.write(home.resolve("endless.wasm"), ENDLESS);
    for (String[] function : new String[][] {{"me/echo", ECHO.toString()}, {"me/endless", home.resolve("endless.wasm").toString()}}) {
      Result deployed = shell.instar("deploy", function[0], function[1], "--timeout", "10m", "--url", node.url().toString());
      assertEquals(0, deployed.code(), deployed.err());
    }
    return node;
  }

  private CompletableFuture<HttpResponse<String>> send(URI url, String method, String path) {
    return http.sendAsync(HttpRequest.newBuilder(url.resolve(path)).method(method, method.equals("POST") ? BodyPublishers.ofString("x") : BodyPublishers.noBody()).build(),
        HttpResponse.BodyHandlers.ofString());
  }

  private void awaitInFlight(URI url, int calls) throws Exception {
    long end = System.nanoTime() + 60_000_000_000L;
    int now;
    do {
      assertTrue(System.nanoTime() < end, "the calls have not begun");
      Thread.sleep(20);
      now = 0;
      for (JsonNode backend : JSON.readTree(send(url, "GET", "/v1/backends").join().body()).path("backends")) {
        now += backend.path("inFlight").asInt();
      }
    } while (now < calls);
  }

  /** Until the node says that it stops; the port is open then. */
  private JsonNode awaitStopping(URI url) throws Exception {
    long end = System.nanoTime() + 60_000_000_000L;
    while (true) {
      HttpResponse<String> ready = send(url, "GET", "/readyz").join();
      if (ready.statusCode() == 503) {
        return JSON.readTree(ready.body());
      }
      assertTrue(System.nanoTime() < end, "the node is still ready");
      Thread.sleep(10);
    }
  }

  @Test
  void callsThatRunEndAndNewOnesAreRefused() throws Exception {
    Running node = node(120_000);
    try (Socket sender = new Socket("127.0.0.1", node.url().getPort())) {
      OutputStream out = sender.getOutputStream();
      out.write(("POST /f/me/echo HTTP/1.1\r\nHost: 127.0.0.1:" + node.url().getPort() + "\r\nContent-Length: 150000\r\nConnection: close\r\n\r\n").getBytes(StandardCharsets.US_ASCII));
      // More than is held back before the call begins.
      out.write("z".repeat(100_000).getBytes(StandardCharsets.US_ASCII));
      out.flush();
      awaitInFlight(node.url(), 1);
      node.signal("TERM");
      assertTrue(awaitStopping(node.url()).path("missing").toString().contains("the node is stopping"));

      // First the node says that it is not ready, then it refuses.
      HttpResponse<String> refused;
      long end = System.nanoTime() + 60_000_000_000L;
      while ((refused = send(node.url(), "POST", "/f/me/echo").join()).statusCode() == 200) {
        assertTrue(System.nanoTime() < end, "new calls are still taken");
        Thread.sleep(10);
      }
      assertEquals(503, refused.statusCode(), refused.body());
      assertEquals("not-ready", JSON.readTree(refused.body()).path("code").asText());
      assertTrue(refused.headers().firstValue("Retry-After").isPresent());
      assertEquals(200, send(node.url(), "GET", "/healthz").join().statusCode());
      assertTrue(node.process().isAlive());

      out.write("z".repeat(50_000).getBytes(StandardCharsets.US_ASCII));
      out.flush();
      String answer = read(sender.getInputStream());
      assertTrue(answer.startsWith("HTTP/1.1 200 "), answer);
      // After the headers, in which a request's id may have one; chunk sizes have none.
      assertEquals(150_000, answer.substring(answer.indexOf("\r\n\r\n")).chars().filter(c -> c == 'z').count());
    }
    // Long before the limit.
    assertEquals(143, node.end());
  }

  private static String read(InputStream in) throws IOException {
    return new String(in.readAllBytes(), StandardCharsets.UTF_8);
  }

  @Test
  void oneLimitHoldsForTheWholeNode() throws Exception {
    Running node = node(1500);
    List<CompletableFuture<HttpResponse<String>>> calls = List.of(send(node.url(), "POST", "/f/me/endless"), send(node.url(), "POST", "/f/me/endless"));
    awaitInFlight(node.url(), 2);
    long began = System.nanoTime();
    node.signal("TERM");
    for (CompletableFuture<HttpResponse<String>> call : calls) {
      HttpResponse<String> answer = call.get(60, TimeUnit.SECONDS);
      assertEquals(503, answer.statusCode(), answer.body());
      assertEquals("not-ready", JSON.readTree(answer.body()).path("code").asText());
      assertTrue(answer.headers().firstValue("Retry-After").isPresent());
    }
    assertTrue(System.nanoTime() - began >= 1_400_000_000L, "they were not given their time");
    assertEquals(143, node.end());
    // The gateway and the scheduler have 30 s of their own, for when they are replaced.
    assertTrue(System.nanoTime() - began < 29_000_000_000L, "the stages add up");
    String err = Files.readString(node.err());
    assertTrue(!err.contains("did not stop within"), err);
  }
}
