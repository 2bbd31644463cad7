package dev.instar.operations;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** What a configuration file says, in one of its two forms, and how that is changed without touching the rest of it. */
sealed interface ConfigurationText permits JsonText, CfgText {
  /** More is not read. */
  int MAX_BYTES = 1 << 20;

  Set<String> TYPES = Set.of("String", "Integer", "Long", "Float", "Double", "Byte", "Short", "Character", "Boolean", "String[]",
      "Integer[]", "Long[]", "Double[]", "Boolean[]", "int", "long", "float", "double", "boolean");

  /**
   * One key with its value.
   *
   * @param line in which it begins, from 1
   */
  record Entry(String key, JsonNode value, int line) {
    /**
     * The key without the type that may follow it ("port:Integer"; OSGi Compendium 8, section 150.4.1). Its Metatype says the type, so a given
     * one that is valid decides nothing.
     */
    String id() {
      int colon = key.indexOf(':');
      return colon > 0 && TYPES.contains(key.substring(colon + 1)) ? key.substring(0, colon) : key;
    }
  }

  /** What it says, in its order. */
  List<Entry> entries();

  /** Whether a text stands for whatever the key declares. */
  boolean lenient();

  /** The same with other values; the keys of {@code removed} are gone. */
  String with(Map<String, JsonNode> values, Set<String> removed);

  /** Reads a file's content. @param file its name, which tells the form */
  static ConfigurationText read(String file, byte[] content) throws Refused {
    if (content.length > MAX_BYTES) {
      throw new Refused("The file " + file + " has " + content.length + " bytes; at most " + MAX_BYTES + " are read.");
    }
    String text;
    try {
      text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(content)).toString();
    } catch (CharacterCodingException e) {
      throw new Refused("The file " + file + " is no text in UTF-8.");
    }
    // What some editors put first.
    text = text.startsWith("\ufeff") ? text.substring(1) : text;
    return file.endsWith(ConfigurationFile.JSON) ? JsonText.parse(file, text) : CfgText.parse(file, text);
  }

  /** A new file's content. */
  static String write(String file, Map<String, JsonNode> values) {
    return file.endsWith(ConfigurationFile.JSON) ? JsonText.EMPTY.with(values, Set.of()) : CfgText.EMPTY.with(values, Set.of());
  }
}
