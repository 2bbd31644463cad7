package dev.instar.network;

import dev.instar.api.network.Addresses;
import dev.instar.api.network.EgressPolicy;
import java.net.Inet4Address;
import java.util.List;
import java.util.stream.Stream;

/**
 * What holds for all guests of a node.
 *
 * @param networks whose addresses are guests'
 * @param denied what none may reach
 * @param resolvers what may be asked for names all the same, on port 53
 */
record Rules(List<Range> networks, List<Range> denied, List<Inet4Address> resolvers) {
  private static final int DNS = 53;
  /** Whatever is configured: link-local addresses, where clouds keep credentials. */
  private static final Range LINK_LOCAL = Range.parse("169.254.0.0/16");

  Rules {
    networks = List.copyOf(networks);
    denied = Stream.of(denied, networks, List.of(LINK_LOCAL)).flatMap(List::stream).distinct().toList();
    resolvers = List.copyOf(resolvers);
  }

  /** Those that a guest with this policy can ask. */
  List<Inet4Address> resolvers(EgressPolicy policy) {
    return switch (policy) {
      case EgressPolicy.None none -> List.of();
      case EgressPolicy.Internet internet -> resolvers;
      case EgressPolicy.Only only -> resolvers.stream().filter(resolver -> {
        Range alone = new Range(Addresses.number(resolver), 32);
        return denied.stream().noneMatch(alone::overlaps) && only.destinations().stream()
            .anyMatch(to -> (to.port() == 0 || to.port() == DNS) && new Range(Addresses.number(to.address()), to.bits()).overlaps(alone));
      }).toList();
    };
  }
}
