package dev.instar.wasi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.io.RandomAccessFile;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class QuotaTest extends FilesTest {
  private static final int BLOCK = BlockStore.BLOCK;

  @BeforeEach
  void small() throws IOException {
    guest.close();
    guest = guest(new FileQuota(6, 5, 4L * BLOCK, BLOCK));
  }

  @Test
  void descriptors() {
    guest.opened("file", 0);
    guest.opened("file", 0);
    assertErrno(Errno.MFILE, guest.open(Guest.ROOT, "file", 0));
    assertErrno(Errno.MFILE, guest.open(Guest.ROOT, "new", Flags.OFLAGS_CREAT));
    assertErrno(Errno.NOENT, guest.stat(Guest.ROOT, 0, "new"));
    guest.ok("fd_close", 4);
    assertEquals(4, guest.opened("file", 0));
  }

  @Test
  void inodes() {
    for (int i = 0; i < 5; i++) {
      assertErrno(Errno.SUCCESS, guest.mkdir("d" + i));
    }
    assertErrno(Errno.NOSPC, guest.mkdir("x"));
    assertErrno(Errno.NOSPC, guest.symlink("a", "x"));
    assertErrno(Errno.NOSPC, guest.link(0, "file", "x"));
    assertErrno(Errno.NOSPC, guest.open(Guest.ROOT, "x", Flags.OFLAGS_CREAT));
    assertErrno(Errno.NOSPC, guest.rename("file", "x"));
    assertErrno(Errno.SUCCESS, guest.rename("d0", "x"));
    assertErrno(Errno.SUCCESS, guest.rename("d1", "x"));
    assertErrno(Errno.SUCCESS, guest.mkdir("y"));
    assertErrno(Errno.NOSPC, guest.mkdir("z"));
    // Removing a file of the image makes no room: it was never charged.
    assertErrno(Errno.SUCCESS, guest.unlink("file"));
    assertErrno(Errno.NOSPC, guest.mkdir("z"));
    assertErrno(Errno.SUCCESS, guest.rmdir("y"));
    assertErrno(Errno.SUCCESS, guest.mkdir("z"));
  }

  @Test
  void bytes() {
    int fd = guest.opened("a", Flags.OFLAGS_CREAT);
    assertErrno(Errno.SUCCESS, guest.write(fd, new byte[3 * BLOCK]));
    int other = guest.opened("b", Flags.OFLAGS_CREAT);
    assertErrno(Errno.SUCCESS, guest.write(other, new byte[2 * BLOCK]));
    assertEquals(BLOCK, guest.result(), "what fits is written");
    assertErrno(Errno.NOSPC, guest.write(other, "x"));
    assertErrno(Errno.NOSPC, guest.call("fd_allocate", other, 0, 2 * BLOCK));
    assertErrno(Errno.SUCCESS, guest.write(fd, ""));
    assertErrno(Errno.SUCCESS, guest.unlink("a"));
    assertErrno(Errno.NOSPC, guest.write(other, "x"), "the file is still open");
    guest.ok("fd_close", fd);
    assertErrno(Errno.SUCCESS, guest.write(other, "x"));
  }

  private static void assertErrno(Errno expected, Errno actual, String why) {
    assertEquals(expected, actual, why);
  }

  @Test
  void sizes() {
    int fd = guest.opened("a", Flags.OFLAGS_CREAT);
    assertErrno(Errno.SUCCESS, guest.call("fd_filestat_set_size", fd, 4L * BLOCK));
    assertErrno(Errno.FBIG, guest.call("fd_filestat_set_size", fd, 4L * BLOCK + 1));
    assertErrno(Errno.FBIG, guest.call("fd_filestat_set_size", fd, Long.MAX_VALUE));
    assertErrno(Errno.INVAL, guest.call("fd_filestat_set_size", fd, -1));
    assertErrno(Errno.FBIG, guest.pwrite(fd, "x", 4L * BLOCK));
    assertErrno(Errno.FBIG, guest.pwrite(fd, "x", Long.MAX_VALUE));
    assertErrno(Errno.FBIG, guest.call("fd_allocate", fd, Long.MAX_VALUE, 1));
    assertErrno(Errno.FBIG, guest.call("fd_allocate", fd, 0, 4L * BLOCK + 1));
    assertErrno(Errno.SUCCESS, guest.pwrite(fd, "xy", 4L * BLOCK - 1));
    assertEquals(1, guest.result());
    assertEquals(4L * BLOCK, guest.stat("a").size());
  }

  /** A file of the image may be larger than all that a sandbox may write: a write costs its own blocks and not the file. */
  @Test
  void aLargeFileOfTheImageIsCopiedBlockByBlock() throws IOException {
    long size = 1L << 30;
    try (RandomAccessFile large = new RandomAccessFile(image.resolve("large").toFile(), "rw")) {
      large.setLength(size);
      large.seek(size - 6);
      large.write("before".getBytes());
    }
    small();
    int fd = guest.opened("large", 0);
    assertErrno(Errno.SUCCESS, guest.pwrite(fd, "AF", size - 4));
    assertEquals("beAFre", guest.string(fd, 10, size - 6));
    assertErrno(Errno.SUCCESS, guest.pwrite(fd, "xyz", size - 1));
    assertEquals(1, guest.result(), "it does not grow");
    assertErrno(Errno.FBIG, guest.pwrite(fd, "x", size));
    assertErrno(Errno.FBIG, guest.call("fd_allocate", fd, size, 1));
    assertErrno(Errno.SUCCESS, guest.call("fd_allocate", fd, size - 3L * BLOCK, 3 * BLOCK));
    assertErrno(Errno.SUCCESS, guest.pwrite(fd, "x", 0));
    assertErrno(Errno.NOSPC, guest.pwrite(fd, "x", BLOCK), "four blocks are written");
    assertEquals(size, guest.fstat(fd).size());
    assertErrno(Errno.SUCCESS, guest.call("fd_filestat_set_size", fd, size - 5));
    assertEquals("b", guest.string(fd, 10, size - 6));
    assertErrno(Errno.FBIG, guest.call("fd_filestat_set_size", fd, size));
  }

  @Test
  void aQuotaWithoutRoomForTheStandardDescriptorsIsRefused() {
    assertThrows(IllegalArgumentException.class, () -> new FileQuota(3, 1, 1, 1));
  }
}
