package dev.instar.launcher.cli;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Locale;

/** Writes a tar as POSIX.1 has it (pax): ustar headers, and an extended one where a name or size does not fit. */
final class TarFile implements AutoCloseable {
  private static final int BLOCK = 512;
  private static final int NAME = 100;
  private static final long LARGEST = 0_77777777777L;
  private final OutputStream out;

  TarFile(OutputStream out) {
    this.out = out;
  }

  /**
   * What a header says besides name and size.
   *
   * @param mode permission bits
   * @param modified in seconds of 1970
   */
  record Attributes(int mode, int uid, int gid, long modified) {
    static final Attributes PLAIN = new Attributes(0644, 0, 0, 0);
  }

  void file(String name, long size, Attributes attributes, InputStream content) throws IOException {
    header(name, '0', size, "", attributes);
    long copied = 0;
    byte[] buffer = new byte[64 << 10];
    for (int n; copied < size && (n = content.read(buffer, 0, (int) Math.min(buffer.length, size - copied))) >= 0; copied += n) {
      out.write(buffer, 0, n);
    }
    if (copied < size) {
      throw new IOException(name + " became shorter while it was read");
    }
    out.write(new byte[(int) (-size & BLOCK - 1)]);
  }

  void file(String name, byte[] content) throws IOException {
    file(name, content.length, Attributes.PLAIN, new ByteArrayInputStream(content));
  }

  void directory(String name, Attributes attributes) throws IOException {
    header(name + "/", '5', 0, "", attributes);
  }

  void link(String name, String target, Attributes attributes) throws IOException {
    header(name, '2', 0, target, attributes);
  }

  /** A further name of a file before it. */
  void sameFile(String name, String before, Attributes attributes) throws IOException {
    header(name, '1', 0, before, attributes);
  }

  private void header(String name, char type, long size, String target, Attributes attributes) throws IOException {
    StringBuilder records = new StringBuilder();
    if (bytes(name).length > NAME) {
      records.append(record("path", name));
    }
    if (bytes(target).length > NAME) {
      records.append(record("linkpath", target));
    }
    if (size > LARGEST) {
      records.append(record("size", Long.toString(size)));
    }
    if (!records.isEmpty()) {
      byte[] extended = bytes(records.toString());
      out.write(block("pax", 'x', extended.length, "", Attributes.PLAIN));
      out.write(extended);
      out.write(new byte[-extended.length & BLOCK - 1]);
    }
    out.write(block(name, type, Math.min(size, LARGEST), target, attributes));
  }

  private static String record(String key, String value) {
    int rest = bytes(key + value).length + 3;
    int length = rest + Integer.toString(rest).length();
    // One digit more may make the length itself longer by one.
    length = rest + Integer.toString(length).length();
    return length + " " + key + "=" + value + "\n";
  }

  private static byte[] block(String name, char type, long size, String target, Attributes attributes) {
    byte[] header = new byte[BLOCK];
    // Cut names are overridden by the extended header; not within a character, so that they stay text.
    put(header, 0, NAME, fitting(name));
    put(header, 100, 8, octal(attributes.mode(), 7));
    put(header, 108, 8, octal(attributes.uid(), 7));
    put(header, 116, 8, octal(attributes.gid(), 7));
    put(header, 124, 12, octal(size, 11));
    put(header, 136, 12, octal(Math.max(0, attributes.modified()), 11));
    header[156] = (byte) type;
    put(header, 157, NAME, fitting(target));
    put(header, 257, 8, "ustar\0" + "00");
    Arrays.fill(header, 148, 156, (byte) ' ');
    int sum = 0;
    for (byte b : header) {
      sum += b & 0xff;
    }
    put(header, 148, 8, octal(sum, 6) + "\0 ");
    return header;
  }

  private static String fitting(String text) {
    String cut = text;
    while (bytes(cut).length > NAME) {
      cut = cut.substring(0, cut.offsetByCodePoints(cut.length(), -1));
    }
    return cut;
  }

  private static String octal(long value, int digits) {
    return String.format(Locale.ROOT, "%0" + digits + "o", value);
  }

  private static void put(byte[] header, int offset, int length, String text) {
    byte[] bytes = bytes(text);
    System.arraycopy(bytes, 0, header, offset, Math.min(length, bytes.length));
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  /** Two empty blocks end it. The stream below is closed. */
  @Override
  public void close() throws IOException {
    out.write(new byte[2 * BLOCK]);
    out.close();
  }
}
