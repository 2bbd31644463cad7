package dev.instar.network;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.host.Netlink;
import dev.instar.api.network.LeaseStatus;
import dev.instar.api.network.NetworkRequest;
import dev.instar.api.network.NetworkUsage;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The slots of one generation. One thread makes them ahead of those who want them, and takes away what was used: a namespace serves one sandbox only, its
 * address the next.
 */
final class Pool {
  private static final Logger LOG = LoggerFactory.getLogger(Pool.class);
  /** Room for the slots of one block in the numbers of slots. */
  private static final int NUMBERS = 1022;
  /** So many are made or taken away at once: a lease that waits waits for no longer. */
  private static final int BATCH = 64;
  private static final long WAIT_SECONDS = 10;
  /** What was used may gather for so long: taking many away costs the kernel little more than taking one. */
  private static final long GATHER_MS = 100;
  private static final long RETRY_MS = 2000;

  private final Wiring wiring;
  private final Firewall firewall;
  private final Generation generation;
  private final Netlink netlink;
  private final List<Block> blocks;
  private final Rules rules;
  private final HostSettings settings;
  private final int ready;
  private final int most;
  /** Held for writing by whoever takes the last of it all away: nothing is put on the host after that. */
  private final ReadWriteLock standing = new ReentrantReadWriteLock();

  /** Of slots that don't exist at the moment. */
  private final Deque<Slot> bare = new ArrayDeque<>();
  private final Deque<Slot> free = new ArrayDeque<>();
  /** Given back, and still on the host, under the policies of those who had them. */
  private final Deque<Slot> used = new ArrayDeque<>();
  private final Set<SlotLease> leased = new HashSet<>();
  private final List<Block> extended = new ArrayList<>();
  private int slots;
  private int waiting;
  private boolean filling;
  private long taken;
  private String failure = "";
  private boolean stopped;
  /** {@link #run} has ended: who gives back takes away, too. */
  private boolean alone;
  /** Nothing is left. */
  private volatile boolean gone;

  /**
   * @param ready how many are made before anybody wants them
   * @param most how many there are with those that are leased
   */
  Pool(Wiring wiring, Firewall firewall, Generation generation, Netlink netlink, List<Block> blocks, Rules rules, HostSettings settings, int ready, int most) {
    this.wiring = wiring;
    this.firewall = firewall;
    this.generation = generation;
    this.netlink = netlink;
    this.blocks = List.copyOf(blocks);
    this.rules = rules;
    this.settings = settings;
    this.ready = Math.min(ready, most);
    this.most = most;
  }

  /** Puts in place what all slots need, and makes one and takes it away again: the proof that this host can. */
  void prepare() throws Exception {
    wiring.removeAll();
    settings.set(Host.FORWARDING, "1");
    firewall.install(rules);
    if (!extend()) {
      throw new IOException("all addresses of the networks are those of leases that a predecessor has left open");
    }
    List<Slot> first = List.of(bare.getFirst());
    wiring.make(first);
    wiring.remove(first);
  }

  /** Takes one more block of addresses. @return whether there was one */
  private boolean extend() throws IOException {
    Optional<Block> reserved = generation.reserve(blocks);
    if (reserved.isEmpty()) {
      return false;
    }
    Block block = reserved.get();
    try {
      firewall.bind(block, block.index() * NUMBERS);
      wiring.bridge(block);
    } catch (IOException e) {
      generation.release(block);
      throw e;
    }
    synchronized (this) {
      extended.add(block);
      for (int i = 0; i < block.guests() && slots < most; i++) {
        int number = block.index() * NUMBERS + i;
        bare.add(new Slot(number, block, block.guest(i), generation.port(number), generation.namespace(number)));
        slots++;
      }
    }
    return true;
  }

  /** Makes and takes away until the pool is stopped. */
  void run() {
    // Blocks that predecessors have come back when the last of their leases does, so it is tried again.
    long again = System.nanoTime();
    while (true) {
      List<Slot> toMake = new ArrayList<>();
      try {
        synchronized (this) {
          while (!stopped && used.isEmpty() && !(wanted() > 0 && (!bare.isEmpty() || slots < most && System.nanoTime() - again >= 0))) {
            wait(wanted() > 0 && slots < most ? RETRY_MS : 0);
          }
          if (!stopped && waiting == 0 && !used.isEmpty() && used.size() < BATCH && free.size() > ready / 2) {
            wait(GATHER_MS);
          }
          if (stopped) {
            return;
          }
        }
        if (bare() < wanted() && slots() < most && System.nanoTime() - again >= 0 && !extend()) {
          again = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(RETRY_MS);
        }
        synchronized (this) {
          for (int i = Math.min(BATCH, wanted()); i > 0 && !bare.isEmpty(); i--) {
            toMake.add(bare.poll());
          }
        }
        if (!toMake.isEmpty()) {
          wiring.make(toMake);
        }
        synchronized (this) {
          free.addAll(toMake);
          toMake.clear();
          failure = "";
          notifyAll();
        }
        takeAway();
      } catch (InterruptedException e) {
        return;
      } catch (Exception e) {
        LOG.warn("Networks cannot be made or taken away; trying again every {} ms", RETRY_MS, e);
        if (!pause(toMake, String.valueOf(e.getMessage()))) {
          return;
        }
      }
    }
  }

  /**
   * Takes some of the used ones away. A guest that still runs keeps its policy until its link is gone, and its address has no policy and no connection when it
   * serves again.
   */
  private void takeAway() throws IOException {
    List<Slot> some = new ArrayList<>();
    synchronized (this) {
      for (int i = 0; i < BATCH && !used.isEmpty(); i++) {
        some.add(used.poll());
      }
    }
    if (some.isEmpty()) {
      return;
    }
    try {
      wiring.remove(some);
      firewall.release(some.stream().map(Slot::address).toList());
      Connections.forget(netlink, some.stream().map(Slot::address).toList());
    } catch (IOException | RuntimeException e) {
      synchronized (this) {
        used.addAll(some);
      }
      throw e;
    }
    synchronized (this) {
      bare.addAll(some);
    }
  }

  private synchronized boolean pause(List<Slot> notMade, String why) {
    bare.addAll(notMade);
    failure = why;
    notifyAll();
    try {
      long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(RETRY_MS);
      for (long left = RETRY_MS; left > 0 && !stopped; left = TimeUnit.NANOSECONDS.toMillis(end - System.nanoTime())) {
        wait(left);
      }
      return !stopped;
    } catch (InterruptedException e) {
      return false;
    }
  }

  /** How many should be made now: from when half is gone until all are there again. */
  private synchronized int wanted() {
    if (free.size() >= ready) {
      filling = false;
    } else if (free.size() <= ready / 2) {
      filling = true;
    }
    return waiting > free.size() || filling ? Math.max(waiting, ready) - free.size() : 0;
  }

  private synchronized int bare() {
    return bare.size();
  }

  private synchronized int slots() {
    return slots;
  }

  SlotLease lease(NetworkRequest request) throws InterruptedException {
    SlotLease lease;
    synchronized (this) {
      Slot slot = poll();
      lease = new SlotLease(this, slot, request, rules.resolvers(request.egress()));
      leased.add(lease);
      taken++;
      if (wanted() > 0) {
        notifyAll();
      }
    }
    Exception failed;
    standing.readLock().lock();
    try {
      if (gone) {
        throw new IOException("the node ends");
      }
      firewall.egress(lease.slot().address(), request.egress());
      if (request.bitsPerSecond() != NetworkRequest.UNSHAPED) {
        wiring.shape(lease.slot(), request.bitsPerSecond());
      }
      return lease;
    } catch (Exception e) {
      LOG.warn("The network of a sandbox of {} cannot be set up", request.function(), e);
      failed = e;
    } finally {
      standing.readLock().unlock();
    }
    lease.close();
    throw new InstarException(ErrorCode.NETWORK_UNAVAILABLE, "The network of a sandbox cannot be set up: " + failed.getMessage());
  }

  private Slot poll() throws InterruptedException {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(WAIT_SECONDS);
    waiting++;
    try {
      while (free.isEmpty() && !stopped) {
        long left = TimeUnit.NANOSECONDS.toMillis(end - System.nanoTime());
        if (leased.size() >= most || left <= 0) {
          throw new InstarException(ErrorCode.NODE_BUSY, leased.size() >= most ? "All " + most + " networks for sandboxes are in use; max-slots bounds them."
              : "No network was ready within " + WAIT_SECONDS + " s.");
        }
        if (!failure.isEmpty()) {
          throw new InstarException(ErrorCode.NETWORK_UNAVAILABLE, "No network can be made: " + failure);
        }
        notifyAll();
        wait(left);
      }
      if (stopped) {
        throw new InstarException(ErrorCode.NOT_READY, "The network is being replaced.");
      }
      return free.poll();
    } finally {
      waiting--;
    }
  }

  Optional<NetworkUsage> usage(Slot slot) {
    standing.readLock().lock();
    try {
      return gone ? Optional.empty() : Optional.of(wiring.usage(slot));
    } catch (IOException e) {
      LOG.debug("No counters of {}", slot, e);
      return Optional.empty();
    } finally {
      standing.readLock().unlock();
    }
  }

  /** From the close of a lease. */
  void giveBack(SlotLease lease) {
    synchronized (this) {
      if (gone || !leased.remove(lease)) {
        return;
      }
      used.add(lease.slot());
      notifyAll();
      if (!alone) {
        return;
      }
    }
    try {
      leave();
    } catch (IOException e) {
      LOG.warn("What is left of the network of a sandbox of {} is taken away at the next start", lease.request().function(), e);
    }
  }

  /**
   * Looks whether what all guests need is still there, and puts the firewall back where somebody has taken it away.
   *
   * @return whether it had to be put back
   * @throws IOException what is wrong, for people
   */
  boolean look() throws IOException {
    standing.readLock().lock();
    try {
      if (gone) {
        return false;
      }
      boolean back = !firewall.isWhole();
      if (back) {
        LOG.error("Somebody has taken the node's rules of {} away, which keep sandboxes from the node and from each other; they are put back", firewall.name());
        firewall.install(rules);
        // What was opened to the node meanwhile would go on as what is established.
        Connections.forget(netlink, leased().stream().map(lease -> lease.slot().address()).toList());
      }
      wiring.check(reserved());
      return back;
    } finally {
      standing.readLock().unlock();
    }
  }

  private synchronized List<Block> reserved() {
    return List.copyOf(extended);
  }

  List<LeaseStatus> statuses() {
    return leased().stream().map(SlotLease::status).sorted(Comparator.comparing(LeaseStatus::since)).toList();
  }

  private synchronized List<SlotLease> leased() {
    return List.copyOf(leased);
  }

  synchronized int free() {
    return free.size();
  }

  synchronized long taken() {
    return taken;
  }

  /** Ends {@link #run}; no lease is given any more. */
  synchronized void stop() {
    stopped = true;
    notifyAll();
  }

  /**
   * Takes all away that is not leased. After {@link #stop} and the end of {@link #run}.
   *
   * @param all also what is leased: the node ends
   */
  void tearDown(boolean all) throws IOException {
    synchronized (this) {
      alone = true;
      used.addAll(free);
      free.clear();
      if (all) {
        leased.clear();
      }
    }
    leave();
  }

  /** What is open is kept for the successor's eyes; when nothing is, nothing stays. */
  private void leave() throws IOException {
    standing.writeLock().lock();
    try {
      Properties open = new Properties();
      synchronized (this) {
        if (gone) {
          return;
        }
        gone = leased.isEmpty();
        leased.forEach(lease -> Kept.put(open, lease));
      }
      if (!gone) {
        try {
          while (isSomeUsed()) {
            takeAway();
          }
        } finally {
          generation.keep(open);
        }
        return;
      }
      try (wiring) {
        wiring.removeAll();
        firewall.remove();
      }
      generation.end();
      if (generation.siblings().isEmpty()) {
        settings.restore();
      }
    } finally {
      standing.writeLock().unlock();
    }
  }

  private synchronized boolean isSomeUsed() {
    return !used.isEmpty();
  }

}
