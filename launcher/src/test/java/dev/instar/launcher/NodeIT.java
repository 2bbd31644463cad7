package dev.instar.launcher;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** The whole node over HTTP, started from the exported distribution with all features. */
class NodeIT {
  @RegisterExtension
  static final PaxNode NODE = new PaxNode();
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final HttpClient HTTP = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  private static final Path ECHO = Path.of("../examples/echo/function.wasm");

  @Test
  void everyBundleIsActive() throws Exception {
    JsonNode bundles = json(send("GET", "/v1/bundles", new byte[0])).path("bundles");
    Set<String> ours = new TreeSet<>();
    bundles.forEach(b -> {
      assertTrue(Set.of("active", "resolved").contains(b.path("state").asText()), b::toString);
      if (b.path("name").asText().startsWith("dev.instar.")) {
        assertEquals("active", b.path("state").asText(), b::toString);
        ours.add(b.path("name").asText());
      }
    });
    assertTrue(ours.contains("dev.instar.backend.process") && ours.contains("dev.instar.listener"), ours::toString);
  }

  @Test
  void bothBackendsAreThere() throws Exception {
    Set<String> names = new TreeSet<>();
    json(send("GET", "/v1/backends", new byte[0])).path("backends").forEach(b -> names.add(b.path("name").asText()));
    assertEquals(new TreeSet<>(Set.of("process", "wasm")), names);
  }

  @Test
  void uploadCallAndFetchOverTheFaasmDialect() throws Exception {
    byte[] module = Files.readAllBytes(ECHO);
    assertEquals(201, send("PUT", "/f/pax/echo", module).statusCode());
    HttpResponse<byte[]> answer = send("POST", "/f/pax/echo/", "hello".getBytes(StandardCharsets.UTF_8));
    assertEquals(200, answer.statusCode());
    assertEquals("hello", text(answer));
    assertEquals("wasm", answer.headers().firstValue("Instar-Backend").orElse(""));
    assertEquals("nosniff", answer.headers().firstValue("X-Content-Type-Options").orElse(""));
    assertArrayEquals(module, send("GET", "/f/pax/echo", new byte[0]).body());
  }

  @Test
  void uploadPublishAndCallOverOurOwnApi() throws Exception {
    HttpResponse<byte[]> image = send("POST", "/v1/images", Files.readAllBytes(ECHO));
    assertEquals(201, image.statusCode(), text(image));
    String variant = "{\"digest\":\"" + json(image).path("digest").asText() + "\",\"kind\":\"wasm\"}";
    HttpResponse<byte[]> version = send("POST", "/v1/functions/pax/own/versions", ("{\"variants\":[" + variant + "],\"limits\":{\"timeout\":\"5s\",\"memory\":\"8Mi\"}}").getBytes(StandardCharsets.UTF_8));
    assertEquals(201, version.statusCode(), text(version));
    assertEquals("again", text(send("POST", "/v1/functions/pax/own/invoke", "again".getBytes(StandardCharsets.UTF_8))));
    assertEquals(204, send("DELETE", "/v1/functions/pax/own", new byte[0]).statusCode());
    HttpResponse<byte[]> gone = send("POST", "/v1/functions/pax/own/invoke", new byte[0]);
    assertEquals(404, gone.statusCode());
    assertEquals("function-not-found", json(gone).path("code").asText());
  }

  @Test
  void aWrongKeyIsRefusedAndTheRightOneTaken() throws Exception {
    Path file = NODE.config().resolve("dev.instar.scheduler.cfg.json");
    String before = Files.readString(file);
    for (String wrong : List.of("{\"max-sandboxen\": 7}", "{\"max-sandboxes\": 0}", "{\"max-sandboxes\": \"many\"}")) {
      Files.writeString(file, wrong);
      assertTrue(refusal("max-sandbox").contains("dev.instar.scheduler.cfg.json"), wrong);
      Files.writeString(file, before);
      refusal("");
    }
  }

  /** Waits until the node tells of a refused file with this text in it; of none for the empty text. */
  private static String refusal(String text) throws Exception {
    long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
    String refused;
    do {
      Thread.sleep(50);
      refused = json(send("GET", "/readyz", new byte[0])).path("refusedConfiguration").toString();
    } while ((text.isEmpty() ? !refused.equals("[]") : !refused.contains(text)) && System.nanoTime() < end);
    assertTrue(text.isEmpty() ? refused.equals("[]") : refused.contains(text), refused);
    return refused;
  }

  private static HttpResponse<byte[]> send(String method, String path, byte[] body) throws IOException, InterruptedException {
    return HTTP.send(HttpRequest.newBuilder(URI.create(NODE.url() + path)).timeout(Duration.ofSeconds(30)).header("Authorization", "Bearer " + NODE.token()).method(method, BodyPublishers.ofByteArray(body)).build(), HttpResponse.BodyHandlers.ofByteArray());
  }

  private static JsonNode json(HttpResponse<byte[]> response) throws IOException {
    return JSON.readTree(response.body());
  }

  private static String text(HttpResponse<byte[]> response) {
    return new String(response.body(), StandardCharsets.UTF_8);
  }
}
