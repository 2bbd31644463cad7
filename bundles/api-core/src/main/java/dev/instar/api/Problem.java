package dev.instar.api;

import java.time.Duration;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/**
 * What went wrong, told to the user.
 *
 * @param code the stable code
 * @param detail what failed, which value, and what to do about it; one or two sentences, never a stack
 * @param members further facts for programs (RFC 9457, section 3.2); values are strings, numbers, booleans, lists
 * @param retryAfter when it is worth trying again
 */
public record Problem(ErrorCode code, String detail, Map<String, Object> members, Optional<Duration> retryAfter) {
  public Problem {
    Objects.requireNonNull(code);
    Objects.requireNonNull(detail);
    members = Map.copyOf(members);
    Objects.requireNonNull(retryAfter);
  }

  public static Problem of(ErrorCode code, String detail) {
    return new Problem(code, detail, Map.of(), Optional.empty());
  }

  public static Problem of(ErrorCode code, String detail, Map<String, Object> members) {
    return new Problem(code, detail, members, Optional.empty());
  }

  public Problem retryAfter(Duration wait) {
    return new Problem(code, detail, members, Optional.of(wait));
  }
}
