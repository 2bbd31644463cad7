package dev.instar.gateway.access;

import java.net.Inet6Address;
import java.net.InetAddress;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Counts credentials that do not hold, by the address that they come from (of IPv6 the first 64 bits, which one host has all of). An address has
 * {@value #BURST} at once and {@value #PER_MINUTE} a minute after that. At most {@value #ADDRESSES} addresses are remembered; the one that was
 * quiet for longest is forgotten first.
 *
 * <p>A credential that holds is never counted and never refused, however many wrong ones its address has sent: nobody can lock others out from behind
 * the same address. What keeps a token from being guessed is its 256 bits; this bounds what guessing costs the node, and makes it seen.
 */
final class Guesses {
  static final int BURST = 10;
  static final int PER_MINUTE = 10;
  static final int ADDRESSES = 4096;

  private static final Logger LOG = LoggerFactory.getLogger(Guesses.class);
  private static final long NANOS_EACH = Duration.ofMinutes(1).toNanos() / PER_MINUTE;

  /** Full at this time, from which what is left follows: one number instead of a count and a time. */
  private record Full(long atNanos) {}

  private final LongSupplier clock;
  private final Map<String, Full> addresses = new LinkedHashMap<>(16, 0.75f, true) {
    private static final long serialVersionUID = 1;

    @Override
    protected boolean removeEldestEntry(Map.Entry<String, Full> eldest) {
      return size() > ADDRESSES;
    }
  };

  Guesses(LongSupplier clock) {
    this.clock = clock;
  }

  /** Notes a wrong one. @return how long to wait with the next; zero: it was within what an address has */
  synchronized Duration wrong(InetAddress peer) {
    String address = key(peer);
    long now = clock.getAsLong();
    Full full = addresses.get(address);
    long owed = full == null ? 0 : Math.max(0, full.atNanos() - now);
    if (owed > (BURST - 1) * NANOS_EACH) {
      return Duration.ofNanos(owed - (BURST - 1) * NANOS_EACH);
    }
    addresses.put(address, new Full(now + owed + NANOS_EACH));
    if (owed + NANOS_EACH > (BURST - 1) * NANOS_EACH) {
      LOG.warn("{} wrong credentials in a short time from {}; what goes beyond {} a minute gets too-many-attempts.", BURST, address, PER_MINUTE);
    }
    return Duration.ZERO;
  }

  synchronized int remembered() {
    return addresses.size();
  }

  private static String key(InetAddress peer) {
    return peer instanceof Inet6Address six ? HexFormat.ofDelimiter(":").formatHex(Arrays.copyOf(six.getAddress(), 8)) + "::/64" : peer.getHostAddress();
  }
}
