package dev.instar.wasi.writeback;

import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/** Bytes of a module, some of which are read from the memory only when they are needed: as a whole they may be half of the heap. */
final class Pieces {
  private static final int CHUNK = 64 << 10;

  private sealed interface Piece {
    long size();
  }

  private record Ready(byte[] bytes) implements Piece {
    @Override
    public long size() {
      return bytes.length;
    }
  }

  private record Later(ModuleState.Linear memory, int from, int to) implements Piece {
    @Override
    public long size() {
      return (long) to - from;
    }
  }

  private final List<Piece> pieces = new ArrayList<>();
  private Encoded tail = new Encoded();
  private long size;

  /** Where the next bytes are written. */
  Encoded tail() {
    return tail;
  }

  /** Adds a part of a memory, up to {@code to} exclusively. */
  void later(ModuleState.Linear memory, int from, int to) {
    flush();
    add(new Later(memory, from, to));
  }

  void all(Pieces others) {
    flush();
    others.flush();
    others.pieces.forEach(this::add);
  }

  private void add(Piece piece) {
    pieces.add(piece);
    size += piece.size();
  }

  private void flush() {
    if (tail.size() > 0) {
      add(new Ready(tail.toByteArray()));
      tail = new Encoded();
    }
  }

  long size() {
    return size + tail.size();
  }

  InputStream open() {
    flush();
    return new Stream(pieces);
  }

  private static final class Stream extends InputStream {
    private final List<Piece> pieces;
    private int piece;
    private int at;
    private byte[] chunk = {};
    private int read;

    Stream(List<Piece> pieces) {
      this.pieces = pieces;
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] into, int offset, int length) {
      Objects.checkFromIndexSize(offset, length, into.length);
      if (length == 0) {
        return 0;
      }
      if (read == chunk.length && !next()) {
        return -1;
      }
      int n = Math.min(length, chunk.length - read);
      System.arraycopy(chunk, read, into, offset, n);
      read += n;
      return n;
    }

    /** No piece is empty. */
    private boolean next() {
      if (piece == pieces.size()) {
        return false;
      }
      Piece now = pieces.get(piece);
      chunk = switch (now) {
        case Ready ready -> ready.bytes;
        case Later later -> later.memory.read(later.from + at, (int) Math.min(CHUNK, later.size() - at));
      };
      read = 0;
      at += chunk.length;
      if (at == now.size()) {
        piece++;
        at = 0;
      }
      return true;
    }
  }
}
