package dev.instar.api.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ChecksummedBytesTest {
  @TempDir Path dir;

  @Test
  void whatWasWrittenIsReadAndEveryFlippedBitAndEveryCutIsSeen() throws IOException {
    Path file = dir.resolve("cached");
    ChecksummedBytes.writeUnsynced(file, new byte[100]);
    byte[] bytes = {1, 2, 3};
    ChecksummedBytes.writeUnsynced(file, bytes);
    assertArrayEquals(bytes, ChecksummedBytes.read(file));
    try (Stream<Path> all = Files.list(dir)) {
      assertEquals(1, all.count());
    }
    byte[] good = Files.readAllBytes(file);
    for (int bit = 0; bit < good.length * 8; bit++) {
      byte[] bad = good.clone();
      bad[bit / 8] ^= (byte) (1 << bit % 8);
      Files.write(file, bad);
      assertThrows(ChecksummedDocument.DamagedException.class, () -> ChecksummedBytes.read(file), "bit " + bit);
    }
    for (int length = 0; length < good.length; length++) {
      Files.write(file, Arrays.copyOf(good, length));
      assertThrows(ChecksummedDocument.DamagedException.class, () -> ChecksummedBytes.read(file), "length " + length);
    }
  }
}
