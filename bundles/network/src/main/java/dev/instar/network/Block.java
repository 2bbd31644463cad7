package dev.instar.network;

import dev.instar.api.network.Addresses;
import java.util.ArrayList;
import java.util.List;

/**
 * The addresses of one bridge.
 *
 * @param index its number among all blocks of the node's networks
 * @param range its addresses; the second one is the bridge's, those after it are guests'
 */
record Block(int index, Range range) {
  /** With the bridge's own address, 1022 are in use: a bridge of Linux holds 1023 ports. */
  private static final int BITS = 22;
  /** The network, the bridge and the broadcast address. */
  private static final int NOT_FOR_GUESTS = 3;

  /** All blocks of some networks. */
  static List<Block> of(List<Range> networks) {
    List<Block> blocks = new ArrayList<>();
    for (Range network : networks) {
      int bits = Math.max(network.bits(), BITS);
      for (int i = 0; i < 1 << bits - network.bits(); i++) {
        blocks.add(new Block(blocks.size(), new Range(network.base() + (i << 32 - bits), bits)));
      }
    }
    return blocks;
  }

  int gateway() {
    return range.base() + 1;
  }

  int guests() {
    return (1 << 32 - range.bits()) - NOT_FOR_GUESTS;
  }

  int guest(int number) {
    return gateway() + 1 + number;
  }

  /** A hardware address that tells the address: locally administered. */
  static byte[] mac(int address) {
    return new byte[] {2, 0, (byte) (address >>> 24), (byte) (address >>> 16), (byte) (address >>> 8), (byte) address};
  }

  static String macText(int address) {
    StringBuilder text = new StringBuilder();
    for (byte b : mac(address)) {
      text.append(text.isEmpty() ? "" : ":").append(String.format("%02x", b));
    }
    return text.toString();
  }

  @Override
  public String toString() {
    return Addresses.of(range.base()).getHostAddress() + "/" + range.bits();
  }
}
