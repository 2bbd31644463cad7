package dev.instar.backend.container;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.util.List;
import org.junit.jupiter.api.Test;

class WordsTest {
  @Test
  void wordsHaveBlanksBetween() {
    assertEquals(List.of(), Words.of("  \t"));
    assertEquals(List.of("wc", "-w"), Words.of(" wc \t -w\n"));
    assertEquals(List.of("echo", "$HOME", "|", "*", "[x]"), Words.of("echo $HOME | * [x]"), "no shell reads it");
  }

  @Test
  void quotesHoldAWordTogether() {
    assertEquals(List.of("sh", "-c", "echo \"a b\"; exec cat"), Words.of("sh -c 'echo \"a b\"; exec cat'"));
    assertEquals(List.of("sh", "-c", "it's \"so\" \\ $x"), Words.of("sh -c \"it's \\\"so\\\" \\\\ $x\""));
    assertEquals(List.of("a", "", "b c", "d'e", "f g"), Words.of("a '' b\\ c d\\'e f' 'g"));
    assertEquals(List.of("a\\nb", "c\\"), Words.of("'a\\nb' c\\"));
  }

  @Test
  void aListIsTakenWordByWord() {
    assertEquals(List.of("sh", "-c", "a  'b", ""), Words.of(" [\"sh\", \"-c\", \"a  'b\", \"\"] "));
  }

  @Test
  void whatIsNeitherIsToldToTheDeployer() {
    for (String wrong : List.of("sh -c 'x", "sh \"x", "[\"sh\"", "[]", "[\"\"]", "[1]", "[\"sh\"] x", "[\"a\\u0000b\"]", "''", "['sh']")) {
      InstarException refused = assertThrows(InstarException.class, () -> Words.of(wrong), wrong);
      assertEquals(ErrorCode.MODULE_REFUSED, refused.code(), wrong);
      assertTrue(refused.getMessage().contains("fprocess") && refused.getMessage().contains("JSON list"), refused::getMessage);
    }
  }
}
