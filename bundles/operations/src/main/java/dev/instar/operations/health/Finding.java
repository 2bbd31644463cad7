package dev.instar.operations.health;

import org.apache.felix.hc.api.Result;
import org.apache.felix.hc.api.ResultLog;

/**
 * One thing that a check has found. In an entry of a {@link ResultLog}, what follows the first line break of its message is the remedy; checks that
 * know nothing of that have none.
 *
 * @param remedy what to do; empty when there is nothing to do, or nothing is known
 */
public record Finding(Result.Status status, String message, String remedy) {
  static Finding of(ResultLog.Entry entry) {
    int end = entry.getMessage().indexOf('\n');
    return end < 0 ? new Finding(entry.getStatus(), entry.getMessage(), "")
        : new Finding(entry.getStatus(), entry.getMessage().substring(0, end), entry.getMessage().substring(end + 1).replace('\n', ' ').strip());
  }

  ResultLog.Entry entry() {
    return new ResultLog.Entry(status, remedy.isEmpty() ? message : message + "\n" + remedy);
  }
}
