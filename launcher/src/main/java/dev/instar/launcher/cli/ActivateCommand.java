package dev.instar.launcher.cli;

import com.fasterxml.jackson.databind.JsonNode;
import dev.instar.launcher.Failure;
import dev.instar.launcher.cli.Arguments.Name;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** {@code instar activate}. */
@Command(name = "activate", description = "Makes a version the one that answers calls.")
public final class ActivateCommand extends AnswerCommand {
  @Parameters(index = "0", paramLabel = "NAME", converter = Arguments.NameConverter.class, description = "The function, as user/function.")
  private Name name;
  @Parameters(index = "1", paramLabel = "VERSION", description = "The number of the version.")
  private int version;

  @Override
  JsonNode ask(NodeClient client) throws Failure, InterruptedException {
    return client.post(name.path() + "/activate", Output.JSON.createObjectNode().put("version", version));
  }

  @Override
  void show(JsonNode function) {
    System.out.println("Version " + function.path("active").asInt() + " of " + name + " answers calls now.");
  }
}
