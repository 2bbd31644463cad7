package dev.instar.network;

import dev.instar.api.network.Addresses;
import dev.instar.api.network.EgressPolicy;
import java.io.IOException;
import java.net.Inet4Address;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * By iptables, in chains of our own, for hosts without nft. Each policy other than the usual one is a rule that every packet is held against, and a start of the
 * program.
 */
final class IptablesFirewall implements Firewall {
  private final Program restore;
  private final Program save;
  private final Generation generation;
  private final Policies policies;
  /** Rules that are there for long, as the host shows them. */
  private Set<String> installed = Set.of();

  IptablesFirewall(Program restore, Program save, Generation generation) {
    this.restore = restore;
    this.save = save;
    this.generation = generation;
    policies = new Policies(new Policies.Chains() {
      @Override
      public void add(String name, EgressPolicy.Only list) throws IOException {
        filter(rules(name, list));
      }

      @Override
      public void remove(String name) throws IOException {
        filter("-F " + chain(name) + "\n-X " + chain(name) + "\n");
      }
    });
  }

  private String rules(String name, EgressPolicy.Only list) {
    StringBuilder rules = new StringBuilder(":" + chain(name) + " - [0:0]\n-A " + chain(name) + " -j " + chain("denied") + "\n");
    for (EgressPolicy.Destination to : list.destinations()) {
      String rule = "-A " + chain(name) + " -d " + to.address().getHostAddress() + "/" + to.bits();
      rules.append(to.port() == 0 ? rule + " -j ACCEPT\n"
          : rule + " -p tcp --dport " + to.port() + " -j ACCEPT\n" + rule + " -p udp --dport " + to.port() + " -j ACCEPT\n");
    }
    return rules.append("-A " + chain(name) + " -j DROP\n").toString();
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
  public boolean mayUse(String table) {
    return table.equals("filter") || table.equals("nat");
  }

  @Override
  public synchronized void install(Rules rules) throws IOException {
    remove();
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
    if (!policies.all().isEmpty() || !policies.chains().isEmpty()) {
      filter(policies.chains().entrySet().stream().map(one -> rules(one.getKey(), one.getValue())).collect(Collectors.joining())
          + policies.all().stream().map(one -> rule("-A", one)).collect(Collectors.joining()));
    }
    installed = Set.copyOf(rules().filter(rule -> !isOfPolicy(rule)).toList());
  }

  /** Rules of this generation, and those that lead to them. */
  private Stream<String> rules() throws IOException {
    List<String> all = new ArrayList<>();
    for (String table : new String[] {"filter", "nat"}) {
      save.run("", "-t", table).lines().filter(line -> line.startsWith("-A ") && line.contains(" " + generation.table() + "-")).forEach(all::add);
    }
    return all.stream();
  }

  private boolean isOfPolicy(String rule) {
    return rule.startsWith("-A " + chain("egress") + " ") || rule.startsWith("-A " + chain("list"));
  }

  @Override
  public synchronized boolean isWhole() throws IOException {
    List<String> now = rules().toList();
    return now.containsAll(installed) && now.stream().filter(rule -> rule.startsWith("-A " + chain("egress") + " ")).count() == policies.all().size()
        && policies.chains().keySet().stream().allMatch(name -> now.stream().anyMatch(rule -> rule.startsWith("-A " + chain(name) + " ")));
  }

  /** Without CAP_NET_RAW, which no backend gives, a guest cannot send under another address. */
  @Override
  public void bind(Block block, int firstSlot) {}

  @Override
  public synchronized void egress(int address, EgressPolicy policy) throws IOException {
    policies.set(address, policy, this::change);
  }

  @Override
  public synchronized void release(Collection<Integer> addresses) throws IOException {
    policies.release(addresses, (before, after) -> {
      try {
        change(before, after);
      } catch (IOException e) {
        // Some may be gone already, which is as good, but iptables then takes none of them away.
        Set<String> there = Set.copyOf(rules().toList());
        List<Policies.Entry> left = before.stream().filter(one -> there.contains(rule("-A", one).replaceFirst(" -s ([^ ]*) ", " -s $1/32 ").strip())).toList();
        if (left.size() == before.size()) {
          throw e;
        }
        change(left, after);
      }
    });
  }

  private void change(List<Policies.Entry> before, List<Policies.Entry> after) throws IOException {
    if (!before.isEmpty() || !after.isEmpty()) {
      filter(before.stream().map(one -> rule("-D", one)).collect(Collectors.joining()) + after.stream().map(one -> rule("-A", one)).collect(Collectors.joining()));
    }
  }

  private String rule(String what, Policies.Entry one) {
    return what + " " + chain("egress") + " -s " + Addresses.of(one.address()).getHostAddress() + (one.chain().isEmpty() ? " -j DROP\n" : " -g " + chain(one.chain()) + "\n");
  }

  @Override
  public synchronized void remove() throws IOException {
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
