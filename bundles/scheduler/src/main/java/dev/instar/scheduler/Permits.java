package dev.instar.scheduler;

import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.LinkedHashMap;
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
 * The lock is held for a few map operations; to find the next user it passes over at most 2 · size users, as only those who hold a permit are passed.
 */
final class Permits {
  private static final class Waiter {
    private final Thread thread = Thread.currentThread();
    private volatile boolean granted;
  }

  private final Map<String, Integer> held = new HashMap<>();
  /** By user, in the order of their next turns. */
  private final LinkedHashMap<String, ArrayDeque<Waiter>> waiting = new LinkedHashMap<>();
  private int size;
  private int taken;

  Permits(int size) {
    this.size = size;
  }

  synchronized void resize(int changed) {
    size = changed;
    grant();
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

  /** Waits for a permit until the deadline ({@link Clock}). */
  boolean take(String user, long deadline) throws InterruptedException {
    Waiter waiter;
    synchronized (this) {
      if (tryTake(user)) {
        return true;
      }
      waiter = new Waiter();
      waiting.computeIfAbsent(user, u -> new ArrayDeque<>()).add(waiter);
    }
    boolean interrupted = false;
    while (!waiter.granted && !interrupted) {
      long left = deadline - Clock.now();
      if (left <= 0) {
        break;
      }
      LockSupport.parkNanos(this, left);
      interrupted = Thread.interrupted();
    }
    synchronized (this) {
      if (!waiter.granted) {
        ArrayDeque<Waiter> own = waiting.get(user);
        own.remove(waiter);
        if (own.isEmpty()) {
          waiting.remove(user);
        }
      } else if (interrupted) {
        give(user);
      }
    }
    if (interrupted) {
      throw new InterruptedException();
    }
    return waiter.granted;
  }

  /** Gives a permit of the user's back. */
  synchronized void give(String user) {
    taken--;
    held.computeIfPresent(user, (u, count) -> count == 1 ? null : count - 1);
    grant();
  }

  private boolean may(String user) {
    return taken < size || taken < 2 * size && !held.containsKey(user);
  }

  private void hold(String user) {
    taken++;
    held.merge(user, 1, Integer::sum);
  }

  private void grant() {
    while (taken < 2 * size) {
      String next = null;
      for (String user : waiting.keySet()) {
        if (may(user)) {
          next = user;
          break;
        }
      }
      if (next == null) {
        return;
      }
      ArrayDeque<Waiter> own = waiting.remove(next);
      Waiter waiter = own.poll();
      if (!own.isEmpty()) {
        waiting.put(next, own);
      }
      hold(next);
      waiter.granted = true;
      LockSupport.unpark(waiter.thread);
    }
  }
}
