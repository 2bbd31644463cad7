package dev.instar.api;

import java.util.Map;

/** A failure that has a {@link Problem} to show. Nothing else crosses a contract of this API as a failure. */
public class InstarException extends RuntimeException {
  private static final long serialVersionUID = 1;
  private final transient Problem problem;

  public InstarException(Problem problem) {
    this(problem, null);
  }

  public InstarException(Problem problem, Throwable cause) {
    super(problem.code().code() + ": " + problem.detail(), cause);
    this.problem = problem;
  }

  public InstarException(ErrorCode code, String detail) {
    this(Problem.of(code, detail), null);
  }

  public InstarException(ErrorCode code, String detail, Map<String, Object> members) {
    this(Problem.of(code, detail, members), null);
  }

  public Problem problem() {
    return problem;
  }

  public ErrorCode code() {
    return problem.code();
  }
}
