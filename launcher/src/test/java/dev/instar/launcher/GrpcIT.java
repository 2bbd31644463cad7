package dev.instar.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.launcher.Shell.Running;
import dev.instar.tck.capability.RequiresCapability;
import dev.instar.tck.http.Identity;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** gRPC's own client, through a node, to gRPC's own server in a container. */
@RequiresCapability({"container", "network-namespace", "python3", "grpc"})
class GrpcIT {
  /** With the image and the programs. */
  @TempDir
  static Path files;
  private static Path packages;
  private static String python;
  @TempDir
  Path home;
  private Shell shell;
  private Running node;
  private final Map<String, String> variables = new HashMap<>();

  @BeforeAll
  static void makeTheImage() throws Exception {
    packages = Path.of("").toAbsolutePath();
    while (!Files.exists(packages.resolve("cnf/host-capabilities"))) {
      packages = packages.getParent();
    }
    packages = packages.resolve("target/grpc");
    for (String name : List.of("server.py", "image.py", "client.py")) {
      try (InputStream in = GrpcIT.class.getResourceAsStream("/grpc/" + name)) {
        Files.copy(in, files.resolve(name));
      }
    }
    python = run(Map.of(), List.of("python3", file("image.py"), Files.createDirectory(files.resolve("root")).toString(), file("server.py"))).strip();
  }

  private static String file(String name) {
    return files.resolve(name).toString();
  }

  private void start(String gateway, String listener, Map<String, String> environment) throws Exception {
    Path config = Files.createDirectory(home.resolve("config"));
    // With networks that no other node of this host has, and room for an image with an interpreter in it.
    Files.writeString(config.resolve("dev.instar.network.cfg.json"), "{\"networks\": [\"10.214.80.0/24\"], \"ready\": 2}");
    Files.writeString(config.resolve("dev.instar.gateway.cfg.json"), "{\"max-upload-bytes\": 268435456" + gateway + "}");
    Files.writeString(config.resolve("dev.instar.listener.cfg.json"), "{" + listener + "}");
    shell = new Shell(home, Map.of());
    node = shell.node(home.resolve("data"), "--no-examples", "--feature", "container", "--config", config.toString());
    Map<String, String> all = new HashMap<>(environment);
    all.put("INSTAR_URL", node.url().toString());
    shell = shell.with(all);
  }

  private void deploy(String function, String... more) throws Exception {
    List<String> command = new ArrayList<>(List.of("deploy", function, "--image", "dir:" + file("root"), "--env", "PYTHONPATH=" + packages));
    command.addAll(List.of(more));
    var result = shell.instar(command.toArray(String[]::new));
    assertEquals(0, result.code(), result.err());
  }

  private static String server() {
    return "fprocess=" + python + " " + file("server.py") + " 50051";
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

  private static String run(Map<String, String> variables, List<String> command) throws Exception {
    Path said = files.resolve("said");
    ProcessBuilder builder = new ProcessBuilder(command).redirectError(said.toFile());
    builder.environment().put("PYTHONPATH", packages.toString());
    builder.environment().putAll(variables);
    Process process = builder.start();
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    boolean ended = process.waitFor(60, TimeUnit.SECONDS);
    String words = Files.readString(said);
    assertTrue(ended && process.exitValue() == 0, () -> command + ": " + out + words);
    return out;
  }

  /** @param host that is asked for, instead of the metadata; empty: the metadata */
  private List<String> call(String function, String host, String... cases) throws Exception {
    List<String> command = new ArrayList<>(List.of("python3", file("client.py"), node.url().getAuthority(), function, host));
    command.addAll(List.of(cases));
    return run(variables, command).lines().toList();
  }

  @Test
  void clientsOfGrpcCallFunctionsOfGrpc() throws Exception {
    start("", "", Map.of());
    deploy("me/greeter", "--label", "port=50051", "--label", server());
    deploy("me/short", "--label", "port=50051", "--label", server(), "--label", "protocol=h2c", "--timeout", "3s");
    deploy("me/streams", "--label", "fprocess=" + python + " --version");
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

    // A plain call over HTTP/2 is one of no method, and over HTTP/1.1 is told what it has come to.
    assertEquals(0, shell.instar("invoke", "me/short", "--data", "x").code());
    var plain = shell.instar("invoke", "me/greeter", "--data", "x");
    assertTrue(plain.code() != 0 && plain.err().contains("'protocol'"), plain.err());
  }

  @Test
  void overTlsWithATokenOfTheNodes() throws Exception {
    Identity identity = Identity.make(home, "node", "dns:localhost,ip:127.0.0.1");
    start(", \"access\": \"required\"", "\"tls-certificate\": \"" + identity.certificate() + "\", \"tls-key\": \"" + identity.key() + "\"", Map.of("INSTAR_CA", identity.certificate().toString()));
    deploy("me/greeter", "--label", "port=50051", "--label", server());
    variables.put("GRPC_CA", identity.certificate().toString());
    assertEquals(List.of("error UNAUTHENTICATED: unauthenticated"), call("me/greeter", "", "error"));
    variables.put("GRPC_TOKEN", Files.readString(home.resolve("data/admin.token")).strip());
    assertEquals(List.of("echo hello begun=a b error=None bytes=b'\\x00\\xff' ended=yes id=None", "names instar-request-id,mine,user-agent", "chat re one,re two,re three"),
        call("me/greeter", "", "echo", "names", "chat"));
  }
}
