package dev.instar.operations;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.exc.StreamConstraintsException;
import com.fasterxml.jackson.core.io.JsonEOFException;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.TextNode;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The form of OSGi's Configurator (compendium 8, chapter 150): one JSON object, in which comments are allowed.
 *
 * @param places of the entries, in their order
 * @param end where the closing brace is
 */
record JsonText(String text, List<ConfigurationText.Entry> entries, List<Place> places, int end) implements ConfigurationText {
  static final JsonText EMPTY = new JsonText("{\n}\n", List.of(), List.of(), 2);

  private static final ObjectMapper JSON = JsonMapper.builder(JsonFactory.builder()
          .enable(JsonReadFeature.ALLOW_JAVA_COMMENTS).enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build())
      .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS).build();
  private static final Pattern SAID =
      Pattern.compile("^(?:Duplicate [^']*'(?<key>[^']{0,80})|Unrecognized token '(?<word>[^']{0,80})|Unexpected character \\('(?<character>.)')");

  /** Where an entry stands: the offsets of its key's quote, of its value's first character and after its last. */
  record Place(int key, int value, int end) {}

  static JsonText parse(String file, String text) throws Refused {
    List<Entry> entries = new ArrayList<>();
    List<Place> places = new ArrayList<>();
    try (JsonParser in = JSON.createParser(text)) {
      if (in.nextToken() != JsonToken.START_OBJECT) {
        throw new Refused("The file " + file + " holds no JSON object; write { \"key\": value }.");
      }
      while (in.nextToken() == JsonToken.FIELD_NAME) {
        String key = in.currentName();
        int line = in.currentTokenLocation().getLineNr();
        int begin = (int) in.currentTokenLocation().getCharOffset();
        in.nextToken();
        int value = (int) in.currentTokenLocation().getCharOffset();
        entries.add(new Entry(key, JSON.readTree(in), line));
        in.finishToken();
        places.add(new Place(begin, value, (int) in.currentLocation().getCharOffset()));
      }
      int end = (int) in.currentTokenLocation().getCharOffset();
      if (in.nextToken() != null) {
        throw invalid(file, in.currentTokenLocation().getLineNr(), in.currentTokenLocation().getColumnNr(), "there is something after the } that closes it");
      }
      return new JsonText(text, List.copyOf(entries), List.copyOf(places), end);
    } catch (JsonProcessingException e) {
      throw e.getLocation() == null ? new Refused("The file " + file + " is no valid JSON: " + reason(e) + ".")
          : invalid(file, e.getLocation().getLineNr(), e.getLocation().getColumnNr(), reason(e));
    } catch (NumberFormatException e) {
      // What Jackson says of an exponent of too many digits; it is no IOException.
      throw new Refused("The file " + file + " is no valid JSON: a number in it is too large.");
    } catch (IOException e) {
      throw new Refused("The file " + file + " could not be read: " + e.getMessage() + ".");
    }
  }

  private static Refused invalid(String file, int line, int column, String reason) {
    return new Refused("The file " + file + " is no valid JSON in line " + line + ", column " + column + ": " + reason + ".");
  }

  /** The parser's messages name its own classes and sources; these do not. */
  private static String reason(JsonProcessingException e) {
    String said = e.getOriginalMessage();
    Matcher matcher = SAID.matcher(said);
    boolean known = matcher.find();
    return switch (e) {
      case JsonEOFException end -> "it ends before everything in it is closed; a }, a ] or a quote is missing";
      case StreamConstraintsException bound -> "it is nested too deeply, or a name or value in it is too long";
      default -> !known ? "this is not how JSON is written"
          : matcher.group("key") != null ? "the key '" + matcher.group("key") + "' is there twice"
          : matcher.group("word") != null ? "the word '" + matcher.group("word") + "' is no value; texts need double quotes"
          : "'" + matcher.group("character") + "' is not expected here; a comma, a colon or a quote may be missing before it, or one be too many";
    };
  }

  @Override
  public boolean lenient() {
    return false;
  }

  @Override
  public String with(Map<String, JsonNode> values, Set<String> removed) {
    Map<String, JsonNode> added = new LinkedHashMap<>(values);
    StringBuilder changed = new StringBuilder();
    Set<Integer> gone = new HashSet<>();
    for (int i = 0; i < entries.size(); i++) {
      if (removed.contains(entries.get(i).id())) {
        gone.add(i);
      }
    }
    int at = 0;
    int last = -1;
    for (int i = 0; i < entries.size(); i++) {
      Place place = places.get(i);
      if (gone.contains(i)) {
        changed.append(text, at, place.key());
        at = place.end();
        int comma = text.startsWith(",", at) ? at : i + 1 < entries.size() ? comma(at, places.get(i + 1).key()) : -1;
        if (comma >= 0) {
          // What is between a value and its comma can only be space and comments.
          changed.append(text, at, comma);
          at = comma + 1;
        }
        at = dropLine(changed, at);
      } else {
        changed.append(text, at, place.value());
        JsonNode value = added.remove(entries.get(i).id());
        changed.append(value == null ? text.substring(place.value(), place.end()) : write(value));
        at = place.end();
        last = changed.length();
      }
    }
    changed.append(text, at, end);
    if (last >= 0) {
      // The comma after the last that stays may be one too many, or missing.
      int comma = comma(changed, last, changed.length());
      if (comma >= 0 && added.isEmpty()) {
        changed.deleteCharAt(comma);
      } else if (comma < 0 && !added.isEmpty()) {
        changed.insert(last, ',');
      }
    }
    if (!added.isEmpty() && changed.charAt(changed.length() - 1) != '\n') {
      changed.append('\n');
    }
    int left = added.size();
    for (Map.Entry<String, JsonNode> one : added.entrySet()) {
      changed.append("  ").append(write(new TextNode(one.getKey()))).append(": ").append(write(one.getValue())).append(--left > 0 ? ",\n" : "\n");
    }
    return changed.append(text, end, text.length()).toString();
  }

  /** When nothing but space is left in the line, it goes. */
  private int dropLine(StringBuilder changed, int at) {
    int begin = changed.length();
    while (begin > 0 && (changed.charAt(begin - 1) == ' ' || changed.charAt(begin - 1) == '\t')) {
      begin--;
    }
    int next = at;
    while (next < text.length() && (text.charAt(next) == ' ' || text.charAt(next) == '\t' || text.charAt(next) == '\r')) {
      next++;
    }
    if (begin > 0 && changed.charAt(begin - 1) == '\n' && next < text.length() && text.charAt(next) == '\n') {
      changed.setLength(begin);
      return next + 1;
    }
    return at;
  }

  private int comma(int from, int to) {
    return comma(text, from, to);
  }

  /** Where there is a comma that is in no comment; -1: nowhere. */
  private static int comma(CharSequence text, int from, int to) {
    for (int i = from; i < to; i++) {
      char c = text.charAt(i);
      if (c == ',') {
        return i;
      }
      if (c == '/' && i + 1 < to && text.charAt(i + 1) == '/') {
        while (i < to && text.charAt(i) != '\n' && text.charAt(i) != '\r') {
          i++;
        }
      } else if (c == '/' && i + 1 < to && text.charAt(i + 1) == '*') {
        for (i += 2; i + 1 < to && (text.charAt(i) != '*' || text.charAt(i + 1) != '/'); i++) { }
        i++;
      }
    }
    return -1;
  }

  private static String write(JsonNode value) {
    try {
      return JSON.writeValueAsString(value);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e); // a tree of texts and numbers can be written
    }
  }
}
