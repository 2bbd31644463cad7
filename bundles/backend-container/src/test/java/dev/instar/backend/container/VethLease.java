package dev.instar.backend.container;

import dev.instar.api.network.Addresses;
import dev.instar.api.network.NetworkLease;
import dev.instar.api.network.NetworkUsage;
import java.net.Inet4Address;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A network namespace with one cable to the host, made by {@code ip}. */
final class VethLease implements NetworkLease {
  /** What this process calls its own, or the one that started it. */
  static final String OWNER = "instar.veth.owner";
  private static final int OWN = Integer.getInteger(OWNER, (int) (ProcessHandle.current().pid() % 250) + 1);
  private final String name;
  private final int number;

  private VethLease(int number) {
    this.number = number;
    name = "instar-t" + OWN + "-" + number;
  }

  /** One that another process of the same owner has made. */
  static VethLease made(int number) {
    return new VethLease(number);
  }

  static VethLease make(int number) throws Exception {
    VethLease lease = new VethLease(number);
    lease.make();
    return lease;
  }

  /** For the process that is to use what this one has made. */
  static String owner() {
    return "-D" + OWNER + "=" + OWN;
  }

  private void make() throws Exception {
    ip("netns", "add", name);
    ip("link", "add", cable(), "type", "veth", "peer", "name", "eth0", "netns", name);
    ip("addr", "add", gateway().getHostAddress() + "/30", "dev", cable());
    ip("link", "set", cable(), "up");
    ip("-n", name, "addr", "add", address().getHostAddress() + "/30", "dev", "eth0");
    ip("-n", name, "link", "set", "eth0", "up");
    ip("-n", name, "link", "set", "lo", "up");
  }

  private String cable() {
    return "it" + OWN + "-" + number;
  }

  private static void ip(String... arguments) throws Exception {
    List<String> command = new ArrayList<>(List.of("ip"));
    command.addAll(List.of(arguments));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new IllegalStateException(command + ": " + said);
    }
  }

  @Override
  public String id() {
    return name;
  }

  @Override
  public Path namespace() {
    return Path.of("/run/netns", name);
  }

  @Override
  public Inet4Address address() {
    return Addresses.parse("10.213." + OWN + "." + (4 * number + 2));
  }

  @Override
  public int prefixLength() {
    return 30;
  }

  @Override
  public Inet4Address gateway() {
    return Addresses.parse("10.213." + OWN + "." + (4 * number + 1));
  }

  @Override
  public String mac() {
    return "02:00:00:00:00:01";
  }

  @Override
  public String interfaceName() {
    return "eth0";
  }

  @Override
  public List<Inet4Address> nameservers() {
    return List.of(gateway());
  }

  @Override
  public NetworkUsage usage() {
    throw new UnsupportedOperationException();
  }

  @Override
  public void close() {
    try {
      ip("netns", "del", name);
      ip("link", "del", cable());
    } catch (Exception e) {
      // The cable goes with the namespace, when nothing is in that any more.
    }
  }
}
