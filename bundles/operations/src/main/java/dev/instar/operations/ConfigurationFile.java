package dev.instar.operations;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.TextNode;
import dev.instar.api.operations.ConfigurationProblem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.StreamSupport;

/**
 * A file {@code <pid>.cfg.json} or {@code <pid>.cfg}, of a factory {@code <factory pid>~<name>.cfg.json} or {@code .cfg}, as it was when it was read.
 *
 * @param file its name, by which it is called in what people read, some of whom need not know the node's directories
 * @param pid of the configuration, or of the factory
 * @param name which of the factory's; empty for a PID of its own
 * @param content of the file
 * @param unusable why there is none
 */
record ConfigurationFile(String file, String pid, Optional<String> name, Optional<byte[]> content, Optional<String> unusable) {
  static final String JSON = ".cfg.json";
  static final String CFG = ".cfg";

  /**
   * What a file says, held against what its PID takes.
   *
   * @param values as ConfigAdmin takes them
   * @param secret the keys whose values may not be shown
   * @param written the placeholders of those keys that have some
   */
  record Reading(Map<String, Object> values, Set<String> secret, Map<String, String> written) {
    static final Reading EMPTY = new Reading(Map.of(), Set.of(), Map.of());
  }

  /** The file of this name with this content. */
  static ConfigurationFile of(String file, byte[] content) {
    return of(file, Optional.of(content), Optional.empty());
  }

  private static ConfigurationFile of(String file, Optional<byte[]> content, Optional<String> unusable) {
    String base = pidOf(file);
    int tilde = base.indexOf('~');
    return new ConfigurationFile(file, tilde < 0 ? base : base.substring(0, tilde), tilde < 0 ? Optional.empty() : Optional.of(base.substring(tilde + 1)), content, unusable);
  }

  /** Reads a file. */
  static ConfigurationFile read(Path path) {
    String file = path.getFileName().toString();
    try {
      for (Path guarded : List.of(path, path.toAbsolutePath().getParent())) {
        if (writableByAll(guarded)) {
          return unusable(file, "The file " + file + " is not used, because everybody on this machine may change it. Run: chmod o-w " + guarded.getFileName());
        }
      }
      if (Files.size(path) > ConfigurationText.MAX_BYTES) {
        return unusable(file, "The file " + file + " has " + Files.size(path) + " bytes; at most " + ConfigurationText.MAX_BYTES + " are read.");
      }
      return of(file, Files.readAllBytes(path));
    } catch (NoSuchFileException e) {
      return unusable(file, "The file " + file + " has gone.");
    } catch (IOException e) {
      return unusable(file, "The file " + file + " could not be read: " + e.getMessage() + ".");
    }
  }

  private static ConfigurationFile unusable(String file, String why) {
    return of(file, Optional.empty(), Optional.of(why));
  }

  /** Owner and mode of the file and its directory are the credential for changing the node. Where files have no modes this says no. */
  private static boolean writableByAll(Path guarded) throws IOException {
    try {
      return Files.getPosixFilePermissions(guarded).contains(PosixFilePermission.OTHERS_WRITE);
    } catch (UnsupportedOperationException e) {
      return false;
    }
  }

  static boolean is(Path path) {
    String file = path.getFileName().toString();
    return (file.endsWith(JSON) || file.endsWith(CFG)) && !pidOf(file).isEmpty() && !file.startsWith(".");
  }

  private static String pidOf(String file) {
    return file.substring(0, file.length() - (file.endsWith(JSON) ? JSON : CFG).length());
  }

  private String form() {
    return file.endsWith(JSON) ? JSON : CFG;
  }

  /** The PID of the one configuration that it is for. */
  String fullPid() {
    return name.map(n -> pid + "~" + n).orElse(pid);
  }

  ConfigurationText text() throws Refused {
    if (unusable.isPresent()) {
      throw new Refused(unusable.get());
    }
    return ConfigurationText.read(file, content.orElseThrow());
  }

  /** Names of the secrets that it asks for. */
  Set<String> secrets() {
    Set<String> names = new TreeSet<>();
    try {
      for (ConfigurationText.Entry entry : text().entries()) {
        entry.value().forEach(element -> names.addAll(Interpolation.secretsOf(element.asText())));
        names.addAll(Interpolation.secretsOf(entry.value().asText()));
      }
    } catch (Refused e) {
      // Told when it is applied.
    }
    return names;
  }

  /** Its values, held against what the PID takes. @throws Refused naming all that does not fit */
  Reading read(Schema schema, Interpolation interpolation) throws Refused {
    return read(schema, interpolation, Optional.empty());
  }

  /** @param unresolved takes what says of placeholders that they can't be put in; empty: that is a reason to refuse the file */
  Reading read(Schema schema, Interpolation interpolation, Optional<List<String>> unresolved) throws Refused {
    if (schema.factory() && name.isEmpty()) {
      throw new Refused("The file " + file + " has no name of its own; call it " + pid + "~<name>" + form() + ", because there may be several.");
    }
    if (!schema.factory() && name.isPresent()) {
      throw new Refused("The file " + file + " is not used, because there is only one such configuration; call it " + pid + form() + ".");
    }
    ConfigurationText text = text();
    Map<String, Object> values = new LinkedHashMap<>();
    Set<String> secret = new TreeSet<>();
    Map<String, String> written = new LinkedHashMap<>();
    List<ConfigurationProblem> problems = new ArrayList<>();
    for (ConfigurationText.Entry entry : text.entries()) {
      String id = entry.id();
      String where = file + " (line " + entry.line() + ")";
      Key key = schema.keys().get(id);
      if (key == null) {
        String known = schema.keys().isEmpty() ? "no keys" : String.join(", ", schema.keys().keySet());
        Optional<String> nearest = Schema.nearest(id, schema.keys().keySet());
        problems.add(Refused.problem(where + " has the key '" + id + "', which " + pid + " does not know"
            + nearest.map(n -> "; did you mean '" + n + "'?").orElse(schema.keys().isEmpty() ? "; it has no keys." : "; its keys are " + known + "."), id, Optional.empty(), known));
        continue;
      }
      if (values.containsKey(id)) {
        problems.add(Refused.problem(where + " gives the key '" + id + "' twice, with a type and without."));
        continue;
      }
      boolean hidden = key.secret();
      try {
        Filled filled = fill(entry.value(), interpolation, key);
        hidden |= filled.secret();
        values.put(id, key.value(filled.value(), text.lenient() || filled.found()));
        if (filled.found()) {
          written.put(id, shown(entry.value()));
        }
        if (hidden) {
          secret.add(id);
        }
      } catch (Interpolation.Unresolved e) {
        ConfigurationProblem problem = Refused.problem(id + " in " + where + " " + e.getMessage() + ".", id, Optional.of(shown(entry.value())), key.allowed());
        unresolved.ifPresentOrElse(list -> list.add(problem.detail()), () -> problems.add(problem));
      } catch (Key.Unfit e) {
        hidden |= !secretsIn(entry.value()).isEmpty();
        // What the environment holds need not be for the eyes of who may write configuration.
        boolean putIn = hasPlaceholder(entry.value());
        problems.add(Refused.problem(id + " in " + where + (hidden ? " has a secret value that does not fit; give " + e.allowed()
            : putIn ? " is " + shown(entry.value()) + ", and what that stands for does not fit; give " + e.allowed() : " " + e.getMessage()) + ".",
            id, hidden ? Optional.empty() : Optional.of(putIn ? shown(entry.value()) : e.found()), e.allowed()));
      }
    }
    if (!problems.isEmpty()) {
      throw new Refused(problems);
    }
    return new Reading(Collections.unmodifiableMap(values), Set.copyOf(secret), Map.copyOf(written));
  }

  private static Set<String> secretsIn(JsonNode value) {
    Set<String> names = new TreeSet<>(Interpolation.secretsOf(value.asText()));
    value.forEach(element -> names.addAll(Interpolation.secretsOf(element.asText())));
    return names;
  }

  private static boolean hasPlaceholder(JsonNode value) {
    return Interpolation.has(value.asText()) || StreamSupport.stream(value.spliterator(), false).anyMatch(element -> Interpolation.has(element.asText()));
  }

  private static String shown(JsonNode value) {
    return value.isTextual() ? value.textValue() : value.toString();
  }

  private record Filled(JsonNode value, boolean found, boolean secret) {}

  /** Puts in what the placeholders stand for. */
  private static Filled fill(JsonNode value, Interpolation interpolation, Key key) throws Interpolation.Unresolved {
    if (value.isTextual()) {
      Interpolation.Text text = interpolation.of(value.textValue());
      return new Filled(text.found() && key.list() ? list(text, key) : new TextNode(text.text()), text.found(), !text.secrets().isEmpty());
    }
    if (!value.isArray()) {
      return new Filled(value, false, false);
    }
    ArrayNode list = JsonNodeFactory.instance.arrayNode();
    boolean found = false;
    boolean secret = false;
    for (JsonNode element : value) {
      if (element.isTextual()) {
        Interpolation.Text text = interpolation.of(element.textValue());
        list.add(text.text());
        found |= text.found();
        secret |= !text.secrets().isEmpty();
      } else {
        list.add(element);
      }
    }
    return new Filled(list, found, secret);
  }

  private static JsonNode list(Interpolation.Text text, Key key) {
    if (text.delimiter().filter(d -> !d.isEmpty()).isEmpty()) {
      return new TextNode(text.text());
    }
    ArrayNode list = JsonNodeFactory.instance.arrayNode();
    for (int at = 0; at <= text.text().length();) {
      int end = text.text().indexOf(text.delimiter().get(), at);
      end = end < 0 ? text.text().length() : end;
      list.add(text.text().substring(at, end).strip());
      at = end + 1;
    }
    return list;
  }

  /** Its values as they are, for a PID that says nothing of its keys. */
  Reading read(Interpolation interpolation) throws Refused {
    Map<String, Object> values = new LinkedHashMap<>();
    Set<String> secret = new TreeSet<>();
    Map<String, String> written = new LinkedHashMap<>();
    for (ConfigurationText.Entry entry : text().entries()) {
      JsonNode node = entry.value();
      String where = "'" + entry.key() + "' in " + file + " (line " + entry.line() + ") ";
      try {
        values.put(entry.id(), plain(node, interpolation, where));
        if (node.isTextual() && interpolation.of(node.textValue()).found()) {
          written.put(entry.id(), node.textValue());
        }
      } catch (Interpolation.Unresolved e) {
        throw new Refused(where + e.getMessage() + ".");
      }
      if (!secretsIn(node).isEmpty()) {
        secret.add(entry.id());
      }
    }
    return new Reading(Collections.unmodifiableMap(values), Set.copyOf(secret), Map.copyOf(written));
  }

  private static Object plain(JsonNode node, Interpolation interpolation, String where) throws Refused, Interpolation.Unresolved {
    if (node.isTextual()) {
      return interpolation.of(node.textValue()).text();
    }
    if (node.isBoolean()) {
      return node.booleanValue();
    }
    if (node.isNumber() && whole(node)) {
      return node.decimalValue().longValueExact();
    }
    if (node.isNumber() && Double.isFinite(node.doubleValue())) {
      return node.doubleValue();
    }
    if (!node.isArray()) {
      throw new Refused(where + (node.isNumber() ? "is a number that is too large." : "is neither a text, a number, true, false nor a list."));
    }
    List<String> elements = new ArrayList<>();
    for (JsonNode element : node) {
      elements.add(interpolation.of(element.asText()).text());
    }
    return elements.toArray(String[]::new);
  }

  private static boolean whole(JsonNode node) {
    // Not by spelling it out, which a huge exponent makes long.
    return node.decimalValue().precision() - node.decimalValue().scale() <= 20 && node.decimalValue().scale() <= 0
        && node.decimalValue().toBigInteger().bitLength() < 64;
  }
}
