package dev.instar.network;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.function.FunctionName;
import dev.instar.api.network.EgressPolicy;
import dev.instar.api.network.LeaseStatus;
import dev.instar.api.network.NetworkAllocator;
import dev.instar.api.network.NetworkLease;
import dev.instar.api.network.NetworkRequest;
import dev.instar.api.network.NetworkUsage;
import dev.instar.api.sandbox.Probe;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.apache.felix.hc.api.Result;
import org.junit.jupiter.api.Test;

class NetworkViewTest {
  private static final NetworkRequest REQUEST = new NetworkRequest(new FunctionName("ann", "f"), EgressPolicy.parse("192.0.2.7:443"), 8_000_000);

  private static NetworkView view(Probe probe) {
    return new NetworkView(new NetworkAllocator() {
      @Override
      public Probe probe() {
        return probe;
      }

      @Override
      public NetworkLease lease(NetworkRequest request) {
        throw new UnsupportedOperationException();
      }

      @Override
      public Status status() {
        return new Status("abcde", 7, 9, 3, List.of("10.62.0.0/16"),
            List.of(new LeaseStatus("1", REQUEST, "10.62.0.2", "/run/netns/x", Instant.EPOCH, new NetworkUsage(10, 1, 20, 2))));
      }
    });
  }

  @Test
  void whatIsThereIsTold() {
    NetworkView view = view(new Probe.Usable("nftables, 10.62.0.0/16"));
    Map<String, Object> all = view.all();
    assertEquals(true, all.get("usable"));
    assertEquals(7, all.get("ready"));
    assertEquals(List.of(Map.of("id", "1", "function", "ann/f", "address", "10.62.0.2", "namespace", "/run/netns/x", "egress", "192.0.2.7:443",
        "bitsPerSecond", 8_000_000L, "since", "1970-01-01T00:00:00Z", "receivedBytes", 10L, "sentBytes", 20L)), all.get("leases"));
    assertTrue(view.execute().isOk());
  }

  @Test
  void whatIsMissingIsTold() {
    NetworkView view = view(new Probe.Missing("nft", "apt-get install nftables"));
    assertEquals(false, view.all().get("usable"));
    assertEquals("apt-get install nftables", view.all().get("remedy"));
    assertFalse(view.execute().isOk());
    assertEquals(Result.Status.WARN, view.execute().getStatus());
  }
}
