package dev.instar.network;

import dev.instar.api.host.LinuxException;
import dev.instar.api.host.Netlink;
import java.util.Collection;
import java.util.Set;

/** The kernel's table of connections. */
final class Connections {
  private static final int DELETE = 1 << 8 | 2;
  private static final int AF_INET = 2;
  private static final int TUPLE_ORIGINAL = 1;
  private static final int FILTER = 25;
  private static final int FILTER_SOURCE = 1;

  private Connections() {}

  /**
   * Forgets those that guests have made, so that nothing that answers them reaches whoever has their addresses next. Kernels before 6.6 refuse, and do nothing;
   * so does one that counts no connections. Numbers are those of linux/netfilter/nfnetlink_conntrack.h.
   */
  static void forget(Netlink netlink, Collection<Integer> addresses) throws LinuxException {
    if (addresses.isEmpty()) {
      return;
    }
    try (Conversation kernel = new Conversation(netlink, Netlink.NETFILTER)) {
      Message m = new Message();
      for (int address : addresses) {
        m.clear().begin(DELETE, Message.ACK).bytes(AF_INET, 0, 0, 0).nested(TUPLE_ORIGINAL, () -> m.nested(1, () -> m.address(1, address)))
            .nested(FILTER, () -> m.attribute(1, FILTER_SOURCE).attribute(2, 0));
        kernel.exchange(m, "forget connections", Set.of(LinuxException.EINVAL, LinuxException.ENOENT, LinuxException.EOPNOTSUPP));
      }
    }
  }
}
