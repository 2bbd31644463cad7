package dev.instar.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.launcher.Shell.Result;
import dev.instar.launcher.Shell.Running;
import dev.instar.tck.capability.RequiresCapability;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Container images from disk, deployed by the command to a node with the feature {@code container}. */
@RequiresCapability({"container", "cgroups"})
class ContainerIT {
  @TempDir
  Path home;
  private Shell shell;
  private Running node;

  /** By itself: a node that is killed leaves networks, which only the next one on its data directory takes away. */
  @AfterEach
  void logout() throws Exception {
    try {
      if (node != null) {
        node.stop("TERM");
      }
    } finally {
      shell.close();
    }
  }

  /** With networks that no other node of this host has. */
  private Path config() throws Exception {
    Path config = Files.createDirectory(home.resolve("config"));
    Files.writeString(config.resolve("dev.instar.network.cfg.json"), "{\"networks\": \"10.214.64.0/20\", \"ready\": 4}");
    return config;
  }

  private Path root() throws Exception {
    Path root = Files.createDirectory(home.resolve("root"));
    Process which = new ProcessBuilder("sh", "-c", "command -v busybox").start();
    Path busybox = Path.of(new String(which.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip());
    Files.createDirectory(root.resolve("bin"));
    Files.copy(busybox, root.resolve("bin/busybox"));
    Files.createLink(root.resolve("bin/wc"), root.resolve("bin/busybox"));
    for (String name : List.of("sh", "cat", "nc", "head", "sleep")) {
      Files.createSymbolicLink(root.resolve("bin").resolve(name), Path.of("busybox"));
    }
    Path deep = Files.createDirectories(root.resolve("a".repeat(120)).resolve("b"));
    Files.writeString(deep.resolve("ö"), "deep");
    Files.writeString(root.resolve("grow"), "s=x; while :; do s=$s$s; done\n");
    Files.writeString(root.resolve("bomb"), "b() { b | b & }; b; sleep 2; exit 1\n");
    Path server = root.resolve("serve");
    Files.writeString(server, """
        #!/bin/sh
        cat >/tmp/answer <<'END'
        #!/bin/sh
        while read -r line; do line=${line%?}; [ -z "$line" ] && break; done
        printf 'HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: 6\\r\\n\\r\\nserved'
        END
        exec nc -ll -p 8080 -e /bin/sh /tmp/answer
        """);
    Files.setPosixFilePermissions(server, PosixFilePermissions.fromString("rwxr-xr-x"));
    return root;
  }

  private Result ok(String... command) throws Exception {
    Result result = shell.instar(command);
    assertEquals(0, result.code(), result.err() + result.out());
    return result;
  }

  @Test
  void anImageOfADirectoryAnswersCalls() throws Exception {
    shell = new Shell(home, Map.of());
    Path root = root();
    node = shell.node(home.resolve("data"), "--no-examples", "--feature", "container", "--config", config().toString());
    shell = shell.with(Map.of("INSTAR_URL", node.url().toString()));
    ok("deploy", "me/count", "--image", "dir:" + root, "--label", "fprocess=wc -c");
    assertEquals("5", ok("invoke", "me/count", "--data", "12345").out().strip());
    ok("deploy", "me/deep", "--image", "dir:" + root, "--label", "fprocess=cat /" + "a".repeat(120) + "/b/ö");
    assertEquals("deep", ok("invoke", "me/deep").out().strip());
    ok("deploy", "me/served", "--image", "dir:" + root, "--label", "port=8080", "--label", "fprocess=/serve");
    assertEquals("served", ok("invoke", "me/served", "--data", "x").out().strip());
    assertEquals("served", ok("invoke", "me/served").out().strip());
    Result missing = shell.instar("deploy", "me/bad", "--image", "dir:" + root, "--label", "fprocess=/no/such/program");
    assertTrue(missing.code() != 0 && missing.err().contains("/no/such/program"), missing.err());
    Result unknown = shell.instar("deploy", "me/bad", "--image", "registry:" + root);
    assertTrue(unknown.code() == 2 && unknown.err().contains("oci:DIR"), unknown.err());
    // What holds all processes of a container together is a cgroup.
    ok("deploy", "me/grow", "--image", "dir:" + root, "--label", "fprocess=sh /grow", "--memory", "48Mi");
    Result grown = shell.instar("invoke", "me/grow");
    assertTrue(grown.code() != 0 && grown.err().contains("(out-of-memory"), grown.err());
    ok("deploy", "me/bomb", "--image", "dir:" + root, "--label", "fprocess=sh /bomb");
    Result bombed = shell.instar("invoke", "me/bomb");
    assertTrue(bombed.code() != 0 && bombed.err().contains("(too-many-processes"), bombed.err());
    assertEquals("5", ok("invoke", "me/count", "--data", "12345").out().strip());
    ok("remove", "me/grow");
    ok("remove", "me/bomb");
    ok("remove", "me/count");
    ok("remove", "me/deep");
    ok("remove", "me/served");
    assertFalse(shell.instar("invoke", "me/count").code() == 0);
  }

  /** Hostile cases 37 and 38, with whoever may look: the log, all answers, all processes and the data directory. */
  @Test
  void aSecretReachesItsFunctionAndNobodyElse() throws Exception {
    shell = new Shell(home, Map.of());
    Path root = root();
    node = shell.node(home.resolve("data"), "--no-examples", "--feature", "container", "--config", config().toString());
    shell = shell.with(Map.of("INSTAR_URL", node.url().toString()));
    Path value = Files.writeString(home.resolve("value"), "swordfish-1");
    String[] deploy = {"deploy", "me/show", "--image", "dir:" + root, "--label", "fprocess=sh -c 'cat /var/openfaas/secrets/db; echo $PPID'", "--secret", "db"};
    Result unknown = shell.instar(deploy);
    assertTrue(unknown.code() != 0 && unknown.err().contains("(secret-not-found"), unknown.err());
    assertEquals("Put me/db, 11 bytes.\n", ok("secrets", "put", "me/db", "--file", value.toString()).out());
    ok(deploy);
    assertTrue(ok("invoke", "me/show").out().startsWith("swordfish-1"));
    Files.writeString(value, "swordfish-2");
    ok("secrets", "put", "me/db", "--file", value.toString());
    assertTrue(ok("invoke", "me/show").out().startsWith("swordfish-2"), "a warm one is replaced");
    String shown = ok("describe", "me/show").out() + ok("describe", "me/show", "-o", "json").out() + ok("secrets", "list").out() + ok("logs", "me/show").out() + ok("cgroups").out();
    assertTrue(shown.contains("me/db   11"), shown);
    // Of another user it is another's, and the other has none.
    Result other = shell.instar("deploy", "you/show", "--image", "dir:" + root, "--label", "fprocess=cat /var/openfaas/secrets/db", "--secret", "db");
    assertTrue(other.code() != 0 && other.err().contains("(secret-not-found"), other.err());
    ok("secrets", "rm", "me/db");
    Result missing = shell.instar("invoke", "me/show");
    assertTrue(missing.code() != 0 && missing.err().contains("(secret-missing"), missing.err());
    shown += unknown.err() + other.err() + missing.err();
    assertFalse(shown.contains("swordfish"), shown);
    // Files come and go meanwhile, and what has gone is passed over.
    Process grep = new ProcessBuilder("grep", "-rls", "--exclude=value", "swordfish", home.toString()).start();
    assertEquals("", new String(grep.getInputStream().readAllBytes(), StandardCharsets.UTF_8));
    ok("secrets", "put", "me/db", "--file", value.toString());
    assertTrue(ok("invoke", "me/show").out().startsWith("swordfish-2"));
    Result module = shell.instar("deploy", "me/module", Path.of("../examples/echo/function.wasm").toAbsolutePath().toString(), "--secret", "db");
    assertTrue(module.code() != 0 && module.err().contains("given no secrets"), module.err());
    ok("remove", "me/show");
    whatMeansNothingIsRefusedAtTheDeployment(root);
  }

  private void whatMeansNothingIsRefusedAtTheDeployment(Path root) throws Exception {
    for (String[] wrong : new String[][] {
        {"--label", "read-only=maybe", "give true or false"}, {"--label", "placement=nonsense", "in-order or idle-first"}, {"--cpuset", "4095", "This node has the processors"},
        {"--label", "instar.egress=everything", "instar.egress"}, {"--label", "instar.bandwidth=much", "instar.bandwidth"}, {"--label", "fprocess=sh -c 'x", "not closed"},
        {"--label", "port=0", "a port from 1 to 65535"}, {"--secret", "../x", "secret name"}}) {
      Result refused = shell.instar("deploy", "me/wrong", "--image", "dir:" + root, "--label", "fprocess=cat", wrong[0], wrong[1]);
      assertTrue(refused.code() != 0 && refused.err().contains(wrong[2]), refused.err() + refused.out());
    }
    assertTrue(ok("list").out().startsWith("There are no functions"), "nothing of it is left");
    Result noted = ok("deploy", "me/noted", "--image", "dir:" + root, "--label", "fprocess=cat", "--stack", "8Mi", "--tables", "7", "--open-files", "64");
    assertTrue(noted.err().contains("note: --tables is none of the limits") && noted.err().contains("note: --stack is none of the limits") && !noted.err().contains("--open-files"), noted.err());
    ok("deploy", "me/quoted", "--image", "dir:" + root, "--label", "fprocess=[\"sh\", \"-c\", \"echo 'a b' c\"]");
    assertEquals("a b c", ok("invoke", "me/quoted").out().strip());
    ok("remove", "me/noted");
    ok("remove", "me/quoted");
  }
}
