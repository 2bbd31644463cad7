package dev.instar.operations;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.DecimalNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.TextNode;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * The form of Java's properties. Where every value is written in the syntax of Felix's typed ones, {@code I"5"}, {@code B"true"}, {@code T["a","b"]}, the
 * file is a typed one, as it is for Felix File Install; else all values are texts, whose type the key declares.
 *
 * @param lines of the entries, in their order
 * @param typed whether its values are written with their types
 */
record CfgText(String text, List<ConfigurationText.Entry> entries, List<Lines> lines, boolean typed) implements ConfigurationText {
  static final CfgText EMPTY = new CfgText("", List.of(), List.of(), false);

  private static final Pattern TYPED = Pattern.compile("[TILFDXSCBilfdxscb]?(?:\\[.*]|\\(.*\\)|\".*\")", Pattern.DOTALL);
  private static final Pattern FLOAT_BITS = Pattern.compile("-?[0-9]+");

  /** Where an entry stands, from the first character of its first line to after the end of its last. */
  record Lines(int begin, int end) {}

  /** A key with its value as it stands there, lines joined. */
  private record Raw(String key, String value, int line) {}

  static CfgText parse(String file, String text) throws Refused {
    List<Raw> raws = new ArrayList<>();
    List<Lines> lines = new ArrayList<>();
    Set<String> keys = new HashSet<>();
    int number = 0;
    for (int at = 0; at < text.length();) {
      int begin = at;
      int line = ++number;
      int end = lineEnd(text, at);
      at = lineBegin(text, end);
      String part = text.substring(begin, end).stripLeading();
      if (part.isEmpty() || part.startsWith("#") || part.startsWith("!")) {
        continue;
      }
      StringBuilder logical = new StringBuilder(part);
      while (continued(logical)) {
        logical.setLength(logical.length() - 1);
        if (at >= text.length()) {
          break;
        }
        number++;
        end = lineEnd(text, at);
        logical.append(text.substring(at, end).stripLeading());
        at = lineBegin(text, end);
      }
      Raw raw = split(logical.toString(), line);
      String key = unescaped(file, raw.key(), line);
      if (!keys.add(key)) {
        throw new Refused("The file " + file + " gives the key '" + key + "' twice, the second time in line " + line + ".");
      }
      raws.add(new Raw(key, raw.value(), line));
      lines.add(new Lines(begin, at));
    }
    boolean typed = !raws.isEmpty() && raws.stream().allMatch(r -> TYPED.matcher(r.value().strip()).matches());
    List<Entry> entries = new ArrayList<>();
    for (Raw raw : raws) {
      entries.add(new Entry(raw.key(), typed ? new Typed(file, raw).read() : new TextNode(unescaped(file, raw.value(), raw.line())), raw.line()));
    }
    return new CfgText(text, List.copyOf(entries), List.copyOf(lines), typed);
  }

  private static int lineEnd(String text, int from) {
    int at = from;
    while (at < text.length() && text.charAt(at) != '\n' && text.charAt(at) != '\r') {
      at++;
    }
    return at;
  }

  private static int lineBegin(String text, int end) {
    return text.startsWith("\r\n", end) ? end + 2 : Math.min(end + 1, text.length());
  }

  private static boolean continued(CharSequence line) {
    int backslashes = 0;
    while (backslashes < line.length() && line.charAt(line.length() - 1 - backslashes) == '\\') {
      backslashes++;
    }
    return backslashes % 2 == 1;
  }

  /** At the first space, {@code =} or {@code :} that has no backslash before it. */
  private static Raw split(String line, int number) {
    int end = 0;
    while (end < line.length() && " \t\f=:".indexOf(line.charAt(end)) < 0) {
      end += line.charAt(end) == '\\' ? 2 : 1;
    }
    end = Math.min(end, line.length());
    int value = skipSpace(line, end);
    if (value < line.length() && (line.charAt(value) == '=' || line.charAt(value) == ':')) {
      value = skipSpace(line, value + 1);
    }
    return new Raw(line.substring(0, end), line.substring(value), number);
  }

  private static int skipSpace(String line, int from) {
    int at = from;
    while (at < line.length() && " \t\f".indexOf(line.charAt(at)) >= 0) {
      at++;
    }
    return at;
  }

  private static String unescaped(String file, String raw, int line) throws Refused {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < raw.length(); i++) {
      i = unescape(file, raw, i, line, text);
    }
    return text.toString();
  }

  /** Appends the character at the place, or what the escape there stands for. @return where that ends */
  private static int unescape(String file, String raw, int at, int line, StringBuilder text) throws Refused {
    char c = raw.charAt(at);
    if (c != '\\' || at + 1 == raw.length()) {
      text.append(c);
      return at;
    }
    char escape = raw.charAt(at + 1);
    if (escape != 'u') {
      text.append(switch (escape) {
        case 't' -> '\t';
        case 'n' -> '\n';
        case 'r' -> '\r';
        case 'f' -> '\f';
        default -> escape;
      });
      return at + 1;
    }
    try {
      if (at + 6 > raw.length() || raw.charAt(at + 2) == '+' || raw.charAt(at + 2) == '-') {
        throw new NumberFormatException();
      }
      text.append((char) Integer.parseInt(raw.substring(at + 2, at + 6), 16));
      return at + 5;
    } catch (NumberFormatException e) {
      throw new Refused("The file " + file + " has a \\u in line " + line + " that is not followed by four hexadecimal digits.");
    }
  }

  /** Reads one typed value. */
  private static final class Typed {
    private final String file;
    private final Raw raw;
    private final String text;
    private final char type;
    private int at;

    Typed(String file, Raw raw) {
      this.file = file;
      this.raw = raw;
      text = raw.value().strip();
      boolean named = Character.isLetter(text.charAt(0));
      type = named ? Character.toUpperCase(text.charAt(0)) : 'T';
      at = named ? 1 : 0;
    }

    JsonNode read() throws Refused {
      char open = text.charAt(at);
      JsonNode value;
      if (open == '"') {
        value = simple();
      } else {
        char close = open == '[' ? ']' : ')';
        ArrayNode list = JsonNodeFactory.instance.arrayNode();
        at++;
        skip();
        while (at < text.length() && text.charAt(at) != close) {
          list.add(simple());
          skip();
          if (at < text.length() && text.charAt(at) == ',') {
            at++;
            skip();
          } else if (at < text.length() && text.charAt(at) != close) {
            throw malformed("a comma is missing in the list");
          }
        }
        if (at >= text.length()) {
          throw malformed("the list is not closed");
        }
        at++;
        value = list;
      }
      if (at < text.length()) {
        throw malformed("there is something after the value");
      }
      return value;
    }

    private void skip() {
      while (at < text.length() && Character.isWhitespace(text.charAt(at))) {
        at++;
      }
    }

    private JsonNode simple() throws Refused {
      if (at >= text.length() || text.charAt(at) != '"') {
        throw malformed("a value needs double quotes");
      }
      StringBuilder value = new StringBuilder();
      for (at++; at < text.length() && text.charAt(at) != '"'; at++) {
        if (text.startsWith("\\b", at)) {
          value.append('\b');
          at++;
        } else {
          at = unescape(file, text, at, raw.line(), value);
        }
      }
      if (at >= text.length()) {
        throw malformed("a quote is missing");
      }
      at++;
      return node(value.toString());
    }

    private JsonNode node(String value) throws Refused {
      // What a placeholder stands for is of the type that the key declares.
      if (type == 'T' || type == 'C' || value.contains("$[")) {
        return new TextNode(value);
      }
      if (type == 'B') {
        return BooleanNode.valueOf(Boolean.parseBoolean(value));
      }
      try {
        // As Felix writes them: the bits, unless there is a point.
        if ((type == 'F' || type == 'D') && FLOAT_BITS.matcher(value).matches()) {
          double number = type == 'F' ? Float.intBitsToFloat(Integer.parseInt(value)) : Double.longBitsToDouble(Long.parseLong(value));
          return DecimalNode.valueOf(new BigDecimal(type == 'F' ? Float.toString((float) number) : Double.toString(number)));
        }
        return DecimalNode.valueOf(new BigDecimal(value));
      } catch (NumberFormatException e) {
        throw malformed("\"" + (value.length() > 80 ? value.substring(0, 80) + "…" : value) + "\" is no number of type " + type);
      }
    }

    private Refused malformed(String reason) {
      return new Refused("The value of " + raw.key() + " in " + file + " (line " + raw.line() + ") is not written as Felix' typed values are: " + reason + ".");
    }
  }

  @Override
  public boolean lenient() {
    return true;
  }

  @Override
  public String with(Map<String, JsonNode> values, Set<String> removed) {
    Map<String, JsonNode> added = new LinkedHashMap<>(values);
    StringBuilder changed = new StringBuilder();
    int at = 0;
    for (int i = 0; i < entries.size(); i++) {
      String id = entries.get(i).id();
      Lines place = lines.get(i);
      changed.append(text, at, place.begin());
      JsonNode value = added.remove(id);
      if (value != null) {
        changed.append(line(entries.get(i).key(), value));
      } else if (!removed.contains(id)) {
        changed.append(text, place.begin(), place.end());
      }
      at = place.end();
    }
    changed.append(text.substring(at));
    if (!added.isEmpty() && !changed.isEmpty()) {
      if (changed.charAt(changed.length() - 1) != '\n') {
        changed.append('\n');
      }
      if (continued(changed.toString().stripTrailing())) {
        // Else the last line would go on with what is added.
        changed.append('\n');
      }
    }
    added.forEach((key, value) -> changed.append(line(key, value)));
    return changed.toString();
  }

  private String line(String key, JsonNode value) {
    return escaped(key, true) + " = " + (typed ? typed(value) : plain(value)) + "\n";
  }

  private static String plain(JsonNode value) {
    if (!value.isArray()) {
      return escaped(value.asText(), false);
    }
    List<String> elements = new ArrayList<>();
    value.forEach(e -> elements.add(e.asText().replace("\\", "\\\\").replace(",", "\\,")));
    return escaped(String.join(", ", elements), false);
  }

  private static String typed(JsonNode value) {
    if (value.isArray()) {
      List<String> elements = new ArrayList<>();
      value.forEach(e -> elements.add(quoted(e)));
      return (value.isEmpty() ? "" : letter(value.get(0))) + "[" + String.join(", ", elements) + "]";
    }
    return letter(value) + quoted(value);
  }

  private static String letter(JsonNode value) {
    return value.isBoolean() ? "B" : value.isIntegralNumber() ? value.canConvertToInt() ? "I" : "L" : value.isNumber() ? "D" : "";
  }

  private static String quoted(JsonNode value) {
    String text = value.isNumber() && !value.isIntegralNumber() && value.asText().indexOf('.') < 0 ? value.decimalValue().setScale(1).toPlainString() : value.asText();
    return "\"" + escaped(text, false).replace("\"", "\\\"") + "\"";
  }

  private static String escaped(String text, boolean key) {
    StringBuilder escaped = new StringBuilder();
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      switch (c) {
        case '\n' -> escaped.append("\\n");
        case '\r' -> escaped.append("\\r");
        case '\t' -> escaped.append("\\t");
        case '\f' -> escaped.append("\\f");
        case '\\' -> escaped.append("\\\\");
        case ' ' -> escaped.append(key || i == 0 ? "\\ " : " ");
        case '=', ':', '#', '!' -> escaped.append(key ? "\\" : "").append(c);
        default -> {
          if (c < ' ') {
            escaped.append(String.format("\\u%04x", (int) c));
          } else {
            escaped.append(c);
          }
        }
      }
    }
    return escaped.toString();
  }
}
