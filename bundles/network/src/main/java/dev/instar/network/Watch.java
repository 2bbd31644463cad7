package dev.instar.network;

import dev.instar.api.host.LinuxException;
import dev.instar.api.host.Netlink;
import dev.instar.api.sandbox.Probe;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Looks at what the node has put on the host: at once when the kernel tells that somebody takes rules of nftables away, and every few seconds. Numbers are those of
 * linux/netfilter/nf_tables.h.
 */
final class Watch {
  private static final Logger LOG = LoggerFactory.getLogger(Watch.class);
  private static final long EVERY_SECONDS = 5;
  private static final long PAUSE_MS = 200;
  private static final long GAP_MS = 20;
  /** NFNLGRP_NFTABLES. */
  private static final int GROUP = 7;
  private static final int SUBSYSTEM = 10;
  /** That a table, a chain, a rule, a set or its elements are gone. */
  private static final Set<Integer> REMOVALS = Set.of(2, 5, 8, 11, 14);

  private final Netlink netlink;
  private final Pool pool;
  private final Firewall firewall;
  private volatile Optional<Probe.Missing> trouble = Optional.empty();
  private volatile String repairs = "";
  private volatile boolean stopped;
  private int repaired;

  Watch(Netlink netlink, Pool pool, Firewall firewall) {
    this.netlink = netlink;
    this.pool = pool;
    this.firewall = firewall;
  }

  /** What is wrong with the host at the moment. */
  Optional<Probe.Missing> trouble() {
    return trouble;
  }

  /** What was put back since the start, for people; empty where nothing was. */
  String repairs() {
    return repairs;
  }

  /** {@link #run} ends within a second. */
  void stop() {
    stopped = true;
  }

  /** Until it is stopped. */
  void run() {
    Optional<Conversation> events = Optional.empty();
    try {
      events = Optional.of(Conversation.listening(netlink, Netlink.NETFILTER, GROUP));
    } catch (LinuxException e) {
      LOG.info("Changes of the firewall are looked for every {} s only: {}", EVERY_SECONDS, e.getMessage());
    }
    try {
      long next = System.nanoTime();
      while (!stopped) {
        if (isChanged(events) || System.nanoTime() - next >= 0) {
          look();
          // One who takes all away does so rule by rule.
          Thread.sleep(GAP_MS);
          next = System.nanoTime() + TimeUnit.SECONDS.toNanos(EVERY_SECONDS);
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      events.ifPresent(Conversation::close);
    }
  }

  private boolean isChanged(Optional<Conversation> events) throws InterruptedException {
    if (events.isEmpty()) {
      Thread.sleep(PAUSE_MS);
      return false;
    }
    boolean[] changed = {false};
    try {
      events.get().hear((type, payload) -> {
        if (type >> 8 == SUBSYSTEM && REMOVALS.contains(type & 0xff)) {
          ByteBuffer table = Conversation.attributes(payload, 4).get(1);
          changed[0] |= table != null && firewall.mayUse(Conversation.text(table));
        }
      });
    } catch (LinuxException e) {
      if (e.errno() != LinuxException.ENOBUFS) {
        LOG.warn("Changes of the firewall cannot be heard", e);
        Thread.sleep(PAUSE_MS);
      }
      return true;
    }
    return changed[0];
  }

  private void look() {
    Optional<Probe.Missing> now = Optional.empty();
    try {
      if (pool.look()) {
        repairs = ", whose rules somebody has taken away " + ++repaired + " times, and the node has put back, last at " + Instant.now().truncatedTo(ChronoUnit.SECONDS);
      }
      if (!Host.forwards()) {
        now = Optional.of(new Probe.Missing("the forwarding of packets, which somebody has turned off", "sysctl -w net.ipv4.ip_forward=1"));
      }
    } catch (IOException e) {
      now = Optional.of(new Probe.Missing(e.getMessage(), "see what the node's log says of dev.instar.network; instar bundles stop dev.instar.network, and start, sets up anew"));
    }
    if (!now.equals(trouble)) {
      now.ifPresentOrElse(missing -> LOG.warn("Networks of sandboxes miss {}. {}", missing.what(), missing.remedy()), () -> LOG.info("Networks of sandboxes are whole again"));
    }
    trouble = now;
  }
}
