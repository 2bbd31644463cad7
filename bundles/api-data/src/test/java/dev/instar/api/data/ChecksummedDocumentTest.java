package dev.instar.api.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ChecksummedDocumentTest {
  @TempDir Path dir;

  @Test
  void whatWasWrittenIsReadAndEveryFlippedBitAndEveryCutIsSeen() throws IOException {
    Path file = dir.resolve("d.json");
    byte[] json = "{\"name\":\"été\",\"n\":[1,2]}".getBytes(StandardCharsets.UTF_8);
    ChecksummedDocument.write(file, json);
    assertArrayEquals(json, ChecksummedDocument.read(file));
    byte[] good = Files.readAllBytes(file);
    for (int bit = 0; bit < good.length * 8; bit++) {
      byte[] bad = good.clone();
      bad[bit / 8] ^= (byte) (1 << bit % 8);
      Files.write(file, bad);
      assertThrows(ChecksummedDocument.DamagedException.class, () -> ChecksummedDocument.read(file), "bit " + bit);
    }
    for (int length = 0; length < good.length; length++) {
      Files.write(file, Arrays.copyOf(good, length));
      assertThrows(ChecksummedDocument.DamagedException.class, () -> ChecksummedDocument.read(file), "length " + length);
    }
    assertThrows(NoSuchFileException.class, () -> ChecksummedDocument.read(dir.resolve("none")));
  }

  @Test
  void theErrorNamesTheFile() throws IOException {
    Path file = Files.writeString(dir.resolve("x.json"), "{}");
    assertTrue(assertThrows(IOException.class, () -> ChecksummedDocument.read(file)).getMessage().startsWith(file.toString()));
  }
}
