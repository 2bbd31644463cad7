package dev.instar.network;

import dev.instar.api.network.Addresses;
import dev.instar.api.network.LeaseStatus;
import dev.instar.api.network.NetworkLease;
import dev.instar.api.network.NetworkRequest;
import dev.instar.api.network.NetworkUsage;
import java.net.Inet4Address;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;

/** One slot in the hands of one sandbox. */
final class SlotLease implements NetworkLease {
  private final String id = UUID.randomUUID().toString();
  private final Instant since = Instant.now();
  private final AtomicBoolean closed = new AtomicBoolean();
  private final Pool pool;
  private final Slot slot;
  private final NetworkRequest request;
  private final List<Inet4Address> nameservers;
  private volatile NetworkUsage last = NetworkUsage.NONE;

  SlotLease(Pool pool, Slot slot, NetworkRequest request, List<Inet4Address> nameservers) {
    this.pool = pool;
    this.slot = slot;
    this.request = request;
    this.nameservers = nameservers;
  }

  Slot slot() {
    return slot;
  }

  Instant since() {
    return since;
  }

  NetworkRequest request() {
    return request;
  }

  LeaseStatus status() {
    return new LeaseStatus(id, request, address().getHostAddress(), namespace().toString(), since, usage());
  }

  @Override
  public String id() {
    return id;
  }

  @Override
  public Path namespace() {
    return slot.namespace();
  }

  @Override
  public Inet4Address address() {
    return Addresses.of(slot.address());
  }

  @Override
  public int prefixLength() {
    return slot.block().range().bits();
  }

  @Override
  public Inet4Address gateway() {
    return Addresses.of(slot.block().gateway());
  }

  @Override
  public String mac() {
    return Block.macText(slot.address());
  }

  @Override
  public String interfaceName() {
    return Wiring.GUEST;
  }

  @Override
  public List<Inet4Address> nameservers() {
    return nameservers;
  }

  @Override
  public NetworkUsage usage() {
    if (!closed.get()) {
      pool.usage(slot).ifPresent(usage -> last = usage);
    }
    return last;
  }

  @Override
  public void close() {
    if (closed.compareAndSet(false, true)) {
      pool.usage(slot).ifPresent(usage -> last = usage);
      pool.giveBack(this);
    }
  }
}
