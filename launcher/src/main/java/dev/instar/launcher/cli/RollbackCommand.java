package dev.instar.launcher.cli;

import com.fasterxml.jackson.databind.JsonNode;
import dev.instar.launcher.Failure;
import dev.instar.launcher.cli.Arguments.Name;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** {@code instar rollback}. */
@Command(name = "rollback", description = "Makes the version that was active before the one that answers calls.")
public final class RollbackCommand extends AnswerCommand {
  @Parameters(index = "0", paramLabel = "NAME", converter = Arguments.NameConverter.class, description = "The function, as user/function.")
  private Name name;

  @Override
  JsonNode ask(NodeClient client) throws Failure, InterruptedException {
    return client.post(name.path() + "/rollback", Output.JSON.createObjectNode());
  }

  @Override
  void show(JsonNode function) {
    System.out.println("Version " + function.path("active").asInt() + " of " + name + " answers calls now.");
  }
}
