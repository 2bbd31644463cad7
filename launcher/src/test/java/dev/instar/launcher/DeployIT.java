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
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import java.util.jar.JarFile;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Bundles and features of a shipped node are changed while it runs, over HTTP and by the command, and come back with its next start. */
class DeployIT {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Path BUNDLES = Path.of("target/instar/bundles").toAbsolutePath();
  private static final Path ECHO = Path.of("target/instar/examples/echo/function.wasm").toAbsolutePath();

  @TempDir
  Path home;
  private final HttpClient http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  private Shell shell;
  private Running node;

  @BeforeEach
  void login() {
    shell = new Shell(home, Map.of());
  }

  @AfterEach
  void logout() {
    http.shutdownNow();
    shell.close();
  }

  private void start() throws IOException {
    node = shell.node(home.resolve("data"), "--no-examples");
    shell = shell.with(Map.of("INSTAR_URL", node.url().toString()));
  }

  /** A shipped bundle under a higher version. */
  private Path bumped(String name, String version, String... imports) throws IOException {
    Path shipped;
    try (Stream<Path> all = Files.list(BUNDLES)) {
      shipped = all.filter(j -> j.getFileName().toString().matches(name.replace(".", "\\.") + "-[0-9].*")).findFirst().orElseThrow();
    }
    Path jar = home.resolve(name + "-" + version + ".jar");
    try (JarFile in = new JarFile(shipped.toFile()); OutputStream file = Files.newOutputStream(jar)) {
      Manifest manifest = in.getManifest();
      manifest.getMainAttributes().putValue("Bundle-Version", version);
      for (String one : imports) {
        manifest.getMainAttributes().putValue("Import-Package", manifest.getMainAttributes().getValue("Import-Package") + "," + one);
      }
      try (JarOutputStream out = new JarOutputStream(file, manifest)) {
        for (var entry : in.stream().filter(e -> !e.getName().equals("META-INF/MANIFEST.MF")).toList()) {
          out.putNextEntry(new ZipEntry(entry.getName()));
          try (InputStream content = in.getInputStream(entry)) {
            content.transferTo(out);
          }
        }
      }
    }
    return jar;
  }

  private HttpResponse<byte[]> send(String method, String path, byte[] body) throws IOException, InterruptedException {
    String token = Files.readString(home.resolve("data/admin.token")).strip();
    return http.send(HttpRequest.newBuilder(URI.create(node.url() + path)).timeout(Duration.ofSeconds(60)).header("Authorization", "Bearer " + token).method(method, BodyPublishers.ofByteArray(body)).build(), HttpResponse.BodyHandlers.ofByteArray());
  }

  private JsonNode json(int status, HttpResponse<byte[]> answer) throws IOException {
    assertEquals(status, answer.statusCode(), () -> new String(answer.body(), StandardCharsets.UTF_8));
    return JSON.readTree(answer.body());
  }

  private Map<String, String> versions() throws Exception {
    Map<String, String> versions = new TreeMap<>();
    json(200, send("GET", "/v1/bundles", new byte[0])).path("bundles").forEach(b -> versions.put(b.path("name").asText(), b.path("version").asText() + " " + b.path("state").asText()));
    return versions;
  }

  private void echoes() throws Exception {
    assertEquals("hello", new String(send("POST", "/f/me/echo", "hello".getBytes(StandardCharsets.UTF_8)).body(), StandardCharsets.UTF_8));
  }

  private void refused(String code, String part, HttpResponse<byte[]> answer) throws Exception {
    Map<String, String> before = versions();
    JsonNode problem = JSON.readTree(answer.body());
    assertEquals(code, problem.path("code").asText(), problem::toString);
    assertTrue(problem.path("detail").asText().contains(part), problem::toString);
    assertEquals(before, versions());
    echoes();
  }

  @Test
  void whatIsDeployedServesAndComesBack() throws Exception {
    start();
    assertEquals(201, send("PUT", "/f/me/echo", Files.readAllBytes(ECHO)).statusCode());
    echoes();
    Map<String, String> shipped = versions();

    byte[] wasm = Files.readAllBytes(bumped("dev.instar.backend.wasm", "0.1.7"));
    refused("bundle-unresolved", "dev.instar.backend.wasm 0.1.8 needs package com.example.nowhere [2.0.0,3.0.0)",
        send("PUT", "/v1/bundles/dev.instar.backend.wasm", Files.readAllBytes(bumped("dev.instar.backend.wasm", "0.1.8", "com.example.nowhere;version=\"[2,3)\""))));
    refused("bundle-refused", "no whole jar", send("POST", "/v1/bundles", Arrays.copyOf(wasm, wasm.length / 2)));
    refused("conflict", "dev.instar.backend.wasm 0.1.0 already", send("POST", "/v1/bundles", wasm));
    refused("bundle-stays", "dev.instar.listener stays for as long as the node runs", send("POST", "/v1/bundles/dev.instar.listener/stop", new byte[0]));
    refused("bundle-stays", "dev.instar.api.core", send("DELETE", "/v1/bundles/dev.instar.api.core", new byte[0]));

    JsonNode dry = json(200, send("PUT", "/v1/bundles/dev.instar.backend.wasm?dryRun=true", wasm));
    assertEquals("[{\"action\":\"update\",\"bundle\":\"dev.instar.backend.wasm\",\"version\":\"0.1.7\",\"reason\":\"replaces 0.1.0\"}]", dry.at("/plan/steps").toString());
    assertEquals("[\"wasm\"]", dry.at("/plan/backends").toString());
    assertEquals("[\"me/echo\"]", dry.at("/plan/functions").toString());
    assertEquals(shipped, versions());

    assertEquals("done", json(200, send("PUT", "/v1/bundles/dev.instar.backend.wasm", wasm)).path("state").asText());
    echoes();
    // The part that answers is itself replaced: the command asks again until it has been.
    Result gateway = shell.instar("bundles", "update", "dev.instar.gateway", bumped("dev.instar.gateway", "0.1.7").toString());
    assertEquals(0, gateway.code(), gateway::err);
    assertTrue(gateway.out().contains("update  dev.instar.gateway  0.1.7    replaces 0.1.0"), gateway::out);
    Result feature = shell.instar("features", "apply", "process");
    assertEquals(0, feature.code(), feature::err);
    Result stopped = shell.instar("bundles", "stop", "dev.instar.snapshots");
    assertEquals(0, stopped.code(), stopped::err);
    // A file that is dropped.
    Files.copy(bumped("dev.instar.scheduler", "0.1.7"), home.resolve("data/deploy/scheduler.jar"));
    eventually("dev.instar.scheduler", "0.1.7 active");
    echoes();
    Map<String, String> changed = versions();
    assertEquals("0.1.7 active", changed.get("dev.instar.backend.wasm"));
    assertEquals("0.1.7 active", changed.get("dev.instar.gateway"));
    assertEquals("0.1.0 active", changed.get("dev.instar.backend.process"));
    assertEquals("0.1.0 resolved", changed.get("dev.instar.snapshots"));

    node.stop("TERM");
    start();
    echoes();
    assertEquals(changed.toString().replace("0.1.0 resolved", "stopped"), versions().toString().replaceAll("0\\.1\\.0 (resolved|installed)", "stopped"));
    Files.delete(home.resolve("data/deploy/scheduler.jar"));
    eventually("dev.instar.scheduler", "0.1.0 active");

    node.stop("TERM");
    try (Stream<Path> jars = Files.list(home.resolve("data/deployed/jars"))) {
      for (Path jar : jars.toList()) {
        byte[] bytes = Files.readAllBytes(jar);
        bytes[bytes.length / 2] ^= 1;
        Files.write(jar, bytes);
      }
    }
    start();
    echoes();
    shipped.put("dev.instar.snapshots", "stopped");
    assertEquals(shipped.toString(), versions().toString().replaceAll("0\\.1\\.0 (resolved|installed)", "stopped"));
    String log = Files.readString(home.resolve("data/node.log"));
    assertTrue(log.contains("The jar of dev.instar.gateway 0.1.7, which was deployed, is damaged and was set aside; 0.1.0 of the distribution runs instead."), "not in the log");

    node.stop("TERM");
    Files.writeString(home.resolve("data/deployed/deployed.json"), "{\"sha256\":\"nonsense\"}");
    start();
    echoes();
    assertEquals("0.1.0 active", versions().get("dev.instar.snapshots"));
  }

  private void eventually(String bundle, String version) throws Exception {
    long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
    while (!version.equals(versions().get(bundle))) {
      assertTrue(System.nanoTime() < end, () -> bundle + " is not " + version + "; " + node.said());
      Thread.sleep(50);
    }
  }
}
