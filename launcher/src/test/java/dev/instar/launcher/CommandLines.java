package dev.instar.launcher;

import java.util.Set;

/** Opens the command line to the tests of the other packages. */
public final class CommandLines {
  private CommandLines() {}

  public static int execute(String... arguments) {
    return Main.commandLine(arguments).execute(arguments);
  }

  public static Set<String> names() {
    return Main.commandLine().getSubcommands().keySet();
  }
}
