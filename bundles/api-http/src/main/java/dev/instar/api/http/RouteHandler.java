package dev.instar.api.http;

import java.io.IOException;

/** Answers one exchange, on a virtual thread. */
@FunctionalInterface
public interface RouteHandler {
  /**
   * Answers. An {@link dev.instar.api.InstarException} becomes its problem document when nothing has been sent yet, and else cuts the
   * connection (HTTP/1.1) or resets the stream (HTTP/2), so that a caller never takes half an answer for a whole one.
   */
  void handle(HttpExchange exchange) throws IOException, InterruptedException;
}
