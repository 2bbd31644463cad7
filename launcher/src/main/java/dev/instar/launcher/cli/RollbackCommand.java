package dev.instar.launcher.cli;

import com.fasterxml.jackson.databind.JsonNode;
import dev.instar.launcher.ExitCode;
import dev.instar.launcher.cli.Arguments.Name;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code instar rollback}. */
@Command(name = "rollback", description = "Makes the version that was active before the one that answers calls.")
public final class RollbackCommand implements Callable<Integer> {
  @Parameters(index = "0", paramLabel = "NAME", converter = Arguments.NameConverter.class, description = "The function, as user/function.")
  private Name name;
  @Mixin
  private Output output;
  @Mixin
  private NodeOption node;

  @Override
  public Integer call() throws Exception {
    try (NodeClient client = node.connect()) {
      JsonNode function = client.post(name.path() + "/rollback", Output.JSON.createObjectNode());
      if (output.json()) {
        Output.print(function);
      } else {
        System.out.println("Version " + function.path("active").asInt() + " of " + name + " answers calls now.");
      }
      return ExitCode.OK;
    }
  }
}
