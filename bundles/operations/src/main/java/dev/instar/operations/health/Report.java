package dev.instar.operations.health;

import java.util.List;
import org.apache.felix.hc.api.Result;

/**
 * What became of one check.
 *
 * @param name of the check ({@code hc.name})
 * @param needed whether the node is not ready unless it succeeds
 */
public record Report(String name, boolean needed, Result.Status status, List<Finding> findings) {
  public Report {
    findings = List.copyOf(findings);
  }

  /** Whether what it looked at works, well or not so well. */
  public boolean works() {
    return status.ordinal() <= Result.Status.WARN.ordinal();
  }

  /** The findings that made the status what it is. */
  public List<Finding> decisive() {
    return findings.stream().filter(finding -> finding.status() == status).toList();
  }
}
