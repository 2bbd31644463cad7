package dev.instar.launcher.cli;

import com.fasterxml.jackson.databind.JsonNode;
import dev.instar.launcher.ExitCode;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code instar backends}. */
@Command(name = "backends", description = "Lists the isolation backends of a node, and what they are doing.")
public final class BackendsCommand implements Callable<Integer> {
  @Mixin
  private Output output;
  @Mixin
  private NodeOption node;

  @Override
  public Integer call() throws Exception {
    try (NodeClient client = node.connect()) {
      JsonNode answer = client.get("/v1/backends");
      if (output.json()) {
        Output.print(answer);
        return ExitCode.OK;
      }
      List<List<String>> rows = new ArrayList<>();
      for (JsonNode b : answer.path("backends")) {
        List<String> kinds = new ArrayList<>();
        b.path("kinds").forEach(k -> kinds.add(k.asText()));
        rows.add(List.of(b.path("name").asText(), b.path("usable").asBoolean() ? "yes" : "no", b.path("state").asText(), b.path("isolation").asText(), String.join(",", kinds),
            b.path("generation").asText(), b.path("inFlight").asText(), b.path("idle").asText(), b.path("served").asText(), detail(b)));
      }
      if (rows.isEmpty()) {
        System.out.println("This node has no backend: it can run no function.");
      } else {
        Output.table(List.of("NAME", "USABLE", "STATE", "ISOLATION", "KINDS", "GENERATION", "IN FLIGHT", "IDLE", "SERVED", "DETAIL"), rows);
      }
      return ExitCode.OK;
    }
  }

  /** What the probe found, or what is missing and how to get it. */
  static String detail(JsonNode backend) {
    if (backend.path("usable").asBoolean()) {
      return backend.path("detail").asText();
    }
    String remedy = backend.path("remedy").asText();
    return "missing: " + backend.path("missing").asText() + (remedy.isEmpty() ? "" : "; remedy: " + remedy);
  }
}
