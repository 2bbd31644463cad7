package dev.instar.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.instar.api.function.FunctionName;
import java.nio.charset.StandardCharsets;

/** What is accepted as a name or a digest is what their documentation says, told a second time and in another way; the rest is refused in words. */
class NamesFuzzTest {
  @FuzzTest
  void whatIsAcceptedFollowsTheGrammar(byte[] input) {
    String text = new String(input, StandardCharsets.UTF_8);
    boolean name = false;
    try {
      FunctionName parsed = FunctionName.parse(text);
      assertEquals(text, parsed.toString());
      assertEquals(0, parsed.compareTo(FunctionName.parse(text)));
      name = true;
    } catch (InstarException e) {
      refused(e, ErrorCode.BAD_NAME);
    }
    assertEquals(isName(text), name, text);

    boolean digest = false;
    try {
      assertEquals(text, "sha256:" + new Digest(text).hex());
      digest = true;
    } catch (InstarException e) {
      refused(e, ErrorCode.BAD_REQUEST);
    }
    assertEquals(isDigest(text), digest, text);
  }

  private static void refused(InstarException e, ErrorCode code) {
    assertEquals(code, e.code());
    assertTrue(e.problem().detail().chars().allMatch(c -> c >= ' ' && c <= '~'), () -> "printable: " + e.problem().detail());
    assertFalse(e.problem().detail().length() > 400, "short");
  }

  private static boolean isName(String text) {
    String[] parts = text.split("/", -1);
    return parts.length == 2 && isPart(parts[0]) && isPart(parts[1]);
  }

  private static boolean isPart(String part) {
    if (part.isEmpty() || part.length() > 63 || part.contains("..")) {
      return false;
    }
    for (int i = 0; i < part.length(); i++) {
      char c = part.charAt(i);
      boolean alphanumeric = c >= 'a' && c <= 'z' || c >= '0' && c <= '9';
      boolean inner = i > 0 && i < part.length() - 1 && (c == '.' || c == '_' || c == '-');
      if (!alphanumeric && !inner) {
        return false;
      }
    }
    return true;
  }

  private static boolean isDigest(String text) {
    return text.startsWith("sha256:") && text.length() == 71
        && text.substring(7).chars().allMatch(c -> c >= '0' && c <= '9' || c >= 'a' && c <= 'f');
  }
}
