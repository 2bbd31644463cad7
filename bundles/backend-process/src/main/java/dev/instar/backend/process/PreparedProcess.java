package dev.instar.backend.process;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.api.sandbox.StartContext;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A program that was checked and copied to {@code <directory>/program}; each of its processes works in {@code <directory>/work/<sandbox>}. */
final class PreparedProcess implements PreparedFunction {
  private static final Pattern ERRNO = Pattern.compile("error[=:] ?(\\d+)");
  private static final int TEXT_FILE_BUSY = 26;
  private static final Duration BUSY_PATIENCE = Duration.ofSeconds(2);

  private final String label;
  private final Path directory;
  private final Path program;
  private final Environment environment;
  private final Mark marks;
  private final Duration grace;
  private final Set<ProcessSandbox> sandboxes;
  private volatile boolean closed;

  PreparedProcess(String label, Path directory, Path program, Environment environment, Mark marks, Duration grace, Set<ProcessSandbox> sandboxes)
      throws IOException {
    this.label = label;
    this.directory = directory;
    this.program = program;
    this.environment = environment;
    this.marks = marks;
    this.grace = grace;
    this.sandboxes = sandboxes;
    Files.createDirectory(directory.resolve("work"));
  }

  @Override
  public Map<String, String> describe() {
    return Map.of("entry", "guest protocol over standard input and output",
        "reset", "nothing; a process is reused for calls of this version only",
        "memory", "not limited", "isolation", "none");
  }

  @Override
  public Sandbox start(StartContext context) throws InterruptedException {
    if (closed) {
      throw new InstarException(ErrorCode.NOT_READY, "The prepared function " + label + " is closed.");
    }
    Path work = directory.resolve("work").resolve(context.sandboxId());
    String mark = marks.newSandbox();
    Process process;
    try {
      Files.createDirectory(work);
      ProcessBuilder builder = new ProcessBuilder(program.toString()).directory(work.toFile());
      builder.environment().clear();
      builder.environment().putAll(environment.in(work, mark));
      process = launch(builder);
    } catch (IOException e) {
      Directories.delete(work);
      throw notStarted(e);
    }
    ProcessSandbox sandbox = new ProcessSandbox(context, process, mark, work, grace, sandboxes);
    sandbox.awaitReady(context.deadline());
    return sandbox;
  }

  /**
   * A file that is open for writing cannot be run (execve(2), ETXTBSY). The copy is closed, but a process that another thread started meanwhile
   * holds an inherited descriptor of it until it has run its own program.
   */
  private static Process launch(ProcessBuilder builder) throws IOException, InterruptedException {
    long until = System.nanoTime() + BUSY_PATIENCE.toNanos();
    while (true) {
      try {
        return builder.start();
      } catch (IOException e) {
        if (errno(e) != TEXT_FILE_BUSY || System.nanoTime() > until) {
          throw e;
        }
        Thread.sleep(5);
      }
    }
  }

  /** The number in the JDK's message, which has it as "error=26" or "error: 26". 0 when there is none. */
  private static int errno(IOException e) {
    Matcher number = ERRNO.matcher(String.valueOf(e.getMessage()));
    return number.find() ? Integer.parseInt(number.group(1)) : 0;
  }

  private InstarException notStarted(IOException e) {
    return switch (errno(e)) {
      case 11, 12, 23, 24 -> new InstarException(ErrorCode.NODE_BUSY, "The host has no room for another process.");
      case 13 -> new InstarException(ErrorCode.SANDBOX_CRASHED,
          "The process could not be started: permission denied (is the data directory's file system mounted noexec?).");
      default -> new InstarException(ErrorCode.SANDBOX_CRASHED, "The process could not be started"
          + (errno(e) == 0 ? "." : " (error " + errno(e) + ")."));
    };
  }

  @Override
  public void close() {
    closed = true;
    Directories.delete(directory);
  }
}
