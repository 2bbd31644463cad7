package dev.instar.wasi;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayDeque;
import java.util.Arrays;

/**
 * What the guest of one sandbox has written, in blocks: on the heap until {@link FileQuota#heapBytes} or the node's budget are used, then in one
 * file, which is opened
 * when first needed and unlinked at once, so that nothing of it outlives the process. One host descriptor a sandbox, however many files the
 * guest writes.
 */
final class BlockStore {
  static final int BLOCK = 16 << 10;
  private static final byte[] ZEROS = new byte[BLOCK];

  /** A block of zeros when new. */
  static final class Block {
    private final byte[] heap;
    private final long position;

    private Block(byte[] heap, long position) {
      this.heap = heap;
      this.position = position;
    }
  }

  private final Path scratch;
  private final ByteBudget budget;
  private final int maxBlocks;
  private final int maxHeapBlocks;
  private final ArrayDeque<Block> freeOnDisk = new ArrayDeque<>();
  private int blocks;
  private int heapBlocks;
  private long diskEnd;
  private FileChannel disk;

  BlockStore(Path scratch, FileQuota quota, ByteBudget budget) {
    this.scratch = scratch;
    this.budget = budget;
    this.maxBlocks = (int) (quota.bytes() / BLOCK);
    this.maxHeapBlocks = (int) Math.min(maxBlocks, quota.heapBytes() / BLOCK);
  }

  /** Blocks that can still be allocated. */
  int available() {
    return maxBlocks - blocks;
  }

  /** The largest size of a file. */
  long maxFileSize() {
    return (long) maxBlocks * BLOCK;
  }

  Block allocate() throws ErrnoException {
    if (blocks >= maxBlocks) {
      throw Shortage.BYTES.failure();
    }
    Block block;
    if (heapBlocks < maxHeapBlocks && budget.take(BLOCK)) {
      block = new Block(new byte[BLOCK], 0);
      heapBlocks++;
    } else if (freeOnDisk.isEmpty()) {
      block = new Block(null, diskEnd);
      diskEnd += BLOCK;
    } else {
      block = freeOnDisk.pop();
      write(block, 0, ZEROS, 0, BLOCK);
    }
    blocks++;
    return block;
  }

  void free(Block block) {
    blocks--;
    if (block.heap == null) {
      freeOnDisk.push(block);
    } else {
      heapBlocks--;
      budget.give(BLOCK);
    }
  }

  void read(Block block, int at, byte[] into, int offset, int length) throws ErrnoException {
    if (block.heap != null) {
      System.arraycopy(block.heap, at, into, offset, length);
      return;
    }
    try {
      int done = read(disk(), block.position + at, into, offset, length);
      // Past the end of the file: allocated, never written.
      Arrays.fill(into, offset + done, offset + length, (byte) 0);
    } catch (IOException e) {
      throw failure(e);
    }
  }

  void write(Block block, int at, byte[] from, int offset, int length) throws ErrnoException {
    if (block.heap != null) {
      System.arraycopy(from, offset, block.heap, at, length);
      return;
    }
    try {
      FileChannel to = disk();
      ByteBuffer buffer = ByteBuffer.wrap(from, offset, length);
      long position = block.position + at;
      while (buffer.hasRemaining()) {
        position += to.write(buffer, position);
      }
    } catch (IOException e) {
      throw failure(e);
    }
  }

  /** Overwrites the rest of a block with zeros. */
  void clear(Block block, int from) throws ErrnoException {
    write(block, from, ZEROS, 0, BLOCK - from);
  }

  /** Forgets everything. */
  void reset() {
    budget.give((long) heapBlocks * BLOCK);
    blocks = 0;
    heapBlocks = 0;
    diskEnd = 0;
    freeOnDisk.clear();
    if (disk != null) {
      try {
        disk.close();
      } catch (IOException e) {
        // Nothing of it is needed any more, and the file has no name.
      }
      disk = null;
      HostFiles.OF_PROCESS.give();
    }
  }

  /** Reads until the length or the end of the file is reached. */
  static int read(FileChannel channel, long position, byte[] into, int offset, int length) throws IOException {
    ByteBuffer buffer = ByteBuffer.wrap(into, offset, length);
    int done = 0;
    while (buffer.hasRemaining()) {
      int n = channel.read(buffer, position + done);
      if (n < 0) {
        break;
      }
      done += n;
    }
    return done;
  }

  /** What the guest gets when the host fails; an interrupt, which closes the channel, ends the call. */
  static ErrnoException failure(IOException e) {
    if (e instanceof ClosedByInterruptException) {
      throw CallStopped.byInterrupt();
    }
    return Errno.IO.failure();
  }

  private FileChannel disk() throws IOException, ErrnoException {
    if (disk == null) {
      CallStopped.ifInterrupted();
      HostFiles.OF_PROCESS.take();
      try {
        Files.createDirectories(scratch);
        Path file = Files.createTempFile(scratch, "blocks", "");
        try {
          disk = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE, LinkOption.NOFOLLOW_LINKS);
        } finally {
          Files.delete(file);
        }
      } finally {
        if (disk == null) {
          HostFiles.OF_PROCESS.give();
        }
      }
    }
    return disk;
  }
}
