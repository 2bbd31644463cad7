package dev.instar.gateway;

import static dev.instar.gateway.ExchangeIT.assertProblem;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.gateway.access.Access;
import dev.instar.tck.http.RawHttp.Answer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Secrets over HTTP: they come in, and never out. */
class SecretApiIT {
  private final Node node = new Node();
  private final MemorySecrets secrets = new MemorySecrets();
  @TempDir Path dir;

  @BeforeEach
  void open() {
    node.services.secrets().bind(secrets, Map.of());
  }

  @AfterEach
  void close() {
    node.close();
  }

  @Test
  void aSecretIsPutListedReplacedAndDeleted() throws Exception {
    Answer put = node.call("PUT", "/v1/secrets/ann/word", "hunter2\n");
    assertEquals(201, put.status(), put::toString);
    assertEquals("{\"user\":\"ann\",\"name\":\"word\",\"size\":8,\"updated\":\"1970-01-01T00:00:00Z\"}", put.text());
    assertEquals("/v1/secrets/ann/word", put.headers().get("location"));
    assertArrayEquals("hunter2\n".getBytes(StandardCharsets.UTF_8), secrets.values.get("ann/word"), "every byte of it, and the node's own copy is not wiped away");
    assertEquals(200, node.call("PUT", "/v1/secrets/ann/word", "other").status());
    node.call("PUT", "/v1/secrets/bob/word", "x");
    String all = node.get("/v1/secrets").text();
    assertTrue(all.contains("\"ann\"") && all.contains("\"size\":5") && all.contains("\"bob\""), all);
    assertFalse(node.get("/v1/secrets?user=bob").text().contains("ann"));
    assertEquals(204, node.call("DELETE", "/v1/secrets/ann/word", "").status());
    assertProblem(404, "secret-not-found", node.call("DELETE", "/v1/secrets/ann/word", ""));
    assertEquals("{\"secrets\":[]}", node.get("/v1/secrets?user=ann").text());
  }

  /** Hostile case 38. */
  @Test
  void noAnswerHasAValue() throws Exception {
    StringBuilder said = new StringBuilder(node.call("PUT", "/v1/secrets/ann/word", "hunter2").text());
    for (String path : List.of("/v1/secrets", "/v1/secrets/ann", "/v1/secrets/ann/word", "/v1/secrets/ann/word/value", "/v1")) {
      said.append(node.get(path).text());
    }
    assertProblem(405, "method-not-allowed", node.get("/v1/secrets/ann/word"));
    assertEquals("DELETE, OPTIONS, PUT", node.get("/v1/secrets/ann/word").headers().get("allow"));
    said.append(node.call("PUT", "/v1/secrets/ANN/word", "hunter2").text());
    said.append(node.call("PUT", "/v1/secrets/ann/word", "hunter2".repeat(20)).text());
    assertFalse(said.toString().contains("hunter2"), said::toString);
    assertProblem(413, "too-large", node.call("PUT", "/v1/secrets/ann/word", "hunter2".repeat(20)));
    assertEquals("hunter2", new String(secrets.values.get("ann/word"), StandardCharsets.UTF_8));
  }

  /** Hostile cases 1 and 2. */
  @Test
  void namesThatAreNoneAreRefused() throws Exception {
    for (String bad : List.of("A", "a..b", "%2e%2ex", ".x", "a%20b", "-a", "%d0%b0", "x".repeat(64), "x".repeat(3000))) {
      assertProblem(400, "bad-name", node.call("PUT", "/v1/secrets/ann/" + bad, "x"));
      assertProblem(400, "bad-name", node.call("PUT", "/v1/secrets/" + bad + "/word", "x"));
      assertProblem(400, "bad-name", node.call("DELETE", "/v1/secrets/ann/" + bad, ""));
    }
    for (String path : List.of("/v1/secrets/ann/..", "/v1/secrets/ann/%2e%2e", "/v1/secrets/ann/%00", "/v1/secrets/ann/a%2fb", "/v1/secrets/ann/a%5cb", "/v1/secrets/../functions/x", "/v1/secrets//word", "/v1/secrets/ann/")) {
      int status = node.call("PUT", path, "x").status();
      assertTrue(status >= 400 && status < 500, path + " " + status);
    }
    assertEquals(Map.of(), secrets.values);
  }

  /** Hostile case 37. */
  @Test
  void aUsersTokenReachesHisOwnSecretsAndNoOthers() throws Exception {
    node.administrator(dir);
    String administrator = node.headers();
    node.access.mode(Access.Mode.REQUIRED);
    String ann = token(administrator, "{\"name\":\"ann\",\"upload\":[\"ann\"],\"call\":[\"ann\",\"bob\"]}");
    assertEquals(201, node.call("PUT", "/v1/secrets/ann/word", ann, "x").status());
    assertEquals(201, node.call("PUT", "/v1/secrets/bob/word", administrator, "y").status());
    for (String method : List.of("PUT", "DELETE")) {
      assertProblem(403, "forbidden", node.call(method, "/v1/secrets/bob/word", ann, "z"));
      assertProblem(403, "forbidden", node.call(method, "/v1/secrets/bob/none", ann, "z"));
      assertProblem(401, "unauthenticated", node.call(method, "/v1/secrets/bob/word", "", "z"));
    }
    assertEquals("y", new String(secrets.values.get("bob/word"), StandardCharsets.UTF_8));
    for (String path : List.of("/v1/secrets", "/v1/secrets?user=bob")) {
      Answer listed = node.call("GET", path, ann, "");
      assertEquals(200, listed.status(), listed::toString);
      assertFalse(listed.text().contains("bob"), listed::text);
      assertProblem(401, "unauthenticated", node.call("GET", path, "", ""));
    }
    assertTrue(node.call("GET", "/v1/secrets", administrator, "").text().contains("bob"));
    // A function of his own that names a secret gets his own, whatever the name; bob's he may call and no more.
    assertProblem(403, "forbidden", node.call("POST", "/v1/functions/bob/f/versions", ann, "{\"variants\":[],\"secrets\":[\"word\"]}"));
  }

  @Test
  void aVersionSaysWhichSecretsItHas() throws Exception {
    String digest = Json.read(node.call("POST", "/v1/images", "\0asm\1\0\0\0").body()).get("digest").textValue();
    String variants = "{\"variants\":[{\"digest\":\"" + digest + "\"}],\"secrets\":";
    Answer published = node.call("POST", "/v1/functions/ann/f/versions", variants + "[\"word\",\"a\",\"word\"]}");
    assertEquals(201, published.status(), published::toString);
    assertTrue(published.text().contains("\"secrets\":[\"a\",\"word\"]"), published::text);
    assertTrue(node.get("/v1/functions/ann/f").text().contains("\"secrets\":[\"a\",\"word\"]"));
    assertProblem(400, "bad-body", node.call("POST", "/v1/functions/ann/f/versions", variants + "\"word\"}"));
    assertProblem(400, "bad-body", node.call("POST", "/v1/functions/ann/f/versions", variants + "[1]}"));
    assertProblem(400, "bad-name", node.call("POST", "/v1/functions/ann/f/versions", variants + "[\"../bob/word\"]}"));
  }

  private String token(String administrator, String user) throws IOException {
    Answer added = node.call("POST", "/v1/users", administrator, user);
    assertEquals(201, added.status(), added::toString);
    return Node.bearer(Json.read(added.body()).get("token").textValue());
  }
}
