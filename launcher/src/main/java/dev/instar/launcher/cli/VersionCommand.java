package dev.instar.launcher.cli;

import dev.instar.launcher.Distribution;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;

@Command(name = "version", description = "Says which version this is.")
public final class VersionCommand implements Callable<Integer> {
  @Override
  public Integer call() {
    System.out.println(Distribution.version());
    return 0;
  }
}
