package dev.instar.api.http;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.instar.api.ErrorCode;
import dev.instar.api.Problem;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ProblemDocumentTest {
  @Test
  void bearsTheStandardMembersThenItsOwnInOrder() {
    Problem problem = Problem.of(ErrorCode.TOO_LARGE, "Too much.", Map.of("limitBytes", 12L, "exact", true, "names", List.of("a", 1)));
    assertEquals("""
        {"type":"urn:instar:error:too-large","code":"too-large","status":413,"title":"Too large","detail":"Too much.","instance":"id1",\
        "exact":true,"limitBytes":12,"names":["a",1]}
        """, text(problem));
  }

  @Test
  void whatAFunctionOrCallerSaidCannotBreakTheDocument() {
    Problem problem = Problem.of(ErrorCode.FUNCTION_TRAPPED, "\"}\\\n\u0000\u001b\u009b\ud800<x>\u2028 ä 😀", Map.of("rate", Double.NaN, "none", List.of()));
    assertEquals("""
        {"type":"urn:instar:error:function-trapped","code":"function-trapped","status":502,"title":"The function trapped",\
        "detail":"\\"}\\\\\\n\\u0000\\u001b\\u009b\\ud800\\u003cx>\\u2028 ä 😀","instance":"id1","none":[],"rate":"NaN"}
        """, text(problem));
  }

  @Test
  void waitsAreWholeSecondsAndNeverZero() {
    Problem problem = Problem.of(ErrorCode.NODE_BUSY, "");
    assertEquals("", ProblemDocument.retryAfter(problem));
    assertEquals("1", ProblemDocument.retryAfter(problem.retryAfter(Duration.ZERO)));
    assertEquals("2", ProblemDocument.retryAfter(problem.retryAfter(Duration.ofMillis(1001))));
  }

  private static String text(Problem problem) {
    return new String(ProblemDocument.of(problem, "id1"), StandardCharsets.UTF_8);
  }
}
