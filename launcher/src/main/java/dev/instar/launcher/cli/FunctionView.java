package dev.instar.launcher.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import java.util.ArrayList;
import java.util.List;

/** A function, as the API gives it, for people. */
final class FunctionView {
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
          + ", file bytes " + Output.size(limits.path("fileBytes").asLong()) + ", made files " + limits.path("madeFiles").asInt() + ", concurrency " + limits.path("concurrency").asInt());
      line("  snapshot", version.path("snapshot").asText());
      map("  environment", version.path("environment"));
      map("  labels", version.path("labels"));
    }
    for (var entry : function.path("runs").properties()) {
      line("runs: " + entry.getKey(), entry.getValue().asText());
    }
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
