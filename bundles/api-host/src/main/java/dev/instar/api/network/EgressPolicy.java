package dev.instar.api.network;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.net.Inet4Address;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;

/**
 * Which connections a function may open to beyond its node. Addresses that the node's configuration denies stay denied whatever the policy is; answers
 * to the node's own connections always pass.
 */
public sealed interface EgressPolicy {
  /** The most destinations in one list. */
  int MOST = 64;

  /** None at all. */
  record None() implements EgressPolicy {
    @Override
    public String toString() {
      return "none";
    }
  }

  /** All that is not denied, and the node's resolvers. */
  record Internet() implements EgressPolicy {
    @Override
    public String toString() {
      return "internet";
    }
  }

  /**
   * These only.
   *
   * @param destinations 1 to {@link EgressPolicy#MOST}
   */
  record Only(List<Destination> destinations) implements EgressPolicy {
    public Only {
      destinations = List.copyOf(destinations);
      if (destinations.isEmpty() || destinations.size() > MOST) {
        throw new InstarException(ErrorCode.BAD_REQUEST, "A list of destinations has 1 to " + MOST + "; " + destinations.size() + " were given.");
      }
    }

    @Override
    public String toString() {
      return destinations.stream().map(Destination::toString).collect(Collectors.joining(","));
    }
  }

  /**
   * A network and the ports in it, for TCP and UDP.
   *
   * @param address the first address of the network
   * @param bits how many bits of the address name the network
   * @param port one port, or 0 for all, and for all protocols
   */
  record Destination(Inet4Address address, int bits, int port) {
    public Destination {
      if (bits < 0 || bits > 32 || port < 0 || port > 65_535) {
        throw new InstarException(ErrorCode.BAD_REQUEST, "/" + bits + ":" + port + " is no network and port; give 0 to 32 bits and a port up to 65535.");
      }
      address = Addresses.of(Addresses.number(address) & Addresses.mask(bits));
    }

    @Override
    public String toString() {
      return address.getHostAddress() + (bits == 32 ? "" : "/" + bits) + (port == 0 ? "" : ":" + port);
    }
  }

  None NONE = new None();
  Internet INTERNET = new Internet();

  /**
   * Reads what {@code toString} writes: {@code none}, {@code internet}, or destinations with commas between: {@code 192.0.2.7:443,198.51.100.0/24}.
   *
   * @throws InstarException BAD_REQUEST, naming the part that is wrong
   */
  static EgressPolicy parse(String text) {
    String trimmed = text.strip();
    if (trimmed.equals("none")) {
      return NONE;
    }
    if (trimmed.equals("internet")) {
      return INTERNET;
    }
    List<Destination> destinations = new ArrayList<>();
    Arrays.stream(trimmed.split(",", MOST + 2)).forEach(part -> destinations.add(destination(part.strip())));
    return new Only(destinations);
  }

  private static Destination destination(String text) {
    try {
      int colon = text.indexOf(':');
      String network = colon < 0 ? text : text.substring(0, colon);
      int slash = network.indexOf('/');
      Inet4Address address = Addresses.parse(slash < 0 ? network : network.substring(0, slash));
      int port = colon < 0 ? 0 : Integer.parseInt(text.substring(colon + 1));
      if (colon >= 0 && port == 0) {
        throw new IllegalArgumentException("port 0");
      }
      return new Destination(address, slash < 0 ? 32 : Integer.parseInt(network.substring(slash + 1)), port);
    } catch (IllegalArgumentException e) {
      String shown = text.length() > 60 ? text.substring(0, 60) + "..." : text;
      throw new InstarException(ErrorCode.BAD_REQUEST,
          "'" + shown.replaceAll("[^ -~]", "?") + "' is no egress policy; give none, internet, or IPv4 addresses like 192.0.2.7:443 or 198.51.100.0/24 with commas between.");
    }
  }
}
