package dev.instar.bench;

import dev.instar.bench.HttpBench.Turn;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** {@code instar bench}. */
@Command(name = "instar bench", subcommands = SwapsCommand.class, usageHelpAutoWidth = true, sortOptions = false, description = {"Measures a node beside other servers that echo, in turn, on this machine.",
    "It starts a node, bare Jetty servers and workerd on free ports of the loopback with temporary directories, sends each the same requests, looks at every answer, and stops them.",
    "The function is an echo that traps when it finds anything of an earlier call."},
    footer = {"", "Exit codes: 0 ok, 1 something failed or an answer was not right, 2 wrong usage, 4 something is missing on this machine."})
public final class BenchCommand implements Callable<Integer> {
  private static final int FAILED = 1;
  private static final int USAGE = 2;
  private static final int MISSING = 4;

  /** What a node is compared with. */
  enum Rival {
    /** A Jetty server that reads the body and writes it back, on the thread that read it. */
    JETTY("jetty"),
    /** The same with each request on a virtual thread, as the node has it. */
    JETTY_VIRTUAL("jetty-virtual"),
    /** Cloudflare's workerd with the same module and a fresh instance for each request. */
    WORKERD("workerd");

    private final String title;

    Rival(String title) {
      this.title = title;
    }

    static Rival titled(String title) {
      return Stream.of(values()).filter(r -> r.title.equals(title)).findFirst()
          .orElseThrow(() -> new TypeConversionException("'" + title + "' is none of " + String.join(", ", Stream.of(values()).map(r -> r.title).toList())));
    }
  }

  /** How to print. */
  enum Format { TEXT, JSON }

  @Spec
  private CommandSpec spec;
  @Option(names = "--seconds", paramLabel = "N", defaultValue = "2", description = "How long each stretch of load takes (default: ${DEFAULT-VALUE}).")
  private int seconds;
  @Option(names = "--rounds", paramLabel = "N", defaultValue = "10", description = "How many turns each server has (default: ${DEFAULT-VALUE}).")
  private int rounds;
  @Option(names = "--connections", paramLabel = "N", defaultValue = "16", description = "Connections at one time (default: ${DEFAULT-VALUE}).")
  private int connections;
  @Option(names = "--against", paramLabel = "NAME", split = ",", defaultValue = "jetty,jetty-virtual,workerd",
      description = "What to compare with (default: ${DEFAULT-VALUE}). workerd is fetched with npm the first time.")
  private Set<Rival> against = new LinkedHashSet<>();
  @Option(names = "--node", paramLabel = "URL", description = "Measure a node that runs, instead of one of its own. Its processor time is not measured.")
  private Optional<URI> node;
  @Option(names = "-o", paramLabel = "FORMAT", defaultValue = "text", description = "text or json (default: ${DEFAULT-VALUE}).")
  private Format format;
  @Option(names = {"-h", "--help"}, usageHelp = true, description = "Show this help.")
  private boolean help;

  private BenchCommand() {}

  /** The command line without its first word. */
  public static void main(String[] arguments) {
    CommandLine line = commandLine();
    System.exit(line.execute(arguments));
  }

  static CommandLine commandLine() {
    CommandLine line = new CommandLine(new BenchCommand());
    line.setCaseInsensitiveEnumValuesAllowed(true);
    line.registerConverter(Rival.class, Rival::titled);
    line.registerConverter(SwapBench.Part.class, SwapsCommand::part);
    line.setErr(new PrintWriter(System.err, true));
    line.setParameterExceptionHandler((e, rest) -> {
      e.getCommandLine().getErr().println("instar: " + e.getMessage().replaceFirst("^Error: ", "") + ".\nSee 'instar bench --help'.");
      return USAGE;
    });
    line.setExecutionExceptionHandler((e, command, parsed) -> {
      command.getErr().println("instar: " + (e instanceof Failure || e instanceof IOException ? e.getMessage() : "unexpected: " + e));
      if (System.getenv("INSTAR_DEBUG") != null) {
        e.printStackTrace(command.getErr());
      }
      return FAILED;
    });
    return line;
  }

  @Override
  public Integer call() throws Exception {
    check("--seconds", seconds, 3600);
    check("--rounds", rounds, 1000);
    check("--connections", connections, 1000);
    if (node.isPresent() && (!"http".equals(node.get().getScheme()) || node.get().getHost() == null || node.get().getPort() < 0)) {
      throw new ParameterException(spec.commandLine(), "--node is '" + node.get() + "'; give a URL such as http://127.0.0.1:8080");
    }
    if (!Files.isReadable(Path.of("/proc/self/stat"))) {
      System.err.println("instar: bench needs /proc to tell what processor time a server used; there is none on " + System.getProperty("os.name") + ".");
      return MISSING;
    }
    if (against.contains(Rival.WORKERD) && !Server.hasWorkerd(cache())) {
      if (against.size() == 1) {
        System.err.println("instar: workerd is fetched with npm, which is not on the PATH. Install it, e.g. 'apt-get install npm', or compare with --against jetty.");
        return MISSING;
      }
      System.err.println("There is no npm on the PATH to fetch workerd with, so it is left out.");
      against.remove(Rival.WORKERD);
    }
    Place place = new Place();
    try {
      return measure(place);
    } catch (Exception e) {
      if (place.closed()) {
        // Ctrl-C: what was measured is being stopped, so what failed is no news; the JVM ends by itself.
        Thread.sleep(Duration.ofMinutes(1));
      }
      throw e;
    } finally {
      place.close();
    }
  }

  private int measure(Place place) throws Exception {
    PrintStream progress = System.err;
    Path home = home();
    Duration stretch = Duration.ofSeconds(seconds);
    progress.println("Measuring a node" + (against.isEmpty() ? "" : " against " + String.join(" and ", against.stream().map(r -> r.title).toList())) + ", "
        + rounds + " rounds; takes " + HttpBench.takes(1 + against.size(), stretch, rounds).toSeconds() + " s after the servers have started ...");
    List<Server> servers = new ArrayList<>();
    servers.add(node.isPresent() ? Server.running(node.get(), place) : Server.node(home, place));
    for (Rival rival : against) {
      servers.add(switch (rival) {
        case JETTY -> Server.jetty(rival.title, "selector", home, place);
        case JETTY_VIRTUAL -> Server.jetty(rival.title, "virtual", home, place);
        case WORKERD -> Server.workerd(cache(), place);
      });
    }
    Map<Server, List<Turn>> turns = new HttpBench(servers, stretch, rounds, connections, progress).run();
    Report report = new Report(turns, connections, seconds);
    System.out.print(format == Format.JSON ? report.json() : report.text());
    System.out.flush();
    if (report.faults() > 0) {
      System.err.println("instar: " + report.faults() + " answers were not right.");
      return FAILED;
    }
    return 0;
  }

  private static Path home() {
    return Path.of(System.getProperty("instar.home"));
  }

  private static Path cache() {
    return home().resolve("cache");
  }

  private void check(String name, int value, int most) {
    if (value < 1 || value > most) {
      throw new ParameterException(spec.commandLine(), name + " is " + value + "; give 1 to " + most);
    }
  }
}
