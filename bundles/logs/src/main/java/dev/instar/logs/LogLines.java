package dev.instar.logs;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonFactoryBuilder;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.SerializableString;
import com.fasterxml.jackson.core.io.CharacterEscapes;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import dev.instar.api.log.FunctionLogs;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.Optional;

/**
 * Entries as JSON lines: {@code {"time":…,"version":…,"invocation":…,"text":…,"run":…,"sequence":…}}. All but ASCII is escaped, so
 * that whatever a function writes, a file can be shown on a terminal and one line is one entry.
 */
final class LogLines {
  private static final JsonFactory JSON = new JsonFactoryBuilder().enable(JsonWriteFeature.ESCAPE_NON_ASCII).characterEscapes(new EscapesDelete())
      .build();

  /** JSON need not escape U+007F, and terminals act on it. */
  private static final class EscapesDelete extends CharacterEscapes {
    private static final long serialVersionUID = 1;
    private final int[] escapes = standardAsciiEscapesForJSON();

    EscapesDelete() {
      escapes[0x7f] = ESCAPE_STANDARD;
    }

    @Override
    public int[] getEscapeCodesForAscii() {
      return escapes.clone();
    }

    @Override
    public SerializableString getEscapeSequence(int character) {
      return null;
    }
  }

  private LogLines() {}

  static void write(Stamped stamped, ByteArrayOutputStream out) throws IOException {
    FunctionLogs.Entry entry = stamped.entry();
    try (JsonGenerator json = JSON.createGenerator(out)) {
      json.writeStartObject();
      json.writeStringField("time", entry.time().toString());
      json.writeNumberField("version", entry.version());
      json.writeStringField("invocation", entry.invocationId());
      json.writeStringField("text", entry.text());
      json.writeStringField("run", stamped.run());
      json.writeNumberField("sequence", stamped.sequence());
      json.writeEndObject();
    }
    out.write('\n');
  }

  /** Empty where the line is no entry: one that a kill has cut, or one that somebody else has written. */
  static Optional<Stamped> read(byte[] bytes, int offset, int length) {
    Instant time = null;
    String invocation = null;
    String text = null;
    String run = "";
    int version = 0;
    long sequence = 0;
    try (JsonParser json = JSON.createParser(bytes, offset, length)) {
      if (json.nextToken() != JsonToken.START_OBJECT) {
        return Optional.empty();
      }
      for (String key = json.nextFieldName(); key != null; key = json.nextFieldName()) {
        json.nextToken();
        switch (key) {
          case "time" -> time = Instant.parse(json.getText());
          case "version" -> version = json.getIntValue();
          case "invocation" -> invocation = json.getText();
          case "text" -> text = json.getText();
          case "run" -> run = json.getText();
          case "sequence" -> sequence = json.getLongValue();
          default -> json.skipChildren();
        }
      }
    } catch (IOException | DateTimeException e) {
      return Optional.empty();
    }
    return time == null || invocation == null || text == null ? Optional.empty()
        : Optional.of(new Stamped(run, sequence, new FunctionLogs.Entry(time, version, invocation, text)));
  }

  /** For a count of lost entries in an entry's text. */
  static String lost(long count, String why) {
    return "[" + count + (count == 1 ? " line" : " lines") + why + "]";
  }
}
