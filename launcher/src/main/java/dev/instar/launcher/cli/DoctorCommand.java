package dev.instar.launcher.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.instar.launcher.Distribution;
import dev.instar.launcher.ExitCode;
import dev.instar.launcher.Failure;
import dev.instar.launcher.node.DataPlace;
import dev.instar.launcher.node.ListenAddress;
import dev.instar.launcher.node.NodeOptions;
import dev.instar.launcher.node.TemporaryNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code instar doctor}. */
@Command(name = "doctor", description = {"Says whether this machine can run a node, and which backends; names the one thing that each lacks.",
    "It asks the node at the URL; where there is none, or for the backends that are not switched on there, it starts a node of its own for a moment."})
public final class DoctorCommand implements Callable<Integer> {
  /** Checks of a node that tell of its directories, its port and its configuration. */
  private static final Set<String> PLACES = Set.of("data directory", "disk space", "listener", "configuration", "stop");

  /** How a node's check of its data directory ends that has found it in order. */
  private static final String WRITABLE = " can be written";

  @Mixin
  private Output output;
  @Mixin
  private NodeOption node;

  @Override
  public Integer call() throws Exception {
    Distribution distribution = Distribution.locate();
    ArrayNode checks = Output.JSON.createArrayNode();
    check(checks, "jdk", "ok", Runtime.version() + " in " + System.getProperty("java.home"), "");
    Optional<Answers> running = askRunning();
    if (running.isEmpty()) {
      place(checks, distribution);
    }

    ArrayNode backends = Output.JSON.createArrayNode();
    Set<String> known = new HashSet<>();
    running.ifPresent(answer -> answer.backends().forEach(b -> {
      known.add(b.path("name").asText());
      backends.add(((ObjectNode) b.deepCopy()).put("switchedOn", true));
    }));
    Answers own = askOwn(distribution, running.flatMap(Answers::data).or(() -> running.isPresent() ? Optional.empty() : Optional.of(distribution.defaultData())));
    boolean works = true;
    for (JsonNode found : running.orElse(own).checks()) {
      // The place of a node of our own is a temporary one, and nobody has sent it anything.
      if (running.isPresent() || !PLACES.contains(found.path("name").asText())) {
        check(checks, found.path("name").asText(), found.path("status").asText(), found.path("message").asText(), found.path("remedy").asText());
        works &= Set.of("ok", "warn").contains(found.path("status").asText());
      }
    }
    for (JsonNode b : own.backends()) {
      if (known.add(b.path("name").asText())) {
        backends.add(((ObjectNode) b.deepCopy()).put("switchedOn", false));
      }
    }
    boolean usable = false;
    for (JsonNode b : backends) {
      usable |= b.path("usable").asBoolean();
    }
    if (output.json()) {
      ObjectNode all = Output.JSON.createObjectNode();
      all.put("node", running.isPresent() ? node.url().toString() : null);
      all.set("checks", checks);
      all.set("backends", backends);
      Output.print(all);
    } else {
      print(checks, backends, running.isPresent());
    }
    if (!usable) {
      throw new Failure(ExitCode.MISSING, "No backend can run on this machine, so no function can.");
    }
    if (!works) {
      throw new Failure(ExitCode.FAILED, "A check of the node has failed; see above.");
    }
    return ExitCode.OK;
  }

  /** What a node says of itself. */
  private record Answers(JsonNode backends, JsonNode checks) {
    static Answers of(NodeClient client) throws Failure, InterruptedException {
      return new Answers(client.get("/v1/backends").path("backends"), client.get("/healthz").path("checks"));
    }

    /** Its data directory, where it tells. */
    Optional<Path> data() {
      for (JsonNode check : checks) {
        String told = check.path("message").asText();
        if ("data directory".equals(check.path("name").asText()) && told.endsWith(WRITABLE)) {
          return Optional.of(Path.of(told.substring(0, told.length() - WRITABLE.length())));
        }
      }
      return Optional.empty();
    }
  }

  private Optional<Answers> askRunning() throws Failure, InterruptedException {
    try (NodeClient client = node.connect()) {
      return Optional.of(Answers.of(client));
    } catch (NodeClient.Refused e) {
      throw e;
    } catch (Failure e) {
      return Optional.empty();
    }
  }

  /**
   * The backends of a node with everything on, that lives as long as the question.
   *
   * @param data of the node that it answers for: what lies there counts, and what is missing belongs there
   */
  private static Answers askOwn(Distribution distribution, Optional<Path> data) throws Failure, InterruptedException {
    try (Progress progress = Progress.of("Asking the backends");
        TemporaryNode own = TemporaryNode.start(distribution, data.map(d -> Map.of("instar.native", d.resolve("native").toString())).orElse(Map.of()));
        NodeClient client = new NodeClient(own.url())) {
      RunCommand.awaitReady(client);
      return Answers.of(client);
    }
  }

  private static void place(ArrayNode checks, Distribution distribution) throws Failure {
    Path data = distribution.defaultData();
    NodeOptions options = new NodeOptions(data, distribution.config(), OptionalInt.empty(), Optional.empty(), Set.of(), Map.of());
    try {
      Path there = data;
      while (!Files.exists(there)) {
        there = there.getParent();
      }
      if (there.equals(data)) {
        DataPlace.check(data);
      } else if (!Files.isWritable(there)) {
        throw new Failure(ExitCode.FAILED, data + " cannot be made: " + there + " may not be written by this user. Name another with --data.");
      }
      check(checks, "data directory", "ok", data + ", " + Output.size(Files.getFileStore(there).getUsableSpace()) + " free", "");
    } catch (Failure e) {
      check(checks, "data directory", "problem", e.getMessage(), "");
    } catch (IOException e) {
      check(checks, "data directory", "problem", Reason.of(e), "");
    }
    ListenAddress address = ListenAddress.of(options);
    try {
      address.checkFree();
      check(checks, "port", "ok", address.port() + " on " + address.host() + " is free", "");
    } catch (Failure e) {
      check(checks, "port", "problem", e.getMessage(), "");
    }
  }

  private static void check(ArrayNode checks, String name, String state, String detail, String remedy) {
    ObjectNode check = checks.addObject().put("name", name).put("state", state).put("detail", detail);
    if (!remedy.isEmpty()) {
      check.put("remedy", remedy);
    }
  }

  private void print(ArrayNode checks, ArrayNode backends, boolean running) {
    System.out.println(running ? "A node answers at " + node.url() + "." : "No node answers at " + node.url() + "; the backends were asked in a node of its own.");
    System.out.println();
    List<List<String>> rows = new ArrayList<>();
    checks.forEach(c -> rows.add(List.of(c.path("name").asText(), c.path("state").asText(),
        c.path("detail").asText() + (c.has("remedy") ? "; remedy: " + c.path("remedy").asText() : ""))));
    for (JsonNode b : backends) {
      String state = b.path("usable").asBoolean() ? "ok" : "missing";
      rows.add(List.of("backend " + b.path("name").asText(), state, BackendsCommand.detail(b).replaceFirst("^missing: ", "") + (running && !b.path("switchedOn").asBoolean() ? " (not switched on in the node)" : "")));
    }
    Output.table(List.of("WHAT", "STATE", "DETAIL"), rows);
  }
}
