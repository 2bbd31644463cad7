package dev.instar.api.network;

import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.UnknownHostException;

/** IPv4 addresses as numbers, and back. */
public final class Addresses {
  private Addresses() {}

  /** The address as an unsigned number of 32 bits. */
  public static int number(Inet4Address address) {
    byte[] b = address.getAddress();
    return (b[0] & 0xff) << 24 | (b[1] & 0xff) << 16 | (b[2] & 0xff) << 8 | b[3] & 0xff;
  }

  public static Inet4Address of(int number) {
    try {
      return (Inet4Address) InetAddress.getByAddress(new byte[] {(byte) (number >>> 24), (byte) (number >>> 16), (byte) (number >>> 8), (byte) number});
    } catch (UnknownHostException e) {
      throw new AssertionError("four bytes are an address", e);
    }
  }

  /** The upper {@code bits} of 32 set. */
  public static int mask(int bits) {
    return bits == 0 ? 0 : -1 << 32 - bits;
  }

  /**
   * Four decimal numbers with dots between; never asks a resolver.
   *
   * @throws IllegalArgumentException when it is none
   */
  public static Inet4Address parse(String text) {
    String[] parts = text.split("\\.", -1);
    if (parts.length != 4) {
      throw new IllegalArgumentException("no IPv4 address: " + text);
    }
    int number = 0;
    for (String part : parts) {
      if (part.isEmpty() || part.length() > 3 || !part.chars().allMatch(c -> c >= '0' && c <= '9') || Integer.parseInt(part) > 255
          || part.length() > 1 && part.charAt(0) == '0') {
        throw new IllegalArgumentException("no IPv4 address: " + text);
      }
      number = number << 8 | Integer.parseInt(part);
    }
    return of(number);
  }
}
