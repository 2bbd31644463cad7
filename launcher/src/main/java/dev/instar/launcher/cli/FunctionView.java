package dev.instar.launcher.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A function, as the API gives it, for people. */
final class FunctionView {
  private static final Map<String, String> HOST = new LinkedHashMap<>();

  static {
    HOST.put("cpu", "CPU");
    HOST.put("cpuWeight", "CPU weight");
    HOST.put("cpuset", "CPU set");
    HOST.put("processes", "processes");
    HOST.put("ioWeight", "disk weight");
  }

  private FunctionView() {}

  static String name(JsonNode function) {
    return function.path("user").asText() + "/" + function.path("function").asText();
  }

  static JsonNode activeVersion(JsonNode function) {
    for (JsonNode version : function.path("versions")) {
      if (version.path("number").asInt() == function.path("active").asInt()) {
        return version;
      }
    }
    return MissingNode.getInstance();
  }

  static void print(JsonNode function) {
    System.out.println(Output.printable(name(function)));
    line("active", "version " + function.path("active").asInt() + (function.path("previous").isInt() ? ", before it version " + function.path("previous").asInt() : ""));
    for (JsonNode version : function.path("versions")) {
      line("version " + version.path("number").asInt(), "deployed " + version.path("created").asText());
      for (JsonNode variant : version.path("variants")) {
        line("  variant", variant.path("kind").asText() + " " + variant.path("digest").asText() + (variant.path("backend").isTextual() ? ", on backend " + variant.path("backend").asText() : ""));
      }
      JsonNode limits = version.path("limits");
      line("  limits", "memory " + Output.size(limits.path("memory").asLong()) + ", tables " + limits.path("tables").asInt() + ", stack " + Output.size(limits.path("stack").asLong())
          + ", timeout " + Output.time(limits.path("timeout").asLong()) + ", run time " + Output.time(limits.path("runTime").asLong()) + ", input " + Output.size(limits.path("input").asLong())
          + ", output " + Output.size(limits.path("output").asLong()) + ", log " + Output.size(limits.path("log").asLong()) + ", open files " + limits.path("openFiles").asInt()
          + ", file bytes " + Output.size(limits.path("fileBytes").asLong()) + ", made files " + limits.path("madeFiles").asInt() + ", concurrency " + limits.path("concurrency").asInt() + host(limits));
      line("  snapshot", version.path("snapshot").asText());
      if (!version.path("secrets").isEmpty()) {
        List<String> secrets = new ArrayList<>();
        version.path("secrets").forEach(name -> secrets.add(name.asText()));
        line("  secrets", String.join(" ", secrets));
      }
      map("  environment", version.path("environment"));
      map("  labels", version.path("labels"));
    }
    for (var entry : function.path("runs").properties()) {
      line("runs: " + entry.getKey(), entry.getValue().asText());
    }
  }

  /** The limits of processes, of which a version has those that it was given. */
  private static String host(JsonNode limits) {
    StringBuilder text = new StringBuilder();
    HOST.forEach((key, shown) -> {
      if (limits.has(key)) {
        text.append(", ").append(shown).append(' ').append(limits.path(key).asText()).append(key.equals("cpu") ? "m" : "");
      }
    });
    return text.toString();
  }

  private static void map(String name, JsonNode map) {
    List<String> pairs = new ArrayList<>();
    map.properties().forEach(e -> pairs.add(e.getKey() + "=" + e.getValue().asText()));
    if (!pairs.isEmpty()) {
      line(name, String.join(" ", pairs));
    }
  }

  private static void line(String name, String value) {
    System.out.println(Output.printable("  " + name + " ".repeat(Math.max(1, 20 - name.length())) + value));
  }
}
