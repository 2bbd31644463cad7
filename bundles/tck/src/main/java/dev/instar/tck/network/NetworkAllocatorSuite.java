package dev.instar.tck.network;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.FunctionName;
import dev.instar.api.network.EgressPolicy;
import dev.instar.api.network.LeaseStatus;
import dev.instar.api.network.NetworkAllocator;
import dev.instar.api.network.NetworkLease;
import dev.instar.api.network.NetworkRequest;
import dev.instar.api.sandbox.Probe;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * What every {@link NetworkAllocator} does. To be run in a JVM that has a network and a mount namespace of its own ({@code unshare --net --mount}), as root,
 * where {@code ip}, {@code nsenter} and {@code python3} are, with a {@code /run} of its own: it makes a world beyond the host, and the allocator changes the host.
 */
@Timeout(120)
public abstract class NetworkAllocatorSuite {
  private static final FunctionName ANN = new FunctionName("ann", "f");
  private static final FunctionName BOB = new FunctionName("bob", "f");
  private static final NetworkRequest INTERNET = new NetworkRequest(ANN, EgressPolicy.INTERNET, NetworkRequest.UNSHAPED);
  private static final int GUEST_PORT = 8080;
  private static final int ROUNDS = 8;
  /** What is refused is dropped, so that the guest waits. */
  private static final String PATIENCE = "0.7";
  private static final Duration SOON = Duration.ofSeconds(30);

  private Outside outside;
  private Set<String> before;

  /** A node with an allocator starts, whose most slots are these; there is no other at that time. */
  protected abstract NetworkAllocator begin(int most) throws Exception;

  /** The bundle of the allocator that began last is replaced: its successor is there, then it is gone. */
  protected abstract NetworkAllocator replaced() throws Exception;

  /** The node ends. */
  protected abstract void end() throws Exception;

  @BeforeEach
  void world() throws Exception {
    before = traces();
    outside = new Outside();
  }

  @AfterEach
  void nothingIsLeft() throws Exception {
    end();
    outside.close();
    eventually(() -> assertEquals(before, traces()));
  }

  /** What an allocator may leave on a host. */
  private Set<String> traces() throws Exception {
    Set<String> traces = new HashSet<>();
    Outside.run("ip", "-o", "link").lines().map(line -> line.split(":")[1].strip().split("@")[0]).forEach(traces::add);
    if (Files.isDirectory(Path.of("/run/netns"))) {
      try (var files = Files.newDirectoryStream(Path.of("/run/netns"))) {
        files.forEach(file -> traces.add(file.toString()));
      }
    }
    traces.add("ip_forward " + Files.readString(Path.of("/proc/sys/net/ipv4/ip_forward")).strip());
    for (String command : new String[] {"nft list ruleset", "iptables-save"}) {
      try {
        // Tables and chains that iptables makes for itself when it is asked stay.
        Outside.run(command.split(" ")).lines().filter(line -> line.contains("instar")).forEach(traces::add);
      } catch (IOException e) {
        traces.add(command + " is not here");
      }
    }
    return traces;
  }

  private static void eventually(Check check) throws Exception {
    long end = System.nanoTime() + SOON.toNanos();
    while (true) {
      try {
        check.run();
        return;
      } catch (AssertionError | IOException e) {
        if (System.nanoTime() > end) {
          throw e;
        }
        Thread.sleep(20);
      }
    }
  }

  private interface Check {
    void run() throws Exception;
  }

  /** What the server at an address says to a program in a namespace: the address that it sees; nothing when there is no way. */
  private String ask(NetworkLease lease, String address, int port) throws Exception {
    return ask(lease, List.of(address + ":" + port)).getFirst();
  }

  /** Asks several at once. */
  private List<String> ask(NetworkLease lease, List<String> targets) throws Exception {
    List<String> command = new ArrayList<>(List.of(Outside.python(), "-c", """
        import socket, sys, threading
        said = [''] * (len(sys.argv) - 2)
        def ask(i, target):
          host, port = target.split(':')
          try:
            s = socket.create_connection((host, int(port)), float(sys.argv[1]))
            said[i] = s.recv(100).decode().strip()
          except OSError:
            pass
        threads = [threading.Thread(target=ask, args=a) for a in enumerate(sys.argv[2:])]
        for t in threads: t.start()
        for t in threads: t.join()
        print('\\n'.join(said))
        """, PATIENCE));
    command.addAll(targets);
    Process client = outside.start(lease.namespace(), command.toArray(String[]::new));
    List<String> said = new String(client.getInputStream().readAllBytes(), StandardCharsets.UTF_8).lines().toList();
    client.waitFor();
    assertEquals(targets.size(), said.size(), said::toString);
    return said;
  }

  /** What a server in a namespace says to the node. */
  private static String call(NetworkLease lease) throws IOException {
    try (Socket socket = new Socket()) {
      socket.connect(new InetSocketAddress(lease.address(), GUEST_PORT), 5000);
      return new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8)).readLine();
    }
  }

  @Test
  void aLeaseIsANamespaceWithAnAddressThatTheNodeReaches() throws Exception {
    NetworkAllocator allocator = begin(8);
    assertInstanceOf(Probe.Usable.class, allocator.probe(), () -> allocator.probe().toString());
    try (NetworkLease lease = allocator.lease(INTERNET)) {
      String addresses = Outside.run("nsenter", "--net=" + lease.namespace(), "ip", "-o", "addr", "show", lease.interfaceName());
      assertTrue(addresses.contains(" " + lease.address().getHostAddress() + "/" + lease.prefixLength() + " "), addresses);
      assertTrue(Outside.run("nsenter", "--net=" + lease.namespace(), "ip", "-o", "link", "show", lease.interfaceName()).contains(lease.mac()));
      assertTrue(Outside.run("nsenter", "--net=" + lease.namespace(), "ip", "route").contains("default via " + lease.gateway().getHostAddress()));
      outside.serve(lease.namespace(), GUEST_PORT);
      assertEquals(lease.gateway().getHostAddress(), call(lease));
      assertEquals(lease.address().getHostAddress(), askSelf(lease));
    }
  }

  private String askSelf(NetworkLease lease) throws Exception {
    return ask(lease, lease.address().getHostAddress(), GUEST_PORT);
  }

  @Test
  void theUsualPolicyLeavesTheInternet() throws Exception {
    NetworkAllocator allocator = begin(8);
    try (NetworkLease lease = allocator.lease(INTERNET); NetworkLease neighbour = allocator.lease(INTERNET); ServerSocket node = new ServerSocket(0)) {
      outside.serve(neighbour.namespace(), GUEST_PORT);
      // Public: its address is translated. Then a private network, the metadata service, a neighbour, and the node by all its addresses.
      List<String> said = ask(lease, List.of(Outside.PUBLIC + ":" + Outside.PORT, Outside.PRIVATE + ":" + Outside.PORT, Outside.METADATA + ":" + Outside.PORT,
          neighbour.address().getHostAddress() + ":" + GUEST_PORT, Outside.UPLINK + ":" + node.getLocalPort(),
          lease.gateway().getHostAddress() + ":" + node.getLocalPort(), "10.62.255.254:" + node.getLocalPort()));
      assertEquals(List.of(Outside.UPLINK, "", "", "", "", "", ""), said);
      node.setSoTimeout(100);
      assertThrows(IOException.class, node::accept, "the node was reached");
    }
  }

  @Test
  void aPolicyIsThatOfOneLease() throws Exception {
    NetworkAllocator allocator = begin(1);
    String address;
    try (NetworkLease lease = allocator.lease(new NetworkRequest(ANN, EgressPolicy.NONE, NetworkRequest.UNSHAPED))) {
      address = lease.address().getHostAddress();
      assertEquals(List.of(), lease.nameservers());
      assertEquals("", ask(lease, Outside.PUBLIC, Outside.PORT));
      outside.serve(lease.namespace(), GUEST_PORT);
      assertEquals(lease.gateway().getHostAddress(), call(lease), "it still answers the node");
    }
    try (NetworkLease lease = allocator.lease(new NetworkRequest(BOB, EgressPolicy.parse(Outside.PUBLIC + ":" + Outside.PORT + "," + Outside.PRIVATE), NetworkRequest.UNSHAPED))) {
      assertEquals(address, lease.address().getHostAddress());
      // What is in the list; another port, another address; and what the node denies, which no list gives.
      assertEquals(List.of(Outside.UPLINK, "", "", ""), ask(lease, List.of(Outside.PUBLIC + ":" + Outside.PORT, Outside.PUBLIC + ":" + Outside.OTHER_PORT,
          Outside.OTHER + ":" + Outside.PORT, Outside.PRIVATE + ":" + Outside.PORT)));
    }
    try (NetworkLease lease = allocator.lease(INTERNET)) {
      assertEquals(address, lease.address().getHostAddress());
      assertEquals(Outside.UPLINK, ask(lease, Outside.PUBLIC, Outside.OTHER_PORT));
      assertEquals(Outside.UPLINK, ask(lease, Outside.OTHER, Outside.PORT));
    }
  }

  /** Neither does a program that outlives its sandbox get any more than that had. */
  @Test
  void aPolicyHoldsUntilNothingCanBeSent() throws Exception {
    NetworkAllocator allocator = begin(8);
    Process lingering;
    try (NetworkLease lease = allocator.lease(new NetworkRequest(ANN, EgressPolicy.NONE, NetworkRequest.UNSHAPED))) {
      lingering = outside.start(lease.namespace(), Outside.python(), "-u", "-c", """
          import errno, socket, sys
          print('begun')
          while True:
            try:
              s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 0.02)
              print('reached')
            except TimeoutError:
              pass
            except OSError:
              print('cut off')
              sys.exit()
          """, Outside.PUBLIC, Integer.toString(Outside.PORT));
      assertEquals('b', lingering.getInputStream().read());
    }
    String said = new String(lingering.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals("egun\ncut off\n", said);
  }

  @Test
  void whatOneSandboxLeavesIsOutOfReachForTheNext() throws Exception {
    NetworkAllocator allocator = begin(1);
    Process lingering;
    String address;
    try (NetworkLease lease = allocator.lease(INTERNET)) {
      address = lease.address().getHostAddress();
      lingering = outside.serve(lease.namespace(), GUEST_PORT);
      assertEquals(lease.gateway().getHostAddress(), call(lease));
    }
    try (NetworkLease lease = allocator.lease(INTERNET)) {
      assertEquals(address, lease.address().getHostAddress());
      assertTrue(lingering.isAlive());
      assertThrows(IOException.class, () -> call(lease));
      // The port is free, though the server before it closed its connections itself.
      outside.serve(lease.namespace(), GUEST_PORT);
      assertEquals(lease.gateway().getHostAddress(), call(lease));
    }
  }

  @Test
  void aShapedLeaseIsNoFasterInEitherDirection() throws Exception {
    NetworkAllocator allocator = begin(2);
    int bytes = 500_000;
    try (NetworkLease lease = allocator.lease(new NetworkRequest(ANN, EgressPolicy.INTERNET, 4_000_000))) {
      Process sender = outside.start(lease.namespace(), Outside.python(), "-c", """
          import socket, sys, time
          s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 10)
          f = s.makefile()
          f.readline()
          begin = time.monotonic()
          s.sendall(b'x' * int(sys.argv[3]))
          s.shutdown(socket.SHUT_WR)
          assert int(f.readline()) == int(sys.argv[3])
          print(time.monotonic() - begin)
          """, Outside.PUBLIC, Integer.toString(Outside.PORT), Integer.toString(bytes));
      double seconds = Double.parseDouble(new String(sender.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip());
      assertTrue(seconds > 0.7, () -> bytes + " bytes at 4 Mbit/s went out in " + seconds + " s");
      outside.serve(lease.namespace(), GUEST_PORT);
      long begin = System.nanoTime();
      try (Socket socket = new Socket(lease.address(), GUEST_PORT)) {
        BufferedReader in = new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8));
        in.readLine();
        socket.getOutputStream().write(new byte[bytes]);
        socket.shutdownOutput();
        assertEquals(Integer.toString(bytes), in.readLine());
      }
      double in = (System.nanoTime() - begin) / 1e9;
      assertTrue(in > 0.7, () -> bytes + " bytes at 4 Mbit/s came in in " + in + " s");
      assertTrue(lease.usage().sentBytes() > bytes && lease.usage().receivedBytes() > bytes, () -> lease.usage().toString());
    }
  }

  @Test
  void countersAreThoseOfOneLease() throws Exception {
    NetworkAllocator allocator = begin(1);
    NetworkLease first = allocator.lease(INTERNET);
    assertEquals(Outside.UPLINK, ask(first, Outside.PUBLIC, Outside.PORT));
    assertTrue(first.usage().sentPackets() >= 3 && first.usage().receivedPackets() >= 2, () -> first.usage().toString());
    first.close();
    assertTrue(first.usage().sentPackets() >= 3, () -> first.usage().toString());
    try (NetworkLease second = allocator.lease(INTERNET)) {
      assertTrue(second.usage().sentPackets() <= 1 && second.usage().sentBytes() < first.usage().sentBytes(), () -> second.usage().toString());
    }
  }

  @Test
  void whenAllAreTakenThatIsSaidAndThoseThatComeBackServe() throws Exception {
    NetworkAllocator allocator = begin(3);
    List<NetworkLease> leases = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      leases.add(allocator.lease(INTERNET));
    }
    InstarException busy = assertThrows(InstarException.class, () -> allocator.lease(INTERNET));
    assertEquals(ErrorCode.NODE_BUSY, busy.code());
    NetworkAllocator.Status status = allocator.status();
    assertEquals(leases.stream().map(NetworkLease::id).toList(), status.leases().stream().map(LeaseStatus::id).toList());
    assertEquals(3, status.most());
    NetworkLease closed = leases.getFirst();
    closed.close();
    closed.close();
    try (NetworkLease again = allocator.lease(INTERNET)) {
      assertEquals(closed.address(), again.address());
      assertNotEquals(closed.id(), again.id());
      closed.close();
      assertEquals(again.address(), allocator.status().leases().stream().filter(l -> l.id().equals(again.id())).map(l -> again.address()).findFirst().orElseThrow());
      assertEquals(ErrorCode.NODE_BUSY, assertThrows(InstarException.class, () -> allocator.lease(INTERNET)).code(), "a second close gives nothing back");
    }
    leases.forEach(NetworkLease::close);
  }

  @Test
  void manyAtOnceGetTheirOwnAndAllComeBack() throws Exception {
    NetworkAllocator allocator = begin(48);
    try (ExecutorService threads = Executors.newFixedThreadPool(8)) {
      List<Callable<Integer>> work = new ArrayList<>();
      Set<String> held = ConcurrentHashMap.newKeySet();
      for (int i = 0; i < 8; i++) {
        EgressPolicy policy = i % 2 == 0 ? EgressPolicy.INTERNET : i % 4 == 1 ? EgressPolicy.NONE : EgressPolicy.parse(Outside.PUBLIC + ":" + (80 + i));
        work.add(() -> {
          for (int n = 0; n < ROUNDS; n++) {
            NetworkLease lease = allocator.lease(new NetworkRequest(BOB, policy, NetworkRequest.UNSHAPED));
            assertTrue(held.add(lease.address().getHostAddress()), "two have one address");
            assertTrue(held.add(lease.namespace().toString()), "two have one namespace");
            held.remove(lease.namespace().toString());
            held.remove(lease.address().getHostAddress());
            lease.close();
          }
          return ROUNDS;
        });
      }
      int sum = 0;
      for (Future<Integer> each : threads.invokeAll(work)) {
        sum += each.get(60, TimeUnit.SECONDS);
      }
      assertEquals(8 * ROUNDS, sum);
    }
    assertEquals(8 * ROUNDS, allocator.status().taken());
    assertEquals(List.of(), allocator.status().leases());
    List<NetworkLease> all = new ArrayList<>();
    for (int i = 0; i < 48; i++) {
      all.add(allocator.lease(INTERNET));
    }
    assertEquals(48, new HashSet<>(all.stream().map(NetworkLease::address).toList()).size());
    all.forEach(NetworkLease::close);
  }

  @Test
  void leasesOutliveTheBundleThatGaveThem() throws Exception {
    NetworkAllocator first = begin(4);
    NetworkLease open = first.lease(INTERNET);
    NetworkLease closed = first.lease(new NetworkRequest(BOB, EgressPolicy.NONE, NetworkRequest.UNSHAPED));
    outside.serve(open.namespace(), GUEST_PORT);

    NetworkAllocator second = replaced();
    assertEquals(open.gateway().getHostAddress(), call(open));
    assertEquals(Outside.UPLINK, ask(open, Outside.PUBLIC, Outside.PORT));
    assertEquals("", ask(open, Outside.PRIVATE, Outside.PORT));
    assertEquals("", ask(closed, Outside.PUBLIC, Outside.PORT));
    assertTrue(open.usage().sentPackets() > 0);
    assertEquals(Set.of(open.id(), closed.id()), new HashSet<>(second.status().leases().stream().map(LeaseStatus::id).toList()), "the successor tells of them");
    try (NetworkLease own = second.lease(INTERNET)) {
      assertNotEquals(open.address(), own.address());
      assertNotEquals(open.namespace(), own.namespace());
      assertEquals(Outside.UPLINK, ask(own, Outside.PUBLIC, Outside.PORT));
      assertEquals("", ask(own, open.address().getHostAddress(), GUEST_PORT), "a neighbour of another generation");
    }

    closed.close();
    assertFalse(Files.exists(closed.namespace()), "nothing of it stays");
    assertEquals(List.of(open.id()), second.status().leases().stream().map(LeaseStatus::id).toList());
    assertEquals(Outside.UPLINK, ask(open, Outside.PUBLIC, Outside.PORT));
    NetworkAllocator third = replaced();
    assertEquals(Outside.UPLINK, ask(open, Outside.PUBLIC, Outside.PORT));
    open.close();
    assertFalse(Files.exists(open.namespace()));
    assertEquals(List.of(), third.status().leases());
    try (NetworkLease own = third.lease(INTERNET)) {
      assertEquals(Outside.UPLINK, ask(own, Outside.PUBLIC, Outside.PORT), "forwarding stays on for those that are there");
    }
  }

  @Test
  void anOpenLeaseEndsWithTheNode() throws Exception {
    NetworkAllocator allocator = begin(2);
    NetworkLease lease = allocator.lease(INTERNET);
    assertTrue(Files.exists(lease.namespace()));
    end();
    assertFalse(Files.exists(lease.namespace()));
    lease.close();
  }
}
