package dev.instar.api.function;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.time.Duration;

/**
 * What one call, or one sandbox, of a function may use. A function's own limits win over {@link #DEFAULT}.
 *
 * @param memoryBytes memory of one sandbox (for WebAssembly: of the linear memory, rounded down to 64 KiB pages)
 * @param timeout from the arrival of the call to the end of its answer, waiting included
 * @param inputBytes the body of a call
 * @param outputBytes the answer of a call
 * @param logBytes what one call may write to the function's log; more is counted and dropped
 * @param concurrency sandboxes of this function at one time on a node
 */
public record Limits(long memoryBytes, Duration timeout, long inputBytes, long outputBytes, long logBytes, int concurrency) {
  public static final Limits DEFAULT = new Limits(256L << 20, Duration.ofSeconds(30), 64L << 20, 64L << 20, 256L << 10, 64);

  /** @throws InstarException {@link ErrorCode#BAD_REQUEST} when a value is out of its range */
  public Limits {
    range("memoryBytes", memoryBytes, 64L << 10, 4L << 30);
    range("timeout in ms", timeout.toMillis(), 1, Duration.ofHours(24).toMillis());
    range("inputBytes", inputBytes, 0, 1L << 40);
    range("outputBytes", outputBytes, 0, 1L << 40);
    range("logBytes", logBytes, 0, 1L << 30);
    range("concurrency", concurrency, 1, 10_000);
  }

  private static void range(String what, long value, long min, long max) {
    if (value < min || value > max) {
      throw new InstarException(ErrorCode.BAD_REQUEST, "The limit " + what + " is " + value + "; give " + min + " to " + max + ".");
    }
  }
}
