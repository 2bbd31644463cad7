package dev.instar.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.instar.launcher.Shell.Result;
import dev.instar.launcher.Shell.Running;
import dev.instar.tck.capability.RequiresCapability;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Container images from disk, deployed by the command to a node with the feature {@code container}. */
@RequiresCapability({"container", "cgroups"})
class ContainerIT {
  private static final HttpClient HTTP = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  private static final JsonMapper JSON = new JsonMapper();
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
    Files.writeString(config.resolve("dev.instar.network.cfg.json"), "{\"networks\": [\"10.214.64.0/20\"], \"ready\": 4}");
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

  private List<ProcessHandle> spinners() {
    return ProcessHandle.allProcesses().filter(p -> p.info().commandLine().filter(line -> line.endsWith(" /spin " + home.getFileName())).isPresent()).toList();
  }

  /** Whether the kernel says so, in either version of cgroups. */
  private boolean frozen() throws Exception {
    List<ProcessHandle> all = spinners();
    for (ProcessHandle one : all) {
      boolean stands = false;
      for (String line : Files.readAllLines(Path.of("/proc", Long.toString(one.pid()), "cgroup"))) {
        String own = line.split(":", 3)[2];
        for (String file : List.of("freezer" + own + "/freezer.state", "unified" + own + "/cgroup.events", own + "/cgroup.events")) {
          Path path = Path.of("/sys/fs/cgroup/" + file);
          stands |= Files.exists(path) && Files.readString(path).lines().anyMatch(said -> said.equals("FROZEN") || said.equals("frozen 1"));
        }
      }
      if (!stands) {
        return false;
      }
    }
    return !all.isEmpty();
  }

  /** Waits for what happens soon. */
  private static void eventually(String what, Callable<Boolean> condition) throws Exception {
    for (long until = System.nanoTime() + 60_000_000_000L; !condition.call(); Thread.sleep(50)) {
      assertTrue(System.nanoTime() < until, "never: " + what);
    }
  }

  @Test
  void whatIsFrozenAnswersAndNothingOfItOutlivesAKilledNode() throws Exception {
    shell = new Shell(home, Map.of());
    Path root = root();
    Files.writeString(root.resolve("spin"), "while :; do :; done\n");
    Files.writeString(root.resolve("leave"), "sh /spin " + home.getFileName() + " >/dev/null 2>&1 </dev/null & exec wc -c\n");
    Path config = config();
    Files.writeString(config.resolve("dev.instar.scheduler.cfg.json"), "{\"freeze-seconds\": 1}");
    String[] options = {"--no-examples", "--feature", "container", "--config", config.toString()};
    node = shell.node(home.resolve("data"), options);
    Shell caller = shell.with(Map.of("INSTAR_URL", node.url().toString()));
    Result refused = caller.instar("deploy", "me/count", "--image", "dir:" + root, "--label", "fprocess=sh /leave", "--label", "instar.ready=many");
    assertTrue(refused.code() != 0 && refused.err().contains("instar.ready"), refused.err());
    assertEquals(0, caller.instar("deploy", "me/count", "--image", "dir:" + root, "--label", "fprocess=sh /leave", "--label", "instar.ready=1").code());
    // One is there before it is called, and one more takes its place when it is.
    Result first = caller.instar("invoke", "me/count", "--data", "12345");
    assertEquals("5", first.out().strip(), first.err());
    eventually("frozen", this::frozen);
    assertEquals("3", caller.instar("invoke", "me/count", "--data", "123").out().strip());
    eventually("frozen again", this::frozen);
    node.stop("KILL");
    node = shell.node(home.resolve("data"), options);
    eventually("nothing is left", () -> spinners().isEmpty());
    Shell again = shell.with(Map.of("INSTAR_URL", node.url().toString()));
    assertEquals("2", again.instar("invoke", "me/count", "--data", "12").out().strip());
    assertEquals(0, again.instar("remove", "me/count").code());
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

  /** What the function wrote of its secret, its parent (the container's first process in the first call, and none that it sees in others) and a word with two blanks before it. */
  private static void assertLine(String secret, String answer, String... message) {
    assertTrue(answer.equals(secret + "0  x\n") || answer.equals(secret + "1  x\n"), answer + String.join("", message));
  }

  /** Hostile cases 37 and 38, with whoever may look: all answers and the data directory. */
  @Test
  void aSecretReachesItsFunctionAndNobodyElse() throws Exception {
    shell = new Shell(home, Map.of());
    Path root = root();
    node = shell.node(home.resolve("data"), "--no-examples", "--feature", "container", "--config", config().toString());
    shell = shell.with(Map.of("INSTAR_URL", node.url().toString()));
    Path value = Files.writeString(home.resolve("value"), "swordfish-1");
    String[] deploy = {"deploy", "me/show", "--image", "dir:" + root, "--label", "fprocess=sh -c 'cat /var/openfaas/secrets/db; echo \"$PPID  x\"'", "--secret", "db", "--tables", "7", "--open-files", "64"};
    Result unknown = shell.instar(deploy);
    assertTrue(unknown.code() != 0 && unknown.err().contains("(secret-not-found"), unknown.err());
    assertEquals("Put me/db, 11 bytes.\n", ok("secrets", "put", "me/db", "--file", value.toString()).out());
    Result deployed = ok(deploy);
    assertTrue(deployed.err().contains("note: --tables is none of the limits") && !deployed.err().contains("--open-files"), deployed.err());
    assertLine("swordfish-1", call("me/show", 200));
    send("PUT", "/v1/secrets/me/db", "swordfish-2", 200);
    assertLine("swordfish-2", call("me/show", 200), "a warm one is replaced");
    String shown = ok("describe", "me/show").out() + ok("secrets", "list").out() + send("GET", "/v1/functions/me/show/logs", "", 200);
    assertTrue(shown.contains("me/db   11"), shown);
    // Of another user it is another's, and the other has none.
    String digest = JSON.readTree(send("GET", "/v1/images", "", 200)).path("images").path(0).path("digest").asText();
    shown += publish("you/show", digest, "\"labels\":{\"fprocess\":\"cat\"},\"secrets\":[\"db\"]", 404);
    send("DELETE", "/v1/secrets/me/db", "", 204);
    String missing = call("me/show", 503);
    assertTrue(missing.contains("secret-missing"), missing);
    shown += missing + unknown.err();
    assertFalse(shown.contains("swordfish"), shown);
    // Files come and go meanwhile, and what has gone is passed over.
    Process grep = new ProcessBuilder("grep", "-rls", "--exclude=value", "swordfish", home.toString()).start();
    assertEquals("", new String(grep.getInputStream().readAllBytes(), StandardCharsets.UTF_8));
    send("PUT", "/v1/secrets/me/db", "swordfish-3", 201);
    assertLine("swordfish-3", call("me/show", 200));
    String module = JSON.readTree(send("POST", "/v1/images?user=me", Files.readString(Path.of("../examples/echo/function.wasm"), StandardCharsets.ISO_8859_1), 201)).path("digest").asText();
    assertTrue(publish("me/module", module, "\"secrets\":[\"db\"]", 400).contains("given no secrets"));
    whatMeansNothingIsRefusedAtTheDeployment(digest);
    Result used = shell.instar("image", "rm", digest);
    assertTrue(used.code() != 0 && used.err().contains("in use by me/show@1"), used.err());
    ok("remove", "me/show");
  }

  private void whatMeansNothingIsRefusedAtTheDeployment(String digest) throws Exception {
    String program = "\"labels\":{\"fprocess\":\"cat\"";
    for (String[] wrong : new String[][] {
        {program + ",\"read-only\":\"maybe\"}", "give true or false"}, {program + ",\"placement\":\"nonsense\"}", "in-order or idle-first"},
        {program + "},\"limits\":{\"cpuset\":\"4095\"}", "This node has the processors"}, {program + ",\"instar.egress\":\"everything\"}", "instar.egress"},
        {program + ",\"instar.bandwidth\":\"much\"}", "instar.bandwidth"}, {"\"labels\":{\"fprocess\":\"sh -c 'x\"}", "not closed"},
        {program + ",\"port\":\"0\"}", "a port from 1 to 65535"}, {program + "},\"secrets\":[\"../x\"]", "secret name"}}) {
      String refused = publish("me/wrong", digest, wrong[0], 0);
      assertTrue(refused.contains("\"status\":4") && refused.contains(wrong[1]), refused);
    }
    send("GET", "/v1/functions/me/wrong", "", 404);
    Result runtime = shell.instar("config", "set", "backend.container", "runtime=nosuch", "--token-file", home.resolve("data/admin.token").toString());
    assertTrue(runtime.code() != 0 && runtime.err().contains("'nosuch'") && runtime.err().contains("(config-refused"), runtime.err());
  }

  /** @param status that the answer must have; 0 for any */
  private String send(String method, String path, String body, int status) throws Exception {
    HttpRequest request = HttpRequest.newBuilder(node.url().resolve(path)).method(method, BodyPublishers.ofString(body, StandardCharsets.ISO_8859_1)).build();
    HttpResponse<String> answer = HTTP.send(request, BodyHandlers.ofString());
    assertTrue(status == 0 || status == answer.statusCode(), answer.statusCode() + " " + answer.body());
    return answer.body();
  }

  private String call(String function, int status) throws Exception {
    return send("POST", "/v1/functions/" + function + "/invoke", "", status);
  }

  private String publish(String function, String digest, String more, int status) throws Exception {
    return send("POST", "/v1/functions/" + function + "/versions", "{\"variants\":[{\"digest\":\"" + digest + "\"}]," + more + "}", status);
  }
}
