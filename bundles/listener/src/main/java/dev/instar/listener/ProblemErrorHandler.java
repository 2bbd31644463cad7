package dev.instar.listener;

import dev.instar.api.ErrorCode;
import dev.instar.api.Problem;
import dev.instar.api.http.ProblemDocument;
import dev.instar.api.http.RequestId;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.TimeoutException;
import org.eclipse.jetty.http.HttpException;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.io.EofException;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.server.handler.ErrorHandler;
import org.eclipse.jetty.util.Callback;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What Jetty refuses by itself, as problem documents with codes of ours. A status that no code has becomes its nearest. */
final class ProblemErrorHandler implements Request.Handler {
  private static final Logger LOG = LoggerFactory.getLogger(ProblemErrorHandler.class);
  private static final int REASON_CHARS = 200;

  private final HttpConfiguration http;

  ProblemErrorHandler(HttpConfiguration http) {
    this.http = http;
  }

  @Override
  public boolean handle(Request request, Response response, Callback callback) {
    Throwable cause = request.getAttribute(ErrorHandler.ERROR_EXCEPTION) instanceof Throwable thrown ? thrown : null;
    answer(response, callback, response.getStatus(), cause);
    return true;
  }

  /** Answers for what was thrown, or cuts the connection where an answer has begun. */
  void answer(Response response, Callback callback, int status, Throwable cause) {
    if (response.isCommitted()) {
      callback.failed(cause == null ? new IllegalStateException("committed") : cause);
    } else {
      send(response, callback, problem(cause instanceof HttpException refused ? refused.getCode() : status, cause));
    }
  }

  private Problem problem(int status, Throwable cause) {
    return switch (status) {
      case 404 -> Problem.of(ErrorCode.ROUTE_NOT_FOUND, "There is nothing at this path.");
      case 408 -> tooSlow(cause);
      case 413 -> Problem.of(ErrorCode.TOO_LARGE, "The body is larger than is taken.");
      case 414, 431 -> Problem.of(ErrorCode.HEADER_TOO_LARGE, "The request line and headers are over " + http.getRequestHeaderSize() + " bytes.",
          Map.of("limitBytes", http.getRequestHeaderSize()));
      case 503 -> Problem.of(ErrorCode.NOT_READY, "The node cannot take the request at the moment. Try again.").retryAfter(Duration.ofSeconds(1));
      default -> {
        // 501 and 505 are what Jetty says of a transfer coding and of a version that do not exist: the request's fault.
        if (status >= 400 && status < 500 || status == 501 || status == 505) {
          yield Problem.of(ErrorCode.BAD_REQUEST, "The request is malformed" + reason(cause) + ".");
        }
        // What the caller did (too slow, gone) is its own affair: a log line for each would be a gift to who floods with resets.
        for (Throwable t = cause; t != null; t = t.getCause()) {
          if (t instanceof TimeoutException) {
            yield tooSlow(t);
          }
          if (t instanceof EofException) {
            yield Problem.of(ErrorCode.BAD_BODY, "The request ended before its body was whole.");
          }
        }
        String id = RequestId.next();
        LOG.error("An exchange failed outside of the gateway (incident {}).", id, cause);
        yield Problem.of(ErrorCode.INTERNAL, "The node failed; its log has more under the incident " + id + ".");
      }
    };
  }

  private static Problem tooSlow(Throwable cause) {
    String why = cause == null || cause.getMessage() == null ? "" : ": " + cause.getMessage();
    return Problem.of(ErrorCode.TOO_SLOW, "The request came too slowly" + why + ".");
  }

  /** Jetty's reasons are fixed texts such as "Ambiguous URI path separator"; what else was thrown is not shown. */
  private static String reason(Throwable cause) {
    String reason = cause instanceof HttpException refused ? refused.getReason() : null;
    return reason == null || reason.isEmpty() ? "" : ": " + (reason.length() > REASON_CHARS ? reason.substring(0, REASON_CHARS) : reason);
  }

  static void send(Response response, Callback callback, Problem problem) {
    String id = RequestId.next();
    byte[] body = ProblemDocument.of(problem, id);
    response.setStatus(problem.code().status());
    response.getHeaders().put(HttpHeader.CONTENT_TYPE, ProblemDocument.MEDIA_TYPE).put("Instar-Request-Id", id).put("X-Content-Type-Options", "nosniff")
        .put(HttpHeader.CONTENT_LENGTH, body.length);
    String retryAfter = ProblemDocument.retryAfter(problem);
    if (!retryAfter.isEmpty()) {
      response.getHeaders().put(HttpHeader.RETRY_AFTER, retryAfter);
    }
    response.write(true, ByteBuffer.wrap(body), callback);
  }
}
