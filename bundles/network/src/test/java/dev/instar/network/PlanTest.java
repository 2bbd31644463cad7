package dev.instar.network;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.network.Addresses;
import dev.instar.api.network.EgressPolicy;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is decided before the kernel is asked. */
class PlanTest {
  @TempDir
  private Path area;

  @Test
  void aBridgeHasNoMorePortsThanTheKernelAllowsAndNoAddressIsThereTwice() {
    List<Block> blocks = Block.of(Range.parseAll("10.62.0.0/16", " 10.63.0.0/16", "192.168.7.0/28"));
    assertEquals(64 + 64 + 1, blocks.size());
    Set<Integer> all = new HashSet<>();
    for (Block block : blocks) {
      assertTrue(block.guests() <= 1023);
      assertTrue(all.add(block.gateway()));
      for (int i = 0; i < block.guests(); i++) {
        assertTrue(all.add(block.guest(i)));
        assertTrue(block.range().overlaps(new Range(block.guest(i), 32)));
      }
    }
    Block last = blocks.getLast();
    assertEquals("192.168.7.14", Addresses.of(last.guest(last.guests() - 1)).getHostAddress());
    assertEquals("02:00:c0:a8:07:01", Block.macText(last.gateway()));
  }

  @Test
  void routesIntoTheNetworksAreFound() {
    List<Range> networks = Range.parseAll("10.62.0.0/16");
    String head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT";
    String normal = "eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0";
    String own = "iabcde0b0\t00003E0A\t00000000\t0001\t0\t0\t0\t00FCFFFF\t0\t0\t0";
    String other = "br7\t00073E0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0";
    assertEquals(Optional.empty(), Host.inUse(List.of(head, normal, own), networks, "abcde"));
    assertEquals(Optional.of("10.62.0.0/16 overlaps with 10.62.7.0/24 of br7"), Host.inUse(List.of(head, normal, own, other), networks, "abcde"));
  }

  @Test
  void resolversOfTheHostThatGuestsCouldAsk() {
    assertEquals(List.of("192.0.2.53", "9.9.9.9"), Resolvers.parse("# x\nsearch a\nnameserver 192.0.2.53\n nameserver\tfe80::1\nnameserver 9.9.9.9 # y\n").stream()
        .map(a -> a.getHostAddress()).toList());
    Rules rules = new Rules(Range.parseAll("10.62.0.0/16"), Range.parseAll("10.0.0.0/8"), Resolvers.parse("nameserver 10.0.0.2\nnameserver 9.9.9.9"));
    assertEquals(2, rules.resolvers(EgressPolicy.INTERNET).size());
    assertEquals(0, rules.resolvers(EgressPolicy.NONE).size());
    assertEquals(1, rules.resolvers(EgressPolicy.parse("0.0.0.0/0:53")).size(), "one is denied");
    assertEquals(0, rules.resolvers(EgressPolicy.parse("9.9.9.9:443")).size());
  }

  @Test
  void eachStartHasNamesOfItsOwnUnderOneMark() throws IOException {
    Generation first = Generation.begin(area);
    Generation second = Generation.begin(area);
    assertEquals(first.mark(), second.mark());
    assertFalse(second.owns(first.port(1)));
    assertTrue(first.owns(first.port(130_000)) && first.port(130_000).length() <= 15);
    List<Block> blocks = Block.of(Range.parseAll("10.62.0.0/21"));
    assertEquals(0, first.reserve(blocks).orElseThrow().index());
    assertEquals(1, second.reserve(blocks).orElseThrow().index());
    assertEquals(Optional.empty(), second.reserve(blocks));
    assertEquals(Optional.empty(), second.reserve(Block.of(Range.parseAll("10.62.3.0/24", "10.62.4.0/28"))), "under other networks, too");
    assertEquals(List.of(), Generation.killed(area), "both are of this process");
    first.end();
    assertEquals(0, second.reserve(blocks).orElseThrow().index());
    assertEquals(first.prefix(), Generation.begin(area).prefix());
  }

  @Test
  void aKillBetweenTwoFilesReservesNothing() throws IOException {
    Files.createFile(area.resolve("block-10.62.0.0-22"));
    Generation.tidy(area);
    Generation first = Generation.begin(area);
    List<Block> blocks = Block.of(Range.parseAll("10.62.0.0/22"));
    assertEquals(0, first.reserve(blocks).orElseThrow().index());
    Generation.tidy(area);
    assertEquals(Optional.empty(), Generation.begin(area).reserve(blocks));
  }

  @Test
  void aSettingIsPutBackAfterACrashAndForgottenAfterABoot() throws IOException {
    Path kernel = Files.createDirectories(area.resolve("sys"));
    Path forward = kernel.resolve("net/ipv4/ip_forward");
    Path boot = kernel.resolve("kernel/random/boot_id");
    Files.createDirectories(forward.getParent());
    Files.createDirectories(boot.getParent());
    Files.writeString(boot, "one\n");
    Files.writeString(forward, "0\n");
    new HostSettings(area, kernel, Optional::empty).set("net/ipv4/ip_forward", "1");
    new HostSettings(area, kernel, Optional::empty).set("net/ipv4/ip_forward", "1");
    assertEquals("1", Files.readString(forward));
    new HostSettings(area, kernel, Optional::empty).restore();
    assertEquals("0", Files.readString(forward));
    new HostSettings(area, kernel, Optional::empty).set("net/ipv4/ip_forward", "1");
    Files.writeString(boot, "two\n");
    new HostSettings(area, kernel, Optional::empty).restore();
    assertEquals("1", Files.readString(forward), "what the host has set since is its own");
    Files.writeString(forward, "0");
    new HostSettings(area, kernel, Optional::empty).restore();
    assertEquals("0", Files.readString(forward));
  }

  @Test
  void aSettingThatOthersRelyOnOrHaveChangedStays() throws IOException {
    Path kernel = Files.createDirectories(area.resolve("sys"));
    Path forward = kernel.resolve("net/ipv4/ip_forward");
    Path boot = kernel.resolve("kernel/random/boot_id");
    Files.createDirectories(forward.getParent());
    Files.createDirectories(boot.getParent());
    Files.writeString(boot, "one");
    Files.writeString(forward, "0");
    new HostSettings(area, kernel, Optional::empty).set("net/ipv4/ip_forward", "1");
    new HostSettings(area, kernel, () -> Optional.of("the bridge docker0")).restore();
    assertEquals("1", Files.readString(forward), "somebody needs it");
    new HostSettings(area, kernel, Optional::empty).restore();
    assertEquals("0", Files.readString(forward), "it is known still what there was");

    new HostSettings(area, kernel, Optional::empty).set("net/ipv4/ip_forward", "1");
    Files.writeString(forward, "2");
    new HostSettings(area, kernel, Optional::empty).restore();
    assertEquals("2", Files.readString(forward), "it is another's");
    Files.writeString(forward, "1");
    new HostSettings(area, kernel, Optional::empty).restore();
    assertEquals("1", Files.readString(forward), "and forgotten");
  }

  @Test
  void policiesShareChainsAndUnusedOnesGoInTime() throws IOException {
    List<String> said = new ArrayList<>();
    Policies policies = new Policies(new Policies.Chains() {
      @Override
      public void add(String name, EgressPolicy.Only list) {
        said.add("+" + name);
      }

      @Override
      public void remove(String name) {
        said.add("-" + name);
      }
    });
    EgressPolicy one = EgressPolicy.parse("192.0.2.1:80");
    policies.set(1, one, (before, after) -> assertEquals(List.of(new Policies.Entry(1, one, "list1")), after));
    policies.set(2, one, (before, after) -> assertEquals("list1", after.getFirst().chain()));
    policies.set(3, EgressPolicy.NONE, (before, after) -> assertEquals(List.of(new Policies.Entry(3, EgressPolicy.NONE, "")), after));
    policies.set(4, EgressPolicy.INTERNET, (before, after) -> said.add("nothing is to do"));
    assertThrows(IOException.class, () -> policies.set(3, EgressPolicy.INTERNET, (before, after) -> {
      throw new IOException("refused");
    }));
    assertEquals(List.of(1, 2, 3), policies.all().stream().map(Policies.Entry::address).toList());
    policies.release(List.of(1, 3, 4), (before, after) -> assertEquals(List.of(1, 3), before.stream().map(Policies.Entry::address).toList()));
    policies.release(List.of(1, 2), (before, after) -> assertEquals(List.of(2), before.stream().map(Policies.Entry::address).toList()));
    policies.release(List.of(1, 2), (before, after) -> said.add("nothing is to do"));
    assertEquals(List.of("+list1"), said, "kept for who comes next");
    for (int i = 2; i < 67; i++) {
      policies.set(5, EgressPolicy.parse("192.0.2.1:" + i), (before, after) -> {});
    }
    assertEquals(List.of("-list1"), said.stream().filter(s -> s.startsWith("-")).toList());
    assertEquals(65, policies.chains().size());
  }

  @Test
  void aRangeIsRead() {
    assertEquals("10.62.0.0/16", Range.parse("10.62.3.4/16").toString());
    assertThrows(IllegalArgumentException.class, () -> Range.parse("10.62.0.0/33"));
    assertThrows(IllegalArgumentException.class, () -> Range.parse("localhost"));
  }
}
