package dev.instar.operations;

import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.component.annotations.ReferenceCardinality;
import org.osgi.service.component.annotations.ReferencePolicy;
import org.osgi.service.component.annotations.ReferencePolicyOption;
import org.osgi.service.log.LogEntry;
import org.osgi.service.log.LogLevel;
import org.osgi.service.log.LogListener;
import org.osgi.service.log.LogReaderService;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;

/**
 * Brings what goes to the OSGi log (Declarative Services and ConfigAdmin write there, and nowhere else) to the node's log, with what was
 * logged before it came.
 */
@Component(immediate = true, service = {})
public final class LogBridge implements LogListener {
  private long last = -1;

  @Reference(cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  synchronized void bindReader(LogReaderService reader) {
    last = -1;
    reader.addLogListener(this);
    List<LogEntry> before = Collections.list(reader.getLog());
    before.sort(Comparator.comparingLong(LogEntry::getSequence));
    before.forEach(this::logged);
  }

  void unbindReader(LogReaderService reader) {
    reader.removeLogListener(this);
  }

  /** The sequence tells what the listener brings again that was read from the history. */
  @Override
  public synchronized void logged(LogEntry entry) {
    if (entry.getSequence() <= last) {
      return;
    }
    last = entry.getSequence();
    Logger log = LoggerFactory.getLogger("osgi." + (entry.getBundle() == null ? "framework" : entry.getBundle().getSymbolicName()));
    log.atLevel(level(entry)).setCause(entry.getException()).log(entry.getMessage());
  }

  private static Level level(LogEntry entry) {
    // Every start of a bundle and every service that comes is an event of level INFO.
    boolean event = entry.getLoggerName() != null && entry.getLoggerName().startsWith("Events.");
    LogLevel level = entry.getLogLevel();
    return switch (level) {
      case AUDIT -> Level.INFO;
      case ERROR -> Level.ERROR;
      case WARN -> Level.WARN;
      case INFO -> event ? Level.DEBUG : Level.INFO;
      case DEBUG -> Level.DEBUG;
      case TRACE -> Level.TRACE;
    };
  }
}
