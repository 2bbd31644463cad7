package dev.instar.launcher;

import dev.instar.launcher.cli.RunCommand;
import dev.instar.launcher.cli.VersionCommand;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/** The command {@code instar}. */
@Command(name = "instar", mixinStandardHelpOptions = false, synopsisSubcommandLabel = "COMMAND",
    description = "Runs a node of functions, and talks to one.",
    subcommands = {RunCommand.class, VersionCommand.class})
public final class Main {
  private Main() {}

  public static void main(String[] arguments) {
    int code = commandLine().execute(arguments);
    System.exit(code);
  }

  static CommandLine commandLine() {
    return new CommandLine(new Main());
  }
}
