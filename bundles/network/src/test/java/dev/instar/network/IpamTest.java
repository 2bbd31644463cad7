package dev.instar.network;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.FunctionName;
import dev.instar.api.network.Addresses;
import dev.instar.api.network.EgressPolicy;
import dev.instar.api.network.LeaseStatus;
import dev.instar.api.network.NetworkAllocator;
import dev.instar.api.network.NetworkLease;
import dev.instar.api.network.NetworkRequest;
import dev.instar.api.network.NetworkUsage;
import dev.instar.api.sandbox.Probe;
import java.net.Inet4Address;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/** What fecore's plug-in asks, word by word. */
class IpamTest {
  private static final NetworkUsage UNUSED = new NetworkUsage(0, 0, 0, 0);
  private final Addressed allocator = new Addressed();
  private final Ipam ipam = new Ipam(allocator);

  /** Has 10.62.0.2 to 10.62.0.6, and lends the lowest that is free. */
  private static final class Addressed implements NetworkAllocator {
    private final TreeMap<Integer, Boolean> slots = new TreeMap<>();

    Addressed() {
      for (int i = 2; i <= 6; i++) {
        slots.put(i, true);
      }
    }

    @Override
    public Probe probe() {
      return new Probe.Usable("five");
    }

    @Override
    public NetworkLease lease(NetworkRequest request) {
      int slot = slots.entrySet().stream().filter(e -> e.getValue()).findFirst().orElseThrow(() -> new InstarException(ErrorCode.NODE_BUSY, "all are lent")).getKey();
      slots.put(slot, false);
      return new NetworkLease() {
        @Override
        public String id() {
          return "lease-" + slot;
        }

        @Override
        public Path namespace() {
          return Path.of("/run/netns/x");
        }

        @Override
        public Inet4Address address() {
          return Addresses.parse("10.62.0." + slot);
        }

        @Override
        public int prefixLength() {
          return 16;
        }

        @Override
        public Inet4Address gateway() {
          return Addresses.parse("10.62.0.1");
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
          return List.of();
        }

        @Override
        public NetworkUsage usage() {
          return UNUSED;
        }

        @Override
        public void close() {
          slots.put(slot, true);
        }
      };
    }

    int free() {
      return (int) slots.values().stream().filter(free -> free).count();
    }

    @Override
    public Status status() {
      List<LeaseStatus> leases = new ArrayList<>();
      slots.forEach((slot, free) -> {
        if (!free) {
          leases.add(new LeaseStatus("lease-" + slot, new NetworkRequest(new FunctionName("a", "b"), EgressPolicy.INTERNET, 0), "10.62.0." + slot,
              "/run/netns/x", Instant.EPOCH, UNUSED));
        }
      });
      return new Status("abcde", free(), 5, 0, List.of("10.62.0.0/16"), leases);
    }
  }

  private String act(String action, String... words) throws InterruptedException {
    return ipam.act(action, words.length > 0 ? words[0] : "", words.length > 1 ? words[1] : "");
  }

  @Test
  void anAddressIsReservedFoundAndReleased() throws Exception {
    assertEquals("10.62.0.1", act("LastReservedIP"));
    assertEquals("true", act("Reserve", "ctr1", "10.62.0.2"));
    assertEquals("false", act("Reserve", "ctr1", "10.62.0.3"), "it has one");
    assertEquals("false", act("Reserve", "ctr2", "10.62.0.2"), "it is another's");
    assertEquals("true", act("FindByKey", "ctr1"));
    assertEquals("true", act("FindByID", "ctr1"));
    assertEquals("10.62.0.2", act("GetByID", "ctr1"));
    assertEquals("true", act("ReleaseByID", "ctr1"));
    assertEquals("false", act("ReleaseByKey", "ctr1"));
    assertEquals("false", act("FindByID", "ctr1"));
    assertEquals("", act("GetByID", "ctr1"));
    assertEquals(5, allocator.free());
  }

  @Test
  void eachAskedForTheNextGetsAnother() throws Exception {
    assertEquals("10.62.0.1", act("LastReservedIP"));
    assertEquals("10.62.0.2", act("LastReservedIP"));
    assertEquals("true", act("Reserve", "b", "10.62.0.3"));
    assertEquals("true", act("Reserve", "a", "10.62.0.2"));
    assertEquals("true", act("Reserve", "c", "10.62.0.5"), "asked for by name");
    assertEquals(2, allocator.free());
    assertEquals("false", act("Reserve", "d", "10.62.9.9"), "none that is ready");
    assertEquals(2, allocator.free(), "what was looked through is free again");
    assertEquals("true", act("Reserve", "e", "192.0.2.1"), "none of this node's");
    assertEquals("192.0.2.1", act("GetByID", "e"));
    assertEquals("false", act("Reserve", "f", "192.0.2.1"));
    ipam.close();
    assertEquals(5, allocator.free());
  }

  @Test
  void whatSandboxesHaveIsFoundAndStaysTheirs() throws Exception {
    allocator.lease(null);
    assertEquals("10.62.0.2", act("GetByID", "lease-2"));
    assertEquals("false", act("ReleaseByID", "lease-2"));
    assertEquals("false", act("Reserve", "ctr1", "10.62.0.2"));
    assertEquals("false", act("Reserve", "lease-2", "10.62.0.3"));
    assertEquals(4, allocator.free());
  }

  @Test
  void whatSaysNothingIsFalseAndAFullNodeSaysSo() throws Exception {
    for (String[] odd : new String[][] {{""}, {"reserve", "a", "10.62.0.2"}, {"Reserve", "", "10.62.0.2"}, {"Reserve", "a", ""}, {"Reserve", "a", "::1"}, {"Reserve", "a", "10.62.0.02"},
        {"Reserve", "x".repeat(256), "10.62.0.2"}, {"FindByID", ""}}) {
      assertEquals("false", ipam.act(odd[0], odd.length > 1 ? odd[1] : "", odd.length > 2 ? odd[2] : ""), odd[0]);
    }
    for (int i = 0; i < 5; i++) {
      act("LastReservedIP");
    }
    assertEquals(ErrorCode.NODE_BUSY, assertThrows(InstarException.class, () -> act("LastReservedIP")).code());
    assertEquals("true", act("Reserve", "a", "10.62.0.6"));
    assertEquals("true", act("ReleaseByKey", "a"));
    assertEquals("10.62.0.5", act("LastReservedIP"));
  }
}
