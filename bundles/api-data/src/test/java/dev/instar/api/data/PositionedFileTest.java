package dev.instar.api.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.EOFException;
import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PositionedFileTest {
  @TempDir Path dir;

  @Test
  void bytesGoWhereTheyAreToldToAndComeBack() throws IOException {
    Path path = dir.resolve("a");
    try (PositionedFile file = PositionedFile.create(path)) {
      file.write(5, new byte[] {9, 1, 2, 9}, 1, 2);
      file.setSize(10);
      byte[] read = new byte[10];
      file.read(0, read, 10);
      assertArrayEquals(new byte[] {0, 0, 0, 0, 0, 1, 2, 0, 0, 0}, read);
      assertThrows(EOFException.class, () -> file.read(1, read, 10));
      file.setSize(6);
      file.sync();
    }
    assertEquals(6, Files.size(path));
    assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(path)));
    assertThrows(FileAlreadyExistsException.class, () -> PositionedFile.create(path));
    PositionedFile closed = PositionedFile.open(path);
    closed.close();
    assertThrows(IOException.class, () -> closed.read(0, new byte[1], 1));
  }

  @Test
  void anInterruptAtAnyMomentNeitherFailsNorTearsAWrite() throws Exception {
    byte[] block = new byte[1 << 20];
    AtomicReference<Throwable> failure = new AtomicReference<>();
    AtomicBoolean stop = new AtomicBoolean();
    Thread writer = Thread.ofPlatform().start(() -> {
      try (PositionedFile file = PositionedFile.create(dir.resolve("a"))) {
        for (int i = 0; i < 200; i++) {
          block[i] = 1;
          file.write(0, block, 0, block.length);
          byte[] read = new byte[block.length];
          file.read(0, read, read.length);
          assertArrayEquals(block, read);
          // Cleared, so that the next one comes in the middle again and not before.
          Thread.interrupted();
        }
      } catch (Throwable e) {
        failure.set(e);
      } finally {
        stop.set(true);
      }
    });
    while (!stop.get()) {
      writer.interrupt();
      Thread.sleep(1);
    }
    writer.join();
    assertEquals(null, failure.get());
  }

  @Test
  void aCopyIsCutOffByAnInterruptAndTheFileStaysOfUse() throws Exception {
    Path source = Files.write(dir.resolve("source"), new byte[] {1, 2, 3, 4});
    try (PositionedFile file = PositionedFile.create(dir.resolve("a"))) {
      try (FileChannel from = FileChannel.open(source)) {
        file.copyFrom(from, 1, 2, 3);
        assertThrows(EOFException.class, () -> file.copyFrom(from, 1, 2, 4));
        Thread.currentThread().interrupt();
        assertThrows(ClosedByInterruptException.class, () -> file.copyFrom(from, 1, 2, 3));
        assertTrue(Thread.interrupted());
      }
      byte[] read = new byte[5];
      file.read(0, read, 5);
      assertArrayEquals(new byte[] {0, 0, 2, 3, 4}, read);
    }
  }
}
