package dev.instar.network;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.function.FunctionName;
import dev.instar.api.network.EgressPolicy;
import dev.instar.api.network.NetworkLease;
import dev.instar.api.network.NetworkRequest;
import dev.instar.api.sandbox.Probe;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Nodes that are killed, in a namespace of its own: see {@link NetworkIT}. */
@Timeout(120)
class KillChecks {
  private static final Path FORWARD = Path.of("/proc/sys/net/ipv4/ip_forward");
  private static final NetworkRequest REQUEST = new NetworkRequest(new FunctionName("ann", "f"), EgressPolicy.NONE, NetworkRequest.UNSHAPED);

  @TempDir
  private Path root;

  /** A node that takes leases and says so, until it is killed. */
  public static void main(String[] args) throws Exception {
    NetworkComponent component = new TestNode(Path.of(args[0]), Program::find).start(args[1], 4, 8);
    for (int i = 0; i < 3; i++) {
      component.lease(REQUEST);
    }
    System.out.println("leased");
    Thread.sleep(600_000);
  }

  private static Process node(Path root, String networks) throws Exception {
    Process node = new ProcessBuilder(OwnNetwork.java(KillChecks.class.getName(), root.toString(), networks)).redirectErrorStream(true).start();
    BufferedReader said = new BufferedReader(new InputStreamReader(node.getInputStream(), StandardCharsets.UTF_8));
    StringBuilder all = new StringBuilder();
    for (String line = said.readLine(); !"leased".equals(line); line = said.readLine()) {
      assertTrue(line != null, () -> "the node ended: " + all);
      all.append(line).append('\n');
    }
    return node;
  }

  private static String run(String... command) throws Exception {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), said);
    return said;
  }

  @Test
  void theNextStartTakesAwayWhatAKilledNodeLeftAndNothingElse() throws Exception {
    Files.writeString(FORWARD, "0");
    Path other = root.resolve("other");
    Process living = node(other, "10.63.0.0/16");
    Files.writeString(FORWARD, "0");
    Process killed = node(root.resolve("one"), "10.62.0.0/16");
    assertEquals("1", Files.readString(FORWARD).strip());
    killed.destroyForcibly().waitFor();
    String mark = Generation.mark(root.resolve("one/network"));
    String otherMark = Generation.mark(other.resolve("network"));
    assertTrue(run("ip", "link").contains("i" + mark + "0b"));
    assertTrue(run("nft", "list", "tables").contains(mark));

    TestNode next = new TestNode(root.resolve("one"), Program::find);
    NetworkComponent component = next.start("10.62.0.0/16", 4, 8);
    assertInstanceOf(Probe.Usable.class, component.probe(), () -> component.probe().toString());
    assertEquals(List.of(), component.status().leases());
    try (NetworkLease lease = component.lease(REQUEST)) {
      assertTrue(Files.exists(lease.namespace()));
    }
    next.end(component);
    assertFalse(run("ip", "link").contains("i" + mark));
    assertFalse(run("nft", "list", "tables").contains(mark));
    assertTrue(run("ip", "link").contains("i" + otherMark + "0b"), "what another node has stays");
    assertTrue(run("nft", "list", "tables").contains(otherMark));
    assertEquals("0", Files.readString(FORWARD).strip(), "as it was before the one that was killed");
    living.destroyForcibly().waitFor();
    TestNode third = new TestNode(other, Program::find);
    third.end(third.start("10.63.0.0/16", 1, 1));
    assertFalse(run("ip", "link").contains(otherMark));
  }

  @Test
  void asManyAreMadeAsShouldBeReady() throws Exception {
    TestNode node = new TestNode(root, Program::find);
    // More than are made at once.
    NetworkComponent component = node.start(140, 150);
    while (component.status().free() < 140) {
      Thread.sleep(10);
    }
    node.end(component);
  }

  @Test
  void addressesThatAreInUseAreNamed() throws Exception {
    run("ip", "link", "add", "other", "type", "bridge");
    run("ip", "addr", "add", "10.62.7.1/24", "dev", "other");
    run("ip", "link", "set", "other", "up");
    try {
      TestNode node = new TestNode(root, Program::find);
      NetworkComponent component = node.start(1, 1);
      Probe.Missing missing = assertInstanceOf(Probe.Missing.class, component.probe());
      assertTrue(missing.what().contains("10.62.0.0/16") && missing.what().contains("other"), missing.what());
      node.end(component);
    } finally {
      run("ip", "link", "del", "other");
    }
  }

  @Test
  void withoutAFirewallThatIsSaid() throws Exception {
    TestNode node = new TestNode(root, name -> Optional.empty());
    NetworkComponent component = node.start(1, 1);
    assertEquals(new Probe.Missing("nft, or iptables", "apt-get install nftables"), component.probe());
    node.end(component);
  }
}
