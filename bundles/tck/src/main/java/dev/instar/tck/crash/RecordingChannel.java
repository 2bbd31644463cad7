package dev.instar.tck.crash;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;
import java.util.Optional;

/** A channel of the default provider, which tells what is written. */
final class RecordingChannel extends FileChannel {
  private final RecordedDisk disk;
  private final RecordedDisk.Node node;
  private final FileChannel real;
  private final boolean appends;

  RecordingChannel(RecordedDisk disk, RecordedDisk.Node node, FileChannel real, boolean appends) {
    this.disk = disk;
    this.node = node;
    this.real = real;
    this.appends = appends;
  }

  @Override
  public int write(ByteBuffer source) throws IOException {
    synchronized (disk) {
      int written = write(source, appends ? real.size() : real.position());
      real.position(appends ? real.size() : real.position() + written);
      return written;
    }
  }

  @Override
  public int write(ByteBuffer source, long position) throws IOException {
    byte[] bytes = new byte[source.remaining()];
    source.duplicate().get(bytes);
    return disk.change(new Operation.Write(node.id, position, bytes), Optional.empty(), () -> {
      int length = bytes.length;
      for (long at = position; source.hasRemaining();) {
        at += appends ? real.write(source) : real.write(source, at);
      }
      return length;
    });
  }

  @Override
  public long write(ByteBuffer[] sources, int offset, int length) throws IOException {
    long all = 0;
    for (int i = offset; i < offset + length; i++) {
      all += write(sources[i]);
    }
    return all;
  }

  @Override
  public FileChannel truncate(long size) throws IOException {
    synchronized (disk) {
      if (size < real.size()) {
        disk.change(new Operation.Resize(node.id, size), Optional.empty(), () -> real.truncate(size));
      }
      return this;
    }
  }

  @Override
  public void force(boolean metaData) throws IOException {
    disk.change(new Operation.Sync(node.id, node.isDirectory), Optional.empty(), () -> {
      // Nothing is lost here but in the replay, so the real disk need not be waited for.
      return null;
    });
  }

  @Override
  public int read(ByteBuffer target) throws IOException {
    return real.read(target);
  }

  @Override
  public long read(ByteBuffer[] targets, int offset, int length) throws IOException {
    return real.read(targets, offset, length);
  }

  @Override
  public int read(ByteBuffer target, long position) throws IOException {
    return real.read(target, position);
  }

  @Override
  public long position() throws IOException {
    return real.position();
  }

  @Override
  public FileChannel position(long position) throws IOException {
    real.position(position);
    return this;
  }

  @Override
  public long size() throws IOException {
    return real.size();
  }

  @Override
  public long transferTo(long position, long count, WritableByteChannel target) throws IOException {
    return real.transferTo(position, count, target);
  }

  @Override
  public long transferFrom(ReadableByteChannel source, long position, long count) {
    throw new UnsupportedOperationException("not recorded");
  }

  @Override
  public MappedByteBuffer map(MapMode mode, long position, long size) throws IOException {
    if (mode != MapMode.READ_ONLY) {
      throw new UnsupportedOperationException("not recorded");
    }
    return real.map(mode, position, size);
  }

  @Override
  public FileLock lock(long position, long size, boolean shared) throws IOException {
    return real.lock(position, size, shared);
  }

  @Override
  public FileLock tryLock(long position, long size, boolean shared) throws IOException {
    return real.tryLock(position, size, shared);
  }

  @Override
  protected void implCloseChannel() throws IOException {
    real.close();
  }
}
