package dev.instar.api.snapshot;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import org.osgi.annotation.versioning.ProviderType;

/** A layer that is being made, by one thread at a time. Nothing of it can be seen before {@link #publish}; {@link #close} without it leaves nothing. */
@ProviderType
public interface SnapshotBuilder extends AutoCloseable {
  /** Bytes that guest addresses and offsets in the memory file are aligned to. */
  int PAGE_BYTES = 4096;

  /**
   * Adds memory. What lies next to what was added last becomes one extent with it. Pages of zeros are kept as holes, but belong to the extent: in
   * a diff they hide what the parent has there.
   *
   * @param bytes from its position to its limit, which becomes its position
   * @throws dev.instar.api.InstarException BAD_REQUEST when the address is not aligned or the memory is there already, NO_SPACE
   */
  void memory(long guestAddress, ByteBuffer bytes);

  /**
   * The same out of a file. Its blocks are shared where the file system can (copy_file_range(2)), else copied. An interrupt of this thread closes
   * {@code source}, as with every channel, and fails the call.
   *
   * @throws IOException when the source cannot be read, or ends early
   */
  void memory(long guestAddress, FileChannel source, long position, long length) throws IOException;

  /**
   * Adds a file, read to its end: the state of the machine, a module, a working set.
   *
   * @param name lower-case letters, digits and hyphens, 1 to 64 of them, the first one a letter; given once
   * @throws IOException when {@code content} cannot be read
   */
  void blob(String name, InputStream content) throws IOException;

  /**
   * Makes the layer durable and visible, whole. It costs the reading of all memory once (SHA-256, for a diff also its compression) and a few
   * fsyncs, on this thread. The builder is then closed.
   *
   * @throws dev.instar.api.InstarException NO_SPACE; CONFLICT when the builder is closed
   */
  SnapshotLayer publish();

  /** Throws away what was not published. Idempotent. */
  @Override
  void close();
}
