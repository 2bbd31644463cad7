package dev.instar.functions;

import dev.instar.api.Digest;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Variant;
import dev.instar.api.image.ImageStore;
import java.io.IOException;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * Which images must stay, and the removal of the others.
 *
 * <p>An image is in use while a version being published names it ({@code pending}), while a published one does, and for some time after
 * the last version that did has gone ({@code retired}): calls that run go on to their end and read its files. An image moves through these
 * states in that order and is put into the next before it is taken from the last; they are read in the same order, so that none slips through.
 * A version that begins to be published waits for a removal that runs, and then finds its image there or not.
 */
final class ImageUse {
  /** Beyond the longest that a call of the version may take, for what ends a call. */
  private static final Duration AFTER_LAST_CALL = Duration.ofMinutes(1);

  private final Supplier<Collection<Entry>> published;
  private final FunctionStore store;
  private final LongSupplier nanoTime;
  private final ReentrantLock collecting = new ReentrantLock();
  private final Map<Digest, Integer> pending = new HashMap<>();
  private final Map<Digest, Long> retired = new HashMap<>();

  ImageUse(Supplier<Collection<Entry>> published, FunctionStore store, LongSupplier nanoTime) {
    this.published = published;
    this.store = store;
    this.nanoTime = nanoTime;
  }

  /** Keeps the images until the lease is closed. */
  NameLocks.Lease pend(List<Variant> variants) {
    collecting.lock();
    try {
      variants.forEach(v -> pending.merge(v.digest(), 1, Integer::sum));
    } finally {
      collecting.unlock();
    }
    return () -> {
      collecting.lock();
      try {
        variants.forEach(v -> pending.computeIfPresent(v.digest(), (d, n) -> n == 1 ? null : n - 1));
      } finally {
        collecting.unlock();
      }
    };
  }

  /** Called before a version is taken from the table. @return how long its images stay at least */
  Duration retire(FunctionVersion version, Duration grace) {
    Duration call = version.spec().limits().timeout().plus(AFTER_LAST_CALL);
    Duration stay = call.compareTo(grace) > 0 ? call : grace;
    long until = nanoTime.getAsLong() + stay.toNanos();
    collecting.lock();
    try {
      version.spec().variants().forEach(v -> retired.merge(v.digest(), until, (a, b) -> a - b > 0 ? a : b));
    } finally {
      collecting.unlock();
    }
    return stay;
  }

  /** Removes what nobody uses. @return how many images went */
  int collect(ImageStore images, Duration grace) throws IOException {
    if (store.hasUnread()) {
      return 0;
    }
    collecting.lock();
    try {
      Set<Digest> keep = new HashSet<>(pending.keySet());
      for (Entry entry : published.get()) {
        for (FunctionVersion version : entry.function().versions()) {
          version.spec().variants().forEach(v -> keep.add(v.digest()));
        }
      }
      long now = nanoTime.getAsLong();
      retired.values().removeIf(until -> until - now <= 0);
      keep.addAll(retired.keySet());
      keep.addAll(store.damagedDigests());
      return images.collect(keep, grace.toSeconds());
    } finally {
      collecting.unlock();
    }
  }
}
