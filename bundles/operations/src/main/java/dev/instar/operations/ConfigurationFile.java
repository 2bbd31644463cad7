package dev.instar.operations;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.exc.StreamConstraintsException;
import com.fasterxml.jackson.core.io.JsonEOFException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.exc.MismatchedInputException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.util.ArrayList;
import java.util.Dictionary;
import java.util.Hashtable;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A file {@code <pid>.cfg.json}, or {@code <factory pid>~<name>.cfg.json}: one JSON object, in which comments are allowed.
 *
 * @param path of the file
 * @param pid of the configuration, or of the factory
 * @param name which of the factory's; empty for a PID of its own
 */
record ConfigurationFile(Path path, String pid, Optional<String> name) {
  static final String SUFFIX = ".cfg.json";
  private static final int MAX_BYTES = 1 << 20;
  private static final Set<String> TYPES = Set.of("String", "Integer", "Long", "Float", "Double", "Byte", "Short", "Character", "Boolean", "String[]",
      "Integer[]", "Long[]", "Double[]", "Boolean[]", "int", "long", "float", "double", "boolean");
  private static final ObjectMapper JSON = JsonMapper.builder(JsonFactory.builder()
          .enable(JsonReadFeature.ALLOW_JAVA_COMMENTS).enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build())
      .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS, DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS).build();

  /** Control characters, those that turn the direction of text, halves of characters: a terminal or a log must not be garbled by what a file holds. */
  private static final Pattern UNSHOWABLE = Pattern.compile("[\\p{Cc}\\p{Cf}\\p{Cs}\\p{Zl}\\p{Zp}]");
  private static final Pattern SAID =
      Pattern.compile("^(?:Duplicate [^']*'(?<key>[^']{0,80})|Unrecognized token '(?<word>[^']{0,80})|Unexpected character \\('(?<character>.)')");

  /** What is wrong with a file or an override, each a sentence that names it. */
  static final class Refused extends Exception {
    private static final long serialVersionUID = 1;
    private final transient List<String> problems;

    Refused(List<String> problems) {
      super(shown(String.join(" ", problems)));
      this.problems = problems.stream().map(Refused::shown).toList();
    }

    private static String shown(String problem) {
      return UNSHOWABLE.matcher(problem).replaceAll("?");
    }

    List<String> problems() {
      return problems;
    }
  }

  static ConfigurationFile of(Path path) {
    String base = path.getFileName().toString();
    base = base.substring(0, base.length() - SUFFIX.length());
    int tilde = base.indexOf('~');
    return tilde < 0 ? new ConfigurationFile(path, base, Optional.empty())
        : new ConfigurationFile(path, base.substring(0, tilde), Optional.of(base.substring(tilde + 1)));
  }

  static boolean is(Path path) {
    String name = path.getFileName().toString();
    return name.endsWith(SUFFIX) && name.length() > SUFFIX.length() && !name.startsWith(".");
  }

  /** How it is called in what people read, some of whom need not know the node's directories. */
  String file() {
    return path.getFileName().toString();
  }

  /** The PID of the one configuration that it is for. */
  String fullPid() {
    return name.map(n -> pid + "~" + n).orElse(pid);
  }

  /** Its values, held against what the PID takes. @throws Refused naming all that does not fit */
  Dictionary<String, Object> read(Schema schema) throws Refused {
    if (schema.factory() && name.isEmpty()) {
      throw new Refused(List.of("The file " + file() + " has no name of its own; call it " + pid + "~<name>" + SUFFIX
          + ", because there may be several."));
    }
    if (!schema.factory() && name.isPresent()) {
      throw new Refused(List.of("The file " + file() + " is not used, because there is only one such configuration; call it " + pid + SUFFIX + "."));
    }
    Dictionary<String, Object> values = new Hashtable<>();
    List<String> problems = new ArrayList<>();
    for (Map.Entry<String, JsonNode> entry : tree().properties()) {
      String id = untyped(entry.getKey());
      Key key = schema.keys().get(id);
      if (key == null) {
        problems.add(file() + " has the key '" + id + "', which " + pid + " does not know"
            + Schema.nearest(id, schema.keys().keySet()).map(n -> "; did you mean '" + n + "'?")
                .orElse(schema.keys().isEmpty() ? "; it has no keys." : "; its keys are " + String.join(", ", schema.keys().keySet()) + "."));
        continue;
      }
      if (values.get(key.id()) != null) {
        problems.add(file() + " gives the key '" + id + "' twice, with a type and without.");
        continue;
      }
      try {
        values.put(key.id(), key.value(entry.getValue()));
      } catch (Key.Unfit e) {
        problems.add(key.id() + " in " + file() + " " + e.getMessage() + ".");
      }
    }
    if (!problems.isEmpty()) {
      throw new Refused(problems);
    }
    return values;
  }

  /**
   * The key without the type that may follow it ("port:Integer"; OSGi Compendium 8, section 150.4.1). Its Metatype says the type, so a given
   * one that is valid decides nothing.
   */
  private static String untyped(String key) {
    int colon = key.indexOf(':');
    return colon > 0 && TYPES.contains(key.substring(colon + 1)) ? key.substring(0, colon) : key;
  }

  /** Its values as they are, for a PID that says nothing of its keys. */
  Dictionary<String, Object> read() throws Refused {
    Dictionary<String, Object> values = new Hashtable<>();
    for (Map.Entry<String, JsonNode> entry : tree().properties()) {
      JsonNode node = entry.getValue();
      String id = untyped(entry.getKey());
      if (node.isTextual()) {
        values.put(id, node.textValue());
      } else if (node.isBoolean()) {
        values.put(id, node.booleanValue());
      } else if (node.isIntegralNumber() && node.canConvertToLong()) {
        values.put(id, node.longValue());
      } else if (node.isNumber() && Double.isFinite(node.doubleValue())) {
        values.put(id, node.doubleValue());
      } else if (node.isArray()) {
        List<String> elements = new ArrayList<>();
        node.forEach(e -> elements.add(e.asText()));
        values.put(id, elements.toArray(String[]::new));
      } else {
        throw new Refused(List.of("'" + entry.getKey() + "' in " + file() + (node.isNumber() ? " is a number that is too large."
            : " is neither a text, a number, true, false nor a list.")));
      }
    }
    return values;
  }

  private JsonNode tree() throws Refused {
    try {
      for (Path guarded : List.of(path, path.toAbsolutePath().getParent())) {
        if (writableByAll(guarded)) {
          throw new Refused(List.of("The file " + file() + " is not used, because everybody on this machine may change it. Run: chmod o-w "
              + guarded.getFileName()));
        }
      }
      if (Files.size(path) > MAX_BYTES) {
        throw new Refused(List.of("The file " + file() + " has " + Files.size(path) + " bytes; at most " + MAX_BYTES + " are read."));
      }
      JsonNode tree = JSON.readTree(Files.readAllBytes(path));
      if (!tree.isObject()) {
        throw new Refused(List.of("The file " + file() + " holds no JSON object; write { \"key\": value }."));
      }
      return tree;
    } catch (JsonProcessingException e) {
      String where = e.getLocation() == null ? "" : " in line " + e.getLocation().getLineNr() + ", column " + e.getLocation().getColumnNr();
      throw new Refused(List.of("The file " + file() + " is no valid JSON" + where + ": " + reason(e) + "."));
    } catch (NumberFormatException e) {
      // What Jackson says of an exponent of too many digits; it is no IOException.
      throw new Refused(List.of("The file " + file() + " is no valid JSON: a number in it is too large."));
    } catch (NoSuchFileException e) {
      throw new Refused(List.of("The file " + file() + " has gone."));
    } catch (IOException e) {
      throw new Refused(List.of("The file " + file() + " could not be read: " + e.getMessage() + "."));
    }
  }

  /** The parser's messages name its own classes and sources; these do not. */
  private static String reason(JsonProcessingException e) {
    String said = e.getOriginalMessage();
    Matcher matcher = SAID.matcher(said);
    boolean known = matcher.find();
    return switch (e) {
      case JsonEOFException end -> "it ends before everything in it is closed; a }, a ] or a quote is missing";
      case StreamConstraintsException bound -> "it is nested too deeply, or a name or value in it is too long";
      case MismatchedInputException more -> "there is something after the } that closes it";
      default -> !known ? "this is not how JSON is written"
          : matcher.group("key") != null ? "the key '" + matcher.group("key") + "' is there twice"
          : matcher.group("word") != null ? "the word '" + matcher.group("word") + "' is no value; texts need double quotes"
          : "'" + matcher.group("character") + "' is not expected here; a comma, a colon or a quote may be missing before it, or one be too many";
    };
  }

  /** Owner and mode of the file and its directory are the credential for changing the node. Where files have no modes this says no. */
  private static boolean writableByAll(Path guarded) throws IOException {
    try {
      return Files.getPosixFilePermissions(guarded).contains(PosixFilePermission.OTHERS_WRITE);
    } catch (UnsupportedOperationException e) {
      return false;
    }
  }
}
