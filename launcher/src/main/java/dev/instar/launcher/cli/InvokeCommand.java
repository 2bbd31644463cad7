package dev.instar.launcher.cli;

import dev.instar.launcher.ExitCode;
import dev.instar.launcher.Failure;
import dev.instar.launcher.cli.Arguments.Name;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileNotFoundException;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code instar invoke}. */
@Command(name = "invoke", description = {"Calls a function and writes its answer, byte for byte, to standard output.", "The input is standard input unless --data or --file is given."},
    footer = {"", "Examples:", "  instar invoke demo/echo --data 'hello'", "  instar invoke demo/thumbnail --file photo.jpg > small.png"})
public final class InvokeCommand implements Callable<Integer> {
  /** Where the input comes from. */
  static final class Input {
    @Option(names = {"-d", "--data"}, required = true, paramLabel = "TEXT", description = "The input itself.")
    String data;
    @Option(names = {"-f", "--file"}, required = true, paramLabel = "FILE", description = "A file with the input.")
    Path file;
  }

  @Parameters(index = "0", paramLabel = "NAME", converter = Arguments.NameConverter.class, description = "The function, as user/function.")
  private Name name;
  @ArgGroup
  private Input input;
  @Option(names = "--version", paramLabel = "N", description = "This version (default: the active one).")
  private Optional<Integer> version;
  @Option(names = "--timeout", paramLabel = "TIME", converter = Arguments.DurationConverter.class, description = "A shorter time-out than the function's own, e.g. 500ms.")
  private Optional<Duration> timeout;
  @Mixin
  private NodeOption node;

  @Override
  public Integer call() throws Exception {
    List<String> query = new ArrayList<>();
    version.ifPresent(v -> query.add("version=" + v));
    timeout.ifPresent(t -> query.add("timeout=" + t.toMillis() + "ms"));
    try (NodeClient client = node.connect();
        InputStream answer = client.stream("POST", name.path() + "/invoke" + (query.isEmpty() ? "" : "?" + String.join("&", query)), body(), "application/octet-stream");
        // Not System.out, which hides that its reader has gone.
        OutputStream out = new FileOutputStream(FileDescriptor.out)) {
      byte[] buffer = new byte[64 << 10];
      for (int n; (n = read(answer, buffer)) >= 0;) {
        try {
          out.write(buffer, 0, n);
        } catch (IOException e) {
          throw new Failure(ExitCode.FAILED, "The answer could not be written: " + e.getMessage() + ".", e);
        }
      }
      return ExitCode.OK;
    }
  }

  private int read(InputStream answer, byte[] buffer) throws Failure {
    try {
      return answer.read(buffer);
    } catch (IOException e) {
      throw new Failure(ExitCode.FAILED, "The answer of " + name + " was cut off: " + e.getMessage() + ".", e);
    }
  }

  private BodyPublisher body() throws Failure {
    if (input != null && input.data != null) {
      return BodyPublishers.ofString(input.data);
    }
    if (input != null) {
      try {
        return BodyPublishers.ofFile(input.file);
      } catch (FileNotFoundException e) {
        throw new Failure(ExitCode.FAILED, "The file " + input.file + " cannot be read: " + e.getMessage() + ".", e);
      }
    }
    if (System.console() != null && System.console().isTerminal()) {
      System.err.println("The input is read from the terminal; Ctrl-D ends it.");
    }
    return BodyPublishers.ofInputStream(() -> new FileInputStream(FileDescriptor.in));
  }
}
