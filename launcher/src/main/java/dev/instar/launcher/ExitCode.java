package dev.instar.launcher;

/** How the command {@code instar} ends; scripts rely on these. */
public final class ExitCode {
  public static final int OK = 0;
  /** What was asked for failed; standard error says why. */
  public static final int FAILED = 1;
  /** The command line is wrong. */
  public static final int USAGE = 2;
  /** No node answers at the URL. */
  public static final int UNREACHABLE = 3;
  /** This machine lacks something; standard error says what. */
  public static final int MISSING = 4;

  private ExitCode() {}
}
