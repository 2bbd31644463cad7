package dev.instar.launcher;

import dev.instar.launcher.cli.ActivateCommand;
import dev.instar.launcher.cli.BackendsCommand;
import dev.instar.launcher.cli.BenchCommand;
import dev.instar.launcher.cli.BundlesCommand;
import dev.instar.launcher.cli.CgroupsCommand;
import dev.instar.launcher.cli.ConfigCommand;
import dev.instar.launcher.cli.DeployCommand;
import dev.instar.launcher.cli.DescribeCommand;
import dev.instar.launcher.cli.DoctorCommand;
import dev.instar.launcher.cli.FeaturesCommand;
import dev.instar.launcher.cli.ImageCommand;
import dev.instar.launcher.cli.InvokeCommand;
import dev.instar.launcher.cli.ListCommand;
import dev.instar.launcher.cli.LogsCommand;
import dev.instar.launcher.cli.NetworkCommand;
import dev.instar.launcher.cli.NewCommand;
import dev.instar.launcher.cli.RemoveCommand;
import dev.instar.launcher.cli.RollbackCommand;
import dev.instar.launcher.cli.RunCommand;
import dev.instar.launcher.cli.SecretsCommand;
import dev.instar.launcher.cli.SnapshotsCommand;
import dev.instar.launcher.cli.SourceTreeCommand;
import dev.instar.launcher.cli.StartCacheCommand;
import dev.instar.launcher.cli.UsersCommand;
import dev.instar.launcher.cli.VersionCommand;
import java.io.PrintWriter;
import java.util.List;
import java.util.logging.Level;
import java.util.logging.Logger;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;
import picocli.CommandLine.UnmatchedArgumentException;

/** The command {@code instar}. */
@Command(name = "instar", synopsisSubcommandLabel = "COMMAND", usageHelpAutoWidth = true,
    description = "Runs a node for functions, and talks to one.",
    footer = {"", "'instar COMMAND --help' says more about one.", "",
        "Exit codes: 0 ok, 1 the operation failed, 2 wrong usage, 3 no node answers, 4 something is missing on this machine;",
        "130 ended by Ctrl-C (SIGINT), 143 by SIGTERM: a node that is stopped in an orderly way ends with these, too.",
        "Environment: INSTAR_URL (the node to talk to), INSTAR_TOKEN_FILE (the token to send), INSTAR_CA (what vouches for an https:// node),",
        "INSTAR_JAVA_HOME (the JDK to use), INSTAR_JAVA_OPTS (options of the JVM)."})
public final class Main implements Runnable {
  private static final List<Class<?>> COMMANDS = List.of(RunCommand.class, DeployCommand.class, ListCommand.class, DescribeCommand.class,
      InvokeCommand.class, LogsCommand.class, ActivateCommand.class, RollbackCommand.class, RemoveCommand.class, SnapshotsCommand.class, ImageCommand.class,
      BackendsCommand.class, CgroupsCommand.class, NetworkCommand.class, BundlesCommand.class, FeaturesCommand.class, ConfigCommand.class, UsersCommand.class, SecretsCommand.class, DoctorCommand.class,
      BenchCommand.class, NewCommand.class, SourceTreeCommand.Build.class, SourceTreeCommand.Test.class, StartCacheCommand.class,
      VersionCommand.class);

  /** Kept, because the logging system forgets the level of a logger that nobody holds. */
  private static final Logger ROOT = Logger.getLogger("");

  @Spec
  private CommandSpec spec;
  @Option(names = {"-h", "--help"}, usageHelp = true, scope = ScopeType.INHERIT, description = "Show this help.")
  private boolean help;

  private Main() {}

  public static void main(String[] arguments) {
    // SPI Fly and Felix speak through java.util.logging, of each bundle that they see.
    ROOT.setLevel(Level.WARNING);
    System.exit(commandLine(arguments).execute(arguments));
  }

  /**
   * The command line that takes these arguments. All commands are there but for a node's start: to find the options of the others takes as long as all
   * else that its main thread does.
   */
  static CommandLine commandLine(String... arguments) {
    CommandLine line = new CommandLine(new Main());
    (arguments.length > 0 && arguments[0].equals("run") ? List.of(RunCommand.class) : COMMANDS).forEach(line::addSubcommand);
    line.setExecutionExceptionHandler((e, command, parsed) -> explain(e, command));
    line.setParameterExceptionHandler((e, given) -> misused(e));
    // The real one, whatever a command does to what a node in this process writes to it.
    line.setErr(new PrintWriter(System.err, true));
    line.setCaseInsensitiveEnumValuesAllowed(true);
    return line;
  }

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "A command is missing");
  }

  private static int explain(Exception e, CommandLine command) {
    PrintWriter err = command.getErr();
    boolean expected = e instanceof Failure;
    err.println("instar: " + (expected ? e.getMessage() : "unexpected: " + e + "; INSTAR_DEBUG=1 shows where"));
    if (System.getenv("INSTAR_DEBUG") != null) {
      e.printStackTrace(err);
    }
    err.flush();
    return e instanceof Failure failure ? failure.exitCode() : ExitCode.FAILED;
  }

  private static int misused(ParameterException e) {
    CommandLine command = e.getCommandLine();
    PrintWriter err = command.getErr();
    // picocli begins some of its messages with the word, and says another twice.
    err.println("instar: " + e.getMessage().replaceFirst("^Error: ", "").replace("option option", "option") + ".");
    if (command.getParent() == null && !UnmatchedArgumentException.printSuggestions(e, err)) {
      command.usage(err);
    } else {
      err.println("See '" + command.getCommandSpec().qualifiedName() + " --help'.");
    }
    err.flush();
    return ExitCode.USAGE;
  }
}
