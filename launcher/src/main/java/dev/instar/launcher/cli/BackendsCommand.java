package dev.instar.launcher.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.instar.launcher.ExitCode;
import java.time.LocalTime;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code instar backends}. */
@Command(name = "backends", subcommands = BackendsCommand.Swap.class, description = "Lists the isolation backends of a node, and what they are doing.")
public final class BackendsCommand implements Callable<Integer> {
  private static final long WATCH_MS = 1000;

  @Mixin
  private Output output;
  @Mixin
  private NodeOption node;
  @Option(names = "--watch", description = "Ask again each second, until Ctrl-C; with -o json a document a line.")
  private boolean watch;

  @Override
  public Integer call() throws Exception {
    try (NodeClient client = node.connect()) {
      while (true) {
        ObjectNode answer = (ObjectNode) client.get("/v1/backends");
        answer.set("assignments", client.get("/v1/backends/assignments").path("assignments"));
        if (output.json()) {
          if (watch) {
            System.out.println(Output.JSON.writeValueAsString(answer));
          } else {
            Output.print(answer);
          }
        } else {
          if (watch) {
            System.out.println(LocalTime.now().truncatedTo(ChronoUnit.SECONDS));
          }
          print(answer);
        }
        if (!watch) {
          return ExitCode.OK;
        }
        // Whoever read it may have had enough, as head has.
        if (System.out.checkError()) {
          return ExitCode.OK;
        }
        Thread.sleep(WATCH_MS);
      }
    }
  }

  private static void print(JsonNode answer) {
    List<List<String>> rows = new ArrayList<>();
    for (JsonNode b : answer.path("backends")) {
      List<String> kinds = new ArrayList<>();
      b.path("kinds").forEach(k -> kinds.add(k.asText()));
      rows.add(List.of(b.path("name").asText(), b.path("usable").asBoolean() ? "yes" : "no", b.path("state").asText(), b.path("isolation").asText(), String.join(",", kinds),
          b.path("generation").asText(), b.path("inFlight").asText(), b.path("idle").asText(), b.path("served").asText(), detail(b)));
    }
    if (rows.isEmpty()) {
      System.out.println("This node has no backend: it can run no function.");
    } else {
      Output.table(List.of("NAME", "USABLE", "STATE", "ISOLATION", "KINDS", "GENERATION", "IN FLIGHT", "IDLE", "SERVED", "DETAIL"), rows);
    }
    assignments(answer.path("assignments"));
  }

  private static void assignments(JsonNode assignments) {
    List<List<String>> rows = new ArrayList<>();
    for (JsonNode a : assignments) {
      String of = a.has("function") ? "function " + a.path("function").asText() : a.has("user") ? "user " + a.path("user").asText() : "all";
      double share = a.path("share").asDouble();
      rows.add(List.of(of, a.path("own").asText(), a.path("to").asText(), String.format(Locale.ROOT, "%.0f %%", 100 * share), share < 1 ? a.path("before").asText() : ""));
    }
    if (!rows.isEmpty()) {
      System.out.println();
      Output.table(List.of("CALLS OF", "OWN BACKEND", "ASSIGNED TO", "SHARE", "THE REST GOES TO"), rows);
    }
  }

  /** What the probe found, or what is missing and how to get it. */
  static String detail(JsonNode backend) {
    if (backend.path("usable").asBoolean()) {
      return backend.path("detail").asText();
    }
    String remedy = backend.path("remedy").asText();
    return "missing: " + backend.path("missing").asText() + (remedy.isEmpty() ? "" : "; remedy: " + remedy);
  }

  /** {@code instar backends swap}. */
  @Command(name = "swap", description = {"Moves functions from one backend to another while they run. New calls go there, running ones end where they are.",
      "It outlasts a restart of the node. With the names exchanged it is taken back."})
  static final class Swap implements Callable<Integer> {
    private static final int LONGEST_RAMP = 86_400;
    private static final int LONGEST_DRAIN = 3600;

    @Spec
    private CommandSpec spec;
    @Mixin
    private Output output;
    @Mixin
    private NodeOption node;
    @Parameters(index = "0", paramLabel = "FROM", description = "The backend that runs them now.")
    private String from;
    @Parameters(index = "1", paramLabel = "TO", description = "The backend that is to run them.")
    private String to;
    @ArgGroup(exclusive = true)
    private Scope scope;
    @Option(names = "--ramp", paramLabel = "SECONDS", description = "Let the share of the calls that go there grow for so long (default: all go at once).")
    private Integer ramp;
    @Option(names = "--drain", paramLabel = "SECONDS", description = "Kill calls that still run in FROM so long after that (default: they go on to their end).")
    private Integer drain;

    /** Whose functions; all without. */
    static final class Scope {
      @Option(names = "--function", paramLabel = "USER/FUNCTION", description = "Move this function only.")
      private String function;
      @Option(names = "--user", paramLabel = "USER", description = "Move the functions of this user.")
      private String user;
    }

    @Override
    public Integer call() throws Exception {
      check("--ramp", ramp, LONGEST_RAMP);
      check("--drain", drain, LONGEST_DRAIN);
      ObjectNode body = Output.JSON.createObjectNode().put("from", from).put("to", to);
      if (scope != null && scope.function != null) {
        body.put("function", scope.function);
      }
      if (scope != null && scope.user != null) {
        body.put("user", scope.user);
      }
      if (ramp != null) {
        body.put("rampSeconds", ramp);
      }
      if (drain != null) {
        body.put("drainSeconds", drain);
      }
      try (NodeClient client = node.connect()) {
        JsonNode answer = client.post("/v1/backends/swap", body);
        if (output.json()) {
          Output.print(answer);
        } else {
          boolean one = scope != null && scope.function != null;
          String of = scope == null ? "All functions" : one ? scope.function : "The functions of " + scope.user;
          System.out.println(of + (ramp == null || ramp == 0 ? " moved from " + from + " to " + to + "."
              : (one ? " moves" : " move") + " from " + from + " to " + to + " within " + ramp + " s; 'instar backends --watch' shows how far."));
          assignments(answer.path("assignments"));
        }
        return ExitCode.OK;
      }
    }

    private void check(String name, Integer value, int most) {
      if (value != null && (value < 0 || value > most)) {
        throw new ParameterException(spec.commandLine(), name + " is " + value + "; give 0 to " + most);
      }
    }
  }
}
