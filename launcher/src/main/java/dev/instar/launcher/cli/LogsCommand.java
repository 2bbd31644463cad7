package dev.instar.launcher.cli;

import com.fasterxml.jackson.databind.JsonNode;
import dev.instar.launcher.ExitCode;
import dev.instar.launcher.Failure;
import dev.instar.launcher.cli.Arguments.Name;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.http.HttpRequest.BodyPublishers;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code instar logs}. */
@Command(name = "logs", description = {"Shows what a function wrote to its standard error.",
    "With -o json, one JSON object a line (NDJSON) and no array, so that it works with --follow."})
public final class LogsCommand implements Callable<Integer> {
  @Parameters(index = "0", paramLabel = "NAME", converter = Arguments.NameConverter.class, description = "The function, as user/function.")
  private Name name;
  @Option(names = {"-f", "--follow"}, description = "Go on with what it writes from now on, until Ctrl-C.")
  private boolean follow;
  @Option(names = "--tail", paramLabel = "N", description = "Only the last N lines, 0 to 10000 (default: what the node gives, 100).")
  private Optional<Integer> tail;
  @Option(names = "--since", paramLabel = "TIME", converter = Arguments.SinceConverter.class, description = "Only what is newer than a time ago (10m) or a point in time (2026-01-31T12:00:00Z).")
  private Optional<Instant> since;
  @Mixin
  private Output output;
  @Mixin
  private NodeOption node;

  @Override
  public Integer call() throws Exception {
    List<String> query = new ArrayList<>();
    tail.ifPresent(t -> query.add("tail=" + t));
    since.ifPresent(s -> query.add("since=" + Arguments.encoded(s.toString())));
    if (follow) {
      query.add("follow=true");
    }
    try (NodeClient client = node.connect();
        BufferedReader lines = new BufferedReader(new InputStreamReader(
            client.stream("GET", name.path() + "/logs" + (query.isEmpty() ? "" : "?" + String.join("&", query)), BodyPublishers.noBody(), ""), StandardCharsets.UTF_8))) {
      for (String line; (line = next(lines)) != null;) {
        if (output.json()) {
          System.out.println(line);
        } else if (!line.isBlank()) {
          JsonNode entry = Output.JSON.readTree(line);
          System.out.println(Output.printable(entry.path("time").asText() + " v" + entry.path("version").asText() + "  " + entry.path("text").asText()));
        }
        if (System.out.checkError()) {
          break;
        }
      }
      return ExitCode.OK;
    }
  }

  private String next(BufferedReader lines) throws Failure {
    try {
      return lines.readLine();
    } catch (IOException e) {
      throw new Failure(ExitCode.FAILED, "The log of " + name + " was cut off: " + e.getMessage() + "; the node may have stopped.", e);
    }
  }
}
