package dev.instar.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A node whose process may have few descriptors, half of them for the files of functions. */
@Timeout(180)
class FewDescriptorsIT {
  private static final int DESCRIPTORS = 640;
  private static final int OF_GUESTS = DESCRIPTORS / 2;
  private static final int FILES = OF_GUESTS + 20;
  private static final int NFILE = 41;
  private static final ObjectMapper JSON = new ObjectMapper();

  /**
   * Reads a byte of each file of its image and leaves them open. Then it does what its input says: {@code e}: answers with the count and the
   * errno that ended that, in two bytes each; {@code s}: says in its log that it sleeps, and sleeps for long; {@code x}: exits with a status when it
   * was refused a file.
   */
  private static final String READER = """
      (module
        (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 100) "f000")
        (data (i32.const 110) "asleep\\0a")
        (func $one (result i32) (local $e i32)
          (if (local.tee $e (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 4) (i32.const 0) (i64.const 2) (i64.const 0)
              (i32.const 0) (i32.const 16))) (then (return (local.get $e))))
          (i32.store (i32.const 0) (i32.const 1001))
          (i32.store (i32.const 4) (i32.const 1))
          (call $read (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 8)))
        (func $digit (param $at i32) (param $of i32)
          (i32.store8 (local.get $at) (i32.add (i32.const 48) (i32.rem_u (local.get $of) (i32.const 10)))))
        (func (export "_start") (local $n i32) (local $e i32)
          (i32.store (i32.const 0) (i32.const 1000))
          (i32.store (i32.const 4) (i32.const 1))
          (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
          (block $done (loop $l
            (br_if $done (i32.eq (local.get $n) (i32.const %d)))
            (call $digit (i32.const 101) (i32.div_u (local.get $n) (i32.const 100)))
            (call $digit (i32.const 102) (i32.div_u (local.get $n) (i32.const 10)))
            (call $digit (i32.const 103) (local.get $n))
            (br_if $done (local.tee $e (call $one)))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br $l)))
          (if (i32.eq (i32.load8_u (i32.const 1000)) (i32.const 115)) (then
            (i32.store (i32.const 0) (i32.const 110))
            (i32.store (i32.const 4) (i32.const 7))
            (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
            (i32.store (i32.const 216) (i32.const 1))
            (i64.store (i32.const 224) (i64.const 60000000000))
            (drop (call $poll (i32.const 200) (i32.const 300) (i32.const 1) (i32.const 16)))))
          (if (i32.and (i32.eq (i32.load8_u (i32.const 1000)) (i32.const 120)) (i32.ne (local.get $e) (i32.const 0))) (then
            (call $exit (i32.const 1))))
          (i32.store16 (i32.const 1100) (local.get $n))
          (i32.store16 (i32.const 1102) (local.get $e))
          (i32.store (i32.const 0) (i32.const 1100))
          (i32.store (i32.const 4) (i32.const 4))
          (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
      """;

  @TempDir
  Path directory;
  private Shell.Running node;
  private HttpClient http;

  @Test
  void aFunctionThatOpensAllItCanIsRefusedFilesAndTheOthersAndTheNodeGoOn() throws Exception {
    try (Shell shell = new Shell(directory, Map.of()); HttpClient client = HttpClient.newHttpClient()) {
      http = client;
      node = shell.node(DESCRIPTORS, directory.resolve("data"), "--no-examples");
      assertTrue(Files.readString(Path.of("/proc", Long.toString(node.process().pid()), "limits")).lines()
          .anyMatch(line -> line.matches("Max open files +" + DESCRIPTORS + " +" + DESCRIPTORS + " +files *")), "the node has another limit");
      publish("greedy", FILES);
      publish("modest", 3);
      publish("fileless", 0);

      assertAnswer(OF_GUESTS, NFILE, call("greedy", "e"));
      // Its files were given back with it.
      assertAnswer(3, 0, call("modest", "e"));
      assertAnswer(OF_GUESTS, NFILE, call("greedy", "e"));

      CompletableFuture<HttpResponse<byte[]>> holding = http.sendAsync(request("POST", "/f/few/greedy", "s".getBytes(StandardCharsets.UTF_8)),
          HttpResponse.BodyHandlers.ofByteArray());
      while (!new String(send("GET", "/v1/functions/few/greedy/logs", new byte[0]).body(), StandardCharsets.UTF_8).contains("asleep")) {
        assertFalse(holding.isDone(), "it did not hold its files");
        Thread.sleep(20);
      }
      HttpResponse<byte[]> refused = call("modest", "x");
      assertEquals(503, refused.statusCode());
      assertEquals("node-busy", JSON.readTree(refused.body()).path("code").textValue());
      assertAnswer(0, NFILE, call("modest", "e"));
      assertAnswer(0, 0, call("fileless", "e"));
      // An upload, and a preparation in a compiling process of its own, take descriptors of the node.
      publish("late", 0);
      assertAnswer(0, 0, call("late", "e"));
      assertFalse(holding.isDone(), "it held its files");

      assertEquals(204, send("DELETE", "/v1/functions/few/late", new byte[0]).statusCode());
      holding.cancel(true);
    }
  }

  private static void assertAnswer(int count, int errno, HttpResponse<byte[]> answer) {
    assertEquals(200, answer.statusCode(), () -> new String(answer.body(), StandardCharsets.UTF_8));
    byte[] bytes = answer.body();
    assertEquals(4, bytes.length);
    ByteBuffer told = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    assertEquals(count + " files, errno " + errno, told.getShort() + " files, errno " + told.getShort());
  }

  private HttpResponse<byte[]> call(String name, String input) throws IOException, InterruptedException {
    return send("POST", "/f/few/" + name, input.getBytes(StandardCharsets.UTF_8));
  }

  private HttpResponse<byte[]> send(String method, String path, byte[] body) throws IOException, InterruptedException {
    return http.send(request(method, path, body), HttpResponse.BodyHandlers.ofByteArray());
  }

  private HttpRequest request(String method, String path, byte[] body) {
    return HttpRequest.newBuilder(node.url().resolve(path)).method(method, HttpRequest.BodyPublishers.ofByteArray(body)).build();
  }

  private void publish(String name, int files) throws IOException, InterruptedException {
    Path source = Files.writeString(directory.resolve(name + ".wat"), READER.formatted(files));
    Path module = directory.resolve(name + ".wasm");
    Process translator = new ProcessBuilder("wat2wasm", source.toString(), "-o", module.toString()).redirectErrorStream(true).start();
    String said = new String(translator.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, translator.waitFor(), said);
    ByteArrayOutputStream packed = new ByteArrayOutputStream();
    try (GZIPOutputStream gzip = new GZIPOutputStream(packed)) {
      HostileNodeIT.entry(gzip, "function.wasm", Files.readAllBytes(module));
      for (int i = 0; i < files; i++) {
        HostileNodeIT.entry(gzip, "rootfs/f" + String.format("%03d", i), new byte[] {1});
      }
      gzip.write(new byte[1024]);
    }
    HttpResponse<byte[]> image = send("POST", "/v1/images", packed.toByteArray());
    assertEquals(2, image.statusCode() / 100, () -> new String(image.body(), StandardCharsets.UTF_8));
    String digest = JSON.readTree(image.body()).get("digest").textValue();
    HttpResponse<byte[]> version = send("POST", "/v1/functions/few/" + name + "/versions",
        ("{\"variants\":[{\"digest\":\"" + digest + "\"}],\"limits\":{\"openFiles\":1024,\"timeout\":\"90s\"}}").getBytes(StandardCharsets.UTF_8));
    assertEquals(201, version.statusCode(), () -> new String(version.body(), StandardCharsets.UTF_8));
  }
}
