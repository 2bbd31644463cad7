package dev.instar.api.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DurableFilesTest {
  @TempDir Path dir;

  @Test
  void aWriteReplacesTheWholeFileAndLeavesNothingElse() throws IOException {
    Path file = dir.resolve("a.json");
    DurableFiles.write(file, "a longer first content".getBytes());
    DurableFiles.write(file, "second".getBytes());
    assertEquals("second", Files.readString(file));
    assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
    try (var all = Files.list(dir)) {
      assertEquals(1, all.count());
    }
  }

  @Test
  void aWriteThatFailsLeavesTheOldFileAndNoTemporaryOne() throws IOException {
    Path target = Files.createDirectory(dir.resolve("occupied"));
    Files.writeString(target.resolve("x"), "x");
    assertThrows(IOException.class, () -> DurableFiles.write(target, new byte[10]));
    try (var all = Files.list(dir)) {
      assertEquals(1, all.count());
    }
    assertThrows(NoSuchFileException.class, () -> DurableFiles.write(dir.resolve("missing/file"), new byte[1]));
  }

  @Test
  void anInterruptDoesNotFailAWriteAndStaysSet() throws Exception {
    AtomicReference<Throwable> failure = new AtomicReference<>();
    AtomicReference<Boolean> stillSet = new AtomicReference<>();
    Thread writer = Thread.ofVirtual().start(() -> {
      Thread.currentThread().interrupt();
      try {
        DurableFiles.write(dir.resolve("a"), new byte[] {1});
        DurableFiles.delete(dir.resolve("a"));
        DurableFiles.write(dir.resolve("b"), new byte[] {2});
        stillSet.set(Thread.currentThread().isInterrupted());
      } catch (Throwable e) {
        failure.set(e);
      }
    });
    writer.join();
    assertEquals(null, failure.get());
    assertTrue(stillSet.get());
    assertFalse(Files.exists(dir.resolve("a")));
    assertArrayEquals(new byte[] {2}, Files.readAllBytes(dir.resolve("b")));
  }

  @Test
  void whatIsWrittenUnsyncedAppearsWholeOrNotAtAll() throws IOException {
    Path file = dir.resolve("cached");
    DurableFiles.writeUnsynced(file, out -> out.write(1));
    IOException cut = assertThrows(IOException.class, () -> DurableFiles.writeUnsynced(file, out -> {
      out.write(2);
      throw new IOException("cut off");
    }));
    assertEquals("cut off", cut.getMessage());
    assertArrayEquals(new byte[] {1}, Files.readAllBytes(file));
    try (var all = Files.list(dir)) {
      assertEquals(1, all.count());
    }
  }

  @Test
  void aSweepTakesWhatDeadWritersHaveLeftAndNothingElse() throws IOException {
    Files.createFile(dir.resolve(".a.json.12345678.tmp"));
    Files.createFile(dir.resolve("a.json"));
    DurableFiles.sweep(dir);
    try (var all = Files.list(dir)) {
      assertEquals(java.util.List.of(dir.resolve("a.json")), all.toList());
    }
  }

  @Test
  void leftoversOfADeadWriterAreKnownByTheirName() {
    assertTrue(DurableFiles.isTemporary(dir.resolve(".a.json.12345678.tmp")));
    assertFalse(DurableFiles.isTemporary(dir.resolve("a.json")));
    assertFalse(DurableFiles.isTemporary(dir.resolve("a.tmp")));
  }

  @Test
  void theKernelsWordForAFullDiskIsUnderstood() throws IOException {
    try (FileOutputStream full = new FileOutputStream("/dev/full")) {
      assertTrue(DurableFiles.isNoSpace(assertThrows(IOException.class, () -> full.write(1))));
    }
    assertFalse(DurableFiles.isNoSpace(new IOException()));
  }

  @Test
  void directoriesAreMadeForTheOwnerAloneAndALinkInTheirPlaceIsRefused() throws IOException {
    DurableFiles.createDirectories(dir.resolve("a/b/c"));
    assertEquals("rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(dir.resolve("a/b"))));
    Files.createSymbolicLink(dir.resolve("link"), dir.resolve("a"));
    assertThrows(FileAlreadyExistsException.class, () -> DurableFiles.createDirectories(dir.resolve("link")));
  }

  @Test
  void deletingATreeRemovesLinksAndNotWhatTheyPointTo() throws IOException {
    Path precious = Files.createDirectories(dir.resolve("precious/inner"));
    Files.writeString(precious.resolve("file"), "keep");
    Path tree = Files.createDirectories(dir.resolve("tree/sub"));
    Files.createSymbolicLink(tree.resolve("link"), precious);
    Files.createSymbolicLink(tree.getParent().resolve("file-link"), precious.resolve("file"));
    Files.createSymbolicLink(tree.getParent().resolve("dangling"), Path.of("nowhere"));
    Files.createDirectory(tree.resolve("closed"));
    Files.writeString(tree.resolve("closed/file"), "x");
    Files.setPosixFilePermissions(tree.resolve("closed"), PosixFilePermissions.fromString("---------"));
    DurableFiles.deleteTree(tree.getParent());
    assertFalse(Files.exists(tree.getParent()));
    assertEquals("keep", Files.readString(precious.resolve("file")));

    Path link = Files.createSymbolicLink(dir.resolve("root-link"), precious);
    DurableFiles.deleteTree(link);
    assertFalse(Files.isSymbolicLink(link));
    assertEquals("keep", Files.readString(precious.resolve("file")));
    DurableFiles.deleteTree(dir.resolve("never-there"));
  }

  @Test
  void aTreeDeeperThanAnyPathMayBeIsDeleted() throws IOException {
    Path tree = Files.createDirectory(dir.resolve("deep"));
    // Built from the bottom: each step wraps what is there into one more directory, until the inside is beyond PATH_MAX (4096).
    String segment = "d".repeat(200);
    Path inner = Files.createDirectory(tree.resolve("inner"));
    for (int i = 0; i < 60; i++) {
      Path outer = Files.createDirectory(tree.resolve("outer"));
      Files.move(inner, outer.resolve(segment));
      Files.move(outer, inner);
    }
    DurableFiles.deleteTree(tree);
    assertFalse(Files.exists(tree));
  }
}
