package dev.instar.api.data;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Set;

/**
 * A file that is read and written by position. An interrupt of the calling thread neither stops nor fails what is done here, but
 * {@link #copyFrom}; it is still set afterwards. The JDK closes a channel on an interrupt; this opens the file anew then and repeats what was
 * cut off, which by position does no harm. For one thread at a time.
 */
public final class PositionedFile implements AutoCloseable {
  private final Path path;
  private final Set<StandardOpenOption> options;
  private FileChannel channel;
  private boolean closed;

  private PositionedFile(Path path, Set<StandardOpenOption> options) throws IOException {
    this.path = path;
    this.options = options;
    channel = FileChannel.open(path, options);
  }

  /** A file that is there, for reading. */
  public static PositionedFile open(Path path) throws IOException {
    return new PositionedFile(path, Set.of(StandardOpenOption.READ));
  }

  /**
   * A new file, of the node's user alone, for reading and writing.
   *
   * @throws java.nio.file.FileAlreadyExistsException when something of that name is there
   */
  public static PositionedFile create(Path path) throws IOException {
    DurableFiles.createEmpty(path);
    return new PositionedFile(path, Set.of(StandardOpenOption.READ, StandardOpenOption.WRITE));
  }

  private interface Use {
    void on(FileChannel channel) throws IOException;
  }

  private void use(Use what) throws IOException {
    if (closed) {
      throw new IOException(path + " has been closed");
    }
    boolean interrupted = Thread.interrupted();
    try {
      while (true) {
        try {
          if (!channel.isOpen()) {
            channel = FileChannel.open(path, options);
          }
          what.on(channel);
          return;
        } catch (ClosedByInterruptException e) {
          Thread.interrupted();
          interrupted = true;
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** Reads just so many bytes to the begin of {@code into}. @throws EOFException when the file ends before */
  public void read(long position, byte[] into, int length) throws IOException {
    use(c -> {
      ByteBuffer buffer = ByteBuffer.wrap(into, 0, length);
      while (buffer.hasRemaining()) {
        if (c.read(buffer, position + buffer.position()) < 0) {
          throw new EOFException(path + " ends before " + length + " bytes from " + position + " on");
        }
      }
    });
  }

  /** Writes all of that part of {@code from}. */
  public void write(long position, byte[] from, int offset, int length) throws IOException {
    use(c -> {
      ByteBuffer buffer = ByteBuffer.wrap(from, offset, length);
      while (buffer.hasRemaining()) {
        c.write(buffer, position + buffer.position() - offset);
      }
    });
  }

  /**
   * Copies from another file, with blocks that both share where the file system can.
   *
   * @throws EOFException when the source ends before
   * @throws ClosedByInterruptException when the thread is interrupted, which has closed the source; this file remains of use
   */
  public void copyFrom(FileChannel source, long from, long position, long length) throws IOException {
    use(c -> c.position(position));
    for (long done = 0; done < length;) {
      long n = source.transferTo(from + done, length - done, channel);
      if (n <= 0) {
        throw new EOFException("The source ends before " + length + " bytes from " + from + " on");
      }
      done += n;
    }
  }

  /** Makes the file so long: cuts it off, or lets it end with a hole. */
  public void setSize(long size) throws IOException {
    use(c -> {
      c.truncate(size);
      if (c.size() < size) {
        // A channel grows by a write only.
        c.write(ByteBuffer.allocate(1), size - 1);
      }
    });
  }

  /** Brings the content to the disk (fsync). */
  public void sync() throws IOException {
    use(c -> c.force(true));
  }

  /** Idempotent. */
  @Override
  public void close() throws IOException {
    closed = true;
    channel.close();
  }
}
