package dev.instar.api.host;

import java.nio.ByteBuffer;
import org.osgi.annotation.versioning.ProviderType;

/** Netlink sockets. */
@ProviderType
public interface Netlink {
  /** NETLINK_ROUTE. */
  int ROUTE = 0;
  /** NETLINK_NETFILTER. */
  int NETFILTER = 12;

  /** A socket in the network namespace of the calling thread; it stays in that one. */
  Socket open(int protocol) throws LinuxException;

  /**
   * A socket that hears what the kernel tells all who listen; otherwise as {@link #open}. Its {@link Socket#receive} waits for a fifth of a second at most: the buffer
   * is then empty.
   *
   * @param group of that protocol, by its number
   */
  Socket listen(int protocol, int group) throws LinuxException;

  /** For one thread at a time. */
  interface Socket extends AutoCloseable {
    /** Sends the bytes from position to limit as one datagram to the kernel. Position and limit stay. */
    void send(ByteBuffer messages) throws LinuxException;

    /**
     * One datagram of the kernel, into a direct buffer from its start; it is flipped.
     *
     * @throws LinuxException also when the kernel says nothing for ten seconds, and when the datagram does not fit
     */
    void receive(ByteBuffer buffer) throws LinuxException;

    @Override
    void close();
  }
}
