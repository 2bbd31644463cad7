package dev.instar.api.guest;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.instar.api.sandbox.GuestLog;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(30)
class GuestOutputTest {
  private final ByteArrayOutputStream logged = new ByteArrayOutputStream();
  private final GuestLog log = (bytes, offset, length) -> {
    synchronized (logged) {
      logged.write(bytes, offset, length);
    }
  };

  private static InputStream stream(String text) {
    return new ByteArrayInputStream(text.getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void allGoesToTheLogAndTheLastLineIsKept() throws Exception {
    String all = "first\n" + "x".repeat(20_000) + "\nno such file\u001b[0m: \u202ea\n\n";
    GuestOutput output = new GuestOutput("test", List.of(stream(all)), log);
    assertEquals("no such file [0m:  a", output.lastWords());
    assertEquals(all, logged.toString(StandardCharsets.UTF_8));
  }

  @Test
  void oneThatSaysNothingHasNoLastWords() throws Exception {
    assertEquals("", new GuestOutput("test", List.of(stream(""), stream("")), log).lastWords());
  }
}
