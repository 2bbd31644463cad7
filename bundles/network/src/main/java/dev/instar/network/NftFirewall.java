package dev.instar.network;

import dev.instar.api.host.LinuxException;
import dev.instar.api.host.Netlink;
import dev.instar.api.network.Addresses;
import dev.instar.api.network.EgressPolicy;
import java.io.IOException;
import java.net.Inet4Address;
import java.nio.ByteBuffer;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
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
  private static final int NEW_RULE = SUBSYSTEM << 8 | 6;
  private static final int GET_RULE = SUBSYSTEM << 8 | 7;
  private static final int NEW_ELEMENT = SUBSYSTEM << 8 | 12;
  private static final int GET_ELEMENT = SUBSYSTEM << 8 | 13;
  private static final int DELETE_ELEMENT = SUBSYSTEM << 8 | 14;
  private static final int FAMILY_INET = 1;
  private static final int FAMILY_BRIDGE = 7;
  private static final int DROP = 0;
  private static final int GOTO = -4;
  private static final String MAP = "egress";
  private static final String LIST = "list";
  /** Elements that fit into one datagram. */
  private static final int BATCH = 64;

  private final Program nft;
  private final Netlink netlink;
  private final Generation generation;
  private final Policies policies;
  private final Map<Block, Integer> bound = new LinkedHashMap<>();
  /** How many rules a chain has, of those that are there for long. */
  private Map<String, Integer> installed = Map.of();
  private boolean bridges = true;

  NftFirewall(Program nft, Netlink netlink, Generation generation) {
    this.nft = nft;
    this.netlink = netlink;
    this.generation = generation;
    policies = new Policies(new Policies.Chains() {
      @Override
      public void add(String name, EgressPolicy.Only list) throws IOException {
        nft.run("table inet " + generation.table() + " {\n  chain " + name + " {\n" + rules(list) + "  }\n}\n", "-f", "-");
      }

      @Override
      public void remove(String name) throws IOException {
        nft.run("delete chain inet " + generation.table() + " " + name + "\n", "-f", "-");
      }
    });
  }

  private static String rules(EgressPolicy.Only list) {
    StringBuilder rules = new StringBuilder("    ip daddr @denied drop\n");
    for (EgressPolicy.Destination to : list.destinations()) {
      String address = "    ip daddr " + to.address().getHostAddress() + "/" + to.bits();
      rules.append(to.port() == 0 ? address + " accept\n" : address + " tcp dport " + to.port() + " accept\n" + address + " udp dport " + to.port() + " accept\n");
    }
    return rules.append("    drop\n").toString();
  }

  @Override
  public String name() {
    return "nftables";
  }

  @Override
  public boolean mayUse(String table) {
    return table.equals(generation.table());
  }

  @Override
  public synchronized void install(Rules rules) throws IOException {
    String names = "\"" + generation.bridges() + "*\"";
    // What answers to a connection of the node goes to the node, so 'node' lets it pass; none is made from outside to a guest.
    nft.run("""
        table inet %1$s {}
        delete table inet %1$s
        table inet %1$s {
          set denied { type ipv4_addr; flags interval; auto-merge; elements = { %3$s } }
          set guests { type ipv4_addr; flags interval; auto-merge; elements = { %4$s } }
          set resolvers { type ipv4_addr; %5$s }
          map %6$s { type ipv4_addr : verdict; %7$s }
%8$s
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
        """.formatted(generation.table(), names, text(rules.denied()), text(rules.networks()),
        elements(rules.resolvers().stream().map(Inet4Address::getHostAddress)), MAP,
        elements(policies.all().stream().map(one -> Addresses.of(one.address()).getHostAddress() + " : " + (one.chain().isEmpty() ? "drop" : "goto " + one.chain()))),
        policies.chains().entrySet().stream().map(one -> "  chain " + one.getKey() + " {\n" + rules(one.getValue()) + "  }\n").collect(Collectors.joining())), "-f", "-");
    try {
      nft.run("""
          table bridge %1$s {}
          delete table bridge %1$s
          table bridge %1$s {
            set who { type ifname . ether_addr . ipv4_addr; %3$s }
            chain from {
              type filter hook prerouting priority -300; policy accept;
              iifname != "%2$s*" accept
              ether type ip iifname . ether saddr . ip saddr @who accept
              ether type arp iifname . ether saddr . arp saddr ip @who accept
              drop
            }
          }
          """.formatted(generation.table(), generation.port(0).replaceAll("0$", ""), elements(bound.entrySet().stream().flatMap(one -> who(one.getKey(), one.getValue())))),
          "-f", "-");
    } catch (IOException e) {
      bridges = false;
      LOG.warn("This kernel has no nftables for bridges: a function with CAP_NET_RAW could send under another one's address. {}", e.getMessage());
    }
    installed = counts();
  }

  private static String elements(Stream<String> elements) {
    String all = elements.collect(Collectors.joining(", "));
    return all.isEmpty() ? "" : "elements = { " + all + " }";
  }

  private static String text(List<Range> ranges) {
    return ranges.stream().map(Range::toString).collect(Collectors.joining(", "));
  }

  @Override
  public synchronized void bind(Block block, int firstSlot) throws IOException {
    if (bridges) {
      nft.run("add element bridge " + generation.table() + " who { " + who(block, firstSlot).collect(Collectors.joining(", ")) + " }\n", "-f", "-");
    }
    bound.put(block, firstSlot);
  }

  private Stream<String> who(Block block, int firstSlot) {
    return IntStream.range(0, block.guests()).mapToObj(i -> "\"" + generation.port(firstSlot + i) + "\" . " + Block.macText(block.guest(i)) + " . "
        + Addresses.of(block.guest(i)).getHostAddress());
  }

  @Override
  public synchronized void egress(int address, EgressPolicy policy) throws IOException {
    policies.set(address, policy, (before, after) -> change(before, after, Set.of()));
  }

  @Override
  public synchronized void release(Collection<Integer> addresses) throws IOException {
    policies.release(addresses, (before, after) -> {
      try {
        for (int i = 0; i < before.size(); i += BATCH) {
          change(before.subList(i, Math.min(before.size(), i + BATCH)), after, Set.of());
        }
      } catch (LinuxException e) {
        if (e.errno() != LinuxException.ENOENT) {
          throw e;
        }
        // Some are gone already, which is as good, but the kernel then takes none of them away.
        for (Policies.Entry one : before) {
          change(List.of(one), after, Set.of(LinuxException.ENOENT));
        }
      }
    });
  }

  private void change(List<Policies.Entry> before, List<Policies.Entry> after, Set<Integer> accepted) throws LinuxException {
    Message m = new Message();
    batch(m, BATCH_BEGIN);
    for (Policies.Entry one : before) {
      element(m, DELETE_ELEMENT, 0, one.address(), () -> {});
    }
    for (Policies.Entry one : after) {
      // Data: a verdict, of a code and perhaps a chain.
      element(m, NEW_ELEMENT, Message.CREATE, one.address(), () -> m.nested(2, () -> m.nested(2, () -> {
        m.address(1, one.chain().isEmpty() ? DROP : GOTO);
        if (!one.chain().isEmpty()) {
          m.attribute(2, one.chain());
        }
      })));
    }
    batch(m, BATCH_END);
    try (Conversation kernel = new Conversation(netlink, Netlink.NETFILTER)) {
      kernel.exchange(m, "set the policy of a guest", accepted);
    }
  }

  @Override
  public synchronized boolean isWhole() throws IOException {
    Map<String, Integer> now = counts();
    return installed.entrySet().stream().filter(one -> !one.getKey().contains(LIST)).allMatch(one -> one.getValue().equals(now.get(one.getKey())))
        && policies.chains().keySet().stream().allMatch(chain -> now.containsKey(FAMILY_INET + chain))
        && elements() == policies.all().size();
  }

  /** How many rules are in each chain of the tables, by family and name. */
  private Map<String, Integer> counts() throws IOException {
    Map<String, Integer> counts = new HashMap<>();
    try (Conversation kernel = new Conversation(netlink, Netlink.NETFILTER)) {
      for (int family : new int[] {FAMILY_INET, FAMILY_BRIDGE}) {
        Message m = new Message().begin(GET_RULE, Message.DUMP).bytes(family, 0, 0, 0).attribute(1, generation.table());
        kernel.dump(m, "list rules", (type, payload) -> {
          if (type == NEW_RULE) {
            // struct nfgenmsg, then attributes: the table, the chain.
            counts.merge(family + Conversation.text(Conversation.attributes(payload, 4).get(2)), 1, Integer::sum);
          }
        });
      }
    } catch (LinuxException e) {
      if (e.errno() != LinuxException.ENOENT) {
        throw e;
      }
    }
    return counts;
  }

  private int elements() throws IOException {
    int[] count = {0};
    try (Conversation kernel = new Conversation(netlink, Netlink.NETFILTER)) {
      kernel.dump(new Message().begin(GET_ELEMENT, Message.DUMP).bytes(FAMILY_INET, 0, 0, 0).attribute(1, generation.table()).attribute(2, MAP), "list policies",
          (type, payload) -> {
            if (type == NEW_ELEMENT) {
              for (ByteBuffer all = Conversation.attributes(payload, 4).get(3); all != null && all.remaining() >= 4; all.position(Math.min(all.limit(), all.position()
                  + ((all.getShort(all.position()) & 0xffff) + 3 & ~3)))) {
                count[0]++;
              }
            }
          });
    } catch (LinuxException e) {
      if (e.errno() != LinuxException.ENOENT) {
        throw e;
      }
      return -1;
    }
    return count[0];
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
  public synchronized void remove() throws IOException {
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
