package dev.instar.launcher.cli;

import com.fasterxml.jackson.databind.JsonNode;
import dev.instar.launcher.ExitCode;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code instar bundles}. */
@Command(name = "bundles", description = "Lists the bundles that a node is made of.")
public final class BundlesCommand implements Callable<Integer> {
  @Mixin
  private Output output;
  @Mixin
  private NodeOption node;

  @Override
  public Integer call() throws Exception {
    try (NodeClient client = node.connect()) {
      JsonNode answer = client.get("/v1/bundles");
      if (output.json()) {
        Output.print(answer);
        return ExitCode.OK;
      }
      List<List<String>> rows = new ArrayList<>();
      answer.path("bundles").forEach(b -> rows.add(List.of(b.path("id").asText(), b.path("state").asText(), b.path("startLevel").asText(), b.path("name").asText(), b.path("version").asText())));
      Output.table(List.of("ID", "STATE", "LEVEL", "NAME", "VERSION"), rows);
      return ExitCode.OK;
    }
  }
}
