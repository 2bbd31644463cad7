package dev.instar.network;

import dev.instar.api.network.Addresses;
import java.io.IOException;
import java.net.Inet4Address;
import java.net.NetworkInterface;
import java.net.SocketException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** The name servers of the host that a guest could reach. */
final class Resolvers {
  /** The first with such a server counts; systemd-resolved has its own in the second, and a stub on the loopback in the first. */
  private static final List<Path> FILES = List.of(Path.of("/etc/resolv.conf"), Path.of("/run/systemd/resolve/resolv.conf"));

  private Resolvers() {}

  static List<Inet4Address> ofHost() throws IOException {
    for (Path file : FILES) {
      if (Files.isReadable(file)) {
        List<Inet4Address> found = parse(Files.readString(file));
        found.removeIf(Resolvers::isOfHost);
        if (!found.isEmpty()) {
          return found;
        }
      }
    }
    return List.of();
  }

  static List<Inet4Address> parse(String text) {
    List<Inet4Address> found = new ArrayList<>();
    text.lines().map(line -> line.strip().split("\\s+")).filter(words -> words.length > 1 && words[0].equals("nameserver")).forEach(words -> {
      try {
        found.add(Addresses.parse(words[1]));
      } catch (IllegalArgumentException e) {
        // One of version 6, which guests don't have.
      }
    });
    return found;
  }

  private static boolean isOfHost(Inet4Address address) {
    try {
      return address.isLoopbackAddress() || NetworkInterface.getByInetAddress(address) != null;
    } catch (SocketException e) {
      return false;
    }
  }
}
