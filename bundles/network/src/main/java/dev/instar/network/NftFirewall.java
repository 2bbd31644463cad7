package dev.instar.network;

import dev.instar.api.host.Netlink;
import dev.instar.api.network.Addresses;
import dev.instar.api.network.EgressPolicy;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * By nftables, in a table of our own. What is there for long is put in place with the program nft; which guest has which policy, which is decided in each lease, by
 * netlink: starting a program takes milliseconds. Numbers are those of linux/netfilter/nf_tables.h.
 */
final class NftFirewall implements Firewall {
  private static final Logger LOG = LoggerFactory.getLogger(NftFirewall.class);
  private static final int BATCH_BEGIN = 0x10;
  private static final int BATCH_END = 0x11;
  private static final int SUBSYSTEM = 10;
  private static final int NEW_ELEMENT = SUBSYSTEM << 8 | 12;
  private static final int DELETE_ELEMENT = SUBSYSTEM << 8 | 14;
  private static final int FAMILY_INET = 1;
  private static final int DROP = 0;
  private static final int GOTO = -4;
  private static final String MAP = "egress";

  private final Program nft;
  private final Netlink netlink;
  private final Generation generation;
  private final Lists lists;

  NftFirewall(Program nft, Netlink netlink, Generation generation) {
    this.nft = nft;
    this.netlink = netlink;
    this.generation = generation;
    lists = new Lists(new Lists.Chains() {
      @Override
      public void add(String name, EgressPolicy.Only list) throws IOException {
        StringBuilder script = new StringBuilder("table inet " + generation.table() + " {\n  chain " + name + " {\n    ip daddr @denied drop\n");
        for (EgressPolicy.Destination to : list.destinations()) {
          String address = "    ip daddr " + to.address().getHostAddress() + "/" + to.bits();
          script.append(to.port() == 0 ? address + " accept\n" : address + " tcp dport " + to.port() + " accept\n" + address + " udp dport " + to.port() + " accept\n");
        }
        nft.run(script.append("    drop\n  }\n}\n").toString(), "-f", "-");
      }

      @Override
      public void remove(String name) throws IOException {
        nft.run("delete chain inet " + generation.table() + " " + name + "\n", "-f", "-");
      }
    });
  }

  @Override
  public String name() {
    return "nftables";
  }

  @Override
  public void install(Rules rules) throws IOException {
    String bridges = "\"" + generation.bridges() + "*\"";
    // What answers to a connection of the node goes to the node, so 'node' lets it pass; none is made from outside to a guest.
    nft.run("""
        table inet %1$s {
          set denied { type ipv4_addr; flags interval; auto-merge; elements = { %3$s } }
          set guests { type ipv4_addr; flags interval; auto-merge; elements = { %4$s } }
          set resolvers { type ipv4_addr; %5$s }
          map %6$s { type ipv4_addr : verdict; }
          chain internet {
            ip daddr @resolvers meta l4proto { tcp, udp } th dport 53 accept
            ip daddr @denied drop
            meta nfproto ipv4 accept
            drop
          }
          chain from {
            oifname %2$s drop
            ip saddr vmap @%6$s
            goto internet
          }
          chain to {
            ct state established,related accept
            drop
          }
          chain input {
            type filter hook input priority -10; policy accept;
            iifname %2$s goto to
          }
          chain forward {
            type filter hook forward priority -10; policy accept;
            iifname %2$s goto from
            oifname %2$s goto to
          }
          chain nat {
            type nat hook postrouting priority 100; policy accept;
            ip saddr @guests oifname != %2$s masquerade
          }
        }
        """.formatted(generation.table(), bridges, text(rules.denied()), text(rules.networks()), rules.resolvers().isEmpty() ? ""
            : "elements = { " + rules.resolvers().stream().map(r -> r.getHostAddress()).collect(Collectors.joining(", ")) + " }", MAP), "-f", "-");
    try {
      nft.run("""
          table bridge %1$s {
            set who { type ifname . ether_addr . ipv4_addr; }
            chain from {
              type filter hook prerouting priority -300; policy accept;
              iifname != "%2$s*" accept
              ether type ip iifname . ether saddr . ip saddr @who accept
              ether type arp iifname . ether saddr . arp saddr ip @who accept
              drop
            }
          }
          """.formatted(generation.table(), generation.port(0).replaceAll("0$", "")), "-f", "-");
    } catch (IOException e) {
      LOG.warn("This kernel has no nftables for bridges: a function with CAP_NET_RAW could send under another one's address. {}", e.getMessage());
    }
  }

  private static String text(List<Range> ranges) {
    return ranges.stream().map(Range::toString).collect(Collectors.joining(", "));
  }

  @Override
  public void bind(Block block, int firstSlot) throws IOException {
    StringBuilder elements = new StringBuilder();
    for (int i = 0; i < block.guests(); i++) {
      elements.append(i == 0 ? "" : ", ").append('"').append(generation.port(firstSlot + i)).append("\" . ").append(Block.macText(block.guest(i))).append(" . ")
          .append(Addresses.of(block.guest(i)).getHostAddress());
    }
    try {
      nft.run("add element bridge " + generation.table() + " who { " + elements + " }\n", "-f", "-");
    } catch (IOException e) {
      LOG.debug("No table for bridges", e);
    }
  }

  @Override
  public void egress(int address, EgressPolicy before, EgressPolicy policy) throws IOException {
    lists.change(before, policy, (had, gets) -> {
      Message m = new Message();
      batch(m, BATCH_BEGIN);
      if (!(before instanceof EgressPolicy.Internet)) {
        element(m, DELETE_ELEMENT, 0, address, () -> {});
      }
      if (!(policy instanceof EgressPolicy.Internet)) {
        // Data: a verdict, of a code and perhaps a chain.
        element(m, NEW_ELEMENT, Message.CREATE, address, () -> m.nested(2, () -> m.nested(2, () -> {
          m.address(1, gets.isEmpty() ? DROP : GOTO);
          if (!gets.isEmpty()) {
            m.attribute(2, gets);
          }
        })));
      }
      batch(m, BATCH_END);
      try (Conversation kernel = new Conversation(netlink, Netlink.NETFILTER)) {
        kernel.exchange(m, "set the policy of a guest", Set.of());
      }
    });
  }

  /** struct nfgenmsg: family, version, resource (of the network's order). */
  private static void batch(Message m, int type) {
    m.begin(type, 0).bytes(0, 0, 0, SUBSYSTEM);
  }

  private void element(Message m, int type, int flags, int address, Runnable data) {
    m.begin(type, Message.ACK | flags).bytes(FAMILY_INET, 0, 0, 0).attribute(1, generation.table()).attribute(2, MAP)
        .nested(3, () -> m.nested(1, () -> {
          m.nested(1, () -> m.address(1, address));
          data.run();
        }));
  }

  @Override
  public void remove() throws IOException {
    String tables = nft.run("", "list", "tables");
    StringBuilder script = new StringBuilder();
    for (String family : new String[] {"inet", "bridge"}) {
      if (tables.lines().anyMatch(line -> line.strip().equals("table " + family + " " + generation.table()))) {
        script.append("delete table ").append(family).append(' ').append(generation.table()).append('\n');
      }
    }
    if (!script.isEmpty()) {
      nft.run(script.toString(), "-f", "-");
    }
  }
}
