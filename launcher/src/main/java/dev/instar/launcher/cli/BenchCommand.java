package dev.instar.launcher.cli;

import dev.instar.launcher.ExitCode;
import dev.instar.launcher.Failure;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;

/** {@code instar bench} in the list of commands. The script runs it in a JVM of another class path, which knows its options. */
@Command(name = "bench", description = {"Measures a node beside a bare Jetty and workerd on this machine.", "'instar bench --help' says with which options."})
public final class BenchCommand implements Callable<Integer> {
  @Override
  public Integer call() throws Failure {
    throw new Failure(ExitCode.USAGE, "bench is run by the command 'instar', and is the first word after it.");
  }
}
