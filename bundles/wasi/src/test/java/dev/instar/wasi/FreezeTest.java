package dev.instar.wasi;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.security.SecureRandom;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** A guest that has initialised itself, and others that start as it was then. */
class FreezeTest extends FilesTest {
  private Guest copy() throws IOException {
    return copy(FileQuota.DEFAULT, ByteBudget.UNLIMITED);
  }

  private Guest copy(FileQuota quota, ByteBudget budget) throws IOException {
    WasiState state = guest.wasi.freeze(1 << 20).orElseThrow();
    return new Guest(new Wasi(new WasiSettings(List.of(), Map.of(), Optional.empty(), temp.resolve("other"), quota, budget, Clocks.system(),
        new SecureRandom()),
        state));
  }

  @Test
  void descriptorsGoOnWhereTheyWere() throws IOException {
    int file = guest.opened("file", 0);
    guest.bytes(file, 5);
    guest.ok("fd_fdstat_set_rights", file, Rights.FD_READ | Rights.FD_TELL, 0);
    int dir = guest.openedDirectory(Guest.ROOT, "dir");
    int gone = guest.opened("new", Flags.OFLAGS_CREAT);
    guest.write(gone, "no name");
    guest.unlink("new");
    int removed = guest.openedDirectory(Guest.ROOT, "empty");
    guest.rmdir("empty");
    guest.rename("dir", "moved");
    guest.ok("fd_close", 0);
    try (Guest copy = copy()) {
      for (int round = 0; round < 2; round++) {
        assertEquals(", world", new String(copy.bytes(file, 100)));
        assertErrno(Errno.NOTCAPABLE, copy.write(file, "x"));
        assertErrno(Errno.BADF, copy.read(0, 1));
        assertEquals("no name", copy.string(gone, 100, 0));
        assertErrno(Errno.NOENT, copy.open(removed, "x", Flags.OFLAGS_CREAT));
        assertErrno(Errno.SUCCESS, copy.open(dir, "x", Flags.OFLAGS_CREAT));
        assertEquals(List.of("inner", "nested", "x"), copy.list("moved"), "the descriptor and the path lead to the same directory");
        assertEquals("/", preopen(copy));
        copy.wasi.reset();
      }
    }
    assertEquals(List.of("inner", "nested"), guest.list("moved"));
  }

  private static String preopen(Guest guest) {
    guest.ok("fd_prestat_dir_name", 3, Guest.DATA, 1);
    return guest.string(Guest.DATA, 1);
  }

  @Test
  void aFileKeepsItsNamesTimesAndHoles() throws IOException {
    guest.link(0, "file", "dir/again");
    int fd = guest.opened("file", 0);
    guest.pwrite(fd, "far", 100_000);
    guest.ok("fd_filestat_set_times", fd, 11, 22, Flags.FSTFLAGS_ATIM | Flags.FSTFLAGS_MTIM);
    Guest.Stat stat = guest.stat("file");
    guest.create("earlier", "");
    try (Guest copy = copy()) {
      assertEquals(stat, copy.stat("file"));
      assertEquals(stat, copy.stat("dir/again"));
      int again = copy.opened("dir/again", 0);
      assertEquals("hello, world", copy.string(again, 12, 0));
      byte[] hole = new byte[99_988];
      copy.ok("fd_pread", again, copy.vector(hole.length), 1, 12, Guest.RESULT);
      byte[] read = new byte[hole.length];
      copy.memory.read(Guest.DATA, read, 0, read.length);
      assertArrayEquals(hole, read);
      assertEquals("far", copy.string(again, 10, 100_000));
      copy.pwrite(again, "J", 0);
      assertEquals("Jello", copy.string(fd, 5, 0), "one file under both names and the descriptor");
      copy.create("made", "");
      assertTrue(copy.stat("made").ino() > guest.stat("earlier").ino(), "numbers are not given twice");
    }
  }

  @Test
  void copiesDoNotSeeEachOther() throws IOException {
    guest.create("shared", "at first");
    try (Guest one = copy(); Guest two = copy()) {
      one.create("shared", "changed");
      one.create("mine", "");
      assertEquals("at first", two.contents("shared"));
      assertEquals("at first", guest.contents("shared"));
      assertErrno(Errno.NOENT, two.stat(Guest.ROOT, 0, "mine"));
    }
  }

  @Test
  void tooMuchForTheHeapIsNotFrozen() {
    guest.create("big", "x".repeat(3 * BlockStore.BLOCK));
    assertEquals(Optional.empty(), guest.wasi.freeze(2L * BlockStore.BLOCK));
    assertEquals(3L * BlockStore.BLOCK, guest.wasi.freeze(3L * BlockStore.BLOCK).orElseThrow().heapBytes());
    assertEquals("x", guest.contents("big").substring(0, 1), "freezing changes nothing");
  }

  @Test
  void anUntouchedViewIsTheImage() {
    guest.list(".");
    assertEquals(0, guest.wasi.freeze(0).orElseThrow().heapBytes());
  }

  @Test
  void aSmallerTableThanTheStatesIsRefused() {
    for (int i = 0; i < 5; i++) {
      guest.opened("file", 0);
    }
    assertThrows(IllegalArgumentException.class, () -> copy(new FileQuota(8, 10, 1 << 20, 0), ByteBudget.UNLIMITED));
  }

  /** Contents go to disk when the node has no heap left; names have nowhere else to go. */
  @Test
  void theBudgetOfTheNodeIsABound() throws IOException {
    long[] left = {2048};
    ByteBudget budget = new ByteBudget() {
      @Override
      public boolean take(long bytes) {
        if (bytes > left[0]) {
          return false;
        }
        left[0] -= bytes;
        return true;
      }

      @Override
      public void give(long bytes) {
        left[0] += bytes;
      }
    };
    try (Guest copy = copy(FileQuota.DEFAULT, budget)) {
      copy.create("a", "x".repeat(100_000));
      assertErrno(Errno.SUCCESS, copy.mkdir("b"));
      assertErrno(Errno.NOSPC, copy.mkdir("c"));
      assertErrno(Errno.SUCCESS, copy.rmdir("b"));
      assertErrno(Errno.SUCCESS, copy.mkdir("c"));
      assertEquals(100_000, copy.contents("a").length());
    }
    assertEquals(2048, left[0]);
  }
}
