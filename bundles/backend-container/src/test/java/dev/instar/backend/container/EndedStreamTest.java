package dev.instar.backend.container;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class EndedStreamTest {
  private static final String SECRET = "secrsecs";
  private static final String TAIL = "12345678";

  /** What is read, and what is told of the end, when the stream gives so many bytes at once. */
  private static List<String> read(String text, int atOnce) throws Exception {
    InputStream in = new ByteArrayInputStream(text.getBytes(StandardCharsets.US_ASCII)) {
      @Override
      public synchronized int read(byte[] bytes, int offset, int length) {
        return super.read(bytes, offset, Math.min(length, atOnce));
      }
    };
    List<String> told = new ArrayList<>();
    EndedStream stream = new EndedStream(in, SECRET.getBytes(StandardCharsets.US_ASCII),
        tail -> told.add(tail.map(bytes -> new String(bytes, StandardCharsets.US_ASCII)).orElse("none")));
    told.addFirst(new String(stream.readAllBytes(), StandardCharsets.US_ASCII));
    stream.close();
    return told;
  }

  @Test
  void itEndsAtTheSecretHoweverTheBytesCome() throws Exception {
    for (int atOnce = 1; atOnce < 40; atOnce++) {
      assertEquals(List.of("said", TAIL), read("said" + SECRET + TAIL + "later", atOnce));
      assertEquals(List.of("", TAIL), read(SECRET + TAIL, atOnce));
      assertEquals(List.of("secrsec secr", TAIL), read("secrsec secr" + SECRET + TAIL, atOnce));
      assertEquals(List.of("secr", TAIL), read("secr" + SECRET + TAIL, atOnce));
    }
  }

  @Test
  void whatEndsBeforeIsGivenWhole() throws Exception {
    for (String text : List.of("", "said", "secrse", "x" + SECRET, SECRET + "123", "x".repeat(40_000) + "secr")) {
      assertEquals(List.of(text, "none"), read(text, 7));
    }
  }
}
