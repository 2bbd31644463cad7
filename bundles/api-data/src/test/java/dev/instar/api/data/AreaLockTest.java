package dev.instar.api.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AreaLockTest {
  @TempDir Path dir;

  @Test
  void oneHolderAtATimeAndTheNextOneWaitsForIt() throws Exception {
    AreaLock first = AreaLock.tryTake(dir).orElseThrow();
    assertEquals(Optional.empty(), AreaLock.tryTake(dir.resolve("x/..")));
    AreaLock.tryTake(dir.resolve("other")).orElseThrow().close();
    CompletableFuture<AreaLock> second = new CompletableFuture<>();
    Thread.ofVirtual().start(() -> {
      try {
        second.complete(AreaLock.take(dir));
      } catch (InterruptedException e) {
        second.completeExceptionally(e);
      }
    });
    assertFalse(second.isDone());
    first.close();
    AreaLock held = second.get(10, TimeUnit.SECONDS);
    first.close();
    assertEquals(Optional.empty(), AreaLock.tryTake(dir), "the first one closed twice must not free the second one's");
    held.close();
    assertTrue(AreaLock.tryTake(dir).map(l -> {
      l.close();
      return true;
    }).orElse(false));
  }
}
