package dev.instar.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.InstarException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LockedDataDirectoryTest {
  @TempDir Path dir;

  private static String mode(Path path) throws IOException {
    return PosixFilePermissions.toString(Files.getPosixFilePermissions(path));
  }

  @Test
  void itMakesWhatIsMissingForTheOwnerAloneAndWritesItsProcessId() throws Exception {
    Path root = dir.resolve("a/b/data");
    try (LockedDataDirectory data = LockedDataDirectory.open(root)) {
      assertEquals(root.toRealPath(), data.root());
      assertEquals("rwx------", mode(root));
      assertEquals("rwx------", mode(data.area("images")));
      assertEquals("rwx------", mode(data.scratch("uploads")));
      assertEquals(data.area("images"), data.area("images"));
    }
  }

  @Test
  void aSecondOneInThisProcessIsRefusedAndDoesNotLoseTheFirstsLock() throws Exception {
    Path root = dir.resolve("data");
    try (LockedDataDirectory first = LockedDataDirectory.open(root)) {
      for (Path same : new Path[] {root, Files.createSymbolicLink(dir.resolve("link"), root)}) {
        String message = assertThrows(LockedDataDirectory.Refused.class, () -> LockedDataDirectory.open(same)).getMessage();
        assertTrue(message.contains("data/lock is held by process " + ProcessHandle.current().pid()), message);
      }
        // The lock must still be there for other processes, too: the kernel lists it.
      String inode = Files.getAttribute(root.resolve("lock"), "unix:ino").toString();
      assertTrue(Files.readAllLines(Path.of("/proc/locks")).stream().anyMatch(l -> l.contains("POSIX") && l.contains(":" + inode + " ")),
          "no lock on inode " + inode);
    }
    LockedDataDirectory.open(root).close();
  }

  @Test
  void closingTwiceIsHarmlessToTheNextHolder() throws Exception {
    LockedDataDirectory first = LockedDataDirectory.open(dir.resolve("data"));
    first.close();
    try (LockedDataDirectory second = LockedDataDirectory.open(dir.resolve("data"))) {
      first.close();
      assertThrows(LockedDataDirectory.Refused.class, () -> LockedDataDirectory.open(second.root()));
    }
  }

  @Test
  void aPlaceThatCannotBeUsedIsNamedWithTheReason() throws Exception {
    Path file = Files.writeString(dir.resolve("file"), "x");
    String message = assertThrows(LockedDataDirectory.Refused.class, () -> LockedDataDirectory.open(file.resolve("below"))).getMessage();
    assertTrue(message.contains(file.toString()), message);
    message = assertThrows(LockedDataDirectory.Refused.class, () -> LockedDataDirectory.open(file)).getMessage();
    assertTrue(message.contains(file + " is not a directory"), message);
    message = assertThrows(LockedDataDirectory.Refused.class, () -> LockedDataDirectory.open(Path.of("/proc/instar-data"))).getMessage();
    assertTrue(message.contains("/proc/instar-data"), message);
  }

  @Test
  void aLockThatIsALinkIsNotFollowed() throws Exception {
    Path victim = Files.writeString(dir.resolve("victim"), "precious");
    Path root = Files.createDirectory(dir.resolve("data"));
    Files.createSymbolicLink(root.resolve("lock"), victim);
    assertThrows(LockedDataDirectory.Refused.class, () -> LockedDataDirectory.open(root));
    assertEquals("precious", Files.readString(victim));
  }

  @Test
  void aDirectoryOfOtherThingsKeepsItsModeAndIsRefusedWhenOthersMayWriteToIt() throws Exception {
    Path home = Files.createDirectory(dir.resolve("home"));
    Files.writeString(home.resolve("letter"), "x");
    Files.setPosixFilePermissions(home, PosixFilePermissions.fromString("rwxrwxr-x"));
    String message = assertThrows(LockedDataDirectory.Refused.class, () -> LockedDataDirectory.open(home)).getMessage();
    assertTrue(message.contains("chmod 700"), message);
    Files.setPosixFilePermissions(home, PosixFilePermissions.fromString("rwxr-xr-x"));
    LockedDataDirectory.open(home).close();
    assertEquals("rwxr-xr-x", mode(home));

    Path empty = Files.createDirectory(dir.resolve("empty"));
    Files.setPosixFilePermissions(empty, PosixFilePermissions.fromString("rwxrwxrwx"));
    LockedDataDirectory.open(empty).close();
    assertEquals("rwx------", mode(empty));
  }

  @Test
  void scratchIsEmptiedAtTheNextStartWithoutFollowingLinks() throws Exception {
    Path precious = Files.createDirectory(dir.resolve("precious"));
    Files.writeString(precious.resolve("file"), "keep");
    Path root = dir.resolve("data");
    try (LockedDataDirectory data = LockedDataDirectory.open(root)) {
      Path box = Files.createDirectories(data.scratch("sandboxes").resolve("one/two"));
      Files.writeString(box.resolve("file"), "x");
      Files.createSymbolicLink(box.resolve("out"), precious);
      Files.writeString(data.area("images").resolve("blob"), "stays");
    }
    try (LockedDataDirectory data = LockedDataDirectory.open(root)) {
      try (var left = Files.list(data.scratch("sandboxes"))) {
        assertEquals(0, left.count());
      }
      data.awaitSwept();
      try (var left = Files.list(root)) {
        assertEquals(java.util.List.of("images", "lock", "scratch"), left.map(p -> p.getFileName().toString()).sorted().toList());
      }
      assertEquals("stays", Files.readString(data.area("images").resolve("blob")));
    }
    // Scratch itself turned into a link: the link goes, its target stays.
    assertTrue(Files.deleteIfExists(root.resolve("scratch/sandboxes")) && Files.deleteIfExists(root.resolve("scratch")));
    Files.createSymbolicLink(root.resolve("scratch"), precious);
    try (LockedDataDirectory data = LockedDataDirectory.open(root)) {
      data.awaitSwept();
      assertFalse(Files.isSymbolicLink(root.resolve("scratch")));
      assertEquals("keep", Files.readString(precious.resolve("file")));
    }
  }

  @Test
  void areaNamesAreSingleSegmentsAndLinksInTheirPlaceAreRefused() throws Exception {
    try (LockedDataDirectory data = LockedDataDirectory.open(dir.resolve("data"))) {
      for (String bad : new String[] {"", ".", "..", "a/b", "/a", ".hidden", "a\0b", "scratch", "lock"}) {
        assertThrows(IllegalArgumentException.class, () -> data.area(bad), bad);
      }
      Files.createSymbolicLink(data.root().resolve("elsewhere"), dir);
      assertThrows(InstarException.class, () -> data.area("elsewhere"));
    }
  }
}
