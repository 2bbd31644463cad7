package dev.instar.backend.wasm.wasi;

import dev.instar.api.sandbox.GuestLog;
import java.io.InputStream;
import java.io.OutputStream;

/**
 * What stands behind the descriptors 0, 1 and 2.
 *
 * @param input must not throw an IOException that the guest may see: what it throws unchecked ends the guest
 * @param output the same
 * @param log takes what is written to descriptor 2
 */
public record Streams(InputStream input, OutputStream output, GuestLog log) {
  /** Nothing to read, everything dropped. */
  public static final Streams NONE = new Streams(InputStream.nullInputStream(), OutputStream.nullOutputStream(), GuestLog.NONE);
}
