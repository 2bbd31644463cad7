package dev.instar.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.instar.launcher.Shell.Running;
import dev.instar.tck.capability.RequiresCapability;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Containers of a node, each with a cgroup and a network of its own, started and stopped one after another, leave nothing. A build does so with a few;
 * {@code mvn verify -pl launcher -am -Dtest=ContainersInARowIT -Dinstar.containers=1000} with as many as are wanted.
 */
@RequiresCapability({"container", "cgroups"})
@Timeout(600)
class ContainersInARowIT {
  private static final int CONTAINERS = Integer.getInteger("instar.containers", 24);
  /** Connections, counters and the node's own threads come and go; a leak of one for each container is more. */
  private static final int SLACK = 10;
  private static final ObjectMapper JSON = new ObjectMapper();

  private final HttpClient http = HttpClient.newHttpClient();
  @TempDir
  Path home;
  private Shell shell;
  private Running node;

  @AfterEach
  void logout() throws Exception {
    try {
      if (node != null) {
        node.stop("TERM");
      }
    } finally {
      shell.close();
      http.close();
    }
  }

  @Test
  void nothingIsLeft() throws Exception {
    shell = new Shell(home, Map.of());
    Path config = Files.createDirectory(home.resolve("config"));
    Files.writeString(config.resolve("dev.instar.network.cfg.json"), "{\"networks\": [\"10.214.80.0/20\"], \"ready\": 4}");
    // Nothing is kept for a next call, so that each has a container of its own.
    Files.writeString(config.resolve("dev.instar.scheduler.cfg.json"), "{\"max-idle\": 0}");
    Path root = Files.createDirectories(home.resolve("root/bin")).getParent();
    Process which = new ProcessBuilder("sh", "-c", "command -v busybox").start();
    Files.copy(Path.of(new String(which.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip()), root.resolve("bin/busybox"));
    Files.createSymbolicLink(root.resolve("bin/sh"), Path.of("busybox"));
    Files.createSymbolicLink(root.resolve("bin/sleep"), Path.of("busybox"));
    // And each leaves a process that goes on.
    Files.writeString(root.resolve("leave"), "sleep 3600 >/dev/null 2>&1 & echo answered\n");
    node = shell.node(home.resolve("data"), "--no-examples", "--feature", "container", "--config", config.toString());
    Shell client = shell.with(Map.of("INSTAR_URL", node.url().toString()));
    assertEquals(0, client.instar("deploy", "me/leave", "--image", "dir:" + root, "--label", "fprocess=sh /leave").code());
    for (int i = 0; i < 3; i++) {
      call();
    }
    Map<String, Long> before = settled(Map.of());
    long networks = get("/v1/network").path("taken").asLong();
    long begin = System.nanoTime();
    for (int i = 0; i < CONTAINERS; i++) {
      call();
    }
    double seconds = (System.nanoTime() - begin) / 1e9;
    Map<String, Long> after = settled(before);
    System.out.printf("%d containers in %.1f s, %.0f ms each; before %s, after %s%n", CONTAINERS, seconds, 1000 * seconds / CONTAINERS, before, after);
    assertEquals("[\"10.214.80.0/20\"]", get("/v1/network").path("networks").toString(), "the node does not share its networks with others of this host");
    before.forEach((what, count) -> assertTrue(isNoMore(what, count, after.get(what)), () -> what + ": " + count + " before, " + after.get(what) + " after"));
    assertEquals(CONTAINERS, get("/v1/network").path("taken").asLong() - networks, "each had a network, so each was a container of its own");
  }

  private void call() throws Exception {
    HttpResponse<String> answer = http.send(HttpRequest.newBuilder(node.url().resolve("/v1/functions/me/leave/invoke")).POST(HttpRequest.BodyPublishers.noBody()).build(),
        HttpResponse.BodyHandlers.ofString());
    assertEquals("200 answered\n", answer.statusCode() + " " + answer.body());
  }

  private JsonNode get(String path) throws Exception {
    return JSON.readTree(http.send(HttpRequest.newBuilder(URI.create(node.url().resolve(path).toString())).build(), HttpResponse.BodyHandlers.ofString()).body());
  }

  private static boolean isNoMore(String what, long before, long now) {
    return now <= before + (what.equals("descriptors") || what.equals("threads") || what.equals("files") ? SLACK : 0);
  }

  /** What there is, when nothing is lent and the pools are full, and no more than before, unless that takes too long. */
  private Map<String, Long> settled(Map<String, Long> before) throws Exception {
    for (int tries = 0;; tries++) {
      Map<String, Long> now = counts();
      boolean full = now.get("cgroup leases") == 0 && now.get("network leases") == 0 && now.get("namespaces") == 0;
      if (full && before.entrySet().stream().allMatch(one -> isNoMore(one.getKey(), one.getValue(), now.get(one.getKey()))) || tries > 300) {
        return now;
      }
      Thread.sleep(100);
    }
  }

  private Map<String, Long> counts() throws Exception {
    Map<String, Long> counts = new TreeMap<>();
    JsonNode cgroups = get("/v1/cgroups");
    JsonNode network = get("/v1/network");
    String mark = "i" + network.path("mark").asText();
    counts.put("cgroup leases", (long) cgroups.path("leases").size());
    counts.put("network leases", (long) network.path("leases").size());
    // Beside those that are ready.
    long ready = network.path("ready").asLong();
    counts.put("namespaces", count(Path.of("/run/netns"), mark) - ready);
    counts.put("interfaces", count(Path.of("/sys/class/net"), mark) - ready);
    counts.put("processes", node.process().descendants().count());
    counts.put("mounts", Files.readAllLines(Path.of("/proc", Long.toString(node.process().pid()), "mounts")).stream()
        .filter(line -> line.contains(mark) || line.contains(home.toString())).count() - ready);
    counts.put("cgroups", cgroups(cgroups.path("parent").asText()));
    Resources held = Resources.of(node.process().pid());
    counts.put("descriptors", held.descriptors());
    counts.put("threads", held.threads());
    counts.put("files", files(home.resolve("data")));
    return counts;
  }

  private static long count(Path directory, String prefix) throws IOException {
    try (Stream<Path> all = Files.list(directory)) {
      return all.filter(file -> file.getFileName().toString().startsWith(prefix)).count();
    }
  }

  private static long cgroups(String parents) throws IOException {
    long count = 0;
    for (String parent : parents.split(", ")) {
      count += files(parent.startsWith("/sys/") ? Path.of(parent) : Path.of("/sys/fs/cgroup" + parent));
    }
    return count;
  }

  private static long files(Path directory) throws IOException {
    long[] count = {0};
    Files.walkFileTree(directory, new SimpleFileVisitor<>() {
      @Override
      public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
        count[0]++;
        return FileVisitResult.CONTINUE;
      }

      @Override
      public FileVisitResult preVisitDirectory(Path one, BasicFileAttributes attributes) {
        count[0]++;
        return FileVisitResult.CONTINUE;
      }

      @Override
      public FileVisitResult visitFileFailed(Path file, IOException e) {
        // Gone meanwhile.
        return FileVisitResult.CONTINUE;
      }

      @Override
      public FileVisitResult postVisitDirectory(Path one, IOException e) {
        return FileVisitResult.CONTINUE;
      }
    });
    return count[0];
  }
}
