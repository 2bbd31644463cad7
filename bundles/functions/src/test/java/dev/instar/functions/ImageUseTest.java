package dev.instar.functions;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.Function;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Limits;
import dev.instar.api.function.Variant;
import dev.instar.data.LockedDataDirectory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ImageUseTest {
  @TempDir Path dir;
  private final Fixture.Images images = new Fixture.Images();
  private final List<Entry> published = new ArrayList<>();
  private final AtomicLong clock = new AtomicLong(Long.MAX_VALUE - 1000); // wraps around in mid-test, as System.nanoTime may

  private static FunctionVersion version(Digest digest, Duration timeout) {
    Limits d = Limits.DEFAULT;
    return new FunctionVersion(Fixture.NAME, 1, "uid", Instant.EPOCH, new FunctionSpec(List.of(new Variant(digest, Variant.WASM, Optional.empty())),
        new Limits(d.memoryBytes(), timeout, d.inputBytes(), d.outputBytes(), d.logBytes(), d.concurrency()), Map.of(), Map.of()));
  }

  @Test
  void imagesStayWhileAVersionIsPublishedUsedAndUntilItsLastCallIsOver() throws Exception {
    try (LockedDataDirectory data = LockedDataDirectory.open(dir.resolve("data"))) {
      FunctionStore store = new FunctionStore(data.area("functions"));
      store.load();
      ImageUse use = new ImageUse(() -> published, store, clock::get);
      Digest digest = images.image("a");
      Digest unused = images.image("b");
      FunctionVersion version = version(digest, Duration.ofHours(2));
      var pending = use.pend(version.spec().variants());
      var twice = use.pend(version.spec().variants());
      twice.close();
      assertEquals(1, use.collect(images, Duration.ZERO));
      assertFalse(images.stored.containsKey(unused));
      published.add(new Entry(new Function(Fixture.NAME, List.of(version), 1, Optional.empty()), 2));
      pending.close();
      assertEquals(0, use.collect(images, Duration.ZERO));
      Duration stay = use.retire(version, Duration.ofHours(1));
      assertTrue(stay.compareTo(Duration.ofHours(2)) > 0, "longer than its longest call");
      published.clear();
      assertEquals(0, use.collect(images, Duration.ZERO));
      clock.addAndGet(stay.toNanos() - 1);
      assertEquals(0, use.collect(images, Duration.ZERO));
      clock.addAndGet(1);
      assertEquals(1, use.collect(images, Duration.ZERO));
    }
  }

  @Test
  void anImageIsRemovedWhenNoVersionAndNoCallHasIt() throws Exception {
    try (LockedDataDirectory data = LockedDataDirectory.open(dir.resolve("data"))) {
      FunctionStore store = new FunctionStore(data.area("functions"));
      store.load();
      ImageUse use = new ImageUse(() -> published, store, clock::get);
      Digest digest = images.image("a");
      FunctionVersion version = version(digest, Duration.ofMinutes(2));
      var pending = use.pend(version.spec().variants());
      assertEquals(ErrorCode.CONFLICT, Fixture.code(() -> use.remove(images, digest)));
      published.add(new Entry(new Function(Fixture.NAME, List.of(version), 1, Optional.empty()), 2));
      pending.close();
      InstarException used = assertThrows(InstarException.class, () -> use.remove(images, digest));
      assertEquals(List.of("alice/hello@1"), used.problem().members().get("functions"));
      use.retire(version, Duration.ofDays(1));
      published.clear();
      InstarException running = assertThrows(InstarException.class, () -> use.remove(images, digest));
      assertEquals(ErrorCode.CONFLICT, running.code());
      assertTrue(running.problem().retryAfter().orElseThrow().compareTo(Duration.ofMinutes(2)) > 0, "longer than its longest call, and shorter than the grace");
      clock.addAndGet(running.problem().retryAfter().orElseThrow().toNanos());
      use.remove(images, digest);
      assertFalse(images.stored.containsKey(digest));
      assertEquals(ErrorCode.IMAGE_NOT_FOUND, Fixture.code(() -> use.remove(images, digest)));
    }
  }

  @Test
  void whatADamagedDocumentNamesStaysForItsMending() throws Exception {
    try (LockedDataDirectory data = LockedDataDirectory.open(dir.resolve("data"))) {
      FunctionStore store = new FunctionStore(data.area("functions"));
      store.load();
      Digest digest = images.image("a");
      Path aside = Files.writeString(data.area("functions").resolve("_damaged/alice.hello.json-1"), "{\"digest\":\"" + digest.value() + "\u0000");
      ImageUse use = new ImageUse(() -> published, store, clock::get);
      assertEquals(0, use.collect(images, Duration.ZERO));
      Files.delete(aside);
      assertEquals(1, use.collect(images, Duration.ZERO));
    }
  }
}
