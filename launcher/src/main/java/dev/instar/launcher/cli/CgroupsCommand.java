package dev.instar.launcher.cli;

import com.fasterxml.jackson.databind.JsonNode;
import dev.instar.launcher.Failure;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import picocli.CommandLine.Command;

/** {@code instar cgroups}. */
@Command(name = "cgroups", description = {"Lists the cgroups that sandboxes have: whose they are, what they are held to, and what they use.",
    "The first line says what this host can hold sandboxes to."})
public final class CgroupsCommand extends AnswerCommand {
  @Override
  JsonNode ask(NodeClient client) throws Failure, InterruptedException {
    return optional(client, "/v1/cgroups", "This node lends no cgroups: the bundle dev.instar.cgroups is not there. 'instar features apply container' brings it.");
  }

  @Override
  void show(JsonNode answer) {
    List<String> controllers = words(answer.path("controllers"));
    StringBuilder head = new StringBuilder("cgroups ").append(answer.path("mode").asText());
    if (answer.path("usable").asBoolean()) {
      head.append(" below ").append(answer.path("parent").asText()).append(": limits of ").append(controllers.isEmpty() ? "nothing" : String.join(", ", controllers));
      able(head, answer, "freezes", "freezes");
      able(head, answer, "kills", "kills at a word");
      able(head, answer, "clones", "clones into them");
    } else {
      head.append(": not usable, so sandboxes of their own process are held to no limits");
    }
    System.out.println(Output.printable(head.toString()));
    for (JsonNode missing : answer.path("missing")) {
      System.out.println(Output.printable("missing: " + missing.path("what").asText() + "; remedy: " + missing.path("remedy").asText()));
    }
    List<List<String>> rows = new ArrayList<>();
    for (JsonNode lease : answer.path("leases")) {
      JsonNode limits = lease.path("limits");
      JsonNode usage = lease.path("usage");
      rows.add(List.of(lease.path("function").asText(), lease.path("sandbox").asText(), of(usage, "memory", limits, "memory"), bytes(usage, "memoryPeak"),
          seconds(usage, "cpuMicros"), limits.has("cpu") ? limits.path("cpu").asInt() + "m" : "-", seconds(usage, "throttledMicros"),
          limits.has("cpuset") ? limits.path("cpuset").asText() : "-", text(usage, "processes") + (limits.has("processes") ? " of " + limits.path("processes").asText() : ""),
          text(usage, "oomKills"), text(usage, "processRefusals")));
    }
    if (rows.isEmpty()) {
      System.out.println("No sandbox has a cgroup.");
    } else {
      Output.table(List.of("FUNCTION", "SANDBOX", "MEMORY", "PEAK", "CPU TIME", "CPU LIMIT", "THROTTLED", "CPUS", "PROCESSES", "OOM KILLS", "REFUSED"), rows);
    }
  }

  private static void able(StringBuilder head, JsonNode answer, String name, String words) {
    if (answer.path(name).asBoolean()) {
      head.append("; ").append(words);
    }
  }

  private static List<String> words(JsonNode list) {
    List<String> words = new ArrayList<>();
    list.forEach(word -> words.add(word.asText()));
    return words;
  }

  private static String text(JsonNode node, String name) {
    return node.has(name) ? node.path(name).asText() : "-";
  }

  private static String bytes(JsonNode node, String name) {
    return node.has(name) ? Output.size(node.path(name).asLong()) : "-";
  }

  private static String of(JsonNode usage, String used, JsonNode limits, String limit) {
    return bytes(usage, used) + (limits.has(limit) ? " of " + Output.size(limits.path(limit).asLong()) : "");
  }

  private static String seconds(JsonNode node, String name) {
    return node.has(name) ? String.format(Locale.ROOT, "%.2f s", node.path(name).asLong() / 1e6) : "-";
  }
}
