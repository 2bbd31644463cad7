package dev.instar.images;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.function.Consumer;
import java.util.zip.GZIPOutputStream;

/** Writes tar headers field by field, so that a test can get any of them wrong. */
final class Tars {
  static final byte[] MODULE = {0, 'a', 's', 'm', 1, 0, 0, 0};

  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  Tars file(String name, byte[] content) {
    return entry(name, '0', content, h -> {});
  }

  Tars file(String name) {
    return file(name, name.getBytes(StandardCharsets.UTF_8));
  }

  Tars program() {
    return file("function.wasm", MODULE);
  }

  Tars directory(String name) {
    return entry(name, '5', new byte[0], h -> {});
  }

  Tars link(String name, String target) {
    return entry(name, '2', new byte[0], h -> put(h, 157, target));
  }

  Tars hardLink(String name, String target) {
    return entry(name, '1', new byte[0], h -> put(h, 157, target));
  }

  /** One pax record. */
  static String record(String key, String value) {
    int length = key.getBytes(StandardCharsets.UTF_8).length + value.getBytes(StandardCharsets.UTF_8).length + 3;
    int total = length + 1;
    while (Integer.toString(total).length() + length != total) {
      total = Integer.toString(total).length() + length;
    }
    return total + " " + key + "=" + value + "\n";
  }

  Tars pax(String records) {
    return entry("PaxHeaders/x", 'x', records.getBytes(StandardCharsets.UTF_8), h -> {});
  }

  /** An entry whose header {@code spoil} changes before the checksum is put in. */
  Tars entry(String name, char type, byte[] content, Consumer<byte[]> spoil) {
    byte[] header = new byte[512];
    put(header, 0, name);
    put(header, 100, "0000755");
    put(header, 108, "0000000");
    put(header, 116, "0000000");
    put(header, 124, String.format("%011o", content.length));
    put(header, 136, "00000000000");
    header[156] = (byte) type;
    put(header, 257, "ustar\0" + "00");
    spoil.accept(header);
    checksum(header);
    return raw(header).raw(content).raw(new byte[-content.length & 511]);
  }

  static void checksum(byte[] header) {
    Arrays.fill(header, 148, 156, (byte) ' ');
    int sum = 0;
    for (byte b : header) {
      sum += b & 0xff;
    }
    put(header, 148, String.format("%06o\0 ", sum));
  }

  static void put(byte[] header, int offset, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    System.arraycopy(bytes, 0, header, offset, bytes.length);
  }

  Tars raw(byte[] bytes) {
    out.writeBytes(bytes);
    return this;
  }

  /** As it stands, not packed. */
  byte[] plain() {
    return out.toByteArray();
  }

  /** As it stands, without an end. */
  byte[] unended() {
    return gzip(out.toByteArray());
  }

  byte[] tgz() {
    return raw(new byte[1024]).unended();
  }

  static byte[] gzip(byte[] bytes) {
    ByteArrayOutputStream packed = new ByteArrayOutputStream();
    try (GZIPOutputStream gzip = new GZIPOutputStream(packed)) {
      gzip.write(bytes);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return packed.toByteArray();
  }
}
