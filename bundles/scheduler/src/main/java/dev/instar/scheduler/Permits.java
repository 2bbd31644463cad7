package dev.instar.scheduler;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;

/**
 * The right to run an in-process call, shared out between users so that none can shut the others out for as long as its calls may last.
 *
 * <p>There are {@code size} common permits. Where they are all taken, a user who holds none may have one of as many that are in reserve. No user
 * holds more than {@code size} permits of any kind. Users who wait take turns; the calls of one go in the order in which they came.
 *
 * <p>What runs in the background (on threads that have only what others leave) takes no common permit: the calls of users whose calls
 * are long ({@link #judge}), and calls that have run for long ({@link #demote}). There is room for {@link #BACKGROUND} times {@code size} of them, and
 * as much in reserve for users without a running call: threads and memory, rather than processors, are what this bounds. So a user whose calls
 * never end holds common permits for some milliseconds only.
 *
 * <p>Invariant: nobody waits who may have a permit now. So {@link #tryTake} need not look at other users' waiting calls.
 * The lock is held for a few map operations; to find the next user it passes over those who hold a permit, which are at most
 * 2 · (1 + {@link #BACKGROUND}) · size, and over heavy ones, of which there are few.
 */
final class Permits {
  static final int BACKGROUND = 16;
  /** How long a kill may stay unseen by a call that waits. */
  private static final long SLICE_NANOS = 50_000_000;

  /** One call's. Changed under the lock of the permits. */
  static class Permit {
    private final String user;
    private volatile boolean held;
    private volatile boolean background;

    Permit(String user) {
      this.user = user;
    }

    String user() {
      return user;
    }

    /** Whether the call may run. */
    boolean held() {
      return held;
    }

    /** Whether it is to run in the background. */
    boolean background() {
      return background;
    }

    /** It is held now, after a {@link Permits#claim}. Called without the lock, unless it was withdrawn. */
    void granted() {}
  }

  /** One that waits, and the thread that sleeps meanwhile; where there is none the permit itself is told. */
  record Waiter(Permit permit, Optional<Thread> thread) {
    void tell() {
      thread.ifPresentOrElse(LockSupport::unpark, permit::granted);
    }
  }

  /** What one user has. */
  private static final class User {
    private int held;
    /** Those of them in the background. */
    private int background;
    /** Permits that were taken since the last count. */
    private int begun;
  }

  /** Who holds permits, or has held some since the last count. */
  private final Map<String, User> users = new HashMap<>();
  /** By user, in the order of their next turns. */
  private final LinkedHashMap<String, ArrayDeque<Waiter>> waiting = new LinkedHashMap<>();
  private final Map<String, Integer> parkedBy = new HashMap<>();
  private Set<String> heavy = Set.of();
  /** Whether anybody counts. */
  private boolean counted;
  private int size;
  /** Common permits, and those of the reserve. */
  private int taken;
  private int background;
  private int parked;

  Permits(int size) {
    this.size = size;
  }

  void resize(int changed) {
    List<Waiter> granted;
    synchronized (this) {
      size = changed;
      granted = grant();
    }
    granted.forEach(Waiter::tell);
  }

  /** Whose calls run in the background from now on; calls that run already are not changed. */
  void judge(Set<String> heavy) {
    List<Waiter> granted = List.of();
    synchronized (this) {
      if (!this.heavy.equals(heavy)) {
        this.heavy = heavy;
        granted = grant();
      }
    }
    granted.forEach(Waiter::tell);
  }

  /** How many permits were taken since the last time, by user. */
  synchronized Map<String, Integer> begun() {
    counted = true;
    Map<String, Integer> counts = new HashMap<>();
    users.forEach((user, has) -> {
      if (has.begun > 0) {
        counts.put(user, has.begun);
        has.begun = 0;
      }
    });
    users.keySet().removeIf(user -> !counts.containsKey(user) && users.get(user).held == 0);
    return counts;
  }

  synchronized Set<String> heavy() {
    return heavy;
  }

  /** Common permits that are free; less than none while reserved ones are taken. */
  synchronized int free() {
    return size - taken;
  }

  /** Who has calls in the background, whether they have begun to run or not. */
  synchronized Set<String> usersInBackground() {
    Set<String> some = new HashSet<>();
    users.forEach((user, has) -> {
      if (has.background > 0) {
        some.add(user);
      }
    });
    return some;
  }

  /** Calls in the background. */
  synchronized int inBackground() {
    return background;
  }

  /** Takes a permit if its user may have one now. */
  synchronized boolean tryTake(Permit permit) {
    if (waiting.containsKey(permit.user) || !may(permit.user)) {
      return false;
    }
    hold(permit);
    return true;
  }

  /** Has the permit granted now, or in its user's turn. */
  void claim(Permit permit) {
    synchronized (this) {
      if (!tryTake(permit)) {
        wait(permit, Optional.empty());
        return;
      }
    }
    permit.granted();
  }

  /** Takes one that was claimed out of the line; false when it is held, or is about to be. */
  synchronized boolean withdraw(Permit permit) {
    ArrayDeque<Waiter> own = waiting.get(permit.user);
    if (own == null || !own.removeIf(waiter -> waiter.permit == permit)) {
      return false;
    }
    if (own.isEmpty()) {
      waiting.remove(permit.user);
    }
    return true;
  }

  private void wait(Permit permit, Optional<Thread> thread) {
    waiting.computeIfAbsent(permit.user, u -> new ArrayDeque<>()).add(new Waiter(permit, thread));
  }

  /** Waits for a permit until the deadline ({@link Clock}). */
  boolean take(Permit permit, long deadline) throws InterruptedException {
    return take(permit, deadline, () -> false);
  }

  /** Waits for a permit until the deadline ({@link Clock}), or until there is no use in it any more. */
  boolean take(Permit permit, long deadline, BooleanSupplier useless) throws InterruptedException {
    synchronized (this) {
      if (tryTake(permit)) {
        return true;
      }
      wait(permit, Optional.of(Thread.currentThread()));
    }
    boolean interrupted = false;
    while (!permit.held && !interrupted) {
      long left = deadline - Clock.now();
      if (left <= 0 || useless.getAsBoolean()) {
        break;
      }
      LockSupport.parkNanos(this, Math.min(left, SLICE_NANOS));
      interrupted = Thread.interrupted();
    }
    boolean granted = permit.held || !withdraw(permit);
    if (interrupted) {
      if (granted) {
        give(permit);
      }
      throw new InterruptedException();
    }
    return granted;
  }

  /** Gives it back. */
  void give(Permit permit) {
    release(permit).forEach(Waiter::tell);
  }

  /**
   * Gives it back, for somebody who goes on with another call himself.
   *
   * @return who holds one now and must be told, or run, by the caller
   */
  synchronized List<Waiter> release(Permit permit) {
    User user = users.get(permit.user);
    if (permit.background) {
      background--;
      user.background--;
    } else {
      taken--;
    }
    permit.held = false;
    permit.background = false;
    if (--user.held == 0 && !counted) {
      users.remove(permit.user);
    }
    return grant();
  }

  /**
   * Gives the permit of a call back that is about to wait, if there is room for one more that waits. One user has half of the room at most.
   *
   * @param room how many may wait
   */
  boolean park(Permit permit, int room) {
    List<Waiter> granted;
    synchronized (this) {
      int own = parkedBy.getOrDefault(permit.user, 0);
      if (parked >= room || own >= (room + 1) / 2) {
        return false;
      }
      parked++;
      parkedBy.put(permit.user, own + 1);
      granted = release(permit);
    }
    granted.forEach(Waiter::tell);
    return true;
  }

  /** A parked call has its permit again, or has ended without. */
  synchronized void unparked(Permit permit) {
    parked--;
    parkedBy.computeIfPresent(permit.user, (u, count) -> count == 1 ? null : count - 1);
  }

  synchronized int parked() {
    return parked;
  }

  /** Has a call that runs go on in the background, where there is room; false when it does not. */
  boolean demote(Permit permit) {
    List<Waiter> granted;
    synchronized (this) {
      if (!permit.held || permit.background || background >= BACKGROUND * size) {
        return false;
      }
      permit.background = true;
      taken--;
      background++;
      users.get(permit.user).background++;
      granted = grant();
    }
    granted.forEach(Waiter::tell);
    return true;
  }

  private boolean may(String user) {
    User has = users.get(user);
    int own = has == null ? 0 : has.held;
    int all = heavy.contains(user) ? background : taken;
    int room = heavy.contains(user) ? BACKGROUND * size : size;
    return own < size && all < room || own == 0 && all < 2 * room;
  }

  private void hold(Permit permit) {
    permit.held = true;
    permit.background = heavy.contains(permit.user);
    User user = users.computeIfAbsent(permit.user, u -> new User());
    if (permit.background) {
      background++;
      user.background++;
    } else {
      taken++;
    }
    user.held++;
    user.begun++;
  }

  /** Gives what there is to who waits; with the lock. They are told without it. */
  private List<Waiter> grant() {
    List<Waiter> granted = List.of();
    while (!waiting.isEmpty()) {
      String next = taken < 2 * size ? first(waiting.keySet()) : first(heavy);
      if (next == null) {
        break;
      }
      ArrayDeque<Waiter> own = waiting.remove(next);
      Waiter waiter = own.poll();
      if (!own.isEmpty()) {
        waiting.put(next, own);
      }
      hold(waiter.permit);
      if (granted.isEmpty()) {
        granted = new ArrayList<>(2);
      }
      granted.add(waiter);
    }
    return granted;
  }

  /** Of these users the first who waits and need not; null when there is none. */
  private String first(Set<String> some) {
    for (String user : some) {
      if (waiting.containsKey(user) && may(user)) {
        return user;
      }
    }
    return null;
  }
}
