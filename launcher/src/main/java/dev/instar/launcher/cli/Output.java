package dev.instar.launcher.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import picocli.CommandLine.Option;

/** {@code -o}, and how data gets onto the terminal. */
final class Output {
  static final ObjectMapper JSON = JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();

  /** How data is printed. */
  enum Format {
    TEXT, JSON;

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  @Option(names = {"-o", "--output"}, paramLabel = "FORMAT", defaultValue = "text", description = "How to print: text (for people, the default) or json (for programs).")
  private Format format = Format.TEXT;

  boolean json() {
    return format == Format.JSON;
  }

  static void print(JsonNode json) {
    try {
      System.out.println(JSON.writeValueAsString(json));
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Prints rows under a heading, each column as wide as its widest cell. */
  static void table(List<String> heading, List<List<String>> rows) {
    List<List<String>> all = new ArrayList<>();
    all.add(heading);
    rows.forEach(row -> all.add(row.stream().map(Output::printable).toList()));
    int[] widths = new int[heading.size()];
    for (List<String> row : all) {
      for (int i = 0; i < row.size(); i++) {
        widths[i] = Math.max(widths[i], row.get(i).length());
      }
    }
    StringBuilder table = new StringBuilder();
    for (List<String> row : all) {
      StringBuilder line = new StringBuilder();
      for (int i = 0; i < row.size(); i++) {
        line.append(row.get(i)).repeat(' ', widths[i] - row.get(i).length() + 2);
      }
      table.append(line.toString().stripTrailing()).append(System.lineSeparator());
    }
    // At once: each print is a write to the terminal.
    System.out.print(table);
    System.out.flush();
  }

  /** Text that others wrote, without what steers a terminal: a function's log must not retitle windows or hide lines. */
  static String printable(String text) {
    StringBuilder safe = new StringBuilder(text.length());
    text.codePoints().forEach(c -> {
      int type = Character.getType(c);
      safe.appendCodePoint(c == '\t' || type != Character.CONTROL && type != Character.FORMAT && type != Character.LINE_SEPARATOR && type != Character.PARAGRAPH_SEPARATOR ? c : '\ufffd');
    });
    return safe.toString();
  }

  /** Bytes for people. */
  static String size(long bytes) {
    for (int i = 3; i > 0; i--) {
      long unit = 1L << 10 * i;
      if (bytes >= unit) {
        return (bytes % unit == 0 ? Long.toString(bytes / unit) : String.format(Locale.ROOT, "%.1f", (double) bytes / unit)) + " " + "KMG".charAt(i - 1) + "iB";
      }
    }
    return bytes + " B";
  }

  /** Bytes for people, not rounded. */
  static String exactSize(long bytes) {
    int unit = bytes == 0 ? 0 : Math.min(3, Long.numberOfTrailingZeros(bytes) / 10);
    return unit == 0 ? bytes + " B" : (bytes >> 10 * unit) + " " + "KMG".charAt(unit - 1) + "iB";
  }

  /** Milliseconds for people, in the form that the command line takes. */
  static String time(long millis) {
    return millis % 60_000 == 0 && millis > 0 ? millis / 60_000 + "m" : millis % 1000 == 0 ? millis / 1000 + "s" : millis + "ms";
  }
}
