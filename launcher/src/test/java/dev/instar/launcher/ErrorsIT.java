package dev.instar.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.Socket;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;

/** What goes wrong on a whole node, as a caller over HTTP sees it: a problem document with the right status and stable code, and never the node's own stack. */
@Timeout(120)
class ErrorsIT {
  @RegisterExtension
  static final PaxNode NODE = new PaxNode();

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final HttpClient HTTP = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

  private static byte[] hex(String digits) {
    return HexFormat.of().parseHex(digits);
  }

  /** {@code (module (memory (export "memory") 1) (func (export "_start") unreachable))} */
  private static final byte[] TRAP = hex("0061736d01000000010401600000030201000503010001071302066d656d6f72790200065f737461727400000a05010300000b");
  /** … {@code (func (export "_start") (loop (br 0)))} */
  private static final byte[] SPIN = hex("0061736d01000000010401600000030201000503010001071302066d656d6f72790200065f737461727400000a0901070003400c000b0b");
  /** … {@code (func (export "_start") (drop (i32.load (i32.const -4))))} */
  private static final byte[] BOUNDS =
      hex("0061736d01000000010401600000030201000503010001071302066d656d6f72790200065f737461727400000a0a010800417c2802001a0b");
  /** … {@code (func (export "_start") (call 0))} */
  private static final byte[] RECURSE = hex("0061736d01000000010401600000030201000503010001071302066d656d6f72790200065f737461727400000a0601040010000b");
  /** … {@code (import "env" "nope" (func))} */
  private static final byte[] IMPORT =
      hex("0061736d01000000010401600000020c0103656e76046e6f70650000030201000503010001071302066d656d6f72790200065f737461727400010a0601040010000b");
  /** … {@code (func (export "other"))} */
  private static final byte[] NO_ENTRY = hex("0061736d01000000010401600000030201000503010001071202066d656d6f72790200056f7468657200000a040102000b");
  /** … {@code (func (export "exec") (param i32) (result i32) (i32.store offset=16 (local.get 0) (i32.const 1)) (i32.const 0))}: a chainCount of 1 */
  private static final byte[] CHAIN =
      hex("0061736d0100000001060160017f017f030201000503010001071102066d656d6f72790200046578656300000a0d010b002000410136021041000b");

  @AfterAll
  static void close() {
    HTTP.close();
  }

  private static HttpResponse<byte[]> send(String method, String path, byte[] body) throws IOException, InterruptedException {
    return HTTP.send(HttpRequest.newBuilder(NODE.url().resolve(path)).method(method, HttpRequest.BodyPublishers.ofByteArray(body)).build(),
        HttpResponse.BodyHandlers.ofByteArray());
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  /** The problem document, after what every one of them has was checked. */
  private static JsonNode problem(int status, String code, HttpResponse<byte[]> answer) throws IOException {
    String text = new String(answer.body(), StandardCharsets.UTF_8);
    assertEquals(status, answer.statusCode(), text);
    assertEquals("application/problem+json", answer.headers().firstValue("Content-Type").orElseThrow());
    JsonNode problem = JSON.readTree(answer.body());
    assertEquals(code, problem.path("code").textValue(), text);
    assertEquals("urn:instar:error:" + code, problem.path("type").textValue());
    assertEquals(status, problem.path("status").intValue());
    assertFalse(problem.path("detail").asText().isBlank(), text);
    assertFalse(text.contains("Exception") || text.contains("dev.instar.") || text.contains("java.") || text.contains("\tat "), text);
    return problem;
  }

  private static void upload(String name, byte[] module) throws IOException, InterruptedException {
    HttpResponse<byte[]> answer = send("PUT", "/f/errors/" + name, module);
    assertTrue(answer.statusCode() == 201 || answer.statusCode() == 200, () -> new String(answer.body(), StandardCharsets.UTF_8));
  }

  private static String publish(String name, String limits) throws IOException, InterruptedException {
    String digest = JSON.readTree(send("POST", "/v1/images", Files.readAllBytes(Path.of("../examples/echo-command/function.wasm"))).body()).get("digest").textValue();
    HttpResponse<byte[]> answer = send("POST", "/v1/functions/errors/" + name + "/versions", utf8("{\"variants\":[{\"digest\":\"" + digest + "\"}],\"limits\":" + limits + "}"));
    assertEquals(201, answer.statusCode(), new String(answer.body(), StandardCharsets.UTF_8));
    return digest;
  }

  @Test
  void aBadNameIs400AndNothingIsStored() throws Exception {
    for (String path : List.of("/f/Demo/x", "/f/demo/a..b", "/f/demo/-x", "/f/demo/%C3%A4", "/f/demo/" + "x".repeat(64))) {
      problem(400, "bad-name", send("PUT", path, TRAP));
      problem(400, "bad-name", send("POST", path, new byte[0]));
    }
    problem(400, "bad-request", send("PUT", "/f/demo/a%2fb", TRAP));
    assertTrue(JSON.readTree(send("GET", "/v1/functions?user=demo", new byte[0]).body()).get("functions").isEmpty());
  }

  @Test
  void aBadBodyIs400AndSaysWhere() throws Exception {
    JsonNode problem = problem(400, "bad-body", send("POST", "/v1/functions/errors/x/versions", utf8("{\"variants\": [,]}")));
    assertTrue(problem.get("detail").textValue().contains("line 1"), problem.toString());
    JsonNode unknown = problem(400, "bad-body", send("POST", "/v1/functions/errors/x/versions", utf8("{\"varriants\": []}")));
    assertTrue(unknown.get("detail").textValue().contains("varriants"), unknown.toString());
  }

  @Test
  void whatIsUnknownIs404() throws Exception {
    problem(404, "function-not-found", send("POST", "/f/errors/nobody", new byte[0]));
    problem(404, "function-not-found", send("GET", "/f/errors/nobody/", new byte[0]));
    problem(404, "function-not-found", send("DELETE", "/v1/functions/errors/nobody", new byte[0]));
    problem(404, "route-not-found", send("GET", "/nowhere", new byte[0]));
    problem(404, "image-not-found", send("GET", "/v1/images/sha256:" + "0".repeat(64), new byte[0]));
    upload("known", TRAP);
    problem(404, "version-not-found", send("POST", "/v1/functions/errors/known/invoke?version=7", new byte[0]));
  }

  @Test
  void anotherMethodIs405WithAllow() throws Exception {
    HttpResponse<byte[]> answer = send("PATCH", "/f/errors/x", new byte[0]);
    problem(405, "method-not-allowed", answer);
    assertEquals(List.of("GET", "HEAD", "OPTIONS", "POST", "PUT"), Arrays.stream(answer.headers().firstValue("Allow").orElseThrow().split(", ")).sorted().toList());
  }

  @Test
  void anUploadOverTheLimitIs413BeforeItIsSent() throws Exception {
    try (Socket socket = new Socket(NODE.url().getHost(), NODE.url().getPort())) {
      socket.getOutputStream().write(utf8("PUT /f/errors/huge HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1099511627776\r\nConnection: close\r\n\r\n"));
      String answer = new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      assertTrue(answer.startsWith("HTTP/1.1 413 "), answer);
      assertTrue(answer.contains("\"too-large\"") && answer.contains("\"limitBytes\":67108864"), answer);
    }
  }

  @Test
  void aCallOverTheFunctionsOwnInputLimitIs413() throws Exception {
    publish("small-input", "{\"input\": 10}");
    assertEquals(200, send("POST", "/f/errors/small-input", new byte[10]).statusCode());
    assertEquals(10, problem(413, "too-large", send("POST", "/f/errors/small-input", new byte[11])).get("limitBytes").longValue());
  }

  @Test
  void aModuleThatIsRefusedIs422AndSaysWhy() throws Exception {
    assertTrue(problem(422, "module-refused", send("PUT", "/f/errors/x", IMPORT)).get("detail").textValue().contains("nope"));
    assertTrue(problem(422, "module-refused", send("PUT", "/f/errors/x", NO_ENTRY)).get("detail").textValue().contains("_start"));
    assertTrue(problem(422, "module-refused", send("PUT", "/f/errors/x", Arrays.copyOf(TRAP, TRAP.length - 2))).get("detail").textValue().contains("section"));
    problem(422, "unsupported-artifact", send("PUT", "/f/errors/x", utf8("hello")));
    problem(400, "bad-body", send("PUT", "/f/errors/x", new byte[0]));
    problem(404, "function-not-found", send("POST", "/f/errors/x", new byte[0]));
  }

  @Test
  void anArchiveThatEscapesIs422AndNamesTheEntry() throws Exception {
    assertTrue(problem(422, "archive-refused", send("PUT", "/f/errors/x", tgz("../escape"))).get("detail").textValue().contains("../escape"));
  }

  /** A gzip'd ustar archive with one empty file of that name (POSIX.1-1988 header). */
  private static byte[] tgz(String name) throws IOException {
    byte[] header = new byte[512];
    put(header, 0, name);
    put(header, 100, "0000644\0" + "0000000\0" + "0000000\0" + "00000000000\0" + "00000000000\0" + "        " + "0");
    put(header, 257, "ustar\00000");
    int sum = 0;
    for (byte b : header) {
      sum += b & 0xff;
    }
    put(header, 148, String.format("%06o\0 ", sum));
    ByteArrayOutputStream packed = new ByteArrayOutputStream();
    try (GZIPOutputStream gzip = new GZIPOutputStream(packed)) {
      gzip.write(header);
      gzip.write(new byte[1024]);
    }
    return packed.toByteArray();
  }

  private static void put(byte[] header, int at, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
    System.arraycopy(bytes, 0, header, at, bytes.length);
  }

  @Test
  void aTrapIs502InTheSpecificationsWords() throws Exception {
    upload("trap", TRAP);
    assertTrue(problem(502, "function-trapped", send("POST", "/f/errors/trap", new byte[0])).get("detail").textValue().contains("unreachable"));
    upload("bounds", BOUNDS);
    assertTrue(problem(502, "function-trapped", send("POST", "/f/errors/bounds", new byte[0])).get("detail").textValue().contains("out of bounds memory access"));
    upload("recurse", RECURSE);
    assertTrue(problem(502, "stack-overflow", send("POST", "/f/errors/recurse", new byte[0])).get("detail").textValue().contains("call stack exhausted"));
  }

  @Test
  void chainingFailsLoudly() throws Exception {
    upload("chain", CHAIN);
    problem(502, "chaining-unavailable", send("POST", "/f/errors/chain", new byte[0]));
  }

  @Test
  void limitsAreDescribedAsTheyWereGivenAndCheckedForTheirRange() throws Exception {
    publish("limited", "{\"tables\": 50, \"stack\": \"2Mi\", \"runTime\": \"2s\", \"openFiles\": 9, \"fileBytes\": \"1Mi\", \"madeFiles\": 7}");
    JsonNode described = JSON.readTree(send("GET", "/v1/functions/errors/limited", new byte[0]).body());
    JsonNode limits = described.get("versions").get(0).get("limits");
    assertEquals(50, limits.get("tables").intValue());
    assertEquals(2000, limits.get("runTime").longValue());
    assertEquals(30_000, limits.get("timeout").longValue());
    JsonNode runs = described.get("runs");
    assertEquals(Long.toString(2 << 20), runs.get("stackBytes").textValue(), runs.toString());
    assertEquals("7", runs.get("madeFiles").textValue());
    assertTrue(runs.get("limitsHonoured").textValue().endsWith("stack, memory, tables, openFiles, fileBytes, madeFiles"), runs.toString());
    for (String bad : List.of("\"openFiles\": 3", "\"stack\": 5", "\"tables\": -1", "\"runTime\": \"25h\"")) {
      problem(400, "bad-request", send("POST", "/v1/functions/errors/limited/versions",
          utf8("{\"variants\":[" + described.get("versions").get(0).get("variants").get(0) + "],\"limits\":{" + bad + "}}")));
    }
  }

  @Test
  void anAnswerOverTheLimitIs502() throws Exception {
    publish("small-output", "{\"output\": 10}");
    assertEquals(200, send("POST", "/f/errors/small-output", new byte[10]).statusCode());
    assertEquals(10, problem(502, "output-too-large", send("POST", "/f/errors/small-output", new byte[11])).get("limitBytes").longValue());
  }

  @Test
  void aCallOverItsTimeIs504() throws Exception {
    upload("spin", SPIN);
    problem(504, "timed-out", send("POST", "/v1/functions/errors/spin/invoke?timeout=200ms", new byte[0]));
    assertEquals(200, send("GET", "/readyz", new byte[0]).statusCode());
  }

  @Test
  void aFunctionWhoseBackendIsNotHereIs503() throws Exception {
    String digest = publish("any", "{}");
    HttpResponse<byte[]> answer = send("POST", "/v1/functions/errors/elsewhere/versions", utf8("{\"variants\":[{\"digest\":\"" + digest + "\",\"backend\":\"moon\"}]}"));
    assertTrue(problem(503, "backend-unavailable", answer).get("detail").textValue().contains("moon"));
    assertTrue(answer.headers().firstValue("Retry-After").isEmpty(), "A backend that has never been here will not come by waiting.");
  }

  @Test
  void aFunctionAtItsLimitIs429AndTheOthersGoOn() throws Exception {
    Path config = NODE.config().resolve("dev.instar.scheduler.cfg.json");
    String before = Files.readString(config);
    Files.writeString(config, "{\"queue-per-function\": 1}");
    try {
      String digest = JSON.readTree(send("POST", "/v1/images", SPIN).body()).get("digest").textValue();
      String spec = "{\"variants\":[{\"digest\":\"" + digest + "\"}],\"limits\":{\"concurrency\":1,\"timeout\":\"3s\"}}";
      assertEquals(201, send("POST", "/v1/functions/errors/busy/versions", utf8(spec)).statusCode());
      publish("neighbour", "{}");
      HttpResponse<byte[]> full = null;
      // The file is read within its polling interval; until then calls queue and time out.
      for (int round = 0; full == null && round < 10; round++) {
        List<CompletableFuture<HttpResponse<byte[]>>> calls = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
          calls.add(HTTP.sendAsync(HttpRequest.newBuilder(NODE.url().resolve("/f/errors/busy")).POST(HttpRequest.BodyPublishers.noBody()).build(),
              HttpResponse.BodyHandlers.ofByteArray()));
        }
        assertEquals("hi", new String(send("POST", "/f/errors/neighbour", utf8("hi")).body(), StandardCharsets.UTF_8));
        for (var call : calls) {
          HttpResponse<byte[]> answer = call.get(60, TimeUnit.SECONDS);
          if (answer.statusCode() == 429) {
            full = answer;
          } else {
            problem(504, "timed-out", answer);
          }
        }
      }
      problem(429, "function-busy", full);
      assertTrue(full.headers().firstValue("Retry-After").isPresent());
    } finally {
      Files.writeString(config, before);
    }
  }
}
