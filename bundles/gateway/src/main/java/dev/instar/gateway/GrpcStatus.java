package dev.instar.gateway;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import java.nio.charset.StandardCharsets;
import java.time.Duration;

/** The node's words as gRPC has them: status codes (the documents statuscodes and http-grpc-status-mapping), messages and time-outs (PROTOCOL-HTTP2). */
final class GrpcStatus {
  static final int CANCELLED = 1;
  static final int UNKNOWN = 2;
  static final int INVALID_ARGUMENT = 3;
  static final int DEADLINE_EXCEEDED = 4;
  static final int PERMISSION_DENIED = 7;
  static final int RESOURCE_EXHAUSTED = 8;
  static final int FAILED_PRECONDITION = 9;
  static final int UNIMPLEMENTED = 12;
  static final int INTERNAL = 13;
  static final int UNAVAILABLE = 14;
  static final int UNAUTHENTICATED = 16;

  private GrpcStatus() {}

  /**
   * UNAVAILABLE makes clients try again by themselves, so only what has not run gets it. A function that answers with a status of HTTP gets what a client
   * of gRPC would make of that status.
   */
  static int of(Problem problem) {
    return switch (problem.code()) {
      case OUT_OF_MEMORY, OUT_OF_TABLES, STACK_OVERFLOW, OUT_OF_FILES, FILES_FULL, TOO_MANY_FILES, TOO_MANY_PROCESSES, OUTPUT_TOO_LARGE, COMPILE_LIMIT -> RESOURCE_EXHAUSTED;
      case FUNCTION_FAILED -> problem.members().get("status") instanceof Integer status ? ofHttp(status) : UNKNOWN;
      case PORT_NOT_OPENED -> UNAVAILABLE;
      default -> switch (problem.code().status()) {
        case 400 -> INVALID_ARGUMENT;
        case 401 -> UNAUTHENTICATED;
        case 403 -> PERMISSION_DENIED;
        case 404, 405, 415, 421 -> UNIMPLEMENTED;
        case 408, 504 -> DEADLINE_EXCEEDED;
        case 409, 422 -> FAILED_PRECONDITION;
        case 413, 431, 507 -> RESOURCE_EXHAUSTED;
        case 429, 503 -> UNAVAILABLE;
        case 499 -> CANCELLED;
        default -> INTERNAL;
      };
    };
  }

  private static int ofHttp(int status) {
    return switch (status) {
      case 400 -> INTERNAL;
      case 401 -> UNAUTHENTICATED;
      case 403 -> PERMISSION_DENIED;
      case 404 -> UNIMPLEMENTED;
      case 429, 502, 503, 504 -> UNAVAILABLE;
      default -> UNKNOWN;
    };
  }

  /** Percent-encoded: what is no printable ASCII, and the percent sign. */
  static String message(String text) {
    StringBuilder out = new StringBuilder(text.length());
    for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
      if (b >= ' ' && b <= '~' && b != '%') {
        out.append((char) b);
      } else {
        out.append('%').append(Character.toUpperCase(Character.forDigit(b >> 4 & 15, 16))).append(Character.toUpperCase(Character.forDigit(b & 15, 16)));
      }
    }
    return out.toString();
  }

  /** What the header grpc-timeout says. @throws InstarException BAD_REQUEST for what is no time */
  static Duration timeout(String text) {
    if (!text.matches("[0-9]{1,8}[HMSmun]")) {
      throw new InstarException(ErrorCode.BAD_REQUEST, "The grpc-timeout '" + Json.shown(text) + "' is none; give at most eight digits and one of H, M, S, m, u, n.");
    }
    long value = Long.parseLong(text.substring(0, text.length() - 1));
    return switch (text.charAt(text.length() - 1)) {
      case 'H' -> Duration.ofHours(value);
      case 'M' -> Duration.ofMinutes(value);
      case 'S' -> Duration.ofSeconds(value);
      case 'm' -> Duration.ofMillis(value);
      case 'u' -> Duration.ofNanos(1000 * value);
      default -> Duration.ofNanos(value);
    };
  }
}
