package dev.instar.launcher.cli;

import com.fasterxml.jackson.databind.JsonNode;
import dev.instar.launcher.ExitCode;
import dev.instar.launcher.cli.Arguments.Name;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code instar describe}. */
@Command(name = "describe", description = "Shows a function: its versions, their limits, and how it is run.")
public final class DescribeCommand implements Callable<Integer> {
  @Parameters(index = "0", paramLabel = "NAME", converter = Arguments.NameConverter.class, description = "The function, as user/function.")
  private Name name;
  @Mixin
  private Output output;
  @Mixin
  private NodeOption node;

  @Override
  public Integer call() throws Exception {
    try (NodeClient client = node.connect()) {
      JsonNode function;
      try (Progress progress = Progress.of("Asking for " + name)) {
        function = client.get(name.path());
      }
      if (output.json()) {
        Output.print(function);
      } else {
        FunctionView.print(function);
      }
      return ExitCode.OK;
    }
  }
}
