package dev.instar.logs;

/**
 * @param fileBytes of one log file, of which a function has up to two
 * @param functionBytes of one function's entries in memory
 * @param totalBytes of all functions' entries in memory
 * @param queueBytes of entries that wait for the disk
 */
public record LogSettings(long fileBytes, long functionBytes, long totalBytes, long queueBytes) {
  public static final LogSettings DEFAULT = new LogSettings(1 << 20, 256 << 10, 32 << 20, 8 << 20);

  static LogSettings of(LogsConfig config) {
    return new LogSettings(config.file$_$bytes(), config.function$_$memory$_$bytes(), config.total$_$memory$_$bytes(), config.queue$_$bytes());
  }
}
