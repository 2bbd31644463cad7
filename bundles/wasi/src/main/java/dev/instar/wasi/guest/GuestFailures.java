package dev.instar.wasi.guest;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.wasi.CallStopped;
import dev.instar.wasi.ProcExit;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Map;
import java.util.Optional;

/** Says how a guest has ended, where no engine has to be asked. */
public final class GuestFailures {
  public static final String FUNCTION = "The function";

  private GuestFailures() {}

  /**
   * The failure that a call ends with; empty where it is the engine's to tell. An exit with 0 is none and must be dealt with before.
   *
   * @param subject what has ended, as the beginning of a sentence
   */
  public static Optional<InstarException> of(Throwable thrown, String subject) {
    return switch (thrown) {
      case InstarException e -> Optional.of(e);
      case CallStopped e -> of(e.getCause(), subject);
      case ProcExit e -> Optional.of(failed(subject, e.code()));
      case UncheckedIOException e -> Optional.of(callerGone(e));
      case IOException e -> Optional.of(callerGone(e));
      default -> Optional.empty();
    };
  }

  private static InstarException callerGone(Exception e) {
    return new InstarException(
        Problem.of(ErrorCode.CALLER_GONE, "The caller went away before the function had read its input or written its answer."), e);
  }

  /** It ended by itself, with a status that is not 0. */
  public static InstarException failed(String subject, int code) {
    return new InstarException(ErrorCode.FUNCTION_FAILED, subject + " ended with the status " + code + ".", Map.of("exitCode", code));
  }
}
