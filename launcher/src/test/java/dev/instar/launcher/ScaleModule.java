package dev.instar.launcher;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.SplittableRandom;

/**
 * A module of real code that no other number has: a WASI command that reads eight bytes, sends them through all of its functions, each with
 * constants of its own, and writes what comes out.
 */
final class ScaleModule {
  private static final int FUNCTIONS = 96;
  private static final int ROUNDS = 16;
  private static final int DATA = 3000;
  private static final int I32 = 0x7f;
  private static final int I64 = 0x7e;

  private ScaleModule() {}

  /** Its binary form: 52 to 56 KiB, nearly all of it code that every call runs. */
  static byte[] of(long number) {
    SplittableRandom random = new SplittableRandom(number);
    Bytes module = new Bytes().raw(0, 'a', 's', 'm', 1, 0, 0, 0);
    module.section(1, new Bytes().raw(3, 0x60, 1, I64, 1, I64, 0x60, 4, I32, I32, I32, I32, 1, I32, 0x60, 0, 0));
    module.section(2, new Bytes().raw(2).name("wasi_snapshot_preview1").name("fd_read").raw(0, 1).name("wasi_snapshot_preview1").name("fd_write").raw(0, 1));
    Bytes types = new Bytes().unsigned(FUNCTIONS + 1);
    for (int i = 0; i < FUNCTIONS; i++) {
      types.raw(0);
    }
    module.section(3, types.raw(2));
    module.section(5, new Bytes().raw(1, 0, 1));
    module.section(7, new Bytes().raw(2).name("memory").raw(2, 0).name("_start").raw(0).unsigned(2 + FUNCTIONS));
    Bytes code = new Bytes().unsigned(FUNCTIONS + 1);
    for (int i = 0; i < FUNCTIONS; i++) {
      Bytes body = new Bytes().raw(0);
      for (int round = 0; round < ROUNDS; round++) {
        // x = x * a + b; x ^= x >>> s
        body.raw(0x20, 0, 0x42).signed(random.nextLong()).raw(0x7e, 0x42).signed(random.nextLong()).raw(0x7c, 0x22, 0, 0x20, 0, 0x42)
            .signed(random.nextInt(1, 64)).raw(0x88, 0x85, 0x21, 0);
      }
      code.sized(body.raw(0x20, 0, 0x0b));
    }
    // The vector at 0 says: 8 bytes at 16. The count goes to 24.
    Bytes start = new Bytes().raw(0).raw(0x41, 0, 0x41, 0, 0x41, 1, 0x41, 24, 0x10, 0, 0x1a).raw(0x41, 16, 0x41, 16, 0x29, 3, 0);
    for (int i = 0; i < FUNCTIONS; i++) {
      start.raw(0x10).unsigned(2 + i);
    }
    code.sized(start.raw(0x37, 3, 0).raw(0x41, 1, 0x41, 0, 0x41, 1, 0x41, 24, 0x10, 1, 0x1a, 0x0b));
    module.section(10, code);
    byte[] data = new byte[DATA];
    random.nextBytes(data);
    module.section(11, new Bytes().raw(2, 0, 0x41, 0, 0x0b, 8, 16, 0, 0, 0, 8, 0, 0, 0, 0, 0x41, 32, 0x0b).unsigned(DATA).raw(data));
    return module.toByteArray();
  }

  /** What the module of that number answers. */
  static long answer(long number, long input) {
    SplittableRandom random = new SplittableRandom(number);
    long x = input;
    for (int i = 0; i < FUNCTIONS * ROUNDS; i++) {
      x = x * random.nextLong() + random.nextLong();
      x ^= x >>> random.nextInt(1, 64);
    }
    return x;
  }

  private static final class Bytes {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    Bytes raw(int... bytes) {
      for (int each : bytes) {
        out.write(each);
      }
      return this;
    }

    Bytes raw(byte[] bytes) {
      out.writeBytes(bytes);
      return this;
    }

    Bytes unsigned(int value) {
      int left = value;
      for (; left > 0x7f; left >>>= 7) {
        out.write(left & 0x7f | 0x80);
      }
      out.write(left);
      return this;
    }

    Bytes signed(long value) {
      long left = value;
      for (; left < -64 || left > 63; left >>= 7) {
        out.write((int) left & 0x7f | 0x80);
      }
      out.write((int) left & 0x7f);
      return this;
    }

    Bytes name(String text) {
      byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
      return unsigned(bytes.length).raw(bytes);
    }

    Bytes sized(Bytes content) {
      return unsigned(content.out.size()).raw(content.toByteArray());
    }

    void section(int id, Bytes content) {
      raw(id).sized(content);
    }

    byte[] toByteArray() {
      return out.toByteArray();
    }
  }
}
