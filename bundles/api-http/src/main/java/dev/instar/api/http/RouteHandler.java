package dev.instar.api.http;

import java.io.IOException;

/** Answers one exchange. */
@FunctionalInterface
public interface RouteHandler {
  /**
   * Answers, on a virtual thread. An {@link dev.instar.api.InstarException} becomes its problem document when nothing has been sent yet, and else cuts the
   * connection (HTTP/1.1) or resets the stream (HTTP/2), so that a caller never takes half an answer for a whole one.
   */
  void handle(HttpExchange exchange) throws IOException, InterruptedException;

  /**
   * Begins to answer, on a thread that must not be blocked. Asked for routes that call a function ({@link Route#calls}).
   *
   * @return whether the exchange goes on by {@link HttpExchange#later}; false: nothing of it was used up, and {@link #handle} is asked
   */
  default boolean begin(HttpExchange exchange) {
    return false;
  }
}
