package dev.instar.launcher.cli;

import com.fasterxml.jackson.databind.JsonNode;
import dev.instar.launcher.Failure;
import dev.instar.launcher.cli.Arguments.Name;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** {@code instar describe}. */
@Command(name = "describe", description = "Shows a function: its versions, their limits, and how it is run.")
public final class DescribeCommand extends AnswerCommand {
  @Parameters(index = "0", paramLabel = "NAME", converter = Arguments.NameConverter.class, description = "The function, as user/function.")
  private Name name;

  @Override
  JsonNode ask(NodeClient client) throws Failure, InterruptedException {
    try (Progress progress = Progress.of("Asking for " + name)) {
      return client.get(name.path());
    }
  }

  @Override
  void show(JsonNode function) {
    FunctionView.print(function);
  }
}
