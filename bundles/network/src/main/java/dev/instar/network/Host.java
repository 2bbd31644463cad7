package dev.instar.network;

import dev.instar.api.sandbox.Probe;
import java.io.IOException;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** What this host has to have. */
final class Host {
  private static final int NET_ADMIN = 12;
  private static final int SYS_ADMIN = 21;
  private static final Path ROUTES = Path.of("/proc/net/route");
  /** The kernel's setting without which no packet goes from one interface to another. */
  static final String FORWARDING = "net/ipv4/ip_forward";
  private static final Path FORWARD = Path.of("/proc/sys", FORWARDING);

  private Host() {}

  static boolean forwards() throws IOException {
    return Files.readString(FORWARD).strip().equals("1");
  }

  /** The first thing that is missing. */
  static Optional<Probe.Missing> missing(List<Range> networks, String mark) throws IOException {
    if (!System.getProperty("os.name").equals("Linux")) {
      return Optional.of(new Probe.Missing("Linux: network namespaces are of its kernel", "run the node on Linux"));
    }
    long capabilities = Files.readAllLines(Path.of("/proc/self/status")).stream().filter(line -> line.startsWith("CapEff:"))
        .mapToLong(line -> Long.parseUnsignedLong(line.substring("CapEff:".length()).strip(), 16)).findFirst().orElse(0);
    for (int bit : new int[] {NET_ADMIN, SYS_ADMIN}) {
      if ((capabilities & 1L << bit) == 0) {
        return Optional.of(new Probe.Missing("the capability " + (bit == NET_ADMIN ? "CAP_NET_ADMIN" : "CAP_SYS_ADMIN") + ", without which no network can be made",
            "run the node as root, or under systemd with AmbientCapabilities=CAP_NET_ADMIN CAP_SYS_ADMIN"));
      }
    }
    if (!forwards() && !Files.isWritable(FORWARD)) {
      return Optional.of(new Probe.Missing("the forwarding of packets, which is off, and " + FORWARD + " cannot be written", "sysctl -w net.ipv4.ip_forward=1"));
    }
    return inUse(Files.readAllLines(ROUTES), networks, mark)
        .map(route -> new Probe.Missing("addresses: " + route, "give networks of dev.instar.network ranges that are in use nowhere"));
  }

  /** A route of the host into the networks, other than the node's own. Lines are those of {@code /proc/net/route}, with numbers of the machine's order. */
  static Optional<String> inUse(List<String> routes, List<Range> networks, String mark) {
    for (String line : routes) {
      String[] words = line.strip().split("\\s+");
      if (words.length > 7 && !words[0].equals("Iface") && !words[0].startsWith("i" + mark)) {
        Range route = new Range(number(words[1]), Integer.bitCount(number(words[7])));
        Optional<Range> network = networks.stream().filter(n -> route.bits() > 0 && n.overlaps(route)).findFirst();
        if (network.isPresent()) {
          return Optional.of(network.get() + " overlaps with " + route + " of " + words[0]);
        }
      }
    }
    return Optional.empty();
  }

  private static int number(String hex) {
    int number = Integer.parseUnsignedInt(hex, 16);
    return ByteOrder.nativeOrder() == ByteOrder.LITTLE_ENDIAN ? Integer.reverseBytes(number) : number;
  }
}
