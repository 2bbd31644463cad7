package dev.instar.launcher.cli;

import com.fasterxml.jackson.databind.JsonNode;
import dev.instar.launcher.ExitCode;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code instar list}. */
@Command(name = "list", description = "Lists the functions.")
public final class ListCommand implements Callable<Integer> {
  @Option(names = "--user", paramLabel = "USER", description = "Only this user's.")
  private Optional<String> user;
  @Mixin
  private Output output;
  @Mixin
  private NodeOption node;

  @Override
  public Integer call() throws Exception {
    try (NodeClient client = node.connect()) {
      String path = "/v1/functions" + user.map(u -> "?user=" + Arguments.encoded(u)).orElse("");
      if (output.json()) {
        Output.print(client.get(path));
        return ExitCode.OK;
      }
      List<List<String>> rows = new ArrayList<>();
      client.each(path, "functions", function -> rows.add(row(function)));
      if (rows.isEmpty()) {
        System.out.println("There are no functions" + user.map(u -> " of user " + u).orElse("") + "; see 'instar deploy --help'.");
      } else {
        Output.table(List.of("NAME", "ACTIVE", "VERSIONS", "KIND", "DEPLOYED"), rows);
      }
      return ExitCode.OK;
    }
  }

  private static List<String> row(JsonNode function) {
    JsonNode active = FunctionView.activeVersion(function);
    Set<String> kinds = new LinkedHashSet<>();
    active.path("variants").forEach(v -> kinds.add(v.path("kind").asText()));
    return List.of(FunctionView.name(function), function.path("active").asText(), Integer.toString(function.path("versions").size()), String.join(",", kinds), active.path("created").asText());
  }
}
