package dev.instar.api.data;

import dev.instar.api.Digest;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * A small JSON document in a file that knows when it is damaged: {@code {"sha256":"<64 digits>","document":<the document>}} and a newline,
 * where the checksum is over the document's bytes exactly as they stand. Any JSON tool reads it; only this class writes it.
 */
public final class ChecksummedDocument {
  private static final String HEAD = "{\"sha256\":\"";
  private static final String MIDDLE = "\",\"document\":";
  private static final byte[] TAIL = "}\n".getBytes(StandardCharsets.US_ASCII);
  private static final int PREFIX = HEAD.length() + 64 + MIDDLE.length();

  private ChecksummedDocument() {}

  /** Writes it durably, see {@link DurableFiles#write}. @param json one JSON value in UTF-8 */
  public static void write(Path file, byte[] json) throws IOException {
    byte[] prefix = (HEAD + Digest.of(json).hex() + MIDDLE).getBytes(StandardCharsets.US_ASCII);
    byte[] all = Arrays.copyOf(prefix, prefix.length + json.length + TAIL.length);
    System.arraycopy(json, 0, all, prefix.length, json.length);
    System.arraycopy(TAIL, 0, all, prefix.length + json.length, TAIL.length);
    DurableFiles.write(file, all);
  }

  /**
   * The document's bytes.
   *
   * @throws DamagedException when the file is there but is not what was written
   * @throws IOException when it cannot be read
   */
  public static byte[] read(Path file) throws IOException {
    byte[] all = Files.readAllBytes(file);
    if (all.length < PREFIX + TAIL.length) {
      throw new DamagedException(file, "it has only " + all.length + " bytes");
    }
    byte[] json = Arrays.copyOfRange(all, PREFIX, all.length - TAIL.length);
    String expected = HEAD + Digest.of(json).hex() + MIDDLE;
    if (!expected.equals(new String(all, 0, PREFIX, StandardCharsets.ISO_8859_1))
        || !Arrays.equals(all, all.length - TAIL.length, all.length, TAIL, 0, TAIL.length)) {
      throw new DamagedException(file, "its checksum does not fit");
    }
    return json;
  }

  /** The file is not what was written. */
  public static final class DamagedException extends IOException {
    private static final long serialVersionUID = 1;

    /** @param how what is wrong with it */
    public DamagedException(Path file, String how) {
      super(file + " is damaged: " + how);
    }
  }
}
