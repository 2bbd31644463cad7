package dev.instar.images;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.util.zip.CRC32;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;

/**
 * Reads gzip (RFC 1952). {@link java.util.zip.GZIPInputStream} goes on into further members and passes over garbage, so that two readers may
 * disagree about what an archive holds; this one takes one member that is the whole stream, or, where a digest of what comes out is known, several.
 * It also watches how much comes out of how little.
 */
final class GzipReader extends InputStream {
  private static final int FHCRC = 2;
  private static final int FEXTRA = 4;
  private static final int FNAME = 8;
  private static final int FCOMMENT = 16;
  private static final int HEADER_TEXT_BYTES = 4096;

  private final InputStream packed;
  private final ArchiveLimits limits;
  private final Inflater inflater = new Inflater(true);
  private final CRC32 crc = new CRC32();
  private final byte[] buffer = new byte[16 << 10];
  private int position;
  private int filled;
  private boolean ended;
  private final boolean several;
  /** Of the members before this one. */
  private long writtenBefore;
  private long readBefore;

  /** One member. @param packed is read in blocks and not closed */
  GzipReader(InputStream packed, ArchiveLimits limits) throws IOException {
    this(packed, limits, false);
  }

  /** @param several whether more members may follow the first */
  GzipReader(InputStream packed, ArchiveLimits limits, boolean several) throws IOException {
    this.packed = packed;
    this.limits = limits;
    this.several = several;
    boolean begun = false;
    try {
      header();
      begun = true;
    } finally {
      if (!begun) {
        inflater.end();
      }
    }
  }

  private void header() throws IOException {
    if (next() != 0x1f || next() != 0x8b || next() != 8) {
      throw Refusal.archive("is not gzip with DEFLATE");
    }
    int flags = next();
    if ((flags & 0xe0) != 0) {
      throw Refusal.archive("has reserved gzip flags set");
    }
    for (int i = 0; i < 6; i++) {
      next();
    }
    if ((flags & FEXTRA) != 0) {
      int length = next() | next() << 8;
      for (int i = 0; i < length; i++) {
        next();
      }
    }
    if ((flags & FNAME) != 0) {
      skipText();
    }
    if ((flags & FCOMMENT) != 0) {
      skipText();
    }
    if ((flags & FHCRC) != 0) {
      next();
      next();
    }
  }

  private void skipText() throws IOException {
    for (int i = 0; i < HEADER_TEXT_BYTES; i++) {
      if (next() == 0) {
        return;
      }
    }
    throw Refusal.archive("has more than " + HEADER_TEXT_BYTES + " bytes of text in its gzip header");
  }

  private boolean fill() throws IOException {
    position = 0;
    filled = Math.max(0, packed.read(buffer));
    return filled > 0;
  }

  private int next() throws IOException {
    if (position == filled && !fill()) {
      throw new EOFException();
    }
    return buffer[position++] & 0xff;
  }

  private long next32() throws IOException {
    return next() | next() << 8 | next() << 16 | (long) next() << 24;
  }

  @Override
  public int read() throws IOException {
    byte[] one = new byte[1];
    return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
  }

  @Override
  public int read(byte[] into, int offset, int length) throws IOException {
    if (ended) {
      return -1;
    }
    if (length == 0) {
      return 0;
    }
    try {
      while (true) {
        int n = inflater.inflate(into, offset, length);
        if (n > 0) {
          crc.update(into, offset, n);
          check();
          return n;
        }
        if (inflater.finished()) {
          trailer();
          if (position < filled || fill()) {
            nextMember();
            continue;
          }
          ended = true;
          return -1;
        }
        if (inflater.needsDictionary()) {
          throw Refusal.archive("needs a preset dictionary");
        }
        if (position == filled && !fill()) {
          throw new EOFException();
        }
        inflater.setInput(buffer, position, filled - position);
        position = filled;
      }
    } catch (DataFormatException e) {
      throw Refusal.archive("is damaged: its compressed data is not valid");
    }
  }

  private void nextMember() throws IOException {
    if (!several) {
      throw Refusal.archive("has bytes after the end of its gzip member; one member is all it may hold");
    }
    writtenBefore += inflater.getBytesWritten();
    readBefore += inflater.getBytesRead();
    inflater.reset();
    crc.reset();
    header();
  }

  private void check() {
    long out = writtenBefore + inflater.getBytesWritten();
    if (out > limits.unpackedBytes()) {
      throw Refusal.archive("unpacks to more than " + limits.unpackedBytes() + " bytes");
    }
    if (out > ArchiveLimits.RATIO_FREE_BYTES && out / limits.ratio() > readBefore + inflater.getBytesRead()) {
      throw Refusal.archive("unpacks to more than " + limits.ratio() + " times its size");
    }
  }

  private void trailer() throws IOException {
    position = filled - inflater.getRemaining();
    if (next32() != crc.getValue() || next32() != (inflater.getBytesWritten() & 0xffff_ffffL)) {
      throw Refusal.archive("is damaged: its gzip checksum or length does not fit");
    }
  }

  @Override
  public void close() {
    inflater.end();
  }
}
