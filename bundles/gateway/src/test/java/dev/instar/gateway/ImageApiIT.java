package dev.instar.gateway;

import static dev.instar.gateway.ExchangeIT.assertProblem;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import dev.instar.gateway.access.Access;
import dev.instar.tck.http.RawHttp.Answer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is seen of images over HTTP, and by whom. */
class ImageApiIT {
  private final Node node = new Node();
  @TempDir Path dir;

  @AfterEach
  void close() {
    node.close();
  }

  private String add(String headers, String user, String name) throws IOException {
    Answer added = node.call("POST", "/v1/images" + user, headers, "\0asm" + name);
    assertEquals(201, added.status(), added::toString);
    return Json.read(added.body()).get("digest").textValue();
  }

  private List<String> listed(String headers) throws IOException {
    Answer answer = node.call("GET", "/v1/images", headers, "");
    assertEquals(200, answer.status(), answer::toString);
    List<String> digests = new ArrayList<>();
    for (JsonNode image : Json.read(answer.body()).get("images")) {
      digests.add(image.get("digest").textValue());
    }
    return digests;
  }

  private void publish(String headers, String function, String digest) throws IOException {
    assertEquals(201, node.call("POST", "/v1/functions/" + function + "/versions", headers, "{\"variants\":[{\"digest\":\"" + digest + "\"}]}").status());
  }

  @Test
  void anImageIsListedDescribedAndRemovedOnceNobodyHasIt() throws Exception {
    String digest = add("", "?user=ann", "a");
    publish("", "ann/f", digest);
    JsonNode image = Json.read(node.get("/v1/images").body()).get("images").get(0);
    assertEquals("ann", image.get("user").textValue());
    assertEquals("[\"ann/f@1\"]", image.get("functions").toString());
    Answer described = node.get("/v1/images/" + digest + "/description");
    assertTrue(described.text().contains("\"configuration\":{\"config\":{\"Cmd\":[\"run\"]}}") && described.text().contains("\"layers\":[{\"digest\":\"sha256:1\",\"size\":7}]"), described::text);
    Answer used = node.call("DELETE", "/v1/images/" + digest, "");
    assertProblem(409, "conflict", used);
    assertTrue(used.text().contains("\"functions\":[\"ann/f@1\"]"), used::text);
    assertEquals(204, node.call("DELETE", "/v1/functions/ann/f", "").status());
    assertEquals(204, node.call("DELETE", "/v1/images/" + digest, "").status());
    assertProblem(404, "image-not-found", node.call("DELETE", "/v1/images/" + digest, ""));
    assertProblem(404, "image-not-found", node.get("/v1/images/" + digest + "/description"));
    assertEquals(List.of(), listed(""));
  }

  @Test
  void aUserSeesHisOwnAndRemovesNone() throws Exception {
    node.administrator(dir);
    String administrator = node.headers();
    node.access.mode(Access.Mode.REQUIRED);
    Answer added = node.call("POST", "/v1/users", administrator, "{\"name\":\"ann\"}");
    String ann = Node.bearer(Json.read(added.body()).get("token").textValue());
    String bobs = add(administrator, "?user=bob", "b");
    String shared = add(administrator, "?user=bob", "s");
    String own = add(ann, "", "o");
    publish(administrator, "bob/f", shared);
    publish(ann, "ann/f", shared);
    assertEquals(List.of(own, shared).stream().sorted().toList(), listed(ann));
    assertEquals(3, listed(administrator).size());
    String shown = node.call("GET", "/v1/images", ann, "").text() + node.call("GET", "/v1/images/" + shared + "/description", ann, "").text();
    assertFalse(shown.contains("bob"), shown);
    assertProblem(404, "image-not-found", node.call("GET", "/v1/images/" + bobs + "/description", ann, ""));
    assertProblem(403, "forbidden", node.call("DELETE", "/v1/images/" + own, ann, ""));
    assertProblem(403, "forbidden", node.call("POST", "/v1/images?user=bob", ann, "\0asm"));
    assertProblem(400, "bad-name", node.call("POST", "/v1/images?user=BOB", administrator, "\0asm"));
    for (String request : List.of("GET /v1/images", "DELETE /v1/images/" + own, "GET /v1/images/" + own + "/description")) {
      assertProblem(401, "unauthenticated", node.call(request.substring(0, request.indexOf(' ')), request.substring(request.indexOf(' ') + 1), "", ""));
    }
    assertEquals(204, node.call("DELETE", "/v1/images/" + own, administrator, "").status());
  }
}
