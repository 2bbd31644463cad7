package dev.instar.backend.container;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.util.ArrayList;
import java.util.List;

/**
 * A program with its arguments in one text: a JSON list of strings, or words with blanks between them. Of words, {@code '…'} is taken as it stands, in
 * {@code "…"} a backslash goes before {@code "} and {@code \}, and outside of both before any character. Nothing else means anything: no shell reads it.
 */
final class Words {
  private static final JsonMapper JSON = JsonMapper.builder().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).build();

  private Words() {}

  /** @throws InstarException MODULE_REFUSED when it is neither */
  static List<String> of(String text) {
    return text.isBlank() ? List.of() : text.strip().startsWith("[") ? list(text) : split(text.strip());
  }

  private static List<String> list(String text) {
    List<String> words = new ArrayList<>();
    try {
      for (JsonNode word : JSON.readTree(text)) {
        if (!word.isTextual() || word.textValue().indexOf('\0') >= 0) {
          throw refused("has something in its list that is no text");
        }
        words.add(word.textValue());
      }
    } catch (JsonProcessingException e) {
      throw refused("begins as a JSON list and is none");
    }
    if (words.isEmpty() || words.getFirst().isEmpty()) {
      throw refused("names no program");
    }
    return words;
  }

  private static List<String> split(String text) {
    List<String> words = new ArrayList<>();
    StringBuilder word = new StringBuilder();
    boolean within = false;
    char quote = 0;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      boolean last = i == text.length() - 1;
      if (quote == 0 && Character.isWhitespace(c)) {
        if (within) {
          words.add(word.toString());
          word.setLength(0);
          within = false;
        }
        continue;
      }
      within = true;
      if (quote == 0 && (c == '\'' || c == '"')) {
        quote = c;
      } else if (quote != 0 && c == quote) {
        quote = 0;
      } else if (c == '\\' && quote != '\'' && !last && (quote == 0 || text.charAt(i + 1) == '"' || text.charAt(i + 1) == '\\')) {
        word.append(text.charAt(++i));
      } else {
        word.append(c);
      }
    }
    if (quote != 0) {
      throw refused("has a " + quote + " that is not closed");
    }
    words.add(word.toString());
    if (words.getFirst().isEmpty()) {
      throw refused("names no program");
    }
    return words;
  }

  private static InstarException refused(String how) {
    return new InstarException(ErrorCode.MODULE_REFUSED, "The label or variable '" + PreparedContainer.PROCESS + "' " + how
        + "; give a program and its arguments with blanks between, in quotes where they have some, or a JSON list such as [\"sh\", \"-c\", \"exec cat\"].");
  }
}
