package dev.instar.wasi;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.LinkOption;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/**
 * A file of the view. A block that was written lives in the {@link BlockStore}; any other shows the image's file up to {@link #lowerLimit}, then
 * zeros. So a write copies one block of a large file, not the file, and holes cost nothing.
 */
final class RegularFile extends Inode {
  private static final int BLOCK = BlockStore.BLOCK;

  private final BlockStore store;
  private final LowerTree.File lower;
  private final Map<Integer, BlockStore.Block> blocks = new HashMap<>();
  private long size;
  /** How far the image's file is still to be seen: what was cut off once does not come back when the file grows. */
  private long lowerLimit;
  private FileChannel lowerChannel;
  private int opened;

  RegularFile(LowerTree.File lower, BlockStore store) {
    super(lower.attributes());
    this.store = store;
    this.lower = lower;
    this.size = lower.size();
    this.lowerLimit = lower.size();
  }

  @Override
  Filetype type() {
    return Filetype.REGULAR_FILE;
  }

  @Override
  long size() {
    return size;
  }

  void open() {
    opened++;
  }

  /** The counterpart of {@link #open}: with the last one the host's descriptor goes, and the contents when no name is left. */
  void close() {
    opened--;
    if (opened == 0) {
      if (lowerChannel != null) {
        try {
          lowerChannel.close();
        } catch (IOException e) {
          // It was open for reading: nothing is lost.
        }
        lowerChannel = null;
        HostFiles.OF_PROCESS.give();
      }
      release();
    }
  }

  /** Gives the blocks back when neither a name nor a descriptor leads here. */
  void release() {
    if (links == 0 && opened == 0) {
      blocks.values().forEach(store::free);
      blocks.clear();
    }
  }

  /** Reads as much as there is, up to {@code length}. */
  int read(long position, byte[] into, int offset, int length) throws ErrnoException {
    int n = (int) Math.clamp(size - position, 0, length);
    if (blocks.isEmpty() && position + n <= lowerLimit) {
      readLower(position, into, offset, n);
      return n;
    }
    int done = 0;
    while (done < n) {
      long at = position + done;
      int within = (int) (at % BLOCK);
      int chunk = Math.min(n - done, BLOCK - within);
      BlockStore.Block block = blocks.get((int) (at / BLOCK));
      if (block == null) {
        readLower(at, into, offset + done, chunk);
      } else {
        store.read(block, within, into, offset + done, chunk);
      }
      done += chunk;
    }
    return n;
  }

  /** Writes what fits. Fails only when that is nothing at all. */
  int write(long position, byte[] from, int offset, int length) throws ErrnoException {
    if (length == 0) {
      return 0;
    }
    long end = largest();
    if (position >= end) {
      throw Shortage.SIZE.failure();
    }
    int n = (int) Math.min(length, end - position);
    int done = 0;
    while (done < n) {
      long at = position + done;
      int within = (int) (at % BLOCK);
      int chunk = Math.min(n - done, BLOCK - within);
      try {
        store.write(own((int) (at / BLOCK)), within, from, offset + done, chunk);
      } catch (ErrnoException e) {
        if (done == 0) {
          throw e;
        }
        return done;
      }
      done += chunk;
      size = Math.max(size, at + chunk);
    }
    return done;
  }

  /** How far it may be written: one of the image may be larger than what a guest may make. */
  private long largest() {
    return Math.max(store.maxFileSize(), size);
  }

  void resize(long newSize) throws ErrnoException {
    if (newSize > store.maxFileSize() && newSize > size) {
      throw Shortage.SIZE.failure();
    }
    if (newSize < size) {
      lowerLimit = Math.min(lowerLimit, newSize);
      long kept = (newSize + BLOCK - 1) / BLOCK;
      blocks.entrySet().removeIf(entry -> {
        boolean drop = entry.getKey() >= kept;
        if (drop) {
          store.free(entry.getValue());
        }
        return drop;
      });
      BlockStore.Block last = blocks.get((int) (newSize / BLOCK));
      if (last != null) {
        store.clear(last, (int) (newSize % BLOCK));
      }
    }
    size = newSize;
  }

  /** Makes sure that writes up to {@code end} find their blocks, and that the file is at least as long. */
  void allocate(long start, long end) throws ErrnoException {
    if (end > largest()) {
      throw Shortage.SIZE.failure();
    }
    int first = (int) (start / BLOCK);
    int last = (int) ((end + BLOCK - 1) / BLOCK);
    int missing = 0;
    for (int i = first; i < last; i++) {
      missing += blocks.containsKey(i) ? 0 : 1;
    }
    if (missing > store.available()) {
      throw Shortage.BYTES.failure();
    }
    for (int i = first; i < last; i++) {
      CallStopped.ifInterrupted();
      own(i);
    }
    size = Math.max(size, end);
  }

  /** The written block at an index, copied from the image when it is not there yet. */
  private BlockStore.Block own(int index) throws ErrnoException {
    BlockStore.Block block = blocks.get(index);
    if (block == null) {
      block = store.allocate();
      long start = (long) index * BLOCK;
      if (start < lowerLimit) {
        try {
          byte[] copy = new byte[BLOCK];
          readLower(start, copy, 0, BLOCK);
          store.write(block, 0, copy, 0, BLOCK);
        } catch (ErrnoException e) {
          store.free(block);
          throw e;
        }
      }
      blocks.put(index, block);
    }
    return block;
  }

  /** Fills the whole length: the image's bytes, then zeros. */
  private void readLower(long position, byte[] into, int offset, int length) throws ErrnoException {
    int there = (int) Math.clamp(lowerLimit - position, 0, length);
    int done = 0;
    if (there > 0) {
      try {
        done = switch (lower.source()) {
          case LowerTree.HostFile _ -> BlockStore.read(lowerChannel(), position, into, offset, there);
          case LowerTree.Blocks written -> readBlocks(written, position, into, offset, there);
        };
      } catch (AccessDeniedException e) {
        throw Errno.ACCES.failure();
      } catch (IOException e) {
        throw BlockStore.failure(e);
      }
    }
    Arrays.fill(into, offset + done, offset + length, (byte) 0);
  }

  private int readBlocks(LowerTree.Blocks written, long position, byte[] into, int offset, int length) throws IOException, ErrnoException {
    int done = 0;
    while (done < length) {
      long at = position + done;
      int within = (int) (at % BLOCK);
      int chunk = Math.min(length - done, BLOCK - within);
      byte[] block = written.blocks().get((int) (at / BLOCK));
      if (block != null) {
        System.arraycopy(block, within, into, offset + done, chunk);
      } else {
        int host = (int) Math.clamp(written.hostLimit() - at, 0, chunk);
        int n = host == 0 ? 0 : BlockStore.read(lowerChannel(), at, into, offset + done, host);
        Arrays.fill(into, offset + done + n, offset + done + chunk, (byte) 0);
      }
      done += chunk;
    }
    return done;
  }

  /** What {@link #freeze} takes of the heap. */
  long frozenBytes() {
    return (long) BLOCK * (blocks.size() + (lower.source() instanceof LowerTree.Blocks earlier ? earlier.blocks().size() : 0));
  }

  /** The present contents for other views to start from. */
  LowerTree.File freeze() throws ErrnoException {
    LowerTree.Source source = lower.source();
    if (!blocks.isEmpty() || lowerLimit < lower.size()) {
      Map<Integer, byte[]> all = new HashMap<>();
      long hostLimit = lowerLimit;
      if (source instanceof LowerTree.Blocks earlier) {
        hostLimit = Math.min(lowerLimit, earlier.hostLimit());
        earlier.blocks().forEach((index, block) -> {
          long visible = lowerLimit - (long) index * BLOCK;
          if (visible >= BLOCK) {
            all.put(index, block);
          } else if (visible > 0) {
            all.put(index, Arrays.copyOf(Arrays.copyOf(block, (int) visible), BLOCK));
          }
        });
      }
      for (var own : blocks.entrySet()) {
        byte[] copy = new byte[BLOCK];
        store.read(own.getValue(), 0, copy, 0, BLOCK);
        all.put(own.getKey(), copy);
      }
      source = new LowerTree.Blocks(Map.copyOf(all), source.host(), hostLimit);
    }
    return new LowerTree.File(attributes(), size, source);
  }

  private FileChannel lowerChannel() throws IOException, ErrnoException {
    if (lowerChannel == null) {
      HostFiles.OF_PROCESS.take();
      try {
        lowerChannel = FileChannel.open(lower.source().host().orElseThrow().path(), StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS);
      } finally {
        if (lowerChannel == null) {
          HostFiles.OF_PROCESS.give();
        }
      }
    }
    return lowerChannel;
  }
}
