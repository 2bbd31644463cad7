package dev.instar.network;

import dev.instar.api.network.Addresses;
import dev.instar.api.network.EgressPolicy;
import java.io.IOException;
import java.net.Inet4Address;
import java.util.stream.Collectors;

/**
 * By iptables, in chains of our own, for hosts without nft. Each policy other than the usual one is a rule that every packet is held against, and a start of the
 * program.
 */
final class IptablesFirewall implements Firewall {
  private final Program restore;
  private final Program save;
  private final Generation generation;
  private final Lists lists;

  IptablesFirewall(Program restore, Program save, Generation generation) {
    this.restore = restore;
    this.save = save;
    this.generation = generation;
    lists = new Lists(new Lists.Chains() {
      @Override
      public void add(String name, EgressPolicy.Only list) throws IOException {
        StringBuilder rules = new StringBuilder(":" + chain(name) + " - [0:0]\n-A " + chain(name) + " -j " + chain("denied") + "\n");
        for (EgressPolicy.Destination to : list.destinations()) {
          String rule = "-A " + chain(name) + " -d " + to.address().getHostAddress() + "/" + to.bits();
          rules.append(to.port() == 0 ? rule + " -j ACCEPT\n"
              : rule + " -p tcp --dport " + to.port() + " -j ACCEPT\n" + rule + " -p udp --dport " + to.port() + " -j ACCEPT\n");
        }
        filter(rules + "-A " + chain(name) + " -j DROP\n");
      }

      @Override
      public void remove(String name) throws IOException {
        filter("-F " + chain(name) + "\n-X " + chain(name) + "\n");
      }
    });
  }

  @Override
  public String name() {
    return "iptables";
  }

  /** At most 28 characters. */
  private String chain(String name) {
    return generation.table() + "-" + name;
  }

  private void filter(String rules) throws IOException {
    apply("*filter\n" + rules + "COMMIT\n");
  }

  /** Waits for others that hold the lock of iptables. */
  private void apply(String rules) throws IOException {
    restore.run(rules, "--noflush", "-w", "5");
  }

  @Override
  public void install(Rules rules) throws IOException {
    String bridges = generation.bridges() + "+";
    String table = generation.table();
    apply("""
        *filter
        :%1$s-denied - [0:0]
        :%1$s-egress - [0:0]
        :%1$s-from - [0:0]
        :%1$s-to - [0:0]
        """.formatted(table)
        + rules.denied().stream().map(range -> "-A " + chain("denied") + " -d " + range + " -j DROP\n").collect(Collectors.joining())
        + "-A " + chain("from") + " -o " + bridges + " -j DROP\n-A " + chain("from") + " -j " + chain("egress") + "\n"
        + rules.resolvers().stream().map(Inet4Address::getHostAddress)
            .map(r -> "-A " + chain("from") + " -d " + r + " -p udp --dport 53 -j ACCEPT\n-A " + chain("from") + " -d " + r + " -p tcp --dport 53 -j ACCEPT\n")
            .collect(Collectors.joining())
        + """
        -A %1$s-from -j %1$s-denied
        -A %1$s-from -j ACCEPT
        -A %1$s-to -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
        -A %1$s-to -j DROP
        -I INPUT 1 -i %2$s -j %1$s-to
        -I FORWARD 1 -o %2$s -j %1$s-to
        -I FORWARD 1 -i %2$s -j %1$s-from
        COMMIT
        *nat
        :%1$s-nat - [0:0]
        """.formatted(table, bridges)
        + rules.networks().stream().map(range -> "-A " + chain("nat") + " -s " + range + " ! -o " + bridges + " -j MASQUERADE\n").collect(Collectors.joining())
        + "-A POSTROUTING -j " + chain("nat") + "\nCOMMIT\n");
  }

  /** Without CAP_NET_RAW, which no backend gives, a guest cannot send under another address. */
  @Override
  public void bind(Block block, int firstSlot) {}

  @Override
  public void egress(int address, EgressPolicy before, EgressPolicy policy) throws IOException {
    lists.change(before, policy, (had, gets) -> filter(rule("-D", address, before, had) + rule("-A", address, policy, gets)));
  }

  private String rule(String what, int address, EgressPolicy policy, String list) {
    String rule = what + " " + chain("egress") + " -s " + Addresses.of(address).getHostAddress();
    return switch (policy) {
      case EgressPolicy.Internet internet -> "";
      case EgressPolicy.None none -> rule + " -j DROP\n";
      case EgressPolicy.Only only -> rule + " -g " + chain(list) + "\n";
    };
  }

  @Override
  public void remove() throws IOException {
    for (String table : new String[] {"filter", "nat"}) {
      StringBuilder jumps = new StringBuilder();
      StringBuilder flush = new StringBuilder();
      StringBuilder delete = new StringBuilder();
      save.run("", "-t", table).lines().forEach(line -> {
        if (line.startsWith(":" + generation.table() + "-")) {
          String chain = line.substring(1, line.indexOf(' '));
          flush.append("-F ").append(chain).append('\n');
          delete.append("-X ").append(chain).append('\n');
        } else if (line.startsWith("-A ") && !line.startsWith("-A " + generation.table() + "-") && line.contains(" " + generation.table() + "-")) {
          jumps.append("-D ").append(line.substring("-A ".length())).append('\n');
        }
      });
      if (!delete.isEmpty()) {
        apply("*" + table + "\n" + jumps + flush + delete + "COMMIT\n");
      }
    }
  }
}
