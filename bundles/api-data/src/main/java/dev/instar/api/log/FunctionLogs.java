package dev.instar.api.log;

import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.sandbox.GuestLog;
import java.time.Instant;
import java.util.List;
import java.util.function.Consumer;
import org.osgi.annotation.versioning.ProviderType;

/**
 * What functions write to standard error, by function, bounded in size. Writing never blocks on disk and never fails a call.
 */
@ProviderType
public interface FunctionLogs {
  /**
   * A sink for one call. Bytes become lines (at most 8 KiB each; longer ones are cut in pieces); bytes that are no UTF-8 become U+FFFD.
   * Past {@code limit} bytes they are counted and dropped, and a last line says how many.
   * {@link Sink#close} completes the last line.
   */
  Sink open(FunctionVersion version, String invocationId, long limit);

  /** The newest {@code tail} entries not older than {@code since}, oldest first. */
  List<Entry> read(FunctionName function, int tail, Instant since);

  /** Calls {@code consumer} with each new entry until the handle is closed; entries that it is too slow for are dropped and counted in the next one's text. */
  AutoCloseable follow(FunctionName function, Consumer<Entry> consumer);

  /** Forgets a removed function's entries. Versions that were made before write no more: their sinks, open or opened later, drop what they get. */
  void remove(FunctionName function);

  /** See {@link #open}. */
  @ProviderType
  interface Sink extends GuestLog, AutoCloseable {
    @Override
    void close();
  }

  /**
   * @param time when the line was complete
   * @param version the number of the version that wrote it
   * @param invocationId of the call
   * @param text one line without its end
   */
  record Entry(Instant time, int version, String invocationId, String text) {}
}
