package dev.instar.wasi.writeback;

import dev.instar.wasi.writeback.ModuleBytes.Range;

/**
 * Reads the bodies of functions, instruction by instruction, for what they may do to tables and segments. What it does not understand may do anything: an
 * instruction that it does not know, or a body that does not end where its blocks do.
 */
final class Bodies {
  private final byte[] bytes;
  private int at;
  private int end;

  private Bodies(byte[] bytes, Range range) {
    this.bytes = bytes;
    at = range.from();
    end = range.to();
  }

  /** Not understood. */
  private static final class Unknown extends RuntimeException {
    private static final long serialVersionUID = 1;

    Unknown() {
      super(null, null, false, false);
    }
  }

  /**
   * Whether they leave what tables hold, how large these are, and which segments there are, as it is.
   *
   * @param code the content of the section
   */
  static boolean leaveTables(byte[] module, Range code) {
    try {
      return new Bodies(module, code).leaveTables();
    } catch (Unknown e) {
      return false;
    }
  }

  private boolean leaveTables() {
    int all = end;
    for (long n = u32(); n > 0; n--) {
      long size = u32();
      if (size > all - at) {
        throw new Unknown();
      }
      end = at + (int) size;
      for (long groups = u32(); groups > 0; groups--) {
        u32();
        u8();
      }
      if (!body()) {
        return false;
      }
      end = all;
    }
    return at == end;
  }

  private boolean body() {
    int open = 1;
    while (open > 0) {
      int op = u8();
      switch (op) {
        case 0x02, 0x03, 0x04 -> {
          number();
          open++;
        }
        case 0x0b -> open--;
        case 0x00, 0x01, 0x05, 0x0f, 0x1a, 0x1b, 0xd1 -> {
          // Nothing follows.
        }
        case 0x0c, 0x0d, 0x10, 0x12, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0xd2 -> u32();
        case 0x0e -> {
          for (long n = u32(); n >= 0; n--) {
            u32();
          }
        }
        case 0x11, 0x13 -> {
          u32();
          u32();
        }
        case 0x1c -> skip(u32());
        // table.set
        case 0x26 -> {
          return false;
        }
        case 0x3f, 0x40 -> u8();
        case 0x41, 0x42, 0xd0 -> number();
        case 0x43 -> skip(4);
        case 0x44 -> skip(8);
        case 0xfc -> {
          if (!bulk()) {
            return false;
          }
        }
        case 0xfd -> vector();
        default -> {
          if (op >= 0x28 && op <= 0x3e) {
            place();
          } else if (op < 0x45 || op > 0xc4) {
            throw new Unknown();
          }
        }
      }
    }
    return at == end;
  }

  private boolean bulk() {
    long op = u32();
    switch ((int) op) {
      case 0, 1, 2, 3, 4, 5, 6, 7 -> {
        // Conversions.
      }
      case 8, 10 -> {
        u32();
        u32();
      }
      // memory.fill, table.size
      case 11, 16 -> u32();
      // data.drop, table.init, elem.drop, table.copy, table.grow, table.fill; and what is not known.
      default -> {
        return false;
      }
    }
    return true;
  }

  private void vector() {
    long op = u32();
    if (op <= 11 || op == 92 || op == 93) {
      place();
    } else if (op == 12 || op == 13) {
      skip(16);
    } else if (op >= 21 && op <= 34) {
      u8();
    } else if (op >= 84 && op <= 91) {
      place();
      u8();
    } else if (op > 0x113) {
      throw new Unknown();
    }
  }

  /** An alignment, of one memory, and an offset. */
  private void place() {
    if (u32() >= 64) {
      throw new Unknown();
    }
    u32();
  }

  private int u8() {
    if (at >= end) {
      throw new Unknown();
    }
    return bytes[at++] & 0xff;
  }

  private void skip(long n) {
    if (n > end - at) {
      throw new Unknown();
    }
    at += (int) n;
  }

  private long u32() {
    long value = 0;
    for (int shift = 0; shift < 35; shift += 7) {
      int b = u8();
      value |= (long) (b & 0x7f) << shift;
      if (b < 0x80) {
        return value;
      }
    }
    throw new Unknown();
  }

  /** A signed number, or what is encoded as one. */
  private void number() {
    for (int i = 0; i < 10; i++) {
      if (u8() < 0x80) {
        return;
      }
    }
    throw new Unknown();
  }
}
