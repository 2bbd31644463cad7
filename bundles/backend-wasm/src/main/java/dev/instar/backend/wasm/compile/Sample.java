package dev.instar.backend.wasm.compile;

import java.io.ByteArrayOutputStream;

/** A module that takes the parser and the compiler through what modules usually hold, so that they are loaded and compiled themselves. */
final class Sample {
  private static final int FUNCTIONS = 60;

  private Sample() {}

  static byte[] module() {
    var module = new ByteArrayOutputStream();
    module.writeBytes(new byte[] {0, 'a', 's', 'm', 1, 0, 0, 0});
    // (i32 i32) -> i32
    section(module, 1, bytes(1, 0x60, 2, 0x7f, 0x7f, 1, 0x7f));
    section(module, 3, counted(FUNCTIONS, bytes(0)));
    section(module, 4, bytes(1, 0x70, 0, 2));
    section(module, 5, bytes(1, 0, 1));
    section(module, 6, bytes(1, 0x7f, 1, 0x41, 7, 0x0b));
    section(module, 9, bytes(1, 0, 0x41, 0, 0x0b, 2, 0, 1));
    section(module, 10, counted(FUNCTIONS, sized(body())));
    return module.toByteArray();
  }

  private static byte[] body() {
    var body = new ByteArrayOutputStream();
    // One i32, one i64, one f64.
    body.writeBytes(bytes(3, 1, 0x7f, 1, 0x7e, 1, 0x7c));
    for (int i = 0; i < 12; i++) {
      // local2 = memory[local0 + 8] * local1 + global0; memory[local0] = local2
      body.writeBytes(bytes(0x20, 0, 0x28, 2, 8, 0x20, 1, 0x6c, 0x23, 0, 0x6a, 0x22, 2, 0x24, 0, 0x20, 0, 0x20, 2, 0x36, 2, 0));
      // local3 = (i64) local2 << 3; local4 = (f64) local3 / 2.0
      body.writeBytes(bytes(0x20, 2, 0xad, 0x42, 3, 0x86, 0x22, 3, 0xb9, 0x44, 0, 0, 0, 0, 0, 0, 0, 0x40, 0xa3, 0x21, 4));
      // block loop: if local2 == 0 leave; local2--; again
      body.writeBytes(bytes(0x02, 0x40, 0x03, 0x40, 0x20, 2, 0x45, 0x0d, 1, 0x20, 2, 0x41, 1, 0x6b, 0x21, 2, 0x0c, 0, 0x0b, 0x0b));
      // if local1 then call 1 else call_indirect by a table
      body.writeBytes(bytes(0x20, 1, 0x04, 0x40, 0x20, 0, 0x20, 1, 0x10, 1, 0x21, 2, 0x05, 0x20, 0, 0x20, 1, 0x41, 0, 0x11, 0, 0, 0x1a, 0x0b));
      // br_table over three blocks, and a select
      body.writeBytes(bytes(0x02, 0x40, 0x02, 0x40, 0x20, 1, 0x0e, 2, 0, 1, 0, 0x0b, 0x0b, 0x20, 0, 0x20, 1, 0x20, 2, 0x1b, 0x21, 2));
    }
    body.writeBytes(bytes(0x20, 2, 0x0b));
    return body.toByteArray();
  }

  private static byte[] counted(int times, byte[] item) {
    var out = new ByteArrayOutputStream();
    number(out, times);
    for (int i = 0; i < times; i++) {
      out.writeBytes(item);
    }
    return out.toByteArray();
  }

  private static byte[] sized(byte[] content) {
    var out = new ByteArrayOutputStream();
    number(out, content.length);
    out.writeBytes(content);
    return out.toByteArray();
  }

  private static void section(ByteArrayOutputStream module, int id, byte[] content) {
    module.write(id);
    module.writeBytes(sized(content));
  }

  /** Unsigned LEB128. */
  private static void number(ByteArrayOutputStream out, int value) {
    int left = value;
    for (; left >= 0x80; left >>>= 7) {
      out.write(left & 0x7f | 0x80);
    }
    out.write(left);
  }

  private static byte[] bytes(int... values) {
    byte[] bytes = new byte[values.length];
    for (int i = 0; i < values.length; i++) {
      bytes[i] = (byte) values[i];
    }
    return bytes;
  }
}
