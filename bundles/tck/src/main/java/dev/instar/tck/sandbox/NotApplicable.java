package dev.instar.tck.sandbox;

import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.TestExecutionExceptionHandler;

/**
 * Ends a test of a clause that the backend under test does not promise, e.g. of a reset by one that does not reset. Nothing is missing on the
 * machine, so this is no skip: the test passes, and its report says what was not applicable.
 */
final class NotApplicable extends RuntimeException {
  private static final long serialVersionUID = 1;

  NotApplicable(String why) {
    super(why, null, false, false);
  }

  /** Registered with the suite. */
  static final class Handler implements TestExecutionExceptionHandler {
    @Override
    public void handleTestExecutionException(ExtensionContext context, Throwable thrown) throws Throwable {
      if (!(thrown instanceof NotApplicable)) {
        throw thrown;
      }
      context.publishReportEntry("not applicable", thrown.getMessage());
    }
  }
}
