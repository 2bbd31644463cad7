package dev.instar.launcher.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

class OutputTest {
  @Test
  void whatSteersATerminalIsTakenOut() {
    assertEquals("a\ufffd[31mred\ufffd]0;title\ufffd\ttab \u00e4\ud83d\ude00", Output.printable("a\u001b[31mred\u001b]0;title\u0007\ttab \u00e4\ud83d\ude00"));
    assertEquals("\ufffdfdp.exe\ufffd", Output.printable("\u202efdp.exe\u2028"));
  }

  @Test
  void sizesForPeople() {
    assertEquals("0 B", Output.size(0));
    assertEquals("1023 B", Output.size(1023));
    assertEquals("1 KiB", Output.size(1024));
    assertEquals("1.5 MiB", Output.size(3 << 19));
    assertEquals("4 GiB", Output.size(4L << 30));
  }

  @Test
  void exactSizesAreNotRounded() {
    assertEquals("0 B", Output.exactSize(0));
    assertEquals("1025 B", Output.exactSize(1025));
    assertEquals("2097088 KiB", Output.exactSize((2L << 30) - (64 << 10)));
    assertEquals("1536 MiB", Output.exactSize(3L << 29));
    assertEquals("4096 GiB", Output.exactSize(4L << 40));
  }

  @Test
  void timesForPeople() {
    assertEquals("0s", Output.time(0));
    assertEquals("500ms", Output.time(500));
    assertEquals("30s", Output.time(30_000));
    assertEquals("90s", Output.time(90_000));
    assertEquals("2m", Output.time(120_000));
  }
}
