package dev.instar.launcher;

/** Ends the command with a line for the user and an exit code; no stack is shown. */
public class Failure extends Exception {
  private static final long serialVersionUID = 1;
  private final int exitCode;

  /** @param exitCode one of {@link ExitCode} */
  public Failure(int exitCode, String message) {
    super(message);
    this.exitCode = exitCode;
  }

  public Failure(int exitCode, String message, Throwable cause) {
    super(message, cause);
    this.exitCode = exitCode;
  }

  public int exitCode() {
    return exitCode;
  }
}
