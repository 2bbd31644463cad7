package dev.instar.functions;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.Digest;
import dev.instar.api.function.Function;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionVersion;
import dev.instar.data.LockedDataDirectory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A node with ten thousand functions starts, and one damaged among them stands in nobody's way. */
class ManyFunctionsIT {
  private static final int FUNCTIONS = 10_000;

  @TempDir Path dir;

  @Test
  void tenThousandFunctionsLoad() throws Exception {
    try (LockedDataDirectory data = LockedDataDirectory.open(dir.resolve("data"))) {
      Path area = data.area("functions");
      for (int i = 0; i < FUNCTIONS; i++) {
        FunctionName name = new FunctionName("user" + i % 100, "function" + i);
        FunctionVersion version = new FunctionVersion(name, 1, "uid" + i, Instant.EPOCH, Fixture.spec(Digest.of(new byte[] {(byte) i})));
        byte[] json = FunctionDocument.write(new Entry(new Function(name, List.of(version), 1, Optional.empty()), 2));
        // Not through the store: ten thousand syncs are not what is tested here.
        Path user = Files.createDirectories(area.resolve(name.user()));
        Files.writeString(user.resolve(name.function() + ".json"), "{\"sha256\":\"" + Digest.of(json).hex() + "\",\"document\":"
            + new String(json, StandardCharsets.UTF_8) + "}\n");
      }
      Files.writeString(area.resolve("user7/function7.json"), "{}");
      long begin = System.nanoTime();
      DurableRegistry registry = new DurableRegistry(data, Settings.DEFAULT);
      System.out.println(FUNCTIONS + " functions loaded in " + (System.nanoTime() - begin) / 1_000_000 + " ms");
      try {
        assertEquals(FUNCTIONS - 1, registry.list().size());
        assertTrue(registry.find(new FunctionName("user99", "function9999")).isPresent());
        assertEquals(Optional.empty(), registry.find(new FunctionName("user7", "function7")));
      } finally {
        registry.stop();
      }
    }
  }
}
