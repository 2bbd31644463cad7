package dev.instar.logs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.instar.api.data.DurableFiles;
import dev.instar.api.function.FunctionName;
import dev.instar.api.log.FunctionLogs;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** The same bytes as a log file that is found on disk, and as what a guest writes. */
class LogFileFuzzTest {
  private static final FunctionName NAME = new FunctionName("u", "f");

  @FuzzTest
  void whateverIsInAFileAndWhateverAGuestWrites(byte[] input) throws IOException {
    file(input);
    output(input);
  }

  /** Entries can be written again, and what is found does not keep new entries from being read. */
  private static void file(byte[] input) throws IOException {
    Path area = Files.createTempDirectory("fuzz-log");
    try {
      Files.createDirectory(area.resolve("u"));
      Files.write(area.resolve("u/f.log"), input);
      LogFiles files = new LogFiles(area);
      List<Stamped> before = read(files);
      for (Stamped stamped : before) {
        byte[] line = line(stamped);
        for (int i = 0; i < line.length - 1; i++) {
          assertTrue(line[i] >= ' ' && line[i] <= '~', "fit for a terminal");
        }
        assertEquals('\n', line[line.length - 1]);
        assertEquals(Optional.of(stamped), LogLines.read(line, 0, line.length));
      }
      // A killed node may have left a line without its end; with one it may be an entry, too.
      Stamped next = new Stamped("r", 7, new FunctionLogs.Entry(Instant.EPOCH, 1, "i", "next"));
      files.append(NAME, List.of(line(next)), 1 << 20);
      List<Stamped> after = read(files);
      int unended = input.length > 0 && input[input.length - 1] != '\n' && after.size() == before.size() + 2 ? 1 : 0;
      assertEquals(before, after.subList(0, after.size() - 1 - unended));
      assertEquals(next, after.getLast());
    } finally {
      DurableFiles.deleteTree(area);
    }
  }

  private static List<Stamped> read(LogFiles files) throws IOException {
    List<Stamped> entries = new ArrayList<>();
    files.read(NAME, entries::add);
    return entries;
  }

  private static byte[] line(Stamped stamped) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    LogLines.write(stamped, out);
    return out.toByteArray();
  }

  /** Lines do not depend on how the bytes come, and nothing of them is lost. */
  private static void output(byte[] input) {
    List<String> whole = new ArrayList<>();
    LineSplitter splitter = new LineSplitter(whole::add);
    splitter.write(input, 0, input.length);
    splitter.end();
    for (int size : new int[] {1, 1000}) {
      List<String> pieces = new ArrayList<>();
      LineSplitter other = new LineSplitter(pieces::add);
      for (int at = 0; at < input.length; at += size) {
        other.write(Arrays.copyOfRange(input, at, Math.min(input.length, at + size)), 0, Math.min(size, input.length - at));
      }
      other.end();
      assertEquals(whole, pieces);
    }
    for (String line : whole) {
      assertTrue(line.indexOf('\n') < 0 && line.length() <= LineSplitter.LINE_BYTES);
    }
    if (Arrays.equals(input, new String(input, StandardCharsets.UTF_8).getBytes(StandardCharsets.UTF_8))) {
      String text = new String(input, StandardCharsets.UTF_8);
      assertEquals(text.replace("\r\n", "").replace("\n", ""), String.join("", whole));
    }
  }
}
