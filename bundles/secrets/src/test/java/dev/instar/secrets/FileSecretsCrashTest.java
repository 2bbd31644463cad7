package dev.instar.secrets;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Limits;
import dev.instar.api.function.SnapshotPolicy;
import dev.instar.api.function.Variant;
import dev.instar.api.lease.LeaseRequest;
import dev.instar.data.LockedDataDirectory;
import dev.instar.tck.crash.CrashSuite;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.stream.Stream;

class FileSecretsCrashTest extends CrashSuite {
  private static final String LONG = "0123456789".repeat(1000);

  @Override
  protected int steps() {
    return 5;
  }

  @Override
  protected Subject open(Path root) throws Exception {
    LockedDataDirectory data = LockedDataDirectory.open(root);
    FileSecrets secrets;
    try {
      secrets = new FileSecrets(data, new FileSecrets.Bounds(1 << 16, 100, 100));
    } catch (RuntimeException e) {
      data.close();
      throw e;
    }
    return new Subject() {
      private void put(String name, String value) {
        secrets.put("ann", name, value.getBytes(StandardCharsets.US_ASCII));
      }

      @Override
      public void step(int n) {
        switch (n) {
          case 0 -> put("a", "first");
          case 1 -> put("b", LONG);
          case 2 -> put("a", "second");
          case 3 -> secrets.delete("ann", "b");
          case 4 -> put("c", "third");
          default -> throw new IllegalArgumentException();
        }
      }

      @Override
      public SortedMap<String, String> facts() throws Exception {
        Map<String, Fact> facts = new LinkedHashMap<>();
        for (String name : List.of("a", "b", "c")) {
          facts.put(name, () -> read(name));
        }
        return told(facts);
      }

      private String read(String name) {
        FunctionVersion version = new FunctionVersion(new FunctionName("ann", "f"), 1, "uid", Instant.EPOCH,
            new FunctionSpec(List.of(new Variant(Digest.of(new byte[0]), Variant.CONTAINER, Optional.empty())), Limits.DEFAULT, Map.of(), Map.of(), SnapshotPolicy.DEFAULT, List.of(name)));
        try {
          return new String(secrets.take(new LeaseRequest("s", "b", version, Instant.EPOCH)).orElseThrow().values().get(name), StandardCharsets.US_ASCII);
        } catch (InstarException e) {
          throw e.code() == ErrorCode.SECRET_MISSING ? new InstarException(ErrorCode.DAMAGED, "missing or damaged") : e;
        }
      }

      @Override
      public List<Path> setAside() throws IOException {
        Path aside = data.root().resolve("secrets/_damaged");
        if (!Files.isDirectory(aside)) {
          return List.of();
        }
        try (Stream<Path> all = Files.list(aside)) {
          return all.toList();
        }
      }

      @Override
      public void goOn() throws Exception {
        put("a", "x");
        put("b", LONG);
        put("c", "z");
        assertEquals(3, secrets.list(Optional.empty()).size());
        assertEquals(3, facts().size());
      }

      @Override
      public void close() {
        data.close();
      }
    };
  }
}
