package dev.instar.scheduler;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;

/**
 * Says whose calls are long: where calls are in each other's way, a user whose calls take more than {@link #HEAVY_NANOS} on average is heavy. What counts is
 * the last second or so, the latest most.
 *
 * <p>A user is judged by how long the calls are and not by how much they take together: where several attack at once, each of them has less than the
 * one whose many short calls they delay.
 *
 * <p>In the background calls come to little, and on a busy machine to nothing. That tells nothing of how long they are: who is heavy stays so until
 * some calls have begun and were short, or until none of his is there.
 */
final class Judge {
  /** In this time what a user has had falls to a third of its weight. */
  private static final double MEMORY_NANOS = TimeUnit.MILLISECONDS.toNanos(500);
  /** A user counts among users from this part of all processors on. */
  private static final double PRESENT = 0.002;
  /** For so long after all common permits were taken, or a call was in the background, calls are said to be in each other's way. */
  private static final long CONTENDED_NANOS = TimeUnit.MILLISECONDS.toNanos(500);
  /** Less than this is nothing. Far below what one look adds for a user who counts: what he has is to gather over many of them. */
  private static final double FORGOTTEN_SHARE = 1e-6;
  /** Fewer calls than this are none. */
  private static final double FORGOTTEN = 0.01;
  private static final double HEAVY_NANOS = TimeUnit.MILLISECONDS.toNanos(1);
  /** A heavy user stays so above this: in the background calls come to little. */
  private static final double STILL_HEAVY_NANOS = HEAVY_NANOS / 8;
  /** So many calls of a heavy user must have begun of late to say anything for him. */
  private static final double TELLING = 4;

  private final double processors;
  /** What the calls of each user have had, and how many began. */
  private final Map<String, Double> shares = new HashMap<>();
  private final Map<String, Double> begun = new HashMap<>();
  private Set<String> heavy = Set.of();
  private long judged;
  private long contendedUntil;

  /** @param now when what is told first began; {@link Clock} */
  Judge(int processors, long now) {
    this.processors = processors;
    judged = now;
    contendedUntil = now;
  }

  /** A call of this user has had so much of a processor since the last judgement. */
  void had(String user, long nanos) {
    shares.merge(user, nanos / MEMORY_NANOS, Double::sum);
  }

  /**
   * Judges.
   *
   * @param calls how many began since the last judgement, by user
   * @param inBackground who has a call there
   * @param full whether all common permits are taken
   * @return whose calls are to run in the background
   */
  Set<String> judge(long now, Map<String, Integer> calls, Set<String> inBackground, boolean full) {
    double fading = Math.exp((judged - now) / MEMORY_NANOS);
    judged = now;
    shares.replaceAll((user, share) -> share * fading);
    shares.values().removeIf(share -> share < FORGOTTEN_SHARE);
    begun.replaceAll((user, count) -> count * fading);
    calls.forEach((user, count) -> begun.merge(user, (double) count, Double::sum));
    begun.values().removeIf(count -> count < FORGOTTEN);
    // Not by how busy the processors are: others on this machine may have most of them.
    if (full || !inBackground.isEmpty()) {
      contendedUntil = now + CONTENDED_NANOS;
    }
    Set<String> found = new HashSet<>();
    if (now < contendedUntil) {
      Set<String> present = new HashSet<>(shares.keySet());
      present.removeIf(user -> shares.get(user) < PRESENT * processors);
      Set<String> asked = new HashSet<>(present);
      asked.addAll(heavy);
      for (String user : asked) {
        boolean alone = present.size() == (present.contains(user) ? 1 : 0);
        if (!alone && isHeavy(user, inBackground.contains(user))) {
          found.add(user);
        }
      }
    }
    heavy = Set.copyOf(found);
    return heavy;
  }

  private boolean isHeavy(String user, boolean inBackground) {
    double count = begun.getOrDefault(user, 0.0);
    // Calls that go on for longer than is remembered count as one.
    double average = shares.getOrDefault(user, 0.0) * MEMORY_NANOS / Math.max(1, count);
    return heavy.contains(user) ? average > STILL_HEAVY_NANOS || inBackground && count < TELLING : average > HEAVY_NANOS;
  }
}
