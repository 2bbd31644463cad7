package dev.instar.launcher.cli;

import com.fasterxml.jackson.databind.JsonNode;
import dev.instar.launcher.Failure;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code instar features}. */
@Command(name = "features", synopsisSubcommandLabel = "COMMAND", description = "Shows, applies and removes features: bundles that belong together.",
    subcommands = {FeaturesCommand.All.class, FeaturesCommand.Apply.class, FeaturesCommand.Remove.class})
public final class FeaturesCommand implements Runnable {
  private static final String PATH = "/v1/features";

  @Spec
  private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "A command is missing");
  }

  /** {@code instar features list}. */
  @Command(name = "list", description = "Lists the features of the distribution and those that were applied.")
  static final class All extends AnswerCommand {
    @Override
    JsonNode ask(NodeClient client) throws Failure, InterruptedException {
      return client.get(PATH);
    }

    @Override
    void show(JsonNode answer) {
      List<List<String>> rows = new ArrayList<>();
      answer.path("features").forEach(f -> rows.add(List.of(f.path("name").asText(), f.path("id").asText(), f.path("applied").asBoolean() ? "applied" : f.path("present").asBoolean() ? "present" : "",
          Integer.toString(f.path("bundles").size()), f.path("description").asText())));
      Output.table(List.of("NAME", "ID", "STATE", "BUNDLES", "DESCRIPTION"), rows);
    }
  }

  /** {@code instar features apply}. */
  @Command(name = "apply", description = "Adds what a feature lists and the node has not got.")
  static final class Apply implements Callable<Integer> {
    @Parameters(index = "0", paramLabel = "FEATURE", description = "A feature of the distribution by name, or a feature's file (.json).")
    private String feature;
    @Mixin
    private DeploymentOption deployment;

    @Override
    public Integer call() throws Exception {
      return feature.endsWith(".json") ? deployment.send("POST", PATH, Path.of(feature)) : deployment.send("POST", PATH + "/" + Arguments.encoded(feature) + "/apply");
    }
  }

  /** {@code instar features remove}. */
  @Command(name = "remove", description = "Takes away what applying a feature has added and no other feature lists.")
  static final class Remove implements Callable<Integer> {
    @Parameters(index = "0", paramLabel = "NAME", description = "The feature.")
    private String feature;
    @Mixin
    private DeploymentOption deployment;

    @Override
    public Integer call() throws Exception {
      return deployment.send("DELETE", PATH + "/" + Arguments.encoded(feature));
    }
  }
}
