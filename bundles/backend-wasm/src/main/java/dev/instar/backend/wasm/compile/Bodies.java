package dev.instar.backend.wasm.compile;

import java.io.ByteArrayOutputStream;
import java.util.function.IntPredicate;

/**
 * Takes the bodies out of a module, but for some. What is left is a valid module when the whole is, and parsing it costs the node memory only for
 * what it will keep: parsed instructions take some two hundred times the room of their bytes.
 */
public final class Bodies {
  private static final int CODE = 10;
  /** No locals, {@code unreachable}, {@code end}: valid for every type of function. */
  private static final byte[] STUB = {3, 0, 0, 0x0b};

  private final byte[] module;
  private int at;

  private Bodies(byte[] module) {
    this.module = module;
  }

  /**
   * @param module one whose sections and bodies are known to lie within it
   * @param kept which bodies stay, by their place in the code section
   */
  public static byte[] without(byte[] module, IntPredicate kept) {
    return new Bodies(module).without(kept);
  }

  /** Bytes of some bodies together. */
  public static long bytes(byte[] module, IntPredicate wanted) {
    long[] sum = {0};
    new Bodies(module).walk((index, from, to) -> {
      if (wanted.test(index)) {
        sum[0] += to - from;
      }
    });
    return sum[0];
  }

  private interface Body {
    void found(int index, int from, int to);
  }

  private byte[] without(IntPredicate kept) {
    var code = new ByteArrayOutputStream();
    int[] section = walk((index, from, to) -> {
      if (kept.test(index)) {
        code.write(module, from, to - from);
      } else {
        code.writeBytes(STUB);
      }
    });
    if (section.length == 0) {
      return module;
    }
    var out = new ByteArrayOutputStream(module.length - (section[2] - section[1]) + code.size() + 16);
    out.write(module, 0, section[0] + 1);
    var count = new ByteArrayOutputStream();
    number(count, section[3]);
    number(out, count.size() + code.size());
    out.writeBytes(count.toByteArray());
    out.writeBytes(code.toByteArray());
    out.write(module, section[2], module.length - section[2]);
    return out.toByteArray();
  }

  /** @return where the code section's id, its contents and its end are, and how many bodies it has; empty when there is none */
  private int[] walk(Body body) {
    at = 8;
    while (at < module.length) {
      int start = at++;
      int size = number();
      int contents = at;
      if (module[start] != CODE) {
        at += size;
        continue;
      }
      int n = number();
      for (int i = 0; i < n; i++) {
        int from = at;
        int length = number();
        at += length;
        body.found(i, from, at);
      }
      return new int[] {start, contents, contents + size, n};
    }
    return new int[0];
  }

  /** An unsigned LEB128 number. */
  private int number() {
    int value = 0;
    for (int shift = 0;; shift += 7) {
      int b = module[at++];
      value |= (b & 0x7f) << shift;
      if (b >= 0) {
        return value;
      }
    }
  }

  private static void number(ByteArrayOutputStream out, int value) {
    int left = value;
    for (; left >= 0x80; left >>>= 7) {
      out.write(left & 0x7f | 0x80);
    }
    out.write(left);
  }
}
