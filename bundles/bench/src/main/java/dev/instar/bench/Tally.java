package dev.instar.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** What became of requests. Thread-safe. */
final class Tally {
  private static final int EXAMPLES = 20;

  private long right;
  private long failed;
  private long lost;
  private long wrong;
  private long stale;
  private final Map<String, Long> statuses = new TreeMap<>();
  private final List<String> faults = new ArrayList<>();

  synchronized void right() {
    right++;
  }

  synchronized void right(long count) {
    right += count;
  }

  /** An answer with another status than the one that is expected. */
  synchronized void failed(String what, Wire.Answer answer) {
    failed++;
    statuses.merge(Integer.toString(answer.status()), 1L, Long::sum);
    fault(what + ": " + answer.shown());
  }

  /** No answer, or half of one. */
  synchronized void lost(String what, Exception e) {
    lost++;
    fault(what + ": " + e);
  }

  /** Other bytes than those that are expected. */
  synchronized void wrong(String what) {
    wrong++;
    fault(what);
  }

  /** By a version that had been removed, or replaced, when the request was sent. */
  synchronized void stale(String what) {
    stale++;
    fault(what);
  }

  private void fault(String what) {
    if (faults.size() < EXAMPLES) {
      faults.add(what);
    }
  }

  synchronized long rights() {
    return right;
  }

  synchronized long faults() {
    return failed + lost + wrong + stale;
  }

  synchronized long all() {
    return right + faults();
  }

  synchronized long failures() {
    return failed;
  }

  synchronized long losses() {
    return lost;
  }

  synchronized long wrongs() {
    return wrong;
  }

  synchronized long stales() {
    return stale;
  }

  synchronized List<String> examples() {
    return List.copyOf(faults);
  }
}
