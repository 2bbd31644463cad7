package dev.instar.functions;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
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
import java.util.TreeSet;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import java.util.stream.Collectors;

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
  /** Until when calls of versions that have gone may run. */
  private final Map<Digest, Long> running = new HashMap<>();

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
      long ended = nanoTime.getAsLong() + call.toNanos();
      version.spec().variants().forEach(v -> {
        retired.merge(v.digest(), until, ImageUse::later);
        running.merge(v.digest(), ended, ImageUse::later);
      });
    } finally {
      collecting.unlock();
    }
    return stay;
  }

  private static long later(long a, long b) {
    return a - b > 0 ? a : b;
  }

  /** Removes one image if nobody uses it. @throws InstarException IMAGE_NOT_FOUND, CONFLICT */
  void remove(ImageStore images, Digest digest) throws IOException {
    collecting.lock();
    try {
      if (store.hasUnread() || store.damagedDigests().contains(digest)) {
        throw new InstarException(ErrorCode.CONFLICT, "A function's document that is damaged, or of a later release, may name the image " + digest + ".");
      }
      if (pending.containsKey(digest)) {
        throw new InstarException(ErrorCode.CONFLICT, "A function with the image " + digest + " is being deployed.");
      }
      Set<String> users = new TreeSet<>();
      for (Entry entry : published.get()) {
        for (FunctionVersion version : entry.function().versions()) {
          if (version.spec().variants().stream().anyMatch(v -> v.digest().equals(digest))) {
            users.add(version.label());
          }
        }
      }
      if (!users.isEmpty()) {
        throw new InstarException(ErrorCode.CONFLICT, "The image " + digest + " is in use by " + users.stream().limit(3).collect(Collectors.joining(", "))
            + (users.size() > 3 ? " and " + (users.size() - 3) + " more" : "") + ". Remove these versions first.", Map.of("functions", List.copyOf(users)));
      }
      long left = running.getOrDefault(digest, nanoTime.getAsLong()) - nanoTime.getAsLong();
      if (left > 0) {
        Duration wait = Duration.ofNanos(left).plusSeconds(1);
        throw new InstarException(Problem.of(ErrorCode.CONFLICT, "Calls of a version with the image " + digest + " that was removed may still run for " + wait.toSeconds() + " s.").retryAfter(wait));
      }
      if (!images.remove(digest)) {
        throw new InstarException(ErrorCode.IMAGE_NOT_FOUND, "There is no image " + digest + ".", Map.of("digest", digest.value()));
      }
      running.remove(digest);
      retired.remove(digest);
    } finally {
      collecting.unlock();
    }
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
      running.values().removeIf(until -> until - now <= 0);
      keep.addAll(retired.keySet());
      keep.addAll(store.damagedDigests());
      return images.collect(keep, grace.toSeconds());
    } finally {
      collecting.unlock();
    }
  }
}
