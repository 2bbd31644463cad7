package dev.instar.backend.container;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.instar.api.function.Image;
import dev.instar.api.sandbox.SandboxBackend;
import dev.instar.tck.capability.RequiresCapability;
import dev.instar.tck.sandbox.Fixture;
import dev.instar.tck.sandbox.Fixtures;
import dev.instar.tck.sandbox.SandboxBackendSuite;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;

/** The container backend against the contract, with a shell script for each function. */
@RequiresCapability("container")
class ContainerBackendConformanceTest extends SandboxBackendSuite {
  @TempDir
  static Path directory;
  private BusyboxImage busybox;
  private Path scratch;
  private String mountsBefore;

  @Override
  protected SandboxBackend openBackend() throws Exception {
    busybox = BusyboxImage.in(Files.createDirectory(directory.resolve("image")));
    scratch = Files.createDirectory(directory.resolve("scratch"));
    mountsBefore = mounts();
    return new ContainerBackend(directory, scratch, Bench.KERNEL, new ContainerBackend.Settings("", 256));
  }

  @Override
  protected void closeBackend(SandboxBackend backend) {
    ((ContainerBackend) backend).deactivate();
  }

  /** A start is several programs one after another. */
  @Override
  protected int cycles() {
    return 50;
  }

  @Override
  protected Fixtures fixtures() {
    return new Fixtures() {
      @Override
      public Image image(Fixture fixture) throws IOException {
        if (fixture == Fixture.BAD) {
          return busybox.image(Map.of("Entrypoint", List.of("/no/such/program")));
        }
        return busybox.script(switch (fixture) {
          case ECHO, SLOW_READER -> "exec cat";
          case IGNORE_INPUT -> "printf ignored";
          case TRAP -> "kill -ABRT $$";
          case FAIL -> "exit 7";
          case SPIN -> "while :; do :; done";
          case SLEEP -> "sleep 3600";
          case GROW -> "s=x; while :; do s=$s$s; done";
          case FILL_FILE -> "dd if=/dev/zero of=/filled bs=16k 2>/dev/null; stat -c %s /filled";
          case MAKE_FILES -> "n=0; while touch /made$n 2>/dev/null; do n=$((n+1)); done; printf $n";
          case RECURSE -> "f() { f; }; f";
          case FLOOD -> "exec yes";
          case LOG -> "cat >&2; printf logged";
          case COUNTER -> "read n 2>/dev/null </count; n=$((n+1)); echo $n >/count; printf $n";
          case DRAWN -> "exec head -c 16 /dev/urandom";
          case ENV -> "read name; eval \"printf %s \\\"\\$$name\\\"\"";
          case BAD, GROW_TABLE, OPEN_FILES -> throw new IllegalStateException(fixture + " is no script");
        });
      }

      @Override
      public Optional<String> inexpressible(Fixture fixture) {
        return switch (fixture) {
          case GROW_TABLE -> Optional.of("there are no tables in a container");
          case OPEN_FILES -> Optional.of("descriptors are limited for each process, not for all of a container");
          default -> Optional.empty();
        };
      }
    };
  }

  /** But for network namespaces, which other nodes of this machine make and remove meanwhile. */
  private static String mounts() throws IOException {
    return Files.readString(Path.of("/proc/self/mounts")).lines().filter(line -> !line.contains(" /run/netns/")).collect(Collectors.joining("\n"));
  }

  @Override
  protected void assertNothingLeft() throws Exception {
    super.assertNothingLeft();
    assertEquals(mountsBefore, mounts());
    Path host = Path.of("/run", "instar-" + Mark.of(directory).directory(), "state-" + Mark.of(directory).run());
    for (Path place : List.of(scratch, host)) {
      try (Stream<Path> left = Files.list(place)) {
        assertEquals(List.of(), left.toList());
      }
    }
  }
}
