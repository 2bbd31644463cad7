package dev.instar.gateway;

import static dev.instar.gateway.ExchangeIT.assertProblem;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import dev.instar.api.Digest;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.Limits;
import dev.instar.api.snapshot.GcPolicy;
import dev.instar.api.snapshot.SnapshotBuilder;
import dev.instar.api.snapshot.SnapshotKey;
import dev.instar.api.snapshot.SnapshotLayer;
import dev.instar.api.snapshot.SnapshotLease;
import dev.instar.api.snapshot.SnapshotStore;
import dev.instar.data.LockedDataDirectory;
import dev.instar.snapshots.SnapshotStoreComponent;
import dev.instar.tck.http.RawHttp;
import dev.instar.tck.http.RawHttp.Answer;
import java.io.ByteArrayInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Snapshots through the real listener, over the real store. */
class SnapshotApiIT {
  private static final SnapshotKey KEY = new SnapshotKey("toy", "7", new TreeMap<>(Map.of("pages", "17")), List.of(Digest.of(new byte[] {1})));
  private static final int MEMORY = 20 << 20;

  private final Node node = new Node();
  @TempDir Path dir;
  private LockedDataDirectory data;
  private SnapshotStoreComponent store;

  @BeforeEach
  void open() throws Exception {
    data = LockedDataDirectory.open(dir.resolve("data"));
    store = new SnapshotStoreComponent(data, new SnapshotStoreComponent.Limits(new GcPolicy(Duration.ofHours(5), 1L << 30), 64 << 20));
    node.services.snapshots().bind(store, Map.of());
    node.administrator(data.root());
  }

  @AfterEach
  void close() {
    node.close();
    store.stop();
    data.close();
  }

  private SnapshotLayer publish(int bytes) throws IOException {
    byte[] memory = new byte[bytes];
    new Random(bytes).nextBytes(memory);
    try (SnapshotBuilder builder = store.base(KEY, "a test")) {
      builder.memory(4096, ByteBuffer.wrap(memory));
      builder.blob("module", new ByteArrayInputStream(new byte[] {1, 2, 3}));
      return builder.publish();
    }
  }

  private static JsonNode json(int status, Answer answer) throws IOException {
    assertEquals(status, answer.status(), answer::toString);
    assertEquals("application/json", answer.headers().get("content-type"), answer::toString);
    return Json.read(answer.body());
  }

  private static String path(SnapshotLayer layer) {
    return "/v1/snapshots/" + layer.id();
  }

  private long files() throws IOException {
    try (Stream<Path> files = Files.walk(data.area("snapshots"))) {
      return files.filter(Files::isRegularFile).count();
    }
  }

  private String post(long length) {
    return "POST /v1/snapshots HTTP/1.1\r\nHost: localhost\r\n" + node.headers() + "Content-Length: " + length + "\r\n\r\n";
  }

  private Answer send(byte[] archive) throws IOException {
    try (RawHttp http = new RawHttp(node.port())) {
      return http.send(post(archive.length)).send(archive).answer();
    }
  }

  @Test
  void showsSnapshotsAndWhoseTheyAre() throws Exception {
    assertEquals("{\"snapshots\":[]}", node.get("/v1/snapshots").text());
    SnapshotLayer layer = publish(8192);
    node.function("demo/echo", Limits.DEFAULT);
    String uid = node.functions.find(FunctionName.parse("demo/echo")).orElseThrow().activeVersion().uid();
    store.hold(layer.id(), uid);
    store.hold(layer.id(), "zygote");
    JsonNode listed = json(200, node.get("/v1/snapshots")).get("snapshots");
    assertEquals(1, listed.size());
    JsonNode one = listed.get(0);
    assertEquals(layer.id().value(), one.get("id").textValue());
    assertTrue(one.get("parent").isNull());
    assertEquals("toy 7 {\"pages\":\"17\"} [\"" + Digest.of(new byte[] {1}) + "\"] a test", one.get("backend").textValue() + " " + one.get("backendVersion").textValue() + " "
        + one.get("machine") + " " + one.get("images") + " " + one.get("creator").textValue());
    assertEquals(8192, one.get("memoryBytes").intValue());
    assertTrue(one.get("storedBytes").intValue() > 8192, one::toString);
    assertEquals(layer.created().toString(), one.get("created").textValue());
    assertTrue(one.get("lastUsed").isTextual());
    assertEquals(0, one.get("leases").intValue());
    assertEquals("[{\"name\":\"module\",\"digest\":\"" + Digest.of(new byte[] {1, 2, 3}) + "\",\"bytes\":3}]", one.get("blobs").toString());
    List<String> users = new ArrayList<>();
    one.get("users").forEach(user -> users.add(user.toString()));
    assertTrue(users.contains("{\"uid\":\"" + uid + "\",\"function\":\"demo/echo\",\"version\":1,\"active\":true}"), users::toString);
    assertTrue(users.contains("{\"uid\":\"zygote\"}"), users::toString);
    assertEquals(2, users.size());

    JsonNode whole = json(200, node.get(path(layer)));
    assertEquals("[{\"offset\":0,\"length\":8192,\"guestAddress\":4096}]", whole.get("extents").toString());
    assertEquals(layer.memory().value(), whole.get("memory").textValue());
    one.properties().forEach(field -> assertEquals(field.getValue(), whole.get(field.getKey()), field.getKey()));

    node.services.functions().unbind(node.functions);
    JsonNode raw = json(200, node.get(path(layer))).get("users");
    raw.forEach(user -> assertFalse(user.has("function"), raw::toString));
  }

  @Test
  void exportsAndImports() throws Exception {
    SnapshotLayer layer = publish(MEMORY);
    Answer exported = node.get(path(layer) + "/archive");
    assertEquals(200, exported.status());
    assertEquals("application/octet-stream", exported.headers().get("content-type"));
    assertTrue(exported.body().length > MEMORY, "random bytes do not pack");
    try (RawHttp http = new RawHttp(node.port())) {
      http.send("HEAD " + path(layer) + "/archive HTTP/1.1\r\nHost: localhost\r\n" + node.headers() + "\r\n");
      assertEquals(200, http.answerToHead().status());
    }

    assertEquals(204, node.call("DELETE", path(layer), "").status());
    assertProblem(404, "snapshot-not-found", node.get(path(layer)));
    assertProblem(404, "snapshot-not-found", node.get(path(layer) + "/archive"));
    assertProblem(404, "snapshot-not-found", node.call("POST", path(layer) + "/verify", ""));
    assertProblem(404, "snapshot-not-found", node.call("DELETE", path(layer), ""));
    assertProblem(400, "bad-request", node.get("/v1/snapshots/sha256:1"));
    long before = files();

    byte[] archive = exported.body();
    try (RawHttp http = new RawHttp(node.port())) {
      http.send(post(archive.length)).send(Arrays.copyOf(archive, archive.length / 2)).endOutput();
      assertProblem(400, "bad-body", http.answer());
    }
    assertProblem(422, "archive-refused", send("no archive".getBytes(StandardCharsets.US_ASCII)));
    assertProblem(422, "archive-refused", send(new byte[0]));
    archive[archive.length / 2] ^= 1;
    assertProblem(422, "archive-refused", send(archive));
    archive[archive.length / 2] ^= 1;
    assertEquals(before, files(), "what was refused has left nothing");

    Answer imported = send(archive);
    assertEquals(layer.id().value(), json(201, imported).get("id").textValue());
    assertEquals(path(layer), imported.headers().get("location"));
    assertEquals(201, send(archive).status(), "once more changes nothing");
    assertEquals(1, json(200, node.get("/v1/snapshots")).get("snapshots").size());
    assertEquals(layer.id().value(), json(200, node.call("POST", path(layer) + "/verify", "")).get("id").textValue());
    assertArrayEquals(archive, node.get(path(layer) + "/archive").body());
  }

  @Test
  void anImportIsBoundedByTheStore() throws Exception {
    SnapshotStoreComponent.Limits much = new SnapshotStoreComponent.Limits(store.policy(), 1L << 30);
    try (LockedDataDirectory other = LockedDataDirectory.open(dir.resolve("other"))) {
      SnapshotStoreComponent larger = new SnapshotStoreComponent(other, much);
      node.services.snapshots().unbind(store);
      node.services.snapshots().bind(larger, Map.of());
      SnapshotLayer layer;
      try (SnapshotBuilder builder = larger.base(KEY, "a test")) {
        builder.memory(0, ByteBuffer.allocate(65 << 20));
        layer = builder.publish();
      }
      byte[] archive = node.get(path(layer) + "/archive").body();
      node.services.snapshots().unbind(larger);
      node.services.snapshots().bind(store, Map.of());
      assertProblem(422, "archive-refused", send(archive));
      larger.stop();
    }
  }

  /** Flips a bit in the last page of the memory file. */
  private void damage(SnapshotLayer layer) throws IOException {
    try (Stream<Path> files = Files.list(data.area("snapshots").resolve("layers").resolve(layer.id().hex()))) {
      Path memory = files.filter(f -> f.toFile().length() == layer.memoryBytes()).findFirst().orElseThrow();
      assertTrue(memory.toFile().setWritable(true));
      byte[] bytes = Files.readAllBytes(memory);
      bytes[bytes.length - 1] ^= 1;
      Files.write(memory, bytes);
    }
  }

  @Test
  void damageHasANameAndIsSetAside() throws Exception {
    SnapshotLayer layer = publish(1 << 20);
    damage(layer);
    Answer answer = node.call("POST", path(layer) + "/verify", "");
    assertProblem(500, "damaged", answer);
    assertTrue(answer.text().contains("\"layer\":\"" + layer.id() + "\""), answer::toString);
    assertEquals(0, json(200, node.get("/v1/snapshots")).get("snapshots").size());
  }

  @Test
  void halfAnArchiveNeverLooksLikeAWholeOne() throws Exception {
    SnapshotLayer layer = publish(MEMORY);
    damage(layer);
    try (RawHttp http = new RawHttp(node.port())) {
      http.send("GET " + path(layer) + "/archive HTTP/1.1\r\nHost: localhost\r\n" + node.headers() + "\r\n");
      assertThrows(EOFException.class, http::answer);
    }
    assertProblem(404, "snapshot-not-found", node.get(path(layer) + "/archive"));

    // One that fails within what is held back is a problem like any other.
    SnapshotLayer small = publish(4096);
    damage(small);
    assertProblem(500, "damaged", node.get(path(small) + "/archive"));
  }

  @Test
  void aReaderWhoGoesLetsGoOfTheSnapshot() throws Exception {
    SnapshotLayer layer = publish(MEMORY);
    try (RawHttp http = new RawHttp(node.port(), 4096)) {
      http.send("GET " + path(layer) + "/archive HTTP/1.1\r\nHost: localhost\r\n" + node.headers() + "\r\n");
      http.line();
      assertEquals(1, store.inspect(layer.id()).orElseThrow().leases(), "it waits for its reader");
      assertProblem(409, "conflict", node.call("DELETE", path(layer), ""));
    }
    for (long end = System.nanoTime() + Duration.ofSeconds(20).toNanos(); store.inspect(layer.id()).orElseThrow().leases() > 0;) {
      assertTrue(System.nanoTime() < end, "it is still open");
      Thread.sleep(10);
    }
    assertEquals(204, node.call("DELETE", path(layer), "").status());
  }

  @Test
  void fewTransfersRunAtOneTime() throws Exception {
    List<RawHttp> slow = new ArrayList<>();
    CountDownLatch begun = new CountDownLatch(SnapshotApi.PLACES);
    SnapshotStore watched = (SnapshotStore) Proxy.newProxyInstance(getClass().getClassLoader(), new Class<?>[] {SnapshotStore.class}, (proxy, method, arguments) -> {
      if (method.getName().equals("importFrom")) {
        begun.countDown();
      }
      try {
        return method.invoke(store, arguments);
      } catch (InvocationTargetException e) {
        throw e.getCause();
      }
    });
    node.services.snapshots().bind(watched, Map.of("service.ranking", 1));
    try {
      for (int i = 0; i < SnapshotApi.PLACES; i++) {
        slow.add(new RawHttp(node.port()).send(post(100)).send("INSNAP"));
      }
      assertTrue(begun.await(20, TimeUnit.SECONDS));
      Answer refused = send("no archive".getBytes(StandardCharsets.US_ASCII));
      assertProblem(503, "node-busy", refused);
      assertEquals("1", refused.headers().get("retry-after"));
      assertEquals(200, node.get("/v1/snapshots").status());
    } finally {
      for (RawHttp http : slow) {
        http.close();
      }
    }
    long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
    while (send("no archive".getBytes(StandardCharsets.US_ASCII)).status() != 422) {
      assertTrue(System.nanoTime() < end, "the places are still taken");
    }
  }

  @Test
  void collectsByTheStoresPolicyOrAnother() throws Exception {
    SnapshotLayer held = publish(8192);
    SnapshotLayer free = publish(4096);
    store.hold(held.id(), "somebody");
    JsonNode usual = json(200, node.call("POST", "/v1/snapshots/gc", ""));
    assertEquals("[]", usual.get("removed").toString());
    assertEquals(Duration.ofHours(5).toSeconds(), usual.get("unusedForSeconds").longValue());
    assertEquals(1L << 30, usual.get("budgetBytes").longValue());
    assertTrue(usual.get("keptBytes").longValue() > 12288, usual::toString);
    JsonNode unused = json(200, node.call("POST", "/v1/snapshots/gc", "{\"unusedForSeconds\":0}"));
    assertEquals("[\"" + free.id() + "\"]", unused.get("removed").toString());
    assertEquals(1L << 30, unused.get("budgetBytes").longValue());
    try (SnapshotLease open = store.open(held.id(), KEY)) {
      assertEquals("[]", json(200, node.call("POST", "/v1/snapshots/gc", "{\"budgetBytes\":0}")).get("removed").toString());
    }
    JsonNode all = json(200, node.call("POST", "/v1/snapshots/gc", "{\"budgetBytes\":\"1Ki\"}"));
    assertEquals("[\"" + held.id() + "\"]", all.get("removed").toString());
    assertEquals(0, all.get("keptBytes").longValue());
    for (String wrong : List.of("{\"unusedForSeconds\":-1}", "{\"unusedForSeconds\":3153600001}", "{\"unusedForSeconds\":\"1h\"}", "{\"budgetBytes\":-1}", "{\"budget\":1}", "[]", "x")) {
      assertProblem(400, "bad-body", node.call("POST", "/v1/snapshots/gc", wrong));
    }
  }

  @Test
  void withoutAStoreTheBundleIsNamed() throws Exception {
    try (Node quick = new Node(new Settings(10, 1, 1000, 1, Duration.ofMillis(50), Duration.ofSeconds(1)), dev.instar.listener.Settings.FREE_PORT)) {
      quick.administrator(dir);
      String one = "/v1/snapshots/" + Digest.of(new byte[0]);
      for (Answer answer : List.of(quick.get("/v1/snapshots"), quick.get(one), quick.get(one + "/archive"), quick.call("POST", one + "/verify", ""), quick.call("DELETE", one, ""),
          quick.call("POST", "/v1/snapshots", "x"), quick.call("POST", "/v1/snapshots/gc", ""))) {
        assertEquals(503, answer.status(), answer::toString);
        assertEquals("not-ready", answer.code());
        assertTrue(answer.text().contains("dev.instar.snapshots"), answer::toString);
      }
    }
  }
}
