package dev.instar.api.network;

import dev.instar.api.lease.Lease;
import java.net.Inet4Address;
import java.nio.file.Path;
import java.util.List;
import org.osgi.annotation.versioning.ConsumerType;

/**
 * A network namespace that one sandbox has for its life. All but {@link #usage} is constant. Whoever gets the namespace must not have CAP_NET_ADMIN
 * over it: half of the shaping is inside, and its address is what its policy goes by.
 */
@ConsumerType
public interface NetworkLease extends Lease {
  /** The kind of lease, as a backend's description and {@code LeaseProvider} name it. */
  String KIND = "network";

  /** Unique on this node for as long as its data directory exists. */
  String id();

  /** A file that the namespace is bound at, e.g. for {@code linux.namespaces[].path} of an OCI runtime. */
  Path namespace();

  /** Of the interface in the namespace; the node reaches the guest here. */
  Inet4Address address();

  /** Bits of {@link #address} that name the network. */
  int prefixLength();

  /** Where the default route leads. */
  Inet4Address gateway();

  /** Of the interface, e.g. {@code 02:00:0a:3e:00:02}. */
  String mac();

  /** Of the interface in the namespace, e.g. {@code eth0}. */
  String interfaceName();

  /** Resolvers that the guest may ask, for its {@code /etc/resolv.conf}; empty where its policy lets nothing reach one. */
  List<Inet4Address> nameservers();

  /** Since the lease was taken; after the close what was counted until then. */
  NetworkUsage usage();

  /** Gives the slot back. What cannot be cleaned is taken out of service, logged, and swept at the next start. */
  @Override
  void close();
}
