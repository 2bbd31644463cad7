package dev.instar.api.guest;

import java.io.IOException;

/** The peer broke the guest protocol. The message says how, in words that go after "the guest protocol was broken: ". */
public class FrameException extends IOException {
  private static final long serialVersionUID = 1;

  public FrameException(String message) {
    super(message);
  }
}
