package dev.instar.logs;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class LineSplitterTest {
  private final List<String> lines = new ArrayList<>();
  private final LineSplitter splitter = new LineSplitter(lines::add);

  private void write(byte[] bytes) {
    splitter.write(bytes, 0, bytes.length);
  }

  private void write(String text) {
    write(text.getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void linesAreTheSameHoweverTheirBytesCome() {
    byte[] text = "one\n\nthree\r\nführ\u4e2d\ud83d\ude00\nlast".getBytes(StandardCharsets.UTF_8);
    Random random = new Random(3);
    for (int round = 0; round < 50; round++) {
      lines.clear();
      for (int at = 0; at < text.length;) {
        int n = Math.min(text.length - at, random.nextInt(6));
        splitter.write(text, at, n);
        at += n;
      }
      splitter.end();
      splitter.end();
      assertEquals(List.of("one", "", "three", "führ\u4e2d\ud83d\ude00", "last"), lines);
    }
  }

  @Test
  void aLineWithoutEndIsCutInPiecesBetweenCharacters() {
    write("x".repeat(3 * 8192 + 1));
    assertEquals(List.of(8192, 8192, 8192), lines.stream().map(String::length).toList());
    splitter.end();
    assertEquals(1, lines.getLast().length());
    for (String character : List.of("é", "\u4e2d", "\ud83d\ude00")) {
      for (int shift = 0; shift < 4; shift++) {
        lines.clear();
        String text = "x".repeat(shift) + character.repeat(10_000);
        write(text);
        splitter.end();
        assertEquals(text, String.join("", lines));
      }
    }
  }

  @Test
  void aLineOfExactlyTheLimitIsOneLine() {
    write("y".repeat(8192) + "\nz\n\n");
    assertEquals(List.of("y".repeat(8192), "z", ""), lines);
  }

  @Test
  void anEndOfLineAtTheLimitIsTheSameHoweverItsBytesCome() {
    for (int length = 8190; length <= 8193; length++) {
      byte[] text = ("y".repeat(length) + "\r\nz\r\n\r\n").getBytes(StandardCharsets.UTF_8);
      for (int size : new int[] {1, text.length}) {
        lines.clear();
        for (int at = 0; at < text.length; at += size) {
          splitter.write(text, at, size);
        }
        splitter.end();
        String line = "y".repeat(length);
        List<String> expected = new ArrayList<>(length <= 8192 ? List.of(line) : List.of(line.substring(0, 8192), line.substring(8192)));
        expected.addAll(List.of("z", ""));
        assertEquals(expected, lines);
      }
    }
  }

  @Test
  void whatIsNoUtf8BecomesTheReplacementCharacterAndNothingIsLost() {
    write(new byte[] {(byte) 0xff, 'a', (byte) 0xc3, '\n', (byte) 0xe4, (byte) 0xb8, '\n'});
    assertEquals(List.of("\ufffda\ufffd", "\ufffd"), lines);
    lines.clear();
    byte[] continuations = new byte[20_000];
    java.util.Arrays.fill(continuations, (byte) 0x80);
    write(continuations);
    splitter.end();
    assertEquals(20_000, lines.stream().mapToInt(String::length).sum());
  }
}
