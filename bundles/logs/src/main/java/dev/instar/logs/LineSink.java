package dev.instar.logs;

import dev.instar.api.log.FunctionLogs;
import org.slf4j.LoggerFactory;

/** Takes what one call writes, up to its limit. */
final class LineSink implements FunctionLogs.Sink {
  private final Book book;
  private final int version;
  private final String invocationId;
  private final long limit;
  private final LineSplitter splitter;
  private long taken;
  private long dropped;
  private boolean closed;

  LineSink(Book book, int version, String invocationId, long limit) {
    this.book = book;
    this.version = version;
    this.invocationId = invocationId;
    this.limit = limit;
    this.splitter = new LineSplitter(line -> book.append(version, invocationId, line));
  }

  @Override
  public synchronized void write(byte[] bytes, int offset, int length) {
    if (closed) {
      return;
    }
    int take = (int) Math.min(length, limit - taken);
    taken += take;
    dropped += length - take;
    try {
      splitter.write(bytes, offset, take);
    } catch (RuntimeException e) {
      // A guest's log must not fail its call, whatever a backend hands over.
      LoggerFactory.getLogger(LineSink.class).warn("A part of the log of {} is lost", book.name(), e);
    }
  }

  @Override
  public synchronized void close() {
    if (closed) {
      return;
    }
    closed = true;
    splitter.end();
    if (dropped > 0) {
      book.append(version, invocationId, "[" + dropped + " bytes beyond the limit of " + limit + " dropped]");
    }
  }
}
