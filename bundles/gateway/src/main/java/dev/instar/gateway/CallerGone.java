package dev.instar.gateway;

import java.io.IOException;

/** The caller closed the connection or reset the stream before all had been read or written. */
final class CallerGone extends IOException {
  private static final long serialVersionUID = 1;

  CallerGone(String message, Throwable cause) {
    super(message, cause);
  }
}
