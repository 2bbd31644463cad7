package _package_;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.api.sandbox.StartContext;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;

/** A program that was checked. */
final class Prepared_Name_ implements PreparedFunction {
  private final Path program;
  private final Map<String, String> environment;
  private final Set<_Name_Sandbox> sandboxes;
  private volatile boolean closed;

  Prepared_Name_(Path program, Map<String, String> environment, Set<_Name_Sandbox> sandboxes) {
    this.program = program;
    this.environment = environment;
    this.sandboxes = sandboxes;
  }

  /** Where the backend honours limits of memory, tables or files, it names them here under {@code limits}, and the suite tests each. */
  @Override
  public Map<String, String> describe() {
    return Map.of("entry", "a process for each call, over its standard streams", "reset", "all: each call has a process and a directory of its own");
  }

  @Override
  public Sandbox start(StartContext context) {
    if (closed) {
      throw new InstarException(ErrorCode.NOT_READY, "The prepared function is closed.");
    }
    return new _Name_Sandbox(context.sandboxId(), program, environment, sandboxes);
  }

  @Override
  public void close() {
    closed = true;
  }
}
