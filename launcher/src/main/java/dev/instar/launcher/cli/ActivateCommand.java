package dev.instar.launcher.cli;

import com.fasterxml.jackson.databind.JsonNode;
import dev.instar.launcher.ExitCode;
import dev.instar.launcher.cli.Arguments.Name;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code instar activate}. */
@Command(name = "activate", description = "Makes a version the one that answers calls.")
public final class ActivateCommand implements Callable<Integer> {
  @Parameters(index = "0", paramLabel = "NAME", converter = Arguments.NameConverter.class, description = "The function, as user/function.")
  private Name name;
  @Parameters(index = "1", paramLabel = "VERSION", description = "The number of the version.")
  private int version;
  @Mixin
  private Output output;
  @Mixin
  private NodeOption node;

  @Override
  public Integer call() throws Exception {
    try (NodeClient client = node.connect()) {
      JsonNode function = client.post(name.path() + "/activate", Output.JSON.createObjectNode().put("version", version));
      if (output.json()) {
        Output.print(function);
      } else {
        System.out.println("Version " + function.path("active").asInt() + " of " + name + " answers calls now.");
      }
      return ExitCode.OK;
    }
  }
}
