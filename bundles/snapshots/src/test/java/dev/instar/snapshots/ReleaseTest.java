package dev.instar.snapshots;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.instar.api.Digest;
import dev.instar.api.function.Function;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionRegistry;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Limits;
import dev.instar.api.function.Variant;
import dev.instar.api.snapshot.SnapshotBuilder;
import dev.instar.api.snapshot.SnapshotKey;
import dev.instar.data.LockedDataDirectory;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReleaseTest {
  private static final FunctionName NAME = FunctionName.parse("demo/echo");
  private static final String FIRST = "0".repeat(31) + "1";
  private static final String SECOND = "0".repeat(31) + "2";

  @TempDir Path dir;
  private LockedDataDirectory data;
  private SnapshotStoreComponent store;
  private Digest layer;

  @BeforeEach
  void open() throws Exception {
    data = LockedDataDirectory.open(dir.resolve("data"));
    store = new SnapshotStoreComponent(data, SnapshotStoreConformanceTest.LIMITS);
    try (SnapshotBuilder builder = store.base(new SnapshotKey("toy", "1", new TreeMap<>(), List.of()), "test")) {
      builder.memory(0, ByteBuffer.wrap(new byte[4096]));
      layer = builder.publish().id();
    }
    store.hold(layer, FIRST);
    store.hold(layer, SECOND);
    store.hold(layer, "an operator");
  }

  @AfterEach
  void close() {
    store.stop();
    data.close();
  }

  private static FunctionVersion version(int number, String uid) {
    FunctionSpec spec = new FunctionSpec(List.of(new Variant(Digest.of(new byte[0]), Variant.WASM, Optional.empty())), Limits.DEFAULT, Map.of(), Map.of());
    return new FunctionVersion(NAME, number, uid, Instant.EPOCH, spec);
  }

  /** A registry that has this version and can do nothing but tell so. */
  private static FunctionRegistry registry(FunctionVersion version) {
    Function function = new Function(NAME, List.of(version), version.number(), Optional.empty());
    return (FunctionRegistry) Proxy.newProxyInstance(ReleaseTest.class.getClassLoader(), new Class<?>[] {FunctionRegistry.class}, (proxy, method, arguments) -> {
      assertEquals("list", method.getName());
      return List.of(function);
    });
  }

  private Set<String> users() {
    return store.inspect(layer).orElseThrow().users();
  }

  @Test
  void aVersionThatIsRemovedHoldsNothingMore() {
    new ReleaseOnRemoval(store).versionRemoved(version(1, FIRST));
    assertEquals(Set.of(SECOND, "an operator"), users());
  }

  @Test
  void atTheStartThoseAreReleasedThatAreNoLongerThereAndNoOthers() throws Exception {
    store.stop();
    store = new SnapshotStoreComponent(data, SnapshotStoreConformanceTest.LIMITS);
    new ReleaseAtStart(store, registry(version(2, SECOND))).stop();
    assertEquals(Set.of(SECOND, "an operator"), users());
  }
}
