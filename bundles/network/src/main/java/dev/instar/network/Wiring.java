package dev.instar.network;

import dev.instar.api.host.LinuxException;
import dev.instar.api.host.Namespaces;
import dev.instar.api.host.Netlink;
import dev.instar.api.network.NetworkUsage;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Bridges, and slots on them, by rtnetlink. What a slot needs inside of its namespace is one datagram, what it needs outside goes in batches; taking away takes the
 * kernel some 20 ms for one and little more for many, so that is done by groups. Numbers are those of linux/if_link.h, rtnetlink.h and pkt_sched.h.
 */
final class Wiring implements AutoCloseable {
  /** Of the interface in a namespace. */
  static final String GUEST = "eth0";
  private static final int LOOPBACK_INDEX = 1;
  /** Kernels make tunnel devices by themselves in each namespace, whose numbers are low. */
  private static final int GUEST_INDEX = 1000;
  /** Acknowledgements of so many messages fit into a socket's buffer. */
  private static final int BATCH = 64;

  private static final int NEWLINK = 16;
  private static final int DELLINK = 17;
  private static final int GETLINK = 18;
  private static final int NEWADDR = 20;
  private static final int NEWROUTE = 24;
  private static final int NEWNEIGH = 28;
  private static final int NEWQDISC = 36;
  private static final int AF_INET = 2;
  private static final int IFF_UP = 1;
  private static final int IFLA_ADDRESS = 1;
  private static final int IFLA_IFNAME = 3;
  private static final int IFLA_MASTER = 10;
  private static final int IFLA_LINKINFO = 18;
  private static final int IFLA_STATS64 = 23;
  private static final int IFLA_GROUP = 27;
  private static final int IFLA_NET_NS_FD = 28;
  private static final int INFO_KIND = 1;
  private static final int INFO_DATA = 2;
  private static final int INFO_SLAVE_KIND = 4;
  private static final int INFO_SLAVE_DATA = 5;
  private static final int VETH_PEER = 1;
  private static final int BR_MCAST_SNOOPING = 23;
  private static final int BRPORT_ISOLATED = 33;
  private static final int ADDRESS_ADDRESS = 1;
  private static final int ADDRESS_LOCAL = 2;
  private static final int ADDRESS_BROADCAST = 4;
  private static final int ROUTE_GATEWAY = 5;
  private static final int ROUTE_OUT = 4;
  private static final int NEIGHBOUR_ADDRESS = 1;
  private static final int NEIGHBOUR_MAC = 2;
  private static final int PERMANENT = 0x80;
  private static final int ROOT = 0xFFFFFFFF;
  private static final int TBF_PARAMETERS = 1;
  private static final int TBF_RATE64 = 4;
  private static final int TBF_BURST = 6;
  private static final int MTU = 1514;

  private final Netlink netlink;
  private final Namespaces namespaces;
  private final Generation generation;
  private final Conversation batch;
  private final Conversation quick;
  private final Message batchMessage = new Message();
  private final Message quickMessage = new Message();
  private final Message insideMessage = new Message();
  private final ByteBuffer insideAnswer = Conversation.buffer();
  /** What is about to go: a group that nobody else has. */
  private final int doomed;

  Wiring(Netlink netlink, Namespaces namespaces, Generation generation) throws LinuxException {
    this.netlink = netlink;
    this.namespaces = namespaces;
    this.generation = generation;
    doomed = generation.prefix().hashCode() & 0x3fffffff | 0x40000000;
    batch = new Conversation(netlink, Netlink.ROUTE);
    try {
      quick = new Conversation(netlink, Netlink.ROUTE);
    } catch (LinuxException e) {
      batch.close();
      throw e;
    }
  }

  /** Makes the bridge of a block, or nothing. */
  synchronized void bridge(Block block) throws IOException {
    String name = generation.bridge(block);
    try {
      bridge(block, name);
    } catch (IOException e) {
      try {
        removeLinks(List.of(name));
      } catch (LinuxException suppressed) {
        e.addSuppressed(suppressed);
      }
      throw e;
    }
  }

  private void bridge(Block block, String name) throws IOException {
    Message m = batchMessage.clear();
    m.begin(NEWLINK, Message.ACK | Message.CREATE | Message.EXCLUSIVE).link(0, 0, 0, 0).attribute(IFLA_IFNAME, name).attribute(IFLA_ADDRESS, Block.mac(block.gateway()))
        .nested(IFLA_LINKINFO, () -> m.attribute(INFO_KIND, "bridge").nested(INFO_DATA, () -> m.attribute(BR_MCAST_SNOOPING, new byte[] {0})));
    batch.exchange(m, "make the bridge " + name, Set.of());
    // An address of version 6 would be a way to the node that IPv4's rules know nothing of.
    Path version6 = Path.of("/proc/sys/net/ipv6/conf", name, "disable_ipv6");
    if (Files.exists(version6)) {
      Files.writeString(version6, "1");
    }
    int index = index(name);
    m.clear().begin(NEWADDR, Message.ACK | Message.CREATE | Message.EXCLUSIVE).bytes(AF_INET, block.range().bits(), 0, 0).number(index)
        .address(ADDRESS_LOCAL, block.gateway()).address(ADDRESS_ADDRESS, block.gateway())
        .address(ADDRESS_BROADCAST, block.range().base() + block.guests() + 2);
    m.begin(NEWLINK, Message.ACK).link(0, index, IFF_UP, IFF_UP);
    batch.exchange(m, "set up the bridge " + name, Set.of());
  }

  /** Makes slots on bridges that are there; all of them, or none. */
  synchronized void make(List<Slot> slots) throws Exception {
    List<Slot> begun = new ArrayList<>();
    try {
      Files.createDirectories(Generation.NAMESPACES);
      namespaces.apart(host -> host.withNetwork(descriptor -> {
        for (Slot slot : slots) {
          begun.add(slot);
          inside(host, slot, descriptor);
        }
        return null;
      }));
      for (int i = 0; i < slots.size(); i += BATCH / 3) {
        outside(slots.subList(i, Math.min(slots.size(), i + BATCH / 3)));
      }
    } catch (Exception | Error e) {
      try {
        remove(begun);
      } catch (IOException suppressed) {
        e.addSuppressed(suppressed);
      }
      throw e;
    }
  }

  /** Leaves the thread in the new namespace: the next one is made from there just as well. */
  private void inside(Namespaces.Here here, Slot slot, int host) throws LinuxException {
    here.newNetwork();
    here.bindNetwork(slot.namespace());
    Message m = insideMessage.clear();
    m.begin(NEWLINK, Message.ACK | Message.CREATE | Message.EXCLUSIVE).link(0, GUEST_INDEX, 0, 0).attribute(IFLA_IFNAME, GUEST)
        .attribute(IFLA_ADDRESS, Block.mac(slot.address())).nested(IFLA_LINKINFO, () -> m.attribute(INFO_KIND, "veth").nested(INFO_DATA,
            () -> m.nested(VETH_PEER, () -> m.link(0, 0, 0, 0).attribute(IFLA_IFNAME, slot.port()).attribute(IFLA_NET_NS_FD, host))));
    m.begin(NEWLINK, Message.ACK).link(0, LOOPBACK_INDEX, IFF_UP, IFF_UP);
    m.begin(NEWADDR, Message.ACK | Message.CREATE | Message.EXCLUSIVE).bytes(AF_INET, slot.block().range().bits(), 0, 0).number(GUEST_INDEX)
        .address(ADDRESS_LOCAL, slot.address()).address(ADDRESS_ADDRESS, slot.address());
    m.begin(NEWLINK, Message.ACK).link(0, GUEST_INDEX, IFF_UP, IFF_UP);
    m.begin(NEWNEIGH, Message.ACK | Message.CREATE | Message.REPLACE);
    neighbour(m, GUEST_INDEX, slot.block().gateway());
    // struct rtmsg: family, lengths of destination and source, tos, table main, protocol static, scope, unicast, flags.
    m.begin(NEWROUTE, Message.ACK | Message.CREATE | Message.EXCLUSIVE).bytes(AF_INET, 0, 0, 0, 254, 4, 0, 1).number(0)
        .address(ROUTE_GATEWAY, slot.block().gateway()).attribute(ROUTE_OUT, GUEST_INDEX);
    try (Conversation within = new Conversation(netlink, Netlink.ROUTE, insideAnswer)) {
      within.exchange(m, "wire the namespace " + slot.namespace(), Set.of());
    }
  }

  private void outside(List<Slot> slots) throws LinuxException {
    Message m = batchMessage.clear();
    Map<Block, Integer> bridges = new HashMap<>();
    for (Slot slot : slots) {
      Integer bridge = bridges.get(slot.block());
      if (bridge == null) {
        bridge = index(generation.bridge(slot.block()));
        bridges.put(slot.block(), bridge);
      }
      m.begin(NEWLINK, Message.ACK).link(0, 0, IFF_UP, IFF_UP).attribute(IFLA_IFNAME, slot.port()).attribute(IFLA_MASTER, bridge);
      m.begin(NEWLINK, Message.ACK).link(0, 0, 0, 0).attribute(IFLA_IFNAME, slot.port()).nested(IFLA_LINKINFO,
          () -> m.attribute(INFO_SLAVE_KIND, "bridge").nested(INFO_SLAVE_DATA, () -> m.attribute(BRPORT_ISOLATED, new byte[] {1})));
      m.begin(NEWNEIGH, Message.ACK | Message.CREATE | Message.REPLACE);
      neighbour(m, bridge, slot.address());
    }
    batch.exchange(m, "put " + slots.getFirst().port() + " and others on their bridge", Set.of());
  }

  /** So that nobody has to be asked, and nobody can answer for another. */
  private static void neighbour(Message m, int index, int address) {
    m.bytes(AF_INET, 0, 0, 0).number(index).bytes(PERMANENT, 0, 0, 0).address(NEIGHBOUR_ADDRESS, address).attribute(NEIGHBOUR_MAC, Block.mac(address));
  }

  /** Takes slots away, or what there is of them. */
  synchronized void remove(Collection<Slot> slots) throws IOException {
    for (Slot slot : slots) {
      namespaces.release(slot.namespace());
    }
    removeLinks(slots.stream().map(Slot::port).toList());
  }

  /** Takes all away that bears the names of this generation. */
  synchronized void removeAll() throws IOException {
    if (Files.isDirectory(Generation.NAMESPACES)) {
      try (var files = Files.newDirectoryStream(Generation.NAMESPACES, generation.prefix() + "*")) {
        for (Path file : files) {
          if (generation.owns(file.getFileName().toString())) {
            namespaces.release(file);
          }
        }
      }
    }
    removeLinks(links().stream().filter(generation::owns).toList());
  }

  private void removeLinks(List<String> names) throws LinuxException {
    for (int i = 0; i < names.size(); i += BATCH) {
      Message m = batchMessage.clear();
      for (String name : names.subList(i, Math.min(names.size(), i + BATCH))) {
        m.begin(NEWLINK, Message.ACK).link(0, 0, 0, 0).attribute(IFLA_IFNAME, name).attribute(IFLA_GROUP, doomed);
      }
      // The kernel may have taken it already, with its namespace.
      batch.exchange(m, "take away " + names.get(i) + " and others", Set.of(LinuxException.ENODEV));
    }
    if (!names.isEmpty()) {
      batch.exchange(batchMessage.clear().begin(DELLINK, Message.ACK).link(0, 0, 0, 0).attribute(IFLA_GROUP, doomed), "take interfaces away", Set.of(LinuxException.ENODEV));
    }
  }

  /** Names of all interfaces of the host. */
  synchronized List<String> links() throws LinuxException {
    List<String> names = new ArrayList<>();
    batch.dump(batchMessage.clear().begin(GETLINK, Message.DUMP).link(0, 0, 0, 0), "list interfaces",
        (type, payload) -> names.add(Conversation.text(Conversation.attributes(payload, Message.HEADER).get(IFLA_IFNAME))));
    return names;
  }

  /** @throws IOException where a bridge of these blocks is not there, or not up */
  synchronized void check(List<Block> blocks) throws IOException {
    Set<String> up = new HashSet<>();
    batch.dump(batchMessage.clear().begin(GETLINK, Message.DUMP).link(0, 0, 0, 0), "list interfaces", (type, payload) -> {
      if ((payload.getInt(8) & IFF_UP) != 0) {
        up.add(Conversation.text(Conversation.attributes(payload, Message.HEADER).get(IFLA_IFNAME)));
      }
    });
    for (Block block : blocks) {
      if (!up.contains(generation.bridge(block))) {
        throw new IOException("the bridge " + generation.bridge(block) + ", which somebody has taken away or down");
      }
    }
  }

  private int index(String name) throws LinuxException {
    int[] index = {0};
    batch.exchange(new Message().begin(GETLINK, Message.ACK).link(0, 0, 0, 0).attribute(IFLA_IFNAME, name), "find " + name, Set.of(), (type, payload) -> index[0] = payload.getInt(4));
    return index[0];
  }

  /** What went through since the slot was made. */
  NetworkUsage usage(Slot slot) throws LinuxException {
    NetworkUsage[] usage = {NetworkUsage.NONE};
    synchronized (quick) {
      quick.exchange(quickMessage.clear().begin(GETLINK, Message.ACK).link(0, 0, 0, 0).attribute(IFLA_IFNAME, slot.port()), "read the counters of " + slot.port(), Set.of(),
          (type, payload) -> usage[0] = usage(Conversation.attributes(payload, Message.HEADER).get(IFLA_STATS64)));
    }
    return usage[0];
  }

  /** struct rtnl_link_stats64 begins with packets received and sent, and bytes received and sent; the port receives what the guest sends. */
  private static NetworkUsage usage(ByteBuffer statistics) {
    return new NetworkUsage(statistics.getLong(24), statistics.getLong(8), statistics.getLong(16), statistics.getLong(0));
  }

  /** Bounds what goes to the guest, on the port, and what comes from it, on its own interface. The guest must not be able to change that one. */
  void shape(Slot slot, long bitsPerSecond) throws Exception {
    synchronized (quick) {
      int[] port = {0};
      quick.exchange(quickMessage.clear().begin(GETLINK, Message.ACK).link(0, 0, 0, 0).attribute(IFLA_IFNAME, slot.port()), "find " + slot.port(), Set.of(),
          (type, payload) -> port[0] = payload.getInt(4));
      quick.exchange(shaper(quickMessage.clear(), port[0], bitsPerSecond), "shape " + slot.port(), Set.of());
    }
    namespaces.apart(here -> {
      here.enterNetwork(slot.namespace());
      try (Conversation within = new Conversation(netlink, Netlink.ROUTE)) {
        within.exchange(shaper(new Message(), GUEST_INDEX, bitsPerSecond), "shape the interface in " + slot.namespace(), Set.of());
      }
      return null;
    });
  }

  /** A token bucket (tc-tbf(8)) of ten milliseconds, with a queue of a hundred. */
  private static Message shaper(Message m, int index, long bitsPerSecond) {
    long rate = bitsPerSecond / 8;
    int bucket = (int) Math.clamp(rate / 100, 2 * MTU, 1 << 30);
    int queue = (int) Math.clamp(rate / 10 + bucket, 4 * MTU, 1 << 30);
    int rate32 = (int) Math.min(rate, 0xffffffffL);
    // struct tcmsg: family, interface, handle 1:, parent, info.
    m.begin(NEWQDISC, Message.ACK | Message.CREATE | Message.REPLACE).bytes(0, 0, 0, 0).number(index).number(1 << 16).number(ROOT).number(0);
    return m.attribute(1, "tbf").nested(2, () -> {
      // struct tc_tbf_qopt: the rate, the peak rate (each: cell_log, linklayer Ethernet, overhead, cell_align, mpu, rate), limit, buffer, mtu.
      ByteBuffer parameters = ByteBuffer.allocate(36).order(ByteOrder.nativeOrder());
      parameters.put(1, (byte) 1).putInt(8, rate32).putInt(24, queue);
      m.attribute(TBF_PARAMETERS, parameters.array()).attribute(TBF_BURST, bucket);
      if (rate > 0xffffffffL) {
        m.attribute(TBF_RATE64, rate);
      }
    });
  }

  @Override
  public synchronized void close() {
    batch.close();
    synchronized (quick) {
      quick.close();
    }
  }
}
