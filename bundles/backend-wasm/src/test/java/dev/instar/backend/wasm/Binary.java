package dev.instar.backend.wasm;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;

/** Modules byte by byte, for what no tool would write. */
final class Binary {
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  /** A module's header. */
  static Binary module() {
    return new Binary().bytes(0, 'a', 's', 'm', 1, 0, 0, 0);
  }

  /** A module with a memory, one function of no parameters and results as {@code _start}, and this body (without the final end). */
  static byte[] withBody(byte[] locals, byte[] body) {
    byte[] code = new Binary().bytes(locals).bytes(body).bytes(0x0b).done();
    return module()
        .section(1, new Binary().bytes(1, 0x60, 0, 0).done())
        .section(3, new Binary().bytes(1, 0).done())
        .section(5, new Binary().bytes(1, 0, 1).done())
        .section(7, new Binary().bytes(1).name("_start").bytes(0, 0).done())
        .section(10, new Binary().bytes(1).u32(code.length).bytes(code).done())
        .done();
  }

  Binary bytes(int... values) {
    for (int v : values) {
      out.write(v);
    }
    return this;
  }

  Binary bytes(byte[] values) {
    out.writeBytes(values);
    return this;
  }

  Binary repeat(int times, int... values) {
    for (int i = 0; i < times; i++) {
      bytes(values);
    }
    return this;
  }

  /** Unsigned LEB128. */
  Binary u32(long value) {
    long left = value;
    do {
      int b = (int) (left & 0x7f);
      left >>>= 7;
      out.write(left == 0 ? b : b | 0x80);
    } while (left != 0);
    return this;
  }

  Binary name(String name) {
    byte[] utf8 = name.getBytes(StandardCharsets.UTF_8);
    return u32(utf8.length).bytes(utf8);
  }

  Binary section(int id, byte[] content) {
    return bytes(id).u32(content.length).bytes(content);
  }

  byte[] done() {
    return out.toByteArray();
  }
}
