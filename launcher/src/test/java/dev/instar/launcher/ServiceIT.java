package dev.instar.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.instar.launcher.Shell.Result;
import dev.instar.launcher.Shell.Running;
import dev.instar.tck.capability.RequiresCapability;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The unit of systemd and the recipe of the container image, as far as a machine without either of them can tell. */
@Timeout(300)
class ServiceIT {
  private static final Path DISTRIBUTION = Path.of("target/instar").toAbsolutePath();
  private static final Path SERVICE = DISTRIBUTION.resolve("service");
  /**
   * What unit and container have in common: another user, no capability and no way to get one, a root that cannot be written, a /tmp of its own. The
   * distribution and the JDK are bound to places that any user reaches. Takes the place of the command that it is given.
   */
  private static final String CONFINED = """
      set -e
      distribution=$1; jdk=$2; data=$3
      shift 6
      mount --make-rprivate /
      mount -t tmpfs tmpfs /mnt
      mkdir /mnt/instar /mnt/jdk /mnt/data
      mount --bind "$distribution" /mnt/instar
      mount --bind "$jdk" /mnt/jdk
      mount --bind "$data" /mnt/data
      chown 10001:10001 /mnt/data
      for each in /mnt/instar /mnt/jdk /mnt /; do mount -o remount,bind,ro "$each"; done
      mount -t tmpfs -o mode=1777 tmpfs /tmp
      export INSTAR_JAVA_HOME=/mnt/jdk HOME=/mnt/data
      cd /
      exec setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all --ambient-caps=-all /mnt/instar/bin/instar "$@"
      """;

  @TempDir
  Path home;
  private Shell shell;

  @BeforeEach
  void login() {
    shell = new Shell(home, Map.of());
  }

  @AfterEach
  void logout() {
    shell.close();
  }

  private static String ok(Result result) {
    assertEquals(0, result.code(), result.err() + result.out());
    return result.out();
  }

  @Test
  @RequiresCapability("systemd")
  void systemdHasNothingToSayAboutTheUnit() throws Exception {
    String unit = Files.readString(SERVICE.resolve("instar.service"));
    assertTrue(unit.contains("ExecStart=/opt/instar/bin/instar run "));
    // What it looks for on this machine is put where it is, or is there on each.
    Path here = Files.writeString(home.resolve("instar.service"), unit.replace("/opt/instar/bin/instar", Shell.COMMAND.toString()).replace("file:///opt/instar/docs/", "https://example.org/"));
    Result verified = shell.run(new byte[0], List.of("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", here.toString()));
    assertEquals("", ok(verified) + verified.err());
    Path wrong = Files.writeString(home.resolve("wrong.service"), Files.readString(here).replace("ProtectSystem=strict", "ProtectSystem=very"));
    Result refused = shell.run(new byte[0], List.of("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", wrong.toString()));
    assertTrue(refused.err().contains("wrong.service:"), "it would say something: " + refused.err());
  }

  @Test
  void aServiceManagerIsToldOfTheReadinessAndOfTheStop() throws Exception {
    Path told = home.resolve("told");
    Path program = Files.writeString(Files.createDirectory(home.resolve("bin")).resolve("systemd-notify"), "#!/bin/sh\necho \"$@\" >>'" + told + "'\n");
    assertTrue(program.toFile().setExecutable(true));
    shell = shell.with(Map.of("NOTIFY_SOCKET", "/run/none", "PATH", program.getParent() + ":" + System.getenv("PATH")));
    Running node = shell.node(home.resolve("data"), "--no-examples");
    assertEquals(List.of("--pid=" + node.process().pid() + " --ready --status=Ready on " + node.url()), Files.readAllLines(told));
    assertEquals(143, node.stop("TERM"));
    assertEquals("--pid=" + node.process().pid() + " STOPPING=1", Files.readAllLines(told).getLast());
  }

  @Test
  @RequiresCapability("mount-namespace")
  void aConfinedNodeRunsFunctions() throws Exception {
    // Not in /tmp, of which the node has another.
    Path data = Files.createTempDirectory(Path.of("target").toAbsolutePath(), "confined");
    try {
      Running node = shell.node(List.of("unshare", "--mount", "sh", "-c", CONFINED, "sh", DISTRIBUTION.toString(), System.getProperty("java.home"), data.toString()),
          Path.of("/mnt/data"), "--no-examples");
      // The node has another name for it.
      shell = shell.with(Map.of("INSTAR_TOKEN_FILE", data.toString()));
      List<String> status = Files.readAllLines(Path.of("/proc", Long.toString(node.process().pid()), "status"));
      assertTrue(status.stream().anyMatch(line -> line.matches("Uid:\\s+10001\\s.*")) && status.contains("CapEff:\t0000000000000000")
          && status.contains("CapBnd:\t0000000000000000") && status.contains("NoNewPrivs:\t1"), status::toString);
      String url = node.url().toString();
      ok(shell.instar("deploy", "me/echo", DISTRIBUTION.resolve("examples/echo-command/function.wasm").toString(), "--url", url));
      assertEquals("confined", ok(shell.instar("invoke", "me/echo", "--data", "confined", "--url", url)));
      Result doctor = shell.instar("doctor", "--url", url);
      assertTrue(doctor.out().lines().anyMatch(line -> line.matches("data directory +ok +/mnt/data can be written")), doctor.out());

      List<String> check = healthCheck();
      check.set(2, check.get(2).replace("8080", Integer.toString(node.url().getPort())));
      ok(shell.run(new byte[0], check));
      assertEquals(143, node.stop("TERM"));
      assertTrue(shell.run(new byte[0], check).code() != 0, "nobody answers now");
    } finally {
      ok(shell.run(new byte[0], List.of("rm", "-rf", data.toString())));
    }
  }

  @Test
  @RequiresCapability("mount-namespace")
  void withoutPrivilegesItIsSaidWhatContainersMissAndAllElseWorks() throws Exception {
    Path data = Files.createTempDirectory(Path.of("target").toAbsolutePath(), "unprivileged");
    try {
      Running node = shell.node(List.of("unshare", "--mount", "sh", "-c", CONFINED, "sh", DISTRIBUTION.toString(), System.getProperty("java.home"), data.toString()),
          Path.of("/mnt/data"), "--no-examples", "--feature", "container");
      shell = shell.with(Map.of("INSTAR_TOKEN_FILE", data.toString()));
      String url = node.url().toString();
      ok(shell.instar("deploy", "me/echo", DISTRIBUTION.resolve("examples/echo-command/function.wasm").toString(), "--url", url));
      assertEquals("works", ok(shell.instar("invoke", "me/echo", "--data", "works", "--url", url)));
      String health = new String(node.url().resolve("/healthz").toURL().openStream().readAllBytes(), StandardCharsets.UTF_8);
      String backends = ok(shell.instar("backends", "--url", url));
      String network = ok(shell.instar("network", "--url", url));
      String cgroups = ok(shell.instar("cgroups", "--url", url));
      for (String said : List.of(health, network)) {
        assertTrue(said.contains("CAP_NET_ADMIN") && said.contains("run the node as root"), said);
      }
      for (String said : List.of(health, cgroups)) {
        assertTrue(said.contains("the right to make cgroups"), said);
      }
      assertTrue(backends.contains("this node runs as an ordinary user") && backends.contains("Run the node as root."), backends);
      Path root = Files.createDirectories(home.resolve("root/bin")).getParent();
      Files.copy(Path.of("/bin/busybox"), root.resolve("bin/sh"));
      Result refused = shell.instar("deploy", "me/native", "--image", "dir:" + root, "--label", "fprocess=sh", "--url", url);
      Result invoked = refused.code() != 0 ? refused : shell.instar("invoke", "me/native", "--url", url);
      assertTrue(invoked.code() != 0 && invoked.err().contains("backend-unavailable"), invoked.err());
      assertEquals(143, node.stop("TERM"));
    } finally {
      ok(shell.run(new byte[0], List.of("rm", "-rf", data.toString())));
    }
  }

  /** The words of the recipe's HEALTHCHECK. */
  private static List<String> healthCheck() throws Exception {
    Matcher form = Pattern.compile("CMD (\\[\"bash\".*\\])").matcher(Files.readString(SERVICE.resolve("Containerfile")));
    assertTrue(form.find());
    return new ObjectMapper().readValue(form.group(1), new TypeReference<List<String>>() {});
  }

  @Test
  void theRecipeStartsWhatIsShippedAsAnotherUserThanRoot() throws Exception {
    List<String> recipe = Files.readAllLines(SERVICE.resolve("Containerfile"));
    assertTrue(recipe.contains("USER 10001:10001") && recipe.contains("VOLUME /data"), recipe::toString);
    String entry = recipe.stream().filter(line -> line.startsWith("ENTRYPOINT ")).findFirst().orElseThrow();
    List<String> words = new ObjectMapper().readValue(entry.substring("ENTRYPOINT ".length()), new TypeReference<List<String>>() {});
    assertTrue(Files.isExecutable(DISTRIBUTION.resolve(Path.of("/opt/instar").relativize(Path.of(words.getFirst())))));
    assertEquals(List.of("run", "--data", "/data", "--no-examples"), words.subList(1, words.size()));
  }

  /** What unit, recipe and guide name of the distribution is in it, and what the recipe copies is what is unpacked. */
  @Test
  void unitRecipeAndGuideNameFilesThatAreShipped() throws Exception {
    Set<String> named = new TreeSet<>();
    for (Path file : List.of(SERVICE.resolve("instar.service"), SERVICE.resolve("Containerfile"), DISTRIBUTION.resolve("docs/operations.md"))) {
      Matcher path = Pattern.compile("/opt/instar/([\\w./-]*\\w)|(?<![\\w/])(service/[\\w.]*\\w)").matcher(Files.readString(file));
      while (path.find()) {
        named.add(path.group(1) != null ? path.group(1) : path.group(2));
      }
    }
    assertTrue(named.containsAll(List.of("bin/instar", "docs/operations.md", "service/instar.service", "service/Containerfile")), named::toString);
    assertEquals(List.of(), named.stream().filter(name -> !Files.exists(DISTRIBUTION.resolve(name))).toList());
    List<String> recipe = Files.readAllLines(SERVICE.resolve("Containerfile"));
    assertEquals(List.of("COPY . /opt/instar"), recipe.stream().filter(line -> line.startsWith("COPY") || line.startsWith("ADD")).toList());
    assertTrue(recipe.stream().allMatch(line -> line.isBlank() || line.matches("#.*|  .*|(ARG|FROM|COPY|RUN|USER|ENV|VOLUME|EXPOSE|STOPSIGNAL|HEALTHCHECK|ENTRYPOINT) .*")), recipe::toString);
    Path archive;
    try (Stream<Path> built = Files.list(Path.of("target"))) {
      archive = built.filter(file -> file.getFileName().toString().matches("instar-.*\\.tar\\.gz")).findFirst().orElseThrow();
    }
    List<String> packed = ok(shell.run(new byte[0], List.of("tar", "tzf", archive.toString()))).lines().map(line -> line.replaceFirst("^(\\./)?[^/]+/", "")).toList();
    assertEquals(List.of(), named.stream().filter(name -> !packed.contains(name)).toList());
  }
}
