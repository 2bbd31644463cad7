package _package_;

import dev.instar.api.function.Image;
import dev.instar.api.function.Variant;
import dev.instar.api.sandbox.SandboxBackend;
import dev.instar.tck.sandbox.Fixture;
import dev.instar.tck.sandbox.Fixtures;
import dev.instar.tck.sandbox.SandboxBackendSuite;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.io.TempDir;

/** The backend against the contract, with functions as shell scripts. */
class _Name_BackendConformanceTest extends SandboxBackendSuite {
  @TempDir
  static Path directory;

  @Override
  protected SandboxBackend openBackend() throws IOException {
    // All at first: a file cannot be run while somebody has it open for writing, and a process that begins inherits what is open.
    for (Fixture fixture : Fixture.values()) {
      Path script = Files.writeString(directory.resolve(fixture.name()), script(fixture));
      script.toFile().setExecutable(true);
    }
    return new _Name_Backend();
  }

  @Override
  protected void closeBackend(SandboxBackend backend) {
    ((_Name_Backend) backend).deactivate();
  }

  @Override
  protected Fixtures fixtures() {
    return new Fixtures() {
      @Override
      public Image image(Fixture fixture) throws IOException {
        return Fixtures.ofFile(directory.resolve(fixture.name()), Variant.EXECUTABLE);
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

  private static String script(Fixture fixture) {
    return switch (fixture) {
      case ECHO, SLOW_READER -> "#!/bin/sh\nexec cat";
      case IGNORE_INPUT -> "#!/bin/sh\nprintf ignored";
      case TRAP -> "#!/bin/sh\nkill -ABRT $$";
      case FAIL -> "#!/bin/sh\nexit 7";
      case SPIN -> "#!/bin/sh\nwhile :; do :; done";
      // With a child, which has to end, too.
      case SLEEP -> "#!/bin/sh\nsleep 300\n:";
      case RECURSE -> "#!/bin/sh\nf() { f; }; f";
      case FLOOD -> "#!/bin/sh\nexec yes";
      case LOG -> "#!/bin/sh\ncat >&2; printf logged";
      case COUNTER -> "#!/bin/sh\nn=0; n=$((n + 1)); printf %s $n";
      case DRAWN -> "#!/bin/sh\nexec head -c 16 /dev/urandom";
      case ENV -> "#!/bin/sh\nname=$(cat); printf %s \"$(printenv \"$name\")\"";
      case BAD -> "no program";
      case GROW, GROW_TABLE, OPEN_FILES, FILL_FILE, MAKE_FILES -> "#!/bin/sh\nexit 1";
    };
  }
}
