package dev.instar.images;

import dev.instar.api.InstarException;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Reads a tar stream strictly: what it takes, every other reader takes in the same way.
 *
 * <p>It knows ustar and pax (POSIX.1-2024, <i>pax</i>, "pax Interchange Format" and "ustar Interchange Format") and GNU's long names
 * (<i>tar(5)</i>). Checksums are held, metadata is bounded before it is read, and everything that is not a file, a directory or a link is
 * refused by name: devices, FIFOs, sparse and multi-volume files. A general library hides these differences, reads long names of any
 * length into memory and passes over checksums, which is right for a tool and wrong for a door.
 */
final class TarReader {
  private static final int BLOCK = 512;
  private static final int LONG_NAME_BYTES = 4096;
  private static final int PAX_BYTES = 64 << 10;
  /** What would change which files there are: not allowed for a whole archive at once. */
  private static final Set<String> PER_ENTRY_ONLY = Set.of("path", "linkpath", "size");
  /** What else of an extended header is of use. */
  private static final Set<String> ATTRIBUTES = Set.of("uid", "gid", "mtime");

  private final InputStream in;
  private final byte[] block = new byte[BLOCK];
  private String last = "";
  private long remaining;
  private int padding;
  private boolean ended;

  TarReader(InputStream in) {
    this.in = in;
  }

  /** What an entry is. */
  enum Type { FILE, DIRECTORY, SYMLINK, HARDLINK }

  /**
   * @param name as it stands in the archive
   * @param size of the data that follows
   * @param mode the permission bits
   * @param target of a link; else empty
   * @param uid of the owner, -1 when it is no number
   * @param gid of the group, -1 when it is no number
   * @param modified in seconds of 1970, 0 when it is no number
   */
  record Entry(String name, Type type, long size, int mode, String target, long uid, long gid, long modified) {}

  /** The next entry; what was not read of the one before is skipped. Empty at the end, after which there is nothing in the stream but padding. */
  Optional<Entry> next() throws IOException {
    skipData();
    Optional<String> longName = Optional.empty();
    Optional<String> longTarget = Optional.empty();
    Map<String, String> pax = Map.of();
    while (true) {
      if (ended || !readBlock()) {
        throw Refusal.archive("ends early, after '" + Refusal.shown(last) + "'");
      }
      if (isZero(block)) {
        if (longName.isPresent() || longTarget.isPresent() || !pax.isEmpty()) {
          throw Refusal.archive("ends after a header that belongs to an entry");
        }
        drainPadding();
        return Optional.empty();
      }
      // For messages only: where a long name follows, this one may be cut within a character.
      String name = Refusal.shown(name(false));
      checkSum(name);
      long size = number(124, 12, name, "size");
      int flag = block[156];
      switch (flag) {
        case 'L' -> longName = once(longName, longName(size));
        case 'K' -> longTarget = once(longTarget, longName(size));
        case 'x' -> {
          if (!pax.isEmpty()) {
            throw Refusal.archive("has more than one extended header for one entry, after '" + Refusal.shown(last) + "'");
          }
          pax = pax(name, size);
        }
        case 'g' -> {
          for (String key : pax(name, size).keySet()) {
            if (PER_ENTRY_ONLY.contains(key)) {
              throw Refusal.entry(name, "gives every entry the same " + key);
            }
          }
        }
        default -> {
          Map<String, String> given = pax;
          // Some writers give both, which is harmless while they agree.
          if (differ(longName, given.get("path")) || differ(longTarget, given.get("linkpath"))) {
            throw Refusal.entry(name, "has two long names that differ");
          }
          String path = longName.or(() -> Optional.ofNullable(given.get("path"))).orElseGet(() -> name(true));
          String target = longTarget.or(() -> Optional.ofNullable(given.get("linkpath"))).orElseGet(() -> text(157, 100, true));
          if (pax.containsKey("size")) {
            size = decimal(pax.get("size"), path);
          }
          return Optional.of(entry(path, flag, size, target, given));
        }
      }
    }
  }

  private static boolean differ(Optional<String> one, String other) {
    return one.isPresent() && other != null && !one.get().equals(other);
  }

  private Entry entry(String path, int flag, long size, String target, Map<String, String> pax) {
    Type type = switch (flag) {
      case '0', 0, '7' -> path.endsWith("/") ? Type.DIRECTORY : Type.FILE;
      case '5' -> Type.DIRECTORY;
      case '2' -> Type.SYMLINK;
      case '1' -> Type.HARDLINK;
      case '3' -> throw Refusal.entry(path, "is a character device");
      case '4' -> throw Refusal.entry(path, "is a block device");
      case '6' -> throw Refusal.entry(path, "is a FIFO");
      case 'S' -> throw Refusal.entry(path, "is a sparse file");
      default -> throw Refusal.entry(path, "is of the unknown type '" + (flag > ' ' && flag < 127 ? (char) flag : "\\" + (flag & 0xff)) + "'");
    };
    if (type != Type.FILE && size != 0) {
      throw Refusal.entry(path, "has data but is no file");
    }
    last = path;
    remaining = size;
    padding = (int) (-size & BLOCK - 1);
    return new Entry(path, type, size, (int) number(100, 8, path, "mode"), type == Type.SYMLINK || type == Type.HARDLINK ? target : "",
        attribute(pax, "uid", 108, 8, -1), attribute(pax, "gid", 116, 8, -1), attribute(pax, "mtime", 136, 12, 0));
  }

  /** Leaves it to the caller whether a malformed attribute matters. */
  private long attribute(Map<String, String> pax, String key, int offset, int length, long otherwise) {
    String text = pax.getOrDefault(key, "");
    if (!text.isEmpty()) {
      String whole = text.indexOf('.') < 0 ? text : text.substring(0, text.indexOf('.'));
      return whole.matches("[0-9]{1,18}") ? Long.parseLong(whole) : otherwise;
    }
    try {
      return number(offset, length, "", key);
    } catch (InstarException malformed) {
      return otherwise;
    }
  }

  /** Bytes of the current entry; -1 at its end. */
  int read(byte[] into) throws IOException {
    if (remaining == 0) {
      return -1;
    }
    int n = in.read(into, 0, (int) Math.min(into.length, remaining));
    if (n < 0) {
      throw Refusal.entry(last, "is longer in its header than in the archive");
    }
    remaining -= n;
    return n;
  }

  private void skipData() throws IOException {
    byte[] sink = new byte[8192];
    while (read(sink) >= 0) {
      // Skipped.
    }
    if (in.readNBytes(padding).length < padding) {
      throw Refusal.archive("ends early, after '" + Refusal.shown(last) + "'");
    }
    padding = 0;
  }

  private boolean readBlock() throws IOException {
    int n = in.readNBytes(block, 0, BLOCK);
    if (n != 0 && n != BLOCK) {
      throw Refusal.archive("ends within a header, after '" + Refusal.shown(last) + "'");
    }
    return n == BLOCK;
  }

  private void drainPadding() throws IOException {
    ended = true;
    byte[] rest = new byte[8192];
    for (int n; (n = in.read(rest)) >= 0;) {
      for (int i = 0; i < n; i++) {
        if (rest[i] != 0) {
          throw Refusal.archive("goes on after its end");
        }
      }
    }
  }

  private static boolean isZero(byte[] block) {
    for (byte b : block) {
      if (b != 0) {
        return false;
      }
    }
    return true;
  }

  private String name(boolean strict) {
    boolean posix = block[257] == 'u' && block[258] == 's' && block[259] == 't' && block[260] == 'a' && block[261] == 'r' && block[262] == 0;
    String name = text(0, 100, strict);
    String prefix = posix ? text(345, 155, strict) : "";
    return prefix.isEmpty() ? name : prefix + "/" + name;
  }

  /** The sum of the header's bytes with the field itself taken as blanks; some old writers summed signed bytes. */
  private void checkSum(String name) {
    long unsigned = 0;
    long signed = 0;
    for (int i = 0; i < BLOCK; i++) {
      byte b = i >= 148 && i < 156 ? (byte) ' ' : block[i];
      unsigned += b & 0xff;
      signed += b;
    }
    long stored = number(148, 8, name, "checksum");
    if (stored != unsigned && stored != signed) {
      throw Refusal.entry(name, "has a header whose checksum does not fit");
    }
  }

  private String text(int offset, int length, boolean strict) {
    int end = offset;
    while (end < offset + length && block[end] != 0) {
      end++;
    }
    return strict ? utf8(ByteBuffer.wrap(block, offset, end - offset), last) : new String(block, offset, end - offset, StandardCharsets.UTF_8);
  }

  private static String utf8(ByteBuffer bytes, String context) {
    try {
      return StandardCharsets.UTF_8.newDecoder().onMalformedInput(CodingErrorAction.REPORT).onUnmappableCharacter(CodingErrorAction.REPORT)
          .decode(bytes).toString();
    } catch (CharacterCodingException e) {
      throw Refusal.archive("has a name that is not UTF-8, at or after '" + Refusal.shown(context) + "'");
    }
  }

  /** Octal digits, or GNU's base 256 where the first bit is set. */
  private long number(int offset, int length, String name, String field) {
    long value = 0;
    if ((block[offset] & 0x80) != 0) {
      if (block[offset] != (byte) 0x80) {
        throw Refusal.entry(name, "has a " + field + " that is negative or far too large");
      }
      for (int i = offset + 1; i < offset + length; i++) {
        if (value >= 1L << 54) {
          throw Refusal.entry(name, "has a " + field + " that is far too large");
        }
        value = value << 8 | block[i] & 0xff;
      }
      return value;
    }
    int i = offset;
    int end = offset + length;
    while (i < end && block[i] == ' ') {
      i++;
    }
    for (; i < end && block[i] >= '0' && block[i] <= '7'; i++) {
      value = value << 3 | block[i] - '0';
    }
    for (; i < end; i++) {
      if (block[i] != 0 && block[i] != ' ') {
        throw Refusal.entry(name, "has a " + field + " that is no octal number");
      }
    }
    return value;
  }

  private static long decimal(String text, String name) {
    if (!text.matches("[0-9]{1,18}")) {
      throw Refusal.entry(name, "has a size that is no number");
    }
    return Long.parseLong(text);
  }

  private Optional<String> once(Optional<String> before, String value) {
    if (before.isPresent()) {
      throw Refusal.archive("has more than one long name for one entry, after '" + Refusal.shown(last) + "'");
    }
    return Optional.of(value);
  }

  private String longName(long size) throws IOException {
    byte[] bytes = metadata(size, LONG_NAME_BYTES, "a long name");
    int end = 0;
    while (end < bytes.length && bytes[end] != 0) {
      end++;
    }
    for (int i = end; i < bytes.length; i++) {
      if (bytes[i] != 0) {
        throw Refusal.archive("has a NUL character in a long name, after '" + Refusal.shown(last) + "'");
      }
    }
    return utf8(ByteBuffer.wrap(bytes, 0, end), last);
  }

  private byte[] metadata(long size, int limit, String what) throws IOException {
    if (size > limit) {
      throw Refusal.archive("has " + what + " of " + size + " bytes after '" + Refusal.shown(last) + "'; " + limit + " are allowed");
    }
    byte[] bytes = in.readNBytes((int) size);
    int pad = (int) (-size & BLOCK - 1);
    if (bytes.length < size || in.readNBytes(pad).length < pad) {
      throw new EOFException();
    }
    return bytes;
  }

  /** Records of the form {@code "<length> <key>=<value>\n"}, where the length counts the whole record. */
  private Map<String, String> pax(String name, long size) throws IOException {
    byte[] bytes = metadata(size, PAX_BYTES, "an extended header");
    Map<String, String> records = new HashMap<>();
    int at = 0;
    while (at < bytes.length) {
      int digits = at;
      int length = 0;
      while (digits < bytes.length && digits - at < 6 && bytes[digits] >= '0' && bytes[digits] <= '9') {
        length = length * 10 + bytes[digits++] - '0';
      }
      int end = at + length;
      int equals = digits;
      while (equals < bytes.length && equals < end && bytes[equals] != '=') {
        equals++;
      }
      if (digits == at || end <= digits || end > bytes.length || bytes[digits] != ' ' || equals >= end - 1 || bytes[end - 1] != '\n') {
        throw Refusal.entry(name, "is an extended header that is malformed");
      }
      String key = utf8(ByteBuffer.wrap(bytes, digits + 1, equals - digits - 1), name);
      if (key.startsWith("GNU.sparse") || key.startsWith("SCHILY.realsize")) {
        throw Refusal.entry(name, "belongs to a sparse file");
      }
      // Others, such as extended attributes, may hold any bytes and mean nothing here.
      if ((PER_ENTRY_ONLY.contains(key) || ATTRIBUTES.contains(key)) && records.put(key, utf8(ByteBuffer.wrap(bytes, equals + 1, end - equals - 2), name)) != null) {
        throw Refusal.entry(name, "is an extended header that gives " + key + " twice");
      }
      at = end;
    }
    // Marks that there was a header, also where it said nothing of use.
    records.putIfAbsent("", "");
    return records;
  }
}
