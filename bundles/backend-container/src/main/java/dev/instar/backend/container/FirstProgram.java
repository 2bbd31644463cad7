package dev.instar.backend.container;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.security.SecureRandom;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;

/** The one that the {@link HeldProgram} of a container starts when it is told to, once. */
final class FirstProgram implements Program {
  private static final SecureRandom RANDOM = new SecureRandom();
  private static final int SIGNALLED = 128;
  /** Of what the shell has, those that execve(2) fails with for what an image can hold. */
  private static final String[] WORDS = new String[41];

  static {
    WORDS[2] = "no such file, or its interpreter is missing";
    WORDS[7] = "its arguments and variables are too long";
    WORDS[8] = "exec format error";
    WORDS[12] = "not enough memory";
    WORDS[13] = "permission denied";
    WORDS[20] = "a part of its path is no directory";
    WORDS[40] = "too many links";
  }

  private final Container container;
  private final EndedStream answer;
  private final EndedStream log;
  /** The status of wait4(2) and the number of an error; empty when the container has ended without. */
  private final CompletableFuture<Optional<long[]>> end = new CompletableFuture<>();

  FirstProgram(Container container) throws IOException {
    this.container = container;
    byte[] secret = new byte[HeldProgram.SECRET];
    RANDOM.nextBytes(secret);
    answer = new EndedStream(container.output(), secret, tail -> {});
    log = new EndedStream(container.errors(), secret, tail -> end.complete(tail.map(bytes -> {
      ByteBuffer numbers = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
      return new long[] {Integer.toUnsignedLong(numbers.getInt()), Integer.toUnsignedLong(numbers.getInt())};
    })));
    container.input().write(secret);
    container.input().flush();
  }

  @Override
  public OutputStream input() {
    return container.input();
  }

  @Override
  public InputStream answer() {
    return answer;
  }

  @Override
  public InputStream log() {
    return log;
  }

  @Override
  public int await() throws InterruptedException {
    try {
      return end.get().map(numbers -> status((int) numbers[0])).orElse(SIGNALLED);
    } catch (ExecutionException e) {
      throw new IllegalStateException(e);
    }
  }

  /** As wait(2) has it, WIFSIGNALED and WEXITSTATUS. */
  private static int status(int told) {
    int signal = told & 0x7f;
    return signal == 0 ? told >> 8 & 0xff : SIGNALLED + signal;
  }

  @Override
  public boolean isAlive() {
    return !end.isDone();
  }

  @Override
  public String notStarted() {
    int error = end.getNow(Optional.empty()).map(numbers -> (int) numbers[1]).orElse(0);
    return error == 0 ? "" : error < WORDS.length && WORDS[error] != null ? WORDS[error] : "error " + error;
  }

  @Override
  public void end() {
    // All of it is in the container.
  }

  @Override
  public void leave() {
    // As above.
  }
}
