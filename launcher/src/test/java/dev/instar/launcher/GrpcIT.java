package dev.instar.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.launcher.Shell.Running;
import dev.instar.tck.capability.RequiresCapability;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** gRPC's own client, through a node, to gRPC's own server in a container. */
@RequiresCapability({"container", "network-namespace", "python3", "grpc"})
class GrpcIT {
  @TempDir
  Path home;
  private Shell shell;
  private Running node;
  private Path packages;

  @BeforeEach
  void start() throws Exception {
    packages = Path.of("").toAbsolutePath();
    while (!Files.exists(packages.resolve("cnf/host-capabilities"))) {
      packages = packages.getParent();
    }
    packages = packages.resolve("target/grpc");
    Path config = Files.createDirectory(home.resolve("config"));
    // With networks that no other node of this host has, and room for an image with an interpreter in it.
    Files.writeString(config.resolve("dev.instar.network.cfg.json"), "{\"networks\": [\"10.214.80.0/20\"], \"ready\": 2}");
    Files.writeString(config.resolve("dev.instar.gateway.cfg.json"), "{\"max-upload-bytes\": 268435456}");
    Path server = file("server.py");
    Path root = Files.createDirectory(home.resolve("root"));
    String python = run(List.of("python3", file("image.py").toString(), root.toString(), server.toString())).strip();
    shell = new Shell(home, Map.of());
    node = shell.node(home.resolve("data"), "--no-examples", "--feature", "container", "--config", config.toString());
    shell = shell.with(Map.of("INSTAR_URL", node.url().toString()));
    for (String function : List.of("me/greeter", "me/short")) {
      var result = shell.instar("deploy", function, "--image", "dir:" + root, "--label", "port=50051", "--label", "fprocess=" + python + " " + server + " 50051", "--env",
          "PYTHONPATH=" + packages, "--timeout", function.equals("me/short") ? "3s" : "60s");
      assertEquals(0, result.code(), result.err());
    }
    assertEquals(0, shell.instar("deploy", "me/streams", "--image", "dir:" + root, "--label", "fprocess=" + python + " --version").code());
  }

  @AfterEach
  void stop() throws Exception {
    try {
      if (node != null) {
        node.stop("TERM");
      }
    } finally {
      shell.close();
    }
  }

  private Path file(String name) throws Exception {
    Path file = home.resolve(name);
    try (InputStream in = GrpcIT.class.getResourceAsStream("/grpc/" + name)) {
      Files.copy(in, file);
    }
    return file;
  }

  private String run(List<String> command) throws Exception {
    ProcessBuilder builder = new ProcessBuilder(command).redirectError(home.resolve("said").toFile());
    builder.environment().put("PYTHONPATH", packages.toString());
    Process process = builder.start();
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    boolean ended = process.waitFor(60, TimeUnit.SECONDS);
    assertTrue(ended && process.exitValue() == 0, () -> command + ": " + out + read(home.resolve("said")));
    return out;
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (java.io.IOException e) {
      return e.toString();
    }
  }

  /** @param host that is asked for, instead of the metadata; empty: the metadata */
  private List<String> call(String function, String host, String... cases) throws Exception {
    List<String> command = new ArrayList<>(List.of("python3", client().toString(), node.url().getAuthority(), function, host));
    command.addAll(List.of(cases));
    return run(command).lines().toList();
  }

  private Path client() throws Exception {
    return Files.exists(home.resolve("client.py")) ? home.resolve("client.py") : file("client.py");
  }

  @Test
  void clientsOfGrpcCallFunctionsOfGrpc() throws Exception {
    // Metadata goes both ways, but for what is the node's; a credential stays at the node.
    assertEquals(List.of("echo hello begun=a b error=None bytes=b'\\x00\\xff' ended=yes id=None", "names instar-request-id,mine,user-agent", "fail NOT_FOUND: no öl, 100% [why]",
        "missing UNIMPLEMENTED: Method not found! []", "large 3000000", "count 5 0,1,2,3,4 OK", "big 100 " + "x".repeat(40) + " OK", "add 5050", "chat re one,re two,re three"),
        call("me/greeter", "", "echo", "names", "fail", "missing", "large", "count", "big", "add", "chat"));
    // One connection of the caller's, and one to the function, and no control frame too many on either.
    assertEquals(List.of("many 500"), call("me/greeter", "", "many"));
    assertEquals(List.of("echo hello begun=a b error=None bytes=b'\\x00\\xff' ended=yes id=None"), call("", "greeter.me.localhost", "echo"));
    List<String> remaining = call("me/greeter", "", "remaining");
    assertTrue(remaining.getFirst().matches("remaining (1[0-9]|20)"), remaining.getFirst());
    // Who goes away ends his call, and the next finds a function.
    assertEquals(List.of("cancel early again"), call("me/greeter", "", "cancel"));

    // What the node has to say it says as gRPC does: before anything has come, and after.
    assertEquals(List.of("error UNIMPLEMENTED: function-not-found"), call("me/none", "", "error"));
    assertEquals(List.of("error INVALID_ARGUMENT: bad-request"), call("", "", "error"));
    assertEquals(List.of("error INVALID_ARGUMENT: bad-name"), call("ME/x", "", "error"));
    assertEquals(List.of("error UNIMPLEMENTED: grpc-unsupported"), call("me/streams", "", "error"));
    assertEquals(List.of("end INTERNAL: sandbox-crashed [instar-error]", "breaks 1 one INTERNAL: sandbox-crashed [instar-error]", "count 5 0,1,2,3,4 OK"),
        call("me/greeter", "", "end", "breaks", "count"));
    assertEquals(List.of("slow DEADLINE_EXCEEDED: timed-out [instar-error]", "late 1 early DEADLINE_EXCEEDED: timed-out [instar-error]"), call("me/short", "", "slow", "late"));
    assertEquals(List.of("slow-timeout DEADLINE_EXCEEDED"), call("me/greeter", "", "slow-timeout"));

    // And a plain call is told what it has come to.
    var plain = shell.instar("invoke", "me/greeter", "--data", "x");
    assertTrue(plain.code() != 0 && plain.err().contains("'protocol'"), plain.err());
  }
}
