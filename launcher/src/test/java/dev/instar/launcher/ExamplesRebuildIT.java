package dev.instar.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.instar.tck.capability.RequiresCapability;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** The committed modules are what the committed sources give with the pinned toolchain, byte for byte. */
class ExamplesRebuildIT {
  @Test
  @RequiresCapability("examples-toolchain")
  void modulesAreBuiltFromTheirSources() throws Exception {
    Process build = new ProcessBuilder("../examples/build.sh", "--verify").redirectErrorStream(true).start();
    build.getOutputStream().close();
    String said = new String(build.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, build.waitFor(), said);
  }

  @Test
  void theRecordedDigestsAreThoseOfTheCommittedModules() throws Exception {
    for (String line : java.nio.file.Files.readAllLines(Path.of("../examples/digests.txt"))) {
      String[] entry = line.split(" +");
      byte[] module = java.nio.file.Files.readAllBytes(Path.of("../examples", entry[1]));
      assertEquals("sha256:" + entry[0], dev.instar.api.Digest.of(module).value(), entry[1]);
    }
  }
}
