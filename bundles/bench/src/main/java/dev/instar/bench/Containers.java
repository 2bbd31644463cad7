package dev.instar.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.instar.bench.Wire.Answer;
import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** Functions in containers: one that is called all the time ({@link Example#SUMS}), and one that takes its time. */
final class Containers {
  static final String SLOW = "/v1/functions/bench/slow/invoke";
  private static final String SUMS = "/v1/functions/demo/sums";
  private static final ObjectMapper JSON = new ObjectMapper();

  private Containers() {}

  /** A root file system with the host's busybox and nothing else. */
  static Path root(Path directory) throws IOException, Failure {
    Path busybox = Stream.of(System.getenv().getOrDefault("PATH", "").split(Pattern.quote(File.pathSeparator))).map(place -> Path.of(place, "busybox")).filter(Files::isExecutable)
        .findFirst().orElseThrow(() -> new Failure("--containers takes busybox, which is not on the PATH: apt-get install busybox-static."));
    Path root = Files.createDirectory(directory.resolve("root"));
    Path bin = Files.createDirectory(root.resolve("bin"));
    Files.copy(busybox, bin.resolve("busybox"));
    for (String name : List.of("sh", "sleep", "sha256sum")) {
      Files.createSymbolicLink(bin.resolve(name), Path.of("busybox"));
    }
    Path slow = root.resolve("slow");
    Files.writeString(slow, "#!/bin/sh\nsleep $1\nexec sha256sum\n");
    Files.setPosixFilePermissions(slow, PosixFilePermissions.fromString("rwxr-xr-x"));
    return root;
  }

  static void deploy(Path home, SwappedNode node, Path root, int slowMillis) throws IOException, InterruptedException, Failure {
    deploy(home, node, root, "demo/sums", "sha256sum");
    deploy(home, node, root, "bench/slow", "/slow " + slowMillis / 1000.0);
  }

  private static void deploy(Path home, SwappedNode node, Path root, String function, String program) throws IOException, InterruptedException, Failure {
    List<String> command = new ArrayList<>(List.of(home.resolve("bin/instar").toString(), "deploy", function, "--image", "dir:" + root, "--label", "fprocess=" + program));
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().put("INSTAR_URL", node.url().toString());
    Process deploy = builder.start();
    deploy.getOutputStream().close();
    String said = new String(deploy.getInputStream().readAllBytes());
    if (deploy.waitFor() != 0) {
      throw new Failure("'instar deploy " + function + "' failed: " + said.strip());
    }
  }

  /** Publishes the function that is called all the time as one more version. */
  static void again(URI node) throws IOException, Failure {
    try (Wire wire = new Wire(node)) {
      JsonNode function = JSON.readTree(checked(wire.exchange("GET", SUMS, new byte[0])).body());
      JsonNode active = null;
      for (JsonNode version : function.path("versions")) {
        active = version.path("number").asInt() == function.path("active").asInt() ? version : active;
      }
      if (active == null) {
        throw new Failure("GET " + SUMS + " tells of no active version: " + function);
      }
      ObjectNode next = JSON.createObjectNode();
      next.set("variants", active.path("variants"));
      next.set("labels", active.path("labels"));
      checked(wire.exchange("POST", SUMS + "/versions", JSON.writeValueAsBytes(next)));
    }
  }

  private static Answer checked(Answer answer) throws Failure {
    if (answer.status() / 100 != 2) {
      throw new Failure("A request for " + SUMS + " was answered with " + answer.shown());
    }
    return answer;
  }
}
