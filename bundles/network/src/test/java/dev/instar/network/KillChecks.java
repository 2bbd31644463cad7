package dev.instar.network;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.InstarException;
import dev.instar.api.function.FunctionName;
import dev.instar.api.network.Addresses;
import dev.instar.api.network.EgressPolicy;
import dev.instar.api.network.NetworkLease;
import dev.instar.api.network.NetworkRequest;
import dev.instar.api.sandbox.Probe;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Function;
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
    assertEquals("1", Files.readString(FORWARD).strip(), "the other node relies on it");
    living.destroyForcibly().waitFor();
    TestNode third = new TestNode(other, Program::find);
    third.end(third.start("10.63.0.0/16", 1, 1));
    assertFalse(run("ip", "link").contains(otherMark));
    assertEquals("0", Files.readString(FORWARD).strip(), "as it was before, when nobody relies on it");
  }

  /** What the firewall has, in no order. */
  private static List<String> tables() throws Exception {
    return run("nft", "list", "ruleset").lines().flatMap(line -> Arrays.stream(line.replaceAll("packets [0-9]+ bytes [0-9]+", "").split("[,{}=]"))).map(String::strip).filter(word -> !word.isEmpty()).sorted().toList();
  }

  private static void assertSame(List<String> before, List<String> now) {
    assertEquals(List.of(), before.stream().filter(word -> !now.contains(word)).toList(), "gone");
    assertEquals(List.of(), now.stream().filter(word -> !before.contains(word)).toList(), "more");
    assertEquals(before.size(), now.size());
  }

  private static void eventually(String what, Callable<Boolean> condition) throws Exception {
    for (long end = System.nanoTime() + 30_000_000_000L; !condition.call(); Thread.sleep(20)) {
      assertTrue(System.nanoTime() < end, what);
    }
  }

  @Test
  void rulesThatSomebodyTakesAwayAreBackAtOnce() throws Exception {
    takenAway(Program::find, "nftables", "nft flush ruleset", "nft flush chain inet instar_MARK0 internet");
  }

  @Test
  void rulesOfIptablesThatSomebodyTakesAwayAreBack() throws Exception {
    takenAway(name -> name.equals("nft") ? Optional.empty() : Program.find(name), "iptables", "iptables -F", "iptables -t nat -F POSTROUTING");
  }

  private void takenAway(Function<String, Optional<Program>> programs, String name, String all, String part) throws Exception {
    run("nft", "flush", "ruleset");
    TestNode node = new TestNode(root, programs);
    NetworkComponent component = node.start(4, 8);
    NetworkRequest list = new NetworkRequest(new FunctionName("ann", "f"), EgressPolicy.parse("192.0.2.7:443,198.51.100.0/24"), NetworkRequest.UNSHAPED);
    try (NetworkLease none = component.lease(REQUEST); NetworkLease some = component.lease(list)) {
      List<String> before = tables();
      assertTrue(before.toString().contains(none.address().getHostAddress()) && before.toString().contains("198.51.100.0/24"), before::toString);
      run("sh", "-c", all);
      eventually("it is noticed", () -> component.probe() instanceof Probe.Usable usable && usable.detail().contains(name) && usable.detail().contains("1 times"));
      assertSame(before, tables());
      // A part of it.
      run("sh", "-c", part.replace("MARK", component.status().mark()));
      eventually("that, too", () -> component.probe() instanceof Probe.Usable usable && usable.detail().contains("2 times"));
      assertSame(before, tables());
      assertEquals(2, component.status().leases().size());
    } finally {
      node.end(component);
    }
    assertFalse(tables().toString().contains("instar"));
  }

  /** A guest with all privileges sends under another one's addresses; only what it sends under its own comes through the bridge. */
  @Test
  void aForgedAddressDoesNotPassTheBridge() throws Exception {
    TestNode node = new TestNode(root, Program::find);
    NetworkComponent component = node.start(4, 8);
    NetworkRequest internet = new NetworkRequest(new FunctionName("ann", "f"), EgressPolicy.INTERNET, NetworkRequest.UNSHAPED);
    Process sniffer = null;
    try (NetworkLease one = component.lease(internet); NetworkLease other = component.lease(internet)) {
      sniffer = new ProcessBuilder("python3", "-u", "-c", """
          import socket, sys
          s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x800))
          s.bind((sys.argv[1], 0))
          print('ready')
          while True:
            frame = s.recv(2000)
            if frame[23] == 17 and frame[30:34] == socket.inet_aton('192.0.2.7'):
              print(frame[42:].decode())
          """, "i" + component.status().mark() + "0b0").redirectErrorStream(true).start();
      BufferedReader heard = new BufferedReader(new InputStreamReader(sniffer.getInputStream(), StandardCharsets.UTF_8));
      assertEquals("ready", heard.readLine());
      run("nsenter", "--net=" + one.namespace(), "python3", "-c", """
          import socket, subprocess, sys, time
          def send(source, text):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind((source, 0))
            s.sendto(text.encode(), ('192.0.2.7', 9))
          def ip(*words):
            subprocess.run(('ip',) + words, check=True)
          own, other, mac, gateway, neighbour, othermac = sys.argv[1:]
          send(own, 'own')
          ip('addr', 'add', other + '/32', 'dev', 'eth0')
          send(other, 'forged address')
          # A new hardware address takes what is known of the gateway along.
          ip('link', 'set', 'eth0', 'address', othermac)
          ip('neigh', 'replace', gateway, 'lladdr', neighbour, 'dev', 'eth0')
          send(own, 'forged hardware address')
          send(other, 'forged both')
          ip('link', 'set', 'eth0', 'address', mac)
          ip('neigh', 'replace', gateway, 'lladdr', neighbour, 'dev', 'eth0')
          send(own, 'own again')
          """, one.address().getHostAddress(), other.address().getHostAddress(), one.mac(), one.gateway().getHostAddress(),
          Block.macText(Addresses.number(one.gateway())), other.mac());
      assertEquals("own", heard.readLine());
      assertEquals("own again", heard.readLine());
    } finally {
      if (sniffer != null) {
        sniffer.destroyForcibly().waitFor();
      }
      node.end(component);
    }
  }

  @Test
  void theHostIsLookedAtWhileTheNodeRuns() throws Exception {
    AtomicBoolean installed = new AtomicBoolean();
    TestNode node = new TestNode(root, name -> installed.get() ? Program.find(name) : Optional.empty());
    NetworkComponent component = node.start(1, 2);
    assertEquals(new Probe.Missing("nft, or iptables", "apt-get install nftables"), component.probe());
    installed.set(true);
    eventually("what was missing is there", () -> component.probe() instanceof Probe.Usable);
    try (NetworkLease lease = component.lease(REQUEST)) {
      assertTrue(Files.exists(lease.namespace()));
      Files.writeString(FORWARD, "0");
      eventually("forwarding is off", () -> component.probe() instanceof Probe.Missing missing && missing.remedy().equals("sysctl -w net.ipv4.ip_forward=1"));
      Files.writeString(FORWARD, "1");
      eventually("it is on", () -> component.probe() instanceof Probe.Usable);
      String bridge = "i" + component.status().mark() + "0b0";
      run("ip", "link", "del", bridge);
      eventually("the bridge is gone", () -> component.probe() instanceof Probe.Missing missing && missing.what().contains(bridge));
    }
    node.end(component);
  }

  @Test
  void addressesOfAPredecessorServeWhenItHasEnded() throws Exception {
    TestNode node = new TestNode(root, Program::find);
    // Two bridges of five guests each.
    String networks = "10.62.0.0/29,10.62.0.8/29";
    NetworkComponent first = node.start(networks, 1, 10);
    NetworkLease open = first.lease(REQUEST);
    NetworkComponent second = node.start(networks, 1, 10);
    second.probe();
    first.deactivate();
    List<NetworkLease> leases = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      leases.add(second.lease(REQUEST));
    }
    eventually("there are no more", () -> second.status().free() == 0);
    FutureTask<NetworkLease> sixth = new FutureTask<>(() -> second.lease(REQUEST));
    Thread.ofPlatform().start(sixth);
    Thread.sleep(100);
    assertFalse(sixth.isDone());
    open.close();
    leases.add(sixth.get());
    assertEquals(open.address(), leases.getLast().address());
    leases.forEach(NetworkLease::close);
    node.end(second);
  }

  @Test
  void leasesThatEndWhileTheBundleGoesLeaveNothing() throws Exception {
    EgressPolicy list = EgressPolicy.parse("192.0.2.7:443");
    String links = run("ip", "-o", "link");
    for (int round = 0; round < 6; round++) {
      TestNode node = new TestNode(root, Program::find);
      NetworkComponent component = node.start(8, 16);
      List<NetworkLease> leases = new ArrayList<>();
      for (int i = 0; i < 8; i++) {
        leases.add(component.lease(i % 2 == 0 ? REQUEST : new NetworkRequest(new FunctionName("ann", "f"), list, NetworkRequest.UNSHAPED)));
      }
      try (ExecutorService threads = Executors.newFixedThreadPool(5)) {
        List<Future<?>> all = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
          NetworkLease lease = leases.get(i);
          all.add(threads.submit(lease::close));
        }
        int port = 1000 + round;
        all.add(threads.submit(() -> {
          try {
            component.lease(new NetworkRequest(new FunctionName("ann", "f"), EgressPolicy.parse("192.0.2.7:" + port), NetworkRequest.UNSHAPED)).close();
          } catch (InstarException e) {
            // It came too late.
          }
          return null;
        }));
        if (round % 2 == 0) {
          component.deactivate();
        } else {
          node.end(component);
        }
        for (Future<?> each : all) {
          each.get();
        }
      }
      assertEquals(links, run("ip", "-o", "link"));
      assertFalse(tables().toString().contains("instar"));
      assertEquals(List.of(), Generation.kept(node.area()));
      try (var namespaces = Files.list(Path.of("/run/netns"))) {
        assertEquals(List.of(), namespaces.toList());
      }
    }
  }

  @Test
  void asManyAreMadeAsShouldBeReady() throws Exception {
    TestNode node = new TestNode(root, Program::find);
    // More than are made at once.
    NetworkComponent component = node.start(140, 150);
    eventually("all are there", () -> component.status().free() == 140);
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
