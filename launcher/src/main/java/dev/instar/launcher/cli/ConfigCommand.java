package dev.instar.launcher.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.instar.launcher.Distribution;
import dev.instar.launcher.ExitCode;
import dev.instar.launcher.Failure;
import dev.instar.operations.ConfigurationCheck;
import java.io.IOException;
import java.math.BigDecimal;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code instar config}. */
@Command(name = "config", synopsisSubcommandLabel = "COMMAND", description = "Shows, checks and changes the configuration of a node.",
    subcommands = {ConfigCommand.All.class, ConfigCommand.Get.class, ConfigCommand.Set.class, ConfigCommand.Reset.class, ConfigCommand.Diff.class, ConfigCommand.Validate.class})
public final class ConfigCommand implements Runnable {
  private static final String PATH = "/v1/config";
  private static final String PREFIX = "dev.instar.";
  private static final String WHICH = "The PID; what begins with dev.instar. may be given without that, e.g. scheduler. Of a factory PID~NAME.";
  private static final String SECRET = "(secret)";

  @Spec
  private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "A command is missing");
  }

  /**
   * What a node says of its configurations.
   *
   * @param byPid in the node's order
   */
  private record Configurations(Map<String, JsonNode> byPid) {
    static Configurations of(NodeClient client) throws Failure, InterruptedException {
      Map<String, JsonNode> byPid = new LinkedHashMap<>();
      client.each(PATH, "configurations", c -> byPid.put(c.path("pid").asText(), c));
      return new Configurations(byPid);
    }

    /** The PID that is meant. Where there is none the node says so, and which is near. */
    String pid(String text) {
      return known(text) || text.startsWith(PREFIX) ? text : known(PREFIX + text) || text.indexOf('.') < 0 ? PREFIX + text : text;
    }

    private boolean known(String pid) {
      return byPid.containsKey(pid) || settings(pid).isPresent();
    }

    /** The keys of a PID, or of another of the same factory. */
    Optional<JsonNode> settings(String pid) {
      return Stream.concat(byPid.entrySet().stream().filter(e -> e.getKey().equals(pid)), byPid.entrySet().stream().filter(e -> base(e.getKey()).equals(base(pid)))).findFirst()
          .map(e -> e.getValue().path("settings"));
    }

    private static String base(String pid) {
      return pid.indexOf('~') < 0 ? pid : pid.substring(0, pid.indexOf('~'));
    }
  }

  private static String path(String pid) {
    return PATH + "/" + URLEncoder.encode(pid, StandardCharsets.UTF_8).replace("+", "%20").replace("%7E", "~");
  }

  /** {@code instar config list}. */
  @Command(name = "list", description = "Lists the configurations: by what file, whether that is in force, and how many values are not the defaults.")
  static final class All implements Callable<Integer> {
    @Mixin
    private Output output;
    @Mixin
    private NodeOption node;

    @Override
    public Integer call() throws Exception {
      try (NodeClient client = node.connect()) {
        if (output.json()) {
          Output.print(client.get(PATH));
          return ExitCode.OK;
        }
        List<List<String>> rows = new ArrayList<>();
        List<String> problems = new ArrayList<>();
        for (JsonNode one : Configurations.of(client).byPid().values()) {
          int changed = 0;
          for (JsonNode setting : one.path("settings")) {
            changed += setting.path("secret").asBoolean() ? setting.path("source").asText().equals("default") ? 0 : 1 : setting.path("value").equals(setting.path("default")) ? 0 : 1;
          }
          String state = one.path("factory").asBoolean() ? "factory" : one.path("state").asText();
          rows.add(List.of(one.path("pid").asText(), joined(one.path("files"), "-"), state, Integer.toString(changed), one.path("description").asText()));
          one.path("problems").forEach(p -> problems.add(p.asText()));
        }
        Output.table(List.of("PID", "FILE", "STATE", "CHANGED", ""), rows);
        problems.forEach(p -> System.err.println(Output.printable(p)));
        return ExitCode.OK;
      }
    }
  }

  /** {@code instar config get}. */
  @Command(name = "get", description = {"Shows the values in force, with their defaults and ranges; with KEY the value alone.", "What comes from a secret is not shown."})
  static final class Get implements Callable<Integer> {
    @Parameters(index = "0", paramLabel = "PID", description = WHICH)
    private String which;
    @Parameters(index = "1", arity = "0..1", paramLabel = "KEY", description = "Only this key's value.")
    private Optional<String> key;
    @Mixin
    private Output output;
    @Mixin
    private NodeOption node;

    @Override
    public Integer call() throws Exception {
      try (NodeClient client = node.connect()) {
        JsonNode configuration = client.get(path(Configurations.of(client).pid(which)));
        if (key.isPresent()) {
          JsonNode setting = setting(configuration.path("settings"), key.get())
              .orElseThrow(() -> new Failure(ExitCode.FAILED, configuration.path("pid").asText() + " has no key '" + key.get() + "'; 'instar config get " + which + "' shows those that it has."));
          if (output.json()) {
            Output.print(setting);
          } else {
            System.out.println(Output.printable(value(setting)));
          }
        } else if (output.json()) {
          Output.print(configuration);
        } else {
          show(configuration);
        }
        return ExitCode.OK;
      }
    }

    private static void show(JsonNode configuration) {
      System.out.println(Output.printable(configuration.path("pid").asText() + ": " + configuration.path("description").asText()));
      System.out.println(Output.printable(switch (configuration.path("state").asText()) {
        case "file" -> joined(configuration.path("files"), "") + " is in force.";
        case "default" -> configuration.path("factory").asBoolean() ? "There is none; each " + configuration.path("pid").asText() + "~NAME would be one." : "There is no file; the defaults hold.";
        default -> "Its file is not in force.";
      }));
      configuration.path("problems").forEach(p -> System.err.println(Output.printable(p.asText())));
      List<List<String>> rows = new ArrayList<>();
      for (JsonNode s : configuration.path("settings")) {
        String source = s.path("source").asText() + (s.has("written") ? ", " + s.path("written").asText() : "");
        rows.add(List.of(s.path("key").asText(), value(s), shown(s.path("default")), range(s), source));
      }
      Output.table(List.of("KEY", "VALUE", "DEFAULT", "RANGE", "FROM"), rows);
    }
  }

  /** {@code instar config set}. */
  @Command(name = "set", description = {"Changes values in the configuration's file, which is made if need be. They are checked first, and take effect at once, without a restart.",
      "Elements of a list are separated by commas. $[env:NAME] and $[secret:NAME] stand for an environment variable and a secret of the node."},
      footer = {"", "Example:", "  instar config set scheduler max-sandboxes=64 idle-seconds=60"})
  static final class Set implements Callable<Integer> {
    @Parameters(index = "0", paramLabel = "PID", description = WHICH)
    private String which;
    @Parameters(index = "1..*", arity = "1..*", paramLabel = "KEY=VALUE", description = "What to set.")
    private List<String> values;
    @Mixin
    private Output output;
    @Mixin
    private NodeOption node;
    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws Exception {
      try (NodeClient client = node.connect()) {
        Configurations before = Configurations.of(client);
        String pid = before.pid(which);
        JsonNode settings = before.settings(pid).orElse(JsonNodeFactory.instance.arrayNode());
        ObjectNode patch = Output.JSON.createObjectNode();
        for (String assignment : values) {
          int equals = assignment.indexOf('=');
          if (equals <= 0) {
            throw new ParameterException(spec.commandLine(), "'" + assignment + "' is not KEY=VALUE");
          }
          String key = assignment.substring(0, equals);
          if (patch.has(key)) {
            throw new ParameterException(spec.commandLine(), "'" + key + "' is given twice");
          }
          patch.set(key, node(setting(settings, key), assignment.substring(equals + 1)));
        }
        report(output, pid, client.patch(path(pid), patch), patch);
        return ExitCode.OK;
      }
    }

    /** The value in the type that its key has; what does not look like it is sent as it is, and the node says what fits. */
    private static JsonNode node(Optional<JsonNode> setting, String text) {
      String type = setting.map(s -> s.path("type").asText()).orElse("text");
      if (setting.isPresent() && setting.get().path("list").asBoolean() && !text.startsWith("$[")) {
        ArrayNode list = JsonNodeFactory.instance.arrayNode();
        for (String element : text.isEmpty() ? new String[0] : text.split("(?<!\\\\),")) {
          list.add(single(type, element.strip().replace("\\,", ",")));
        }
        return list;
      }
      return single(type, text);
    }

    private static JsonNode single(String type, String text) {
      JsonNodeFactory nodes = JsonNodeFactory.instance;
      if (type.equals("boolean") && (text.equals("true") || text.equals("false"))) {
        return nodes.booleanNode(Boolean.parseBoolean(text));
      }
      if ((type.equals("integer") || type.equals("number")) && text.length() <= 30) {
        try {
          BigDecimal number = new BigDecimal(text);
          // Spelt out it must not become long.
          return Math.abs((long) number.scale()) < 400 ? nodes.numberNode(number) : nodes.textNode(text);
        } catch (NumberFormatException e) {
          return nodes.textNode(text);
        }
      }
      return nodes.textNode(text);
    }
  }

  private static void report(Output output, String pid, JsonNode now, JsonNode patch) {
    if (output.json()) {
      Output.print(now);
      return;
    }
    patch.fieldNames().forEachRemaining(key -> setting(now.path("settings"), key).ifPresent(s -> {
      System.out.println(Output.printable(pid + " " + key + " is " + value(s) + (s.path("source").asText().equals("default") ? ", the default." : ".")));
      if (s.path("source").asText().equals("override")) {
        System.err.println(Output.printable("note: " + key + " stays what the node was started with; the file's value holds when it is started without that."));
      }
    }));
  }

  /** {@code instar config reset}. */
  @Command(name = "reset", description = {"Gives keys their defaults back; without keys deletes the configuration's file.", "One of a factory is then no longer there."})
  static final class Reset implements Callable<Integer> {
    @Parameters(index = "0", paramLabel = "PID", description = WHICH)
    private String which;
    @Parameters(index = "1..*", arity = "0..*", paramLabel = "KEY", description = "Only these keys.")
    private List<String> keys = List.of();
    @Mixin
    private Output output;
    @Mixin
    private NodeOption node;

    @Override
    public Integer call() throws Exception {
      try (NodeClient client = node.connect()) {
        String pid = Configurations.of(client).pid(which);
        if (keys.isEmpty()) {
          client.delete(path(pid));
          if (!output.json()) {
            System.out.println(Output.printable(pid + " has no file any more."));
          }
          return ExitCode.OK;
        }
        ObjectNode patch = Output.JSON.createObjectNode();
        keys.forEach(patch::putNull);
        report(output, pid, client.patch(path(pid), patch), patch);
        return ExitCode.OK;
      }
    }
  }

  /** {@code instar config diff}. */
  @Command(name = "diff", description = {"Shows what differs from the defaults; with FILE what that would change if it were put into the node's configuration folder.",
      "A file that would be refused is refused here, too."})
  static final class Diff implements Callable<Integer> {
    @Parameters(index = "0", arity = "0..1", paramLabel = "FILE", description = "A file with the name that it would have there, PID.cfg.json or PID.cfg.")
    private Optional<Path> file;
    @Mixin
    private Output output;
    @Mixin
    private NodeOption node;

    @Override
    public Integer call() throws Exception {
      try (NodeClient client = node.connect()) {
        if (file.isPresent()) {
          compare(client, file.get());
          return ExitCode.OK;
        }
        JsonNode answer = client.get(PATH + "/diff");
        if (output.json()) {
          Output.print(answer);
          return ExitCode.OK;
        }
        List<List<String>> rows = new ArrayList<>();
        answer.path("differences").forEach(s -> rows.add(List.of(s.path("pid").asText(), s.path("key").asText(), value(s), shown(s.path("default")), s.path("source").asText())));
        if (rows.isEmpty()) {
          System.out.println("Everything is as it is by default.");
        } else {
          Output.table(List.of("PID", "KEY", "VALUE", "DEFAULT", "FROM"), rows);
        }
        return ExitCode.OK;
      }
    }

    private void compare(NodeClient client, Path path) throws Failure, InterruptedException {
      String content;
      try {
        content = Files.readString(path);
      } catch (IOException e) {
        throw new Failure(ExitCode.FAILED, "The file " + path + " cannot be read: " + Reason.of(e) + ".", e);
      }
      String name = path.getFileName().toString();
      JsonNode answer = client.post(PATH + "/diff", Output.JSON.createObjectNode().put("file", name).put("content", content));
      if (output.json()) {
        Output.print(answer);
        return;
      }
      List<List<String>> rows = new ArrayList<>();
      answer.path("changes").forEach(c -> rows.add(c.path("secret").asBoolean() ? List.of(c.path("key").asText(), SECRET, SECRET) : List.of(c.path("key").asText(), shown(c.path("from")), shown(c.path("to")))));
      if (rows.isEmpty()) {
        System.out.println(Output.printable(name + " fits, and changes nothing."));
      } else {
        Output.table(List.of("KEY", "NOW", "THEN"), rows);
      }
    }
  }

  /** {@code instar config validate}. */
  @Command(name = "validate", description = {"Checks configuration files against what the bundles of this distribution declare, without a node.",
      "What only a node can tell (its environment, its secrets) is a note. 'instar config diff FILE' asks a node."})
  static final class Validate implements Callable<Integer> {
    @Parameters(index = "0..*", arity = "1..*", paramLabel = "FILE", description = "A file, or a directory of them.")
    private List<Path> files;
    @Option(names = "--secrets", paramLabel = "DIR", description = "The directory with a file for each secret.")
    private Optional<Path> secrets;

    @Override
    public Integer call() throws Exception {
      Distribution distribution = Distribution.locate();
      ConfigurationCheck check;
      try (Stream<Path> bundles = Files.list(distribution.home().resolve("bundles"))) {
        check = new ConfigurationCheck(bundles.filter(b -> b.toString().endsWith(".jar")).toList(), secrets);
      }
      int refused = 0;
      for (Path path : files) {
        if (!Files.exists(path)) {
          throw new Failure(ExitCode.FAILED, "There is no file " + path + ".");
        }
        for (ConfigurationCheck.Result result : check.check(path)) {
          result.notes().forEach(note -> System.err.println(Output.printable("note: " + note)));
          if (result.problems().isEmpty()) {
            System.out.println(Output.printable(result.file() + " fits."));
          } else {
            refused++;
            result.problems().forEach(problem -> System.err.println(Output.printable(problem)));
          }
        }
      }
      return refused == 0 ? ExitCode.OK : ExitCode.FAILED;
    }
  }

  private static Optional<JsonNode> setting(JsonNode settings, String key) {
    for (JsonNode setting : settings) {
      if (setting.path("key").asText().equals(key)) {
        return Optional.of(setting);
      }
    }
    return Optional.empty();
  }

  private static String value(JsonNode setting) {
    return setting.path("secret").asBoolean() ? SECRET : shown(setting.path("value"));
  }

  private static String shown(JsonNode value) {
    if (value.isArray()) {
      List<String> elements = new ArrayList<>();
      value.forEach(element -> elements.add(element.asText()));
      return String.join(",", elements);
    }
    return value.isNull() || value.isMissingNode() ? "" : value.asText();
  }

  private static String range(JsonNode setting) {
    if (setting.has("options")) {
      return joined(setting.path("options"), "");
    }
    return setting.has("min") || setting.has("max") ? shown(setting.path("min")) + " to " + shown(setting.path("max")) : "";
  }

  private static String joined(JsonNode texts, String none) {
    List<String> all = new ArrayList<>();
    texts.forEach(text -> all.add(text.asText()));
    return all.isEmpty() ? none : String.join(", ", all);
  }
}
