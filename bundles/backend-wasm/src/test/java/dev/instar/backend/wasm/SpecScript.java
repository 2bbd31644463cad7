package dev.instar.backend.wasm;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A file of the core specification tests, as wast2json of wabt gives it.
 *
 * @param name the file
 * @param commands in their order
 */
record SpecScript(String name, List<Command> commands) {
  private static final ObjectMapper JSON = JsonMapper.builder().build();

  /** One command; {@code line} is that of the file. */
  sealed interface Command {
    int line();
  }

  record Module(int line, Optional<String> name, Path file) implements Command {}

  record Register(int line, Optional<String> name, String as) implements Command {}

  /** An action by itself, or one whose results are given. */
  record Returns(int line, Action action, Optional<List<SpecValue>> expected) implements Command {}

  record Traps(int line, Action action, String text) implements Command {}

  record Exhausts(int line, Action action) implements Command {}

  /** A module that is malformed or invalid. */
  record Refused(int line, Path file, String text) implements Command {}

  record Unlinkable(int line, Path file, String text) implements Command {}

  record Uninstantiable(int line, Path file, String text) implements Command {}

  /** A module that is malformed as text: a matter of the translator, which has not been asked to translate it. */
  record TextOnly(int line) implements Command {}

  /**
   * What is asked of an instance.
   *
   * @param module empty for the last that was made
   * @param call whether a function is called, or else a global read
   */
  record Action(Optional<String> module, boolean call, String field, List<SpecValue> arguments) {}

  /** Whether later modules can import from one. */
  boolean isRegistered(Module module) {
    Map<Optional<String>, Module> latest = new HashMap<>();
    for (Command command : commands) {
      switch (command) {
        case Module m -> {
          latest.put(m.name(), m);
          latest.put(Optional.empty(), m);
        }
        case Register r when latest.get(r.name()) == module -> {
          return true;
        }
        default -> { }
      }
    }
    return false;
  }

  /** @throws AssertionError when wast2json does not take the file */
  static SpecScript convert(Path wast, Path directory) throws IOException, InterruptedException {
    String name = wast.getFileName().toString();
    Path json = directory.resolve(name.replaceAll("\\.wast$", ".json"));
    Process p = new ProcessBuilder("wast2json", "--enable-all", wast.toString(), "-o", json.toString()).redirectErrorStream(true).start();
    p.getOutputStream().close();
    String said = new String(p.getInputStream().readAllBytes());
    if (p.waitFor() != 0) {
      throw new AssertionError("wast2json does not take " + name + ": " + said);
    }
    List<Command> commands = new ArrayList<>();
    for (JsonNode command : JSON.readTree(Files.readAllBytes(json)).get("commands")) {
      commands.add(command(command, directory));
    }
    return new SpecScript(name, commands);
  }

  private static Command command(JsonNode json, Path directory) {
    int line = json.get("line").intValue();
    String type = json.get("type").textValue();
    if (json.path("module_type").asText().equals("text")) {
      return new TextOnly(line);
    }
    Path file = directory.resolve(json.path("filename").asText());
    String text = json.path("text").asText();
    return switch (type) {
      case "module" -> new Module(line, text(json, "name"), file);
      case "register" -> new Register(line, text(json, "name"), json.get("as").textValue());
      case "action" -> new Returns(line, action(json), Optional.empty());
      case "assert_return" -> new Returns(line, action(json), Optional.of(values(json.get("expected"))));
      case "assert_trap" -> new Traps(line, action(json), text);
      case "assert_exhaustion" -> new Exhausts(line, action(json));
      case "assert_invalid", "assert_malformed" -> new Refused(line, file, text);
      case "assert_unlinkable" -> new Unlinkable(line, file, text);
      case "assert_uninstantiable" -> new Uninstantiable(line, file, text);
      default -> throw new AssertionError("A command of the unknown kind " + type + " in line " + line);
    };
  }

  private static Action action(JsonNode command) {
    JsonNode json = command.get("action");
    boolean call = json.get("type").textValue().equals("invoke");
    return new Action(text(json, "module"), call, json.get("field").textValue(), call ? values(json.get("args")) : List.of());
  }

  private static List<SpecValue> values(JsonNode list) {
    List<SpecValue> values = new ArrayList<>();
    list.forEach(v -> values.add(new SpecValue(v.get("type").textValue(), v.get("value").textValue())));
    return values;
  }

  private static Optional<String> text(JsonNode json, String field) {
    return Optional.ofNullable(json.path(field).textValue());
  }
}
