package dev.instar.backend.process;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.instar.api.function.Image;
import dev.instar.api.function.Variant;
import dev.instar.api.sandbox.SandboxBackend;
import dev.instar.tck.capability.RequiresCapability;
import dev.instar.tck.sandbox.Fixture;
import dev.instar.tck.sandbox.Fixtures;
import dev.instar.tck.sandbox.SandboxBackendSuite;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;

/** The process backend against the contract, with functions in Python over the guest library of examples/process. */
@RequiresCapability("python3")
class ProcessBackendConformanceTest extends SandboxBackendSuite {
  @TempDir
  static Path directory;
  private Path scratch;
  private String interpreter;

  @Override
  protected SandboxBackend openBackend() throws IOException {
    // The interpreter itself: what "python3" finds may be a wrapper that takes its time and sets variables of its own.
    Process python = new ProcessBuilder("python3", "-c", "import sys; print(sys.executable)").start();
    interpreter = new String(python.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
    scratch = Files.createDirectory(directory.resolve("scratch"));
    return new ProcessBackend(scratch, "", Duration.ofMillis(500));
  }

  @Override
  protected void closeBackend(SandboxBackend backend) {
    ((ProcessBackend) backend).deactivate();
  }

  @Override
  protected Fixtures fixtures() {
    return new Fixtures() {
      @Override
      public Image image(Fixture fixture) throws IOException {
        Path script = directory.resolve(fixture + ".py");
        Files.writeString(script, fixture == Fixture.BAD ? "#!/no/such/interpreter\n" : """
            #!%s -S
            import sys
            sys.dont_write_bytecode = True
            sys.path[:0] = ["%s", "%s"]
            import fixtures
            fixtures.serve("%s")
            """.formatted(interpreter, Path.of("../../examples/process").toRealPath(), Path.of("src/test/python").toRealPath(), fixture));
        return Fixtures.ofFile(script, Variant.EXECUTABLE);
      }

      @Override
      public Optional<String> inexpressible(Fixture fixture) {
        return switch (fixture) {
          case GROW, GROW_TABLE, OPEN_FILES, FILL_FILE, MAKE_FILES -> Optional.of("it isolates nothing and bounds none of what a sandbox would");
          default -> Optional.empty();
        };
      }
    };
  }

  @Override
  protected void assertNothingLeft() throws Exception {
    super.assertNothingLeft();
    try (Stream<Path> left = Files.list(scratch)) {
      assertEquals(List.of(), left.toList());
    }
  }
}
