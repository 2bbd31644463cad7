package dev.instar.api.function;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.time.Duration;
import java.util.Objects;

/**
 * What one call, or one sandbox, of a function may use. A function's own limits win over {@link #DEFAULT}. Those of time, bytes that pass,
 * log and concurrency hold on every backend; the others where the backend says so, see {@code PreparedFunction.describe}.
 *
 * @param memoryBytes memory of one sandbox (for WebAssembly: of the linear memory, rounded down to 64 KiB pages)
 * @param tableElements elements of all tables of one WebAssembly instance together
 * @param stackBytes stack of the thread that runs a call in this process, rounded up to MiB
 * @param timeout from the arrival of the call to the end of its answer, waiting included
 * @param runTime of that, from the moment when the call has its sandbox, the sandbox's start included
 * @param inputBytes the body of a call
 * @param outputBytes the answer of a call
 * @param logBytes what one call may write to the function's log; more is counted and dropped
 * @param openFiles descriptors that one sandbox has open, the standard streams and the root directory included
 * @param fileBytes what one sandbox has written to its view of files and not removed, in blocks of 16 KiB
 * @param madeFiles files, directories and links that one sandbox has made and not removed
 * @param concurrency sandboxes of this function at one time on a node
 * @param host what the kernel holds a sandbox to that is a process of its own
 */
public record Limits(long memoryBytes, int tableElements, long stackBytes, Duration timeout, Duration runTime, long inputBytes, long outputBytes,
    long logBytes, int openFiles, long fileBytes, int madeFiles, int concurrency, HostLimits host) {
  private static final int TABLE_ELEMENTS = 1_000_000;
  private static final long STACK_BYTES = 1L << 20;
  private static final int OPEN_FILES = 128;
  private static final long FILE_BYTES = 64L << 20;
  private static final int MADE_FILES = 2048;

  public static final Limits DEFAULT = new Limits(256L << 20, Duration.ofSeconds(30), 64L << 20, 64L << 20, 256L << 10, 64);

  /** @throws InstarException {@link ErrorCode#BAD_REQUEST} when a value is out of its range; it names the limit as the HTTP API does */
  public Limits {
    range("memory", memoryBytes, 64L << 10, 4L << 30);
    range("tables", tableElements, 0, 10_000_000);
    range("stack", stackBytes, 1L << 20, 256L << 20);
    range("timeout in ms", timeout.toMillis(), 1, Duration.ofHours(24).toMillis());
    range("runTime in ms", runTime.toMillis(), 1, Duration.ofHours(24).toMillis());
    range("input", inputBytes, 0, 1L << 40);
    range("output", outputBytes, 0, 1L << 40);
    range("log", logBytes, 0, 1L << 30);
    range("openFiles", openFiles, 4, 1024);
    range("fileBytes", fileBytes, 0, (2L << 30) - 1);
    range("madeFiles", madeFiles, 0, 100_000);
    range("concurrency", concurrency, 1, 10_000);
    Objects.requireNonNull(host);
  }

  /** With {@link HostLimits#NONE}. */
  public Limits(long memoryBytes, int tableElements, long stackBytes, Duration timeout, Duration runTime, long inputBytes, long outputBytes, long logBytes,
      int openFiles, long fileBytes, int madeFiles, int concurrency) {
    this(memoryBytes, tableElements, stackBytes, timeout, runTime, inputBytes, outputBytes, logBytes, openFiles, fileBytes, madeFiles, concurrency,
        HostLimits.NONE);
  }

  /** With the defaults for tables, stack and files, and as much run time as the time-out leaves. */
  public Limits(long memoryBytes, Duration timeout, long inputBytes, long outputBytes, long logBytes, int concurrency) {
    this(memoryBytes, TABLE_ELEMENTS, STACK_BYTES, timeout, timeout, inputBytes, outputBytes, logBytes, OPEN_FILES, FILE_BYTES, MADE_FILES, concurrency);
  }

  static void range(String what, long value, long min, long max) {
    if (value < min || value > max) {
      throw new InstarException(ErrorCode.BAD_REQUEST, "The limit " + what + " is " + value + "; give " + min + " to " + max + ".");
    }
  }
}
