package dev.instar.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.Digest;
import dev.instar.api.data.NodeMark;
import dev.instar.launcher.Shell.Result;
import dev.instar.launcher.Shell.Running;
import dev.instar.tck.capability.RequiresCapability;
import java.io.IOException;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What goes wrong with a container or its image has an error of its own, and leaves nothing on the host: see "When a container fails" in docs/operations.md. */
@RequiresCapability({"container", "cgroups", "network-namespace"})
class ContainerFaultsIT {
  private static final String NETWORKS = "10.214.96.";
  @TempDir
  Path home;
  private Shell shell;
  private Running node;
  private Path root;
  private Path data;
  private String mark;
  /** With which the names of the node's networks begin. */
  private String prefix = "not said";

  @BeforeEach
  void start() throws Exception {
    root = Files.createDirectory(home.resolve("root"));
    Files.createDirectory(root.resolve("bin"));
    Process which = new ProcessBuilder("sh", "-c", "command -v busybox").start();
    Files.copy(Path.of(new String(which.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip()), root.resolve("bin/busybox"));
    for (String name : List.of("sh", "cat", "sleep", "dd", "touch")) {
      Files.createSymbolicLink(root.resolve("bin").resolve(name), Path.of("busybox"));
    }
    shell = new Shell(home, Map.of());
    node();
  }

  /** Everything that this node has made on the host is gone when it has stopped: nothing is found that bears its directory's mark, or has its addresses. */
  @AfterEach
  void nothingIsLeft() throws Exception {
    try {
      if (node != null) {
        node.stop("TERM");
        assertEquals(List.of(), processes());
        String made = run("sh", "-c", "find /sys/fs/cgroup /run -maxdepth 6 -name '*" + mark + "*' 2>/dev/null; ip -4 -o addr; cat /proc/self/mounts");
        assertTrue(!made.contains(mark) && !made.contains(NETWORKS), made);
        assertEquals(List.of(), namespaces());
      }
    } finally {
      shell.close();
      run("umount", data.toString());
    }
  }

  private void node() throws Exception {
    Path config = Files.createDirectory(home.resolve("config"));
    Files.writeString(config.resolve("dev.instar.network.cfg.json"), "{\"networks\": [\"" + NETWORKS + "0/24\"], \"ready\": 2}");
    // A disk of its own, which can be full.
    data = Files.createDirectory(home.resolve("data"));
    assertEquals("", run("mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", data.toString()));
    mark = NodeMark.of(data).directory().substring(0, 16);
    node = shell.node(data, "--no-examples", "--feature", "container", "--config", config.toString());
    shell = shell.with(Map.of("INSTAR_URL", node.url().toString()));
  }

  /** Of this node: those that its containers are made of. */
  private List<String> processes() throws IOException {
    List<String> found = new ArrayList<>();
    try (Stream<Path> all = Files.list(Path.of("/proc"))) {
      for (Path process : all.filter(path -> path.getFileName().toString().matches("[0-9]+")).toList()) {
        try {
          String environment = Files.readString(process.resolve("environ"), StandardCharsets.ISO_8859_1);
          if (environment.contains("INSTAR_CONTAINERS=" + mark)) {
            found.add(process + " " + Files.readString(process.resolve("cmdline"), StandardCharsets.ISO_8859_1));
          }
        } catch (IOException e) {
          // It has ended.
        }
      }
    }
    return found;
  }

  private List<String> namespaces() {
    return Stream.ofNullable(Path.of("/run/netns").toFile().list()).flatMap(Arrays::stream).filter(name -> name.startsWith(prefix)).toList();
  }

  private static String run(String... command) throws Exception {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    process.getOutputStream().close();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    process.waitFor();
    return said;
  }

  private Result deploy(String function, String image, String... more) throws Exception {
    List<String> command = new ArrayList<>(List.of("deploy", function, "--image", image));
    command.addAll(List.of(more));
    return shell.instar(command.toArray(String[]::new));
  }

  private static void refused(String code, Result result) {
    assertNotEquals(0, result.code(), result.out());
    assertTrue(result.err().contains("(" + code), result.err());
  }

  private void script(String name, String text) throws Exception {
    Path file = root.resolve(name);
    Files.writeString(file, "#!/bin/sh\n" + text + "\n");
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  private void fails(String code, String function, String... options) throws Exception {
    Result deployed = deploy(function, "dir:" + root, options);
    assertEquals(0, deployed.code(), deployed.err());
    refused(code, shell.instar("invoke", function));
    assertEquals(0, shell.instar("remove", function).code());
  }

  /** An OCI layout of one layer, whose file is then damaged. */
  private Path layout(String name, Path layer, Damage damage) throws Exception {
    Path layout = Files.createDirectories(home.resolve(name));
    Path blobs = Files.createDirectories(layout.resolve("blobs/sha256"));
    String plain = Digest.of(Files.readAllBytes(layer)).value();
    run("gzip", "-n", layer.toString());
    byte[] packed = Files.readAllBytes(Path.of(layer + ".gz"));
    byte[] config = ("{\"os\":\"linux\",\"config\":{\"Cmd\":[\"/bin/cat\"]},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" + plain + "\"]}}").getBytes(StandardCharsets.UTF_8);
    byte[] manifest = ("{\"schemaVersion\":2,\"config\":" + blob(blobs, config) + ",\"layers\":[" + blob(blobs, packed) + "]}").getBytes(StandardCharsets.UTF_8);
    Files.writeString(layout.resolve("index.json"), "{\"schemaVersion\":2,\"manifests\":[" + blob(blobs, manifest) + "]}");
    Files.writeString(layout.resolve("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}");
    Files.write(blobs.resolve(Digest.of(packed).hex()), damage.to(packed));
    return layout;
  }

  private interface Damage {
    byte[] to(byte[] packed);
  }

  private static String blob(Path blobs, byte[] bytes) throws IOException {
    Files.write(blobs.resolve(Digest.of(bytes).hex()), bytes);
    return "{\"mediaType\":\"x\",\"digest\":\"" + Digest.of(bytes) + "\",\"size\":" + bytes.length + "}";
  }

  private Path layer(String name, String... tar) throws Exception {
    Path layer = home.resolve(name + ".tar");
    List<String> command = new ArrayList<>(List.of("tar", "-C", root.toString(), "-cf", layer.toString()));
    command.addAll(List.of(tar));
    assertEquals("", run(command.toArray(String[]::new)));
    return layer;
  }

  @Test
  void eachFaultHasItsOwnErrorAndLeavesNothing() throws Exception {
    // The same image is taken when nothing is wrong with it.
    Result whole = deploy("me/whole", "oci:" + layout("whole", layer("whole", "bin"), packed -> packed));
    assertEquals(0, whole.code(), whole.err());
    assertEquals("hi", shell.instar("invoke", "me/whole", "--data", "hi").out());
    Matcher said = Pattern.compile("begin with (\\w+)").matcher(shell.instar("network").out());
    assertTrue(said.find());
    prefix = said.group(1);
    assertFalse(namespaces().isEmpty());

    HttpResponse<String> unknown = HttpClient.newHttpClient().send(HttpRequest.newBuilder(node.url().resolve("/v1/functions/me/unknown/versions"))
        .header("Content-Type", "application/json").POST(HttpRequest.BodyPublishers.ofString("{\"variants\": [{\"digest\": \"sha256:" + "0".repeat(64) + "\"}]}")).build(), HttpResponse.BodyHandlers.ofString());
    assertTrue(unknown.statusCode() == 404 && unknown.body().contains("image-not-found"), unknown.body());
    refused("digest-mismatch", deploy("me/changed", "oci:" + layout("changed", layer("changed", "bin"), packed -> {
      byte[] flipped = packed.clone();
      flipped[packed.length / 2] ^= 1;
      return flipped;
    })));
    refused("archive-refused", deploy("me/cut", "oci:" + layout("cut", layer("cut", "bin"), packed -> Arrays.copyOf(packed, packed.length / 2))));
    refused("archive-refused", deploy("me/escape", "oci:" + layout("escape", layer("escape", "-P", "--transform", "s,^bin/cat$,../../../escaped,", "bin/busybox", "bin/cat"), packed -> packed)));
    assertTrue(Files.notExists(home.resolve("escaped")));

    Path filler = data.resolve("filler");
    run("dd", "if=/dev/zero", "of=" + filler, "bs=1M");
    script("unique", "exec cat");
    refused("no-space", deploy("me/full", "dir:" + root));
    Files.delete(filler);

    script("deaf", "exec sleep 98765");
    fails("port-not-opened", "me/deaf", "--label", "port=8080", "--label", "fprocess=/deaf", "--timeout", "3s");
    script("crash", "echo no such module >&2; exit 3");
    fails("sandbox-crashed", "me/crash", "--label", "port=8080", "--label", "fprocess=/crash");
    script("grow", "s=x; while :; do s=$s$s; done");
    fails("out-of-memory", "me/grow", "--label", "fprocess=/grow", "--memory", "48Mi");
    script("bomb", "b() { b | b & }; b; sleep 2; exit 1");
    fails("too-many-processes", "me/bomb", "--label", "fprocess=/bomb");
    script("fill", "dd if=/dev/zero of=/a bs=64k 2>/dev/null; exit 3");
    fails("files-full", "me/fill", "--label", "fprocess=/fill");
    script("ignore", "trap '' TERM INT HUP; (trap '' TERM HUP; sleep 98765) & sleep 98765");
    fails("timed-out", "me/ignore", "--label", "fprocess=/ignore", "--timeout", "2s");

    refused("config-refused", shell.instar("config", "set", "dev.instar.backend.container", "runtime=no-such-runtime"));
    Path runtime = home.resolve("runtime");
    Files.writeString(runtime, "#!/bin/sh\nexec crun \"$@\"\n");
    Files.setPosixFilePermissions(runtime, PosixFilePermissions.fromString("rwxr-xr-x"));
    Result taken = shell.instar("config", "set", "dev.instar.backend.container", "runtime=" + runtime);
    assertEquals(0, taken.code(), taken.err());
    Files.delete(runtime);
    refused("backend-unavailable", deployedAndInvoked("me/without"));
    assertEquals(0, shell.instar("remove", "me/whole").code());

    // And while the node goes on, no process of any of them does.
    for (long until = System.nanoTime() + Duration.ofSeconds(20).toNanos(); !processes().isEmpty() && System.nanoTime() < until;) {
      Thread.sleep(50);
    }
    assertEquals(List.of(), processes());
  }

  /** A function is prepared when it is deployed, or else when it is called. */
  private Result deployedAndInvoked(String function) throws Exception {
    Result deployed = deploy(function, "dir:" + root, "--label", "fprocess=/unique");
    return deployed.code() == 0 ? shell.instar("invoke", function) : deployed;
  }
}
