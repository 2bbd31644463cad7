package dev.instar.scheduler;

import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.log.FunctionLogs;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.function.Consumer;

/** Function logs that note what is asked of them. */
record RecordingLogs(List<String> log) implements FunctionLogs {
  @Override
  public Sink open(FunctionVersion version, String invocationId, long limit) {
    log.add("open " + version.label() + " " + limit);
    return new Sink() {
      @Override
      public void write(byte[] bytes, int offset, int length) {
        log.add(new String(bytes, offset, length, StandardCharsets.UTF_8));
      }

      @Override
      public void close() {
        log.add("close");
      }
    };
  }

  @Override
  public List<Entry> read(FunctionName function, int tail, Instant since) {
    return List.of();
  }

  @Override
  public AutoCloseable follow(FunctionName function, Consumer<Entry> consumer) {
    return () -> {};
  }

  @Override
  public void remove(FunctionName function) {}
}
