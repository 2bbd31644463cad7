package dev.instar.launcher.cli;

import dev.instar.launcher.ExitCode;
import dev.instar.launcher.Failure;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** The commands that the script itself carries out in a source tree; here they are described, and refused elsewhere. */
public abstract sealed class SourceTreeCommand implements Callable<Integer> {
  @Override
  public Integer call() throws Failure {
    throw new Failure(ExitCode.FAILED, "This command works in a source tree (launcher/instar); this is a distribution.");
  }

  /** {@code instar build}. */
  @Command(name = "build", description = "Builds the distribution from a source tree, without running the tests.")
  public static final class Build extends SourceTreeCommand {}

  /** {@code instar test}. */
  @Command(name = "test", description = {"Builds a source tree and runs all its tests; says at the end what was skipped, and why.",
      "As root it installs the Debian packages that the tests use, where they are missing."},
      footer = {"", "With CI=true in the environment a skip that cnf/host-capabilities does not forgive fails the run."})
  public static final class Test extends SourceTreeCommand {
    @Option(names = "--no-install", description = "Install no packages.")
    private boolean noInstall;
  }
}
