package dev.instar.wasi;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Nothing of an earlier call is left for the next one, whatever it did. */
class ResetTest extends FilesTest {
  @Test
  void filesAreTheImagesAgain() {
    List<String> names = guest.list(".");
    Guest.Stat stat = guest.stat("file");
    guest.create("file", "x".repeat(50_000));
    guest.create("new", "left over");
    guest.unlink("link");
    guest.rename("dir", "elsewhere");
    guest.rmdir("empty");
    guest.wasi.reset();
    assertEquals(names, guest.list("."));
    assertEquals(stat, guest.stat("file"));
    assertEquals("hello, world", guest.contents("file"));
    assertEquals("inner", guest.contents("dir/inner"));
  }

  @Test
  void descriptorsAreTheFirstOnesAgain() {
    int fd = guest.opened("file", 0);
    guest.ok("fd_close", 1);
    guest.ok("fd_fdstat_set_rights", Guest.ROOT, 0, 0);
    guest.ok("fd_fdstat_set_flags", 2, Flags.FDFLAGS_APPEND);
    guest.ok("fd_renumber", fd, 0);
    guest.wasi.reset();
    guest.connect("input");
    assertErrno(Errno.BADF, guest.read(fd, 1));
    assertErrno(Errno.SUCCESS, guest.write(1, "out"));
    assertEquals("out", guest.stdout.toString());
    assertArrayEquals("input".getBytes(), guest.bytes(0, 100));
    guest.ok("fd_fdstat_get", 2, Guest.RESULT);
    assertEquals(0, guest.memory.readShort(Guest.RESULT + 2));
    assertEquals("hello, world", guest.contents("file"));
  }

  @Test
  void streamsOfACallAreLetGo() {
    guest.connect("secret input");
    guest.wasi.reset();
    assertEquals(0, guest.bytes(0, 100).length);
    guest.write(1, "nobody's");
    guest.write(2, "nobody's");
    assertEquals("", guest.stdout.toString() + guest.stderr);
  }

  /** Blocks of the file in the scratch directory are used again by other files of a call, and the file by nobody after it. */
  @ParameterizedTest
  @ValueSource(longs = {0, 1 << 20})
  void aBlockThatIsUsedAgainIsEmpty(long heap) throws IOException {
    guest.close();
    guest = guest(new FileQuota(16, 100, 10L * BlockStore.BLOCK, heap));
    for (int round = 0; round < 3; round++) {
      for (int i = 0; i < 3; i++) {
        guest.create("old", "secret".repeat(20_000));
        guest.unlink("old");
        int fd = guest.opened("sparse" + i, Flags.OFLAGS_CREAT);
        guest.ok("fd_allocate", fd, 0, 100_000);
        byte[] bytes = guest.bytes(fd, 100_000);
        assertArrayEquals(new byte[100_000], bytes);
        guest.ok("fd_close", fd);
        guest.unlink("sparse" + i);
      }
      guest.wasi.reset();
    }
    if (heap == 0) {
      try (var left = Files.list(temp.resolve("scratch"))) {
        assertEquals(List.<Path>of(), left.toList());
      }
    }
  }

  @Test
  void hostDescriptorsAreGivenBack() throws IOException {
    long before = hostDescriptors();
    for (int i = 0; i < 20; i++) {
      int fd = guest.opened("file", 0);
      guest.bytes(fd, 5);
      guest.create("big", "x".repeat(60_000));
      guest.wasi.reset();
    }
    assertTrue(hostDescriptors() <= before + 3, "descriptors before " + before + ", after " + hostDescriptors());
  }

  private static long hostDescriptors() throws IOException {
    try (var open = Files.list(Path.of("/proc/self/fd"))) {
      return open.count();
    }
  }

  @Test
  void pristineUntilSomethingChanged() {
    assertTrue(guest.wasi.isPristine());
    guest.stat("file");
    guest.write(1, "x");
    assertTrue(guest.wasi.isPristine());
    int fd = guest.opened("file", 0);
    assertFalse(guest.wasi.isPristine());
    guest.wasi.reset();
    assertTrue(guest.wasi.isPristine());
    guest.mkdir("x");
    assertFalse(guest.wasi.isPristine());
    guest.wasi.reset();
    guest.call("fd_close", fd);
    guest.ok("fd_close", 1);
    assertFalse(guest.wasi.isPristine());
    guest.wasi.reset();
    guest.ok("fd_fdstat_set_rights", Guest.ROOT, 0, 0);
    assertFalse(guest.wasi.isPristine());
  }
}
