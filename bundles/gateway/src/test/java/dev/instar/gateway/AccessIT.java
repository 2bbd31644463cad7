package dev.instar.gateway;

import static dev.instar.gateway.ExchangeIT.assertProblem;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import com.fasterxml.jackson.databind.JsonNode;
import dev.instar.api.function.Limits;
import dev.instar.gateway.access.Access;
import dev.instar.tck.http.RawHttp.Answer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;

/** Who may do what, over HTTP. */
class AccessIT {
  private final Node node = new Node();
  @TempDir Path dir;
  private String administrator;

  @BeforeEach
  void open() throws IOException {
    node.administrator(dir);
    administrator = node.headers();
  }

  @AfterEach
  void close() {
    node.close();
  }

  private String user(String json) throws IOException {
    Answer added = node.call("POST", "/v1/users", administrator, json);
    assertEquals(201, added.status(), added::toString);
    assertEquals("no-store", added.headers().get("cache-control"));
    return Node.bearer(Json.read(added.body()).get("token").textValue());
  }

  private static void assertUnauthenticated(Answer answer) {
    assertProblem(401, "unauthenticated", answer);
    assertEquals("Bearer realm=\"instar\"", answer.headers().get("www-authenticate"));
  }

  @Test
  void whatChangesTheNodeNeedsTheAdministratorEvenWhereAllElseIsOpen() throws Exception {
    AtomicInteger reached = new AtomicInteger();
    List<String> paths = List.of("/v1/bundles", "/v1/bundles/install", "/v1/bundles/{id}", "/v1/features", "/v1/features/{name}", "/v1/config", "/v1/config/{pid}", "/v1/config/{pid}/{key}",
        "/v1/backends/swap", "/v1/backends/{name}/drain", "/v1/shutdown", "/v1/whatever/comes/later", "/ipam");
    for (String path : paths) {
      for (String method : List.of("GET", "POST", "PUT", "DELETE", "PATCH")) {
        if (!("GET".equals(method) && path.startsWith("/v1/backends"))) {
          node.route(method, path, x -> {
            reached.incrementAndGet();
            x.respond(200, Map.of(), new byte[0]);
          });
        }
      }
    }
    String someone = user("{\"name\":\"ann\"}");
    for (String template : paths) {
      String path = template.replaceAll("[{}]", "");
      for (String method : List.of("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")) {
        if (!path.startsWith("/v1/backends") || !List.of("GET", "OPTIONS").contains(method)) {
          for (String spelt : List.of(path, path + "/", path.replace("v1", "%761"), path.replace("/v1/b", "/v1/%62"), path + "?x=y")) {
            Answer answer = node.call(method, spelt, "", "");
            assertEquals(401, answer.status(), () -> method + " " + spelt + answer);
            assertEquals(403, node.call(method, spelt, someone, "").status(), method + " " + spelt);
            assertTrue(List.of(401, 429).contains(node.call(method, spelt, Node.bearer("x".repeat(43)), "").status()), method + " " + spelt);
          }
        }
      }
    }
    assertEquals(0, reached.get());
    assertEquals(200, node.call("POST", "/v1/bundles/install", administrator, "").status());
    assertEquals(1, reached.get());
  }

  @Test
  void whatChecksHaveFoundIsToldToThoseWhoShowAToken() throws Exception {
    node.route("GET", "/healthz", x -> x.respond(200, Map.of(), "{\"status\":\"ok\",\"checks\":[\"of /a/directory\"]}".getBytes(StandardCharsets.US_ASCII)));
    assertTrue(node.call("GET", "/healthz", "", "").text().contains("/a/directory"));
    node.access.mode(Access.Mode.REQUIRED);
    Answer stranger = node.call("GET", "/healthz", "", "");
    assertEquals(200, stranger.status());
    assertEquals("{\"status\":\"ok\"}", stranger.text());
    assertEquals(405, node.call("POST", "/healthz", "", "").status());
    assertEquals(401, node.call("GET", "/healthz", Node.bearer("x".repeat(43)), "").status());
    assertTrue(node.call("GET", "/healthz", administrator, "").text().contains("/a/directory"));
  }

  @Test
  void pathsThatDoNotExistTellNothingToStrangers() throws Exception {
    assertUnauthenticated(node.call("GET", "/v1/treasures", "", ""));
    assertProblem(404, "route-not-found", node.call("GET", "/v1/treasures", administrator, ""));
    assertProblem(404, "route-not-found", node.call("GET", "/treasures", "", ""));
  }

  @Test
  void theAdministratorsPartOfSnapshotsIsWhatChangesThemOrGivesThemAway() throws Exception {
    String id = "/v1/snapshots/sha256:" + "0".repeat(64);
    for (String request : List.of("POST /v1/snapshots", "POST /v1/snapshots/gc", "DELETE " + id, "POST " + id + "/verify", "GET " + id + "/archive")) {
      assertEquals(401, node.call(request.substring(0, request.indexOf(' ')), request.substring(request.indexOf(' ') + 1), "", "").status(), request);
    }
  }

  @Test
  void credentialsThatAreNotWellFormedDoNotHold() throws Exception {
    String token = administrator.strip().substring("Authorization: Bearer ".length());
    for (String wrong : List.of("Authorization: Basic " + token + "\r\n", "Authorization: " + token + "\r\n", "Authorization: Bearer\r\n", "Authorization: Bearer " + token + " " + token + "\r\n",
        administrator + administrator, administrator + "Authorization: Basic eDp5\r\n", "Authorization: Bearer " + token.substring(1) + "\r\n")) {
      assertUnauthenticated(node.call("GET", "/v1/users", wrong, ""));
    }
    assertEquals(200, node.call("GET", "/v1/users", "authorization: bearer  " + token + "\r\n", "").status());
    assertEquals(401, node.call("GET", "/v1/users?access_token=" + token, "", "").status(), "a token in a URL would get into logs");
  }

  @Test
  void guessingIsSlowedAndTheRightOneComesThroughAllTheSame() throws Exception {
    int refused = 0;
    Answer last = node.call("GET", "/v1/users", Node.bearer("w".repeat(43)), "");
    for (int i = 0; i < 30; i++) {
      last = node.call("GET", "/v1/users", Node.bearer("w".repeat(40) + (100 + i)), "");
      refused += last.status() == 429 ? 1 : 0;
    }
    assertTrue(refused > 15, "refused " + refused);
    assertProblem(429, "too-many-attempts", last);
    assertTrue(Integer.parseInt(last.headers().get("retry-after")) >= 1, last::toString);
    assertEquals(200, node.call("GET", "/v1/users", administrator, "").status());
    assertEquals(200, node.call("GET", "/v1/functions", "", "").status(), "what needs none is not concerned");
  }

  @Test
  void aUserDoesWhatHeMayAndNothingElse() throws Exception {
    node.access.mode(Access.Mode.REQUIRED);
    node.function("ann/own", Limits.DEFAULT);
    node.function("demo/echo", Limits.DEFAULT);
    node.function("bob/secret", Limits.DEFAULT);
    node.route("PUT", "/t/{user}/{function}", x -> x.respond(200, Map.of(), new byte[0]));
    node.route("GET", "/t/list", x -> x.respond(200, Map.of(), new byte[0]));
    String ann = user("{\"name\":\"ann\",\"upload\":[\"ann\"],\"call\":[\"ann\",\"demo\"]}");
    String caller = user("{\"name\":\"caller\",\"upload\":[],\"call\":[\"demo\"]}");

    assertEquals(200, node.call("POST", "/v1/functions/ann/own/invoke", ann, "x").status());
    assertEquals(200, node.call("POST", "/v1/functions/demo/echo/invoke", ann, "x").status());
    assertProblem(403, "forbidden", node.call("POST", "/v1/functions/bob/secret/invoke", ann, "x"));
    assertProblem(403, "forbidden", node.call("POST", "/v1/functions/bob/none/invoke", ann, "x"));
    assertEquals(200, node.call("PUT", "/t/ann/own", ann, "x").status());
    assertProblem(403, "forbidden", node.call("PUT", "/t/demo/echo", ann, "x"));
    for (String request : List.of("GET /v1/functions/bob/secret", "GET /v1/functions/bob/secret/logs", "GET /v1/functions/bob/secret/versions/1", "DELETE /v1/functions/bob/secret",
        "POST /v1/functions/bob/secret/rollback", "POST /v1/functions/bob/secret/activate", "POST /v1/functions/bob/secret/versions", "DELETE /v1/functions/bob/secret/versions/1", "GET /v1/backends",
        "GET /v1/snapshots", "GET /v1/users", "POST /v1/users", "GET /t/list")) {
      String method = request.substring(0, request.indexOf(' '));
      String path = request.substring(request.indexOf(' ') + 1);
      assertProblem(403, "forbidden", node.call(method, path, ann, "{}"));
      assertUnauthenticated(node.call(method, path, "", "{}"));
    }
    assertEquals(200, node.call("GET", "/v1/functions/ann/own", ann, "").status());
    assertProblem(403, "forbidden", node.call("GET", "/v1/functions/demo/echo", caller, ""));
    assertEquals(200, node.call("POST", "/v1/functions/demo/echo/invoke", caller, "x").status());
    assertProblem(403, "forbidden", node.call("POST", "/v1/images", caller, "x"));
    assertProblem(422, "unsupported-artifact", node.call("POST", "/v1/images", ann, "x"));

    assertEquals(List.of("ann/own"), names(node.call("GET", "/v1/functions", ann, "")));
    assertEquals(List.of(), names(node.call("GET", "/v1/functions?user=bob", ann, "")));
    assertEquals(List.of("ann/own", "bob/secret", "demo/echo"), names(node.call("GET", "/v1/functions", administrator, "")));
    assertUnauthenticated(node.call("GET", "/v1/functions", "", ""));
    assertUnauthenticated(node.call("GET", "/v1", "", ""));
    assertUnauthenticated(node.call("POST", "/f/ann/own", "", "x"));

    assertEquals(204, node.call("DELETE", "/v1/users/ann", administrator, "").status());
    assertUnauthenticated(node.call("POST", "/v1/functions/ann/own/invoke", ann, "x"));
  }

  private static List<String> names(Answer answer) throws IOException {
    assertEquals(200, answer.status(), answer::toString);
    List<String> names = new ArrayList<>();
    for (JsonNode function : Json.read(answer.body()).get("functions")) {
      names.add(function.get("user").textValue() + "/" + function.get("function").textValue());
    }
    names.sort(null);
    return names;
  }

  @Test
  void usersAreAddedListedAndRemoved() throws Exception {
    assertEquals("{\"users\":[]}", node.call("GET", "/v1/users", administrator, "").text());
    String ann = user("{\"name\":\"ann\"}");
    String listed = node.call("GET", "/v1/users", administrator, "").text();
    assertTrue(listed.contains("\"name\":\"ann\",\"upload\":[\"ann\"],\"call\":[\"ann\"]"), listed);
    assertFalse(listed.contains("sha256") || listed.contains("token"), listed);
    assertProblem(409, "conflict", node.call("POST", "/v1/users", administrator, "{\"name\":\"ann\"}"));
    assertProblem(400, "bad-name", node.call("POST", "/v1/users", administrator, "{\"name\":\"../ann\"}"));
    for (String wrong : List.of("", "[]", "{}", "{\"name\":1}", "{\"name\":\"x\",\"upload\":\"x\"}", "{\"name\":\"x\",\"call\":[1]}", "{\"name\":\"x\",\"role\":\"admin\"}")) {
      assertProblem(400, "bad-body", node.call("POST", "/v1/users", administrator, wrong));
    }
    assertProblem(404, "user-not-found", node.call("DELETE", "/v1/users/bob", administrator, ""));
    assertProblem(403, "forbidden", node.call("DELETE", "/v1/users/ann", ann, ""));
    assertEquals(204, node.call("DELETE", "/v1/users/ann", administrator, "").status());
  }

  @Test
  void noTokenGetsIntoALogOrAnError() throws Exception {
    Logger root = (Logger) LoggerFactory.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME);
    ListAppender<ILoggingEvent> log = new ListAppender<>();
    log.start();
    root.addAppender(log);
    try {
      String ann = user("{\"name\":\"ann\"}");
      node.route("GET", "/t/{user}/fails", x -> {
        throw new IllegalStateException("a fault");
      });
      String wrong = "Authorization: Bearer guessed-" + "g".repeat(40) + "\r\n";
      StringBuilder seen = new StringBuilder();
      node.access.mode(Access.Mode.REQUIRED);
      for (String headers : List.of(ann, administrator, wrong)) {
        for (int i = 0; i < 15; i++) {
          for (String path : List.of("/v1/users", "/t/ann/fails", "/v1/functions/none/there")) {
            seen.append(node.call("GET", path, headers, "").text());
          }
        }
      }
      synchronized (log) {
        log.list.forEach(event -> seen.append(event.getFormattedMessage()).append(event.getThrowableProxy() == null ? "" : event.getThrowableProxy().getMessage()));
      }
      assertTrue(seen.toString().contains("wrong credentials in a short time"), "guessing is seen in the log");
      for (String headers : List.of(ann, administrator, wrong)) {
        assertFalse(seen.toString().contains(headers.strip().substring("Authorization: Bearer ".length())));
      }
    } finally {
      root.detachAppender(log);
    }
  }

  @Test
  void withoutTheDataDirectoryNothingThatNeedsACredentialIsServed() throws Exception {
    node.access.credentials(Optional.empty());
    assertProblem(503, "not-ready", node.call("GET", "/v1/users", administrator, ""));
    assertUnauthenticated(node.call("GET", "/v1/users", "", ""));
    assertEquals(200, node.call("GET", "/v1/functions", "", "").status());
  }
}
