package dev.instar.network;

import dev.instar.api.function.FunctionName;
import dev.instar.api.network.EgressPolicy;
import dev.instar.api.network.NetworkLease;
import dev.instar.api.network.NetworkRequest;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/**
 * What networks cost, in a network and a mount namespace of its own; see {@code docs/performance.md}.
 */
final class NetworkBench {
  private static final int SLOTS = 500;
  private static final int ROUNDS = 5;
  private static final FunctionName F = new FunctionName("bench", "f");

  private NetworkBench() {}

  /** @param args nothing; {@code here} where it is in its namespaces */
  public static void main(String[] args) throws Exception {
    if (args.length == 0) {
      System.exit(new ProcessBuilder(OwnNetwork.apart(OwnNetwork.java(NetworkBench.class.getName(), "here"))).inheritIO().start().waitFor());
    }
    bench("nftables", Program::find);
    bench("iptables", name -> name.equals("nft") ? Optional.empty() : Program.find(name));
    System.exit(0);
  }

  private static void bench(String firewall, Function<String, Optional<Program>> programs) throws Exception {
    Path root = Files.createTempDirectory("instar-network-bench");
    List<Double> made = new ArrayList<>();
    List<Double> plain = new ArrayList<>();
    List<Double> none = new ArrayList<>();
    List<Double> list = new ArrayList<>();
    List<Double> shaped = new ArrayList<>();
    List<Double> closed = new ArrayList<>();
    List<Double> ended = new ArrayList<>();
    for (int round = 0; round < ROUNDS; round++) {
      TestNode node = new TestNode(root, programs);
      NetworkComponent component = node.start(SLOTS, 2 * SLOTS);
      component.probe();
      long begin = System.nanoTime();
      while (component.status().free() < SLOTS) {
        Thread.sleep(5);
      }
      made.add(millis(begin));
      List<NetworkLease> leases = new ArrayList<>();
      lease(component, new NetworkRequest(F, EgressPolicy.INTERNET, NetworkRequest.UNSHAPED), 200, plain, leases);
      lease(component, new NetworkRequest(F, EgressPolicy.NONE, NetworkRequest.UNSHAPED), 20, none, leases);
      lease(component, new NetworkRequest(F, EgressPolicy.parse("192.0.2.7:443"), NetworkRequest.UNSHAPED), 20, list, leases);
      lease(component, new NetworkRequest(F, EgressPolicy.INTERNET, 100_000_000), 5, shaped, leases);
      for (NetworkLease lease : leases) {
        long one = System.nanoTime();
        lease.close();
        closed.add(millis(one));
      }
      begin = System.nanoTime();
      node.end(component);
      ended.add(millis(begin));
    }
    System.out.printf("%n| %s, %d rounds | p50 ms | p99 ms | worst ms |%n|---|---|---|---|%n", firewall, ROUNDS);
    row("make 500 (after the first one)", made);
    row("lease: internet", plain);
    row("lease: none", none);
    row("lease: a list", list);
    row("lease: shaped", shaped);
    row("close", closed);
    row("end of the node", ended);
  }

  private static void lease(NetworkComponent component, NetworkRequest request, int times, List<Double> took, List<NetworkLease> leases) throws Exception {
    for (int i = 0; i < times; i++) {
      long begin = System.nanoTime();
      leases.add(component.lease(request));
      took.add(millis(begin));
    }
  }

  private static double millis(long begin) {
    return (System.nanoTime() - begin) / 1e6;
  }

  private static void row(String what, List<Double> values) {
    double[] sorted = values.stream().mapToDouble(Double::doubleValue).toArray();
    Arrays.sort(sorted);
    System.out.printf("| %s | %.3f | %.3f | %.3f |%n", what, sorted[sorted.length / 2], sorted[(int) (0.99 * (sorted.length - 1))], sorted[sorted.length - 1]);
  }
}
