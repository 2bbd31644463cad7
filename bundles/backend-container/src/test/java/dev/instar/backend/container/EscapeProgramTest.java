package dev.instar.backend.container;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.function.Limits;
import dev.instar.tck.capability.RequiresCapability;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The {@link EscapeProgram} under each runtime, and outside, which shows that it would tell. */
@RequiresCapability("container")
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class EscapeProgramTest {
  private static final Set<String> ALLOWED = Set.of("own-process-id", "tcp-socket", "memory-file");
  @TempDir
  Path directory;

  private Set<String> inside(String runtime) throws Exception {
    Path root = Files.createDirectory(directory.resolve("of-" + runtime));
    try (Bench bench = new Bench(root, runtime)) {
      Path program = bench.busybox.root().resolve("escape");
      EscapeProgram.write(program);
      Files.setAttribute(program, "unix:uid", BusyboxImage.FIRST_ID, LinkOption.NOFOLLOW_LINKS);
      var image = bench.busybox.image(Map.of("Entrypoint", List.of("/escape")));
      return new TreeSet<>(bench.call(bench.start(bench.prepare(image, Map.of(), Limits.DEFAULT), Duration.ofSeconds(30)), "").lines().toList());
    }
  }

  private static Set<String> run(List<String> before, Path program) throws Exception {
    List<String> command = new ArrayList<>(before);
    command.add(program.toString());
    Process process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    process.getOutputStream().close();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), said);
    return new TreeSet<>(said.lines().toList());
  }

  @Test
  void underCrunNothingElseIsAllowed() throws Exception {
    assertEquals(ALLOWED, inside("crun"));
  }

  @Test
  @RequiresCapability("runc")
  void underRuncNothingElseIsAllowed() throws Exception {
    assertEquals(ALLOWED, inside("runc"));
  }

  /** In namespaces of its own, whose host name and mounts are nobody else's. */
  @Test
  void withoutAContainerItIsAllowedMore() throws Exception {
    Path program = directory.resolve("escape");
    EscapeProgram.write(program);
    Set<String> allowed = run(List.of("unshare", "--mount", "--propagation", "private", "--uts", "--ipc", "--net", "--pid", "--fork"), program);
    assertTrue(allowed.containsAll(ALLOWED), allowed::toString);
    assertTrue(allowed.containsAll(Set.of("raw-socket", "mount", "mount-namespace", "network-namespace", "user-namespace", "host-name", "keyring", "fixed-addresses")),
        allowed::toString);
  }
}
