package dev.instar.network;

import dev.instar.api.host.Netlink;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Others on this host for whom packets are forwarded, as far as can be seen: interfaces that are there for nothing else (another node's bridges are such), and
 * translations of addresses. Numbers are those of linux/if_link.h.
 */
final class Forwarders implements HostSettings.Others {
  private static final int GETLINK = 18;
  private static final int IFLA_IFNAME = 3;
  private static final int IFLA_LINKINFO = 18;
  private static final int INFO_KIND = 1;
  private static final Set<String> KINDS = Set.of("bridge", "tun", "wireguard", "vxlan");

  private final Netlink netlink;
  private final String mark;
  private final Optional<Program> nft;
  private final Optional<Program> save;

  /**
   * @param mark of this node, whose own are not counted
   * @param nft the program, where it is here
   * @param save iptables-save, where it is here
   */
  Forwarders(Netlink netlink, String mark, Optional<Program> nft, Optional<Program> save) {
    this.netlink = netlink;
    this.mark = mark;
    this.nft = nft;
    this.save = save;
  }

  @Override
  public Optional<String> rely() throws IOException {
    List<String> found = new ArrayList<>();
    try (Conversation kernel = new Conversation(netlink, Netlink.ROUTE)) {
      kernel.dump(new Message().begin(GETLINK, Message.DUMP).link(0, 0, 0, 0), "list interfaces", (type, payload) -> {
        Map<Integer, ByteBuffer> attributes = Conversation.attributes(payload, Message.HEADER);
        String name = Conversation.text(attributes.get(IFLA_IFNAME));
        ByteBuffer information = attributes.get(IFLA_LINKINFO);
        ByteBuffer kind = information == null ? null : Conversation.attributes(information, 0).get(INFO_KIND);
        if (kind != null && KINDS.contains(kind(kind)) && !name.startsWith("i" + mark)) {
          found.add("the " + kind(kind) + " " + name);
        }
      });
    }
    if (nft.isPresent()) {
      translation(nft.get().run("", "list", "ruleset"), "table ").ifPresent(found::add);
    } else if (save.isPresent()) {
      translation(save.get().run("", "-t", "nat"), "-A ").ifPresent(found::add);
    }
    return found.stream().findFirst();
  }

  /** Some kinds come with a NUL at their end, some without. */
  private static String kind(ByteBuffer value) {
    byte[] bytes = new byte[value.remaining()];
    value.get(0, bytes);
    return new String(bytes, StandardCharsets.UTF_8).replace("\0", "");
  }

  private Optional<String> translation(String rules, String owner) {
    String within = "";
    for (String line : rules.lines().toList()) {
      within = line.startsWith(owner) ? line : within;
      String lower = line.toLowerCase(Locale.ROOT);
      if ((lower.contains("masquerade") || lower.contains("snat")) && !within.contains("instar_" + mark)) {
        return Optional.of("the firewall's rule '" + line.strip() + "'");
      }
    }
    return Optional.empty();
  }
}
