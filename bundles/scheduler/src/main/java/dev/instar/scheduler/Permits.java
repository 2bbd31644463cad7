package dev.instar.scheduler;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;

/**
 * The right to run an in-process call, shared out between users so that none can shut the others out for as long as its calls may last.
 *
 * <p>There are {@code size} permits for everybody. Where they are all taken, a user who holds none may have one of as many that are in reserve:
 * a user whose calls never end can hold every common permit, but each of the next {@code size} other users still runs. Among those that wait
 * users take turns, and the calls of one user go in the order in which they came.
 *
 * <p>Invariant: nobody waits who may have a permit now. So {@link #tryTake} need not look at other users' waiting calls.
 * The lock is a leaf and held for a few map operations; to find the next user it passes over at most 2 · size users, as only those who hold a permit
 * are passed.
 */
final class Permits {
  /** What waits for a permit. */
  abstract static class Claim {
    private final String user;

    Claim(String user) {
      this.user = user;
    }

    String user() {
      return user;
    }

    /** It has one, which it must give back. Called without the lock, once, unless it was withdrawn. */
    abstract void granted();
  }

  private static final class OfThread extends Claim {
    private final Thread thread = Thread.currentThread();
    private volatile boolean granted;

    OfThread(String user) {
      super(user);
    }

    @Override
    void granted() {
      granted = true;
      LockSupport.unpark(thread);
    }
  }

  private final Map<String, Integer> held = new HashMap<>();
  /** By user, in the order of their next turns. */
  private final LinkedHashMap<String, ArrayDeque<Claim>> waiting = new LinkedHashMap<>();
  private int size;
  private int taken;

  Permits(int size) {
    this.size = size;
  }

  void resize(int changed) {
    List<Claim> granted;
    synchronized (this) {
      size = changed;
      granted = grant();
    }
    granted.forEach(Claim::granted);
  }

  /** Common permits that are free; less than none while reserved ones are taken. */
  synchronized int free() {
    return size - taken;
  }

  /** Takes a permit if the user may have one now. */
  synchronized boolean tryTake(String user) {
    if (waiting.containsKey(user) || !may(user)) {
      return false;
    }
    hold(user);
    return true;
  }

  /** Gives the claim a permit now, or puts it in its user's line. */
  void claim(Claim claim) {
    synchronized (this) {
      if (!tryTake(claim.user())) {
        waiting.computeIfAbsent(claim.user(), u -> new ArrayDeque<>()).add(claim);
        return;
      }
    }
    claim.granted();
  }

  /** Takes a claim out of the line; false when it has its permit, or is about to. */
  synchronized boolean withdraw(Claim claim) {
    ArrayDeque<Claim> own = waiting.get(claim.user());
    if (own == null || !own.remove(claim)) {
      return false;
    }
    if (own.isEmpty()) {
      waiting.remove(claim.user());
    }
    return true;
  }

  /** Waits for a permit until the deadline ({@link Clock}). */
  boolean take(String user, long deadline) throws InterruptedException {
    OfThread claim = new OfThread(user);
    claim(claim);
    boolean interrupted = false;
    while (!claim.granted && !interrupted) {
      long left = deadline - Clock.now();
      if (left <= 0) {
        break;
      }
      LockSupport.parkNanos(this, left);
      interrupted = Thread.interrupted();
    }
    boolean granted = claim.granted || !withdraw(claim);
    if (interrupted) {
      if (granted) {
        give(user);
      }
      throw new InterruptedException();
    }
    return granted;
  }

  /** Gives a permit of the user's back. */
  void give(String user) {
    release(user).forEach(Claim::granted);
  }

  /** Gives a permit of the user's back and returns who has it, or others, now; the caller tells them. */
  synchronized List<Claim> release(String user) {
    taken--;
    held.computeIfPresent(user, (u, count) -> count == 1 ? null : count - 1);
    return grant();
  }

  private boolean may(String user) {
    return taken < size || taken < 2 * size && !held.containsKey(user);
  }

  private void hold(String user) {
    taken++;
    held.merge(user, 1, Integer::sum);
  }

  private List<Claim> grant() {
    List<Claim> granted = List.of();
    while (taken < 2 * size) {
      String next = null;
      for (String user : waiting.keySet()) {
        if (may(user)) {
          next = user;
          break;
        }
      }
      if (next == null) {
        break;
      }
      ArrayDeque<Claim> own = waiting.remove(next);
      Claim claim = own.poll();
      if (!own.isEmpty()) {
        waiting.put(next, own);
      }
      hold(next);
      if (granted.isEmpty()) {
        granted = new ArrayList<>(2);
      }
      granted.add(claim);
    }
    return granted;
  }
}
