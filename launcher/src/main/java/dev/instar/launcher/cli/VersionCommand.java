package dev.instar.launcher.cli;

import dev.instar.launcher.Distribution;
import dev.instar.launcher.ExitCode;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code instar version}. */
@Command(name = "version", description = "Says which version this is, and on which JDK it runs.")
public final class VersionCommand implements Callable<Integer> {
  @Mixin
  private Output output;

  @Override
  public Integer call() {
    if (output.json()) {
      Output.print(Output.JSON.createObjectNode().put("version", Distribution.version()).put("java", Runtime.version().toString()));
    } else {
      System.out.println("Instar " + Distribution.version() + " on JDK " + Runtime.version());
    }
    return ExitCode.OK;
  }
}
