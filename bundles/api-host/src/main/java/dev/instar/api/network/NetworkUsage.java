package dev.instar.api.network;

/**
 * What has gone through the interface of one lease, as the guest sees it.
 *
 * @param receivedBytes to the guest, with Ethernet headers
 * @param receivedPackets to the guest
 * @param sentBytes from the guest, before any policy has dropped some
 * @param sentPackets from the guest
 */
public record NetworkUsage(long receivedBytes, long receivedPackets, long sentBytes, long sentPackets) {
  public static final NetworkUsage NONE = new NetworkUsage(0, 0, 0, 0);

  /** What has come since {@code before}. */
  public NetworkUsage minus(NetworkUsage before) {
    return new NetworkUsage(receivedBytes - before.receivedBytes, receivedPackets - before.receivedPackets, sentBytes - before.sentBytes,
        sentPackets - before.sentPackets);
  }
}
