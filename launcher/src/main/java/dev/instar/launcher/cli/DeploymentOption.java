package dev.instar.launcher.cli;

import com.fasterxml.jackson.databind.JsonNode;
import dev.instar.launcher.ExitCode;
import dev.instar.launcher.Failure;
import java.io.FileNotFoundException;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** What the commands that change a node's bundles have in common. */
final class DeploymentOption {
  /** A drain of what is replaced ends by itself long before. */
  private static final Duration LIMIT = Duration.ofMinutes(10);

  @Option(names = "--dry-run", description = "Only tell what would be done, and whether it could be.")
  private boolean dryRun;
  @Mixin
  private Output output;
  @Mixin
  private NodeOption node;

  int send(String method, String path, Path file) throws Exception {
    if (!Files.isRegularFile(file)) {
      throw new Failure(ExitCode.FAILED, file + " is no file that can be read.");
    }
    try {
      return send(method, path, BodyPublishers.ofFile(file));
    } catch (FileNotFoundException e) {
      throw new Failure(ExitCode.FAILED, file + " is no file that can be read.", e);
    }
  }

  int send(String method, String path) throws Exception {
    return send(method, path, BodyPublishers.noBody());
  }

  private int send(String method, String path, BodyPublisher body) throws Exception {
    try (NodeClient client = node.connect()) {
      JsonNode answer = client.send(method, path + (dryRun ? "?dryRun=true" : ""), body);
      long end = System.nanoTime() + LIMIT.toNanos();
      // The part that answers is itself being replaced, or a drain takes long.
      while (answer.path("state").asText().equals("running") && System.nanoTime() < end) {
        Thread.sleep(200);
        answer = client.get("/v1/deployments/" + answer.path("id").asText());
      }
      if (output.json()) {
        Output.print(answer);
      } else {
        show(answer);
      }
      return answer.path("state").asText().equals("running") ? ExitCode.FAILED : ExitCode.OK;
    }
  }

  private void show(JsonNode answer) {
    List<List<String>> rows = new ArrayList<>();
    answer.path("plan").path("steps").forEach(s -> rows.add(List.of(s.path("action").asText(), s.path("bundle").asText(), s.path("version").asText(), s.path("reason").asText())));
    if (!rows.isEmpty()) {
      Output.table(List.of("STEP", "BUNDLE", "VERSION", "WHY"), rows);
    }
    touched(answer.path("plan"), "backends", "Backends that are touched: ");
    touched(answer.path("plan"), "functions", "Functions that are touched: ");
    answer.path("notes").forEach(note -> System.out.println("note: " + Output.printable(note.asText())));
    System.out.println(dryRun ? "Nothing was changed; this is what would be done."
        : answer.path("state").asText().equals("running") ? "Still being done; see /v1/deployments/" + answer.path("id").asText() + "." : "Done in " + answer.path("millis").asText() + " ms.");
  }

  private static void touched(JsonNode plan, String field, String text) {
    List<String> names = new ArrayList<>();
    plan.path(field).forEach(n -> names.add(n.asText()));
    int more = field.equals("functions") ? plan.path("functionCount").asInt() - names.size() : 0;
    if (!names.isEmpty()) {
      System.out.println(text + Output.printable(String.join(", ", names)) + (more > 0 ? " and " + more + " more" : "") + ".");
    }
  }
}
