package dev.instar.api.invocation;

import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.util.OptionalLong;

/**
 * The body of a call. Read once, by one thread at a time. A read blocks until the caller has sent more, and throws
 * {@link dev.instar.api.InstarException} TOO_LARGE past the limit and {@link java.io.IOException} when the caller has gone.
 *
 * @param stream the bytes
 * @param length how many there are, where that is known
 */
public record CallInput(InputStream stream, OptionalLong length) {
  public static CallInput of(byte[] bytes) {
    return new CallInput(new ByteArrayInputStream(bytes), OptionalLong.of(bytes.length));
  }
}
