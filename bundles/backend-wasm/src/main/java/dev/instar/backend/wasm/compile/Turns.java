package dev.instar.backend.wasm.compile;

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Who may compile. There are {@code size} places for everybody, and as many in reserve for users who have none: a user whose modules take long holds up
 * the own ones, and not another's. Among those who wait users take turns.
 */
final class Turns {
  private final Map<String, Integer> held = new HashMap<>();
  /** How many of a user wait, in the order of the users' next turns. */
  private final LinkedHashMap<String, Integer> waiting = new LinkedHashMap<>();
  private int size;
  private int taken;

  Turns(int size) {
    this.size = size;
  }

  synchronized void resize(int changed) {
    size = changed;
    notifyAll();
  }

  /** Waits for a place until the time ({@link System#nanoTime}); false when it came first. */
  synchronized boolean take(String user, long until) throws InterruptedException {
    waiting.merge(user, 1, Integer::sum);
    boolean granted = false;
    try {
      while (!(granted = user.equals(next()))) {
        long left = (until - System.nanoTime() + 999_999) / 1_000_000;
        if (left <= 0) {
          return false;
        }
        wait(left);
      }
      taken++;
      held.merge(user, 1, Integer::sum);
      return true;
    } finally {
      int left = waiting.get(user) - 1;
      if (granted) {
        // To the end of the line.
        waiting.remove(user);
      }
      if (left > 0) {
        waiting.put(user, left);
      } else {
        waiting.remove(user);
      }
      // Another may be the next now.
      notifyAll();
    }
  }

  synchronized void give(String user) {
    taken--;
    held.computeIfPresent(user, (u, count) -> count == 1 ? null : count - 1);
    notifyAll();
  }

  synchronized int taken() {
    return taken;
  }

  /** The first in line who may have a place now. */
  private String next() {
    for (String user : waiting.keySet()) {
      if (taken < size || taken < 2 * size && !held.containsKey(user)) {
        return user;
      }
    }
    return null;
  }
}
