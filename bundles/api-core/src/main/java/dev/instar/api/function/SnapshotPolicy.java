package dev.instar.api.function;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * When the initialised state of a version is put into the snapshot store, from which the next start of the node restores it. Written {@code deploy},
 * {@code calls:2}, {@code idle} or {@code never}. It says nothing of the state that a backend keeps in memory for its own sandboxes.
 */
public sealed interface SnapshotPolicy {
  /** Soon after the version was prepared, at its deployment or by its first call. */
  record AtDeploy() implements SnapshotPolicy {
    @Override
    public String toString() {
      return "deploy";
    }
  }

  /**
   * When so many calls of the version have ended on this node since it started, so that nothing is stored for what is called once. (vHive takes its
   * snapshot at the second.)
   *
   * @param calls 1 to {@value #MOST_CALLS}
   */
  record AfterCalls(int calls) implements SnapshotPolicy {
    /** The most calls that can be given. */
    public static final int MOST_CALLS = 1_000_000_000;

    /** @throws InstarException {@link ErrorCode#BAD_REQUEST} when {@code calls} is out of its range */
    public AfterCalls {
      if (calls < 1 || calls > MOST_CALLS) {
        throw new InstarException(ErrorCode.BAD_REQUEST, "A snapshot after " + calls + " calls cannot be made; give calls:1 to calls:" + MOST_CALLS + ".");
      }
    }

    @Override
    public String toString() {
      return "calls:" + calls;
    }
  }

  /** When no call of the version has run for as long as the scheduler keeps idle sandboxes, so that it costs nobody's calls anything. */
  record OnIdle() implements SnapshotPolicy {
    @Override
    public String toString() {
      return "idle";
    }
  }

  /** Not at all: each start of the node initialises it anew. */
  record Never() implements SnapshotPolicy {
    @Override
    public String toString() {
      return "never";
    }
  }

  /** {@link AtDeploy}: a start of the node then initialises nothing again. */
  SnapshotPolicy DEFAULT = new AtDeploy();

  /** Reads what {@code toString} gives. @throws InstarException {@link ErrorCode#BAD_REQUEST} for anything else */
  static SnapshotPolicy parse(String text) {
    Matcher calls = Pattern.compile("calls:([0-9]{1,9}|" + AfterCalls.MOST_CALLS + ")").matcher(text);
    if (calls.matches()) {
      return new AfterCalls(Integer.parseInt(calls.group(1)));
    }
    return switch (text) {
      case "deploy" -> new AtDeploy();
      case "idle" -> new OnIdle();
      case "never" -> new Never();
      default -> throw new InstarException(ErrorCode.BAD_REQUEST, "'" + text.substring(0, Math.min(50, text.length())).replaceAll("[^ -~]", "?")
          + "' does not say when to make a snapshot; give deploy, calls:N, idle or never.");
    };
  }
}
