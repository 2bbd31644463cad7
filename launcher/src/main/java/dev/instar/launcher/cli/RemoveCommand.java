package dev.instar.launcher.cli;

import dev.instar.launcher.ExitCode;
import dev.instar.launcher.cli.Arguments.Name;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code instar remove}. */
@Command(name = "remove", description = "Removes a function with all its versions, or one version that is not active.")
public final class RemoveCommand implements Callable<Integer> {
  @Parameters(index = "0", paramLabel = "NAME", converter = Arguments.NameConverter.class, description = "The function, as user/function.")
  private Name name;
  @Option(names = "--version", paramLabel = "N", description = "Only this version.")
  private Optional<Integer> version;
  @Mixin
  private NodeOption node;

  @Override
  public Integer call() throws Exception {
    try (NodeClient client = node.connect()) {
      client.delete(name.path() + version.map(v -> "/versions/" + v).orElse(""));
      System.out.println("Removed " + version.map(v -> "version " + v + " of ").orElse("") + name + ".");
      return ExitCode.OK;
    }
  }
}
