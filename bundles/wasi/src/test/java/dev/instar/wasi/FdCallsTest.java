package dev.instar.wasi;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class FdCallsTest extends FilesTest {
  @Test
  void everyFdCallRefusesAClosedDescriptor() {
    guest.vector(1);
    for (Preview1.Function function : Preview1.functions()) {
      if (function.name().startsWith("fd_") || function.name().startsWith("sock_")) {
        for (long fd : new long[] {99, 4, -1, Integer.MIN_VALUE, Integer.MAX_VALUE}) {
          long[] args = new long[function.parameters().length()];
          args[0] = fd;
          assertEquals(Errno.BADF, function.call(guest.wasi, guest.memory, args), function.name());
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
      // what a directory, a stream and a file without any right say
      "fd_advise, ISDIR, SPIPE, NOTCAPABLE", "fd_allocate, ISDIR, SPIPE, NOTCAPABLE", "fd_datasync, SUCCESS, INVAL, NOTCAPABLE",
      "fd_sync, SUCCESS, INVAL, NOTCAPABLE",
      "fd_filestat_set_size, ISDIR, INVAL, NOTCAPABLE", "fd_filestat_set_times, SUCCESS, NOTCAPABLE, NOTCAPABLE",
      "fd_pread, ISDIR, SPIPE, NOTCAPABLE",
      "fd_pwrite, ISDIR, SPIPE, NOTCAPABLE", "fd_read, ISDIR, NOTCAPABLE, NOTCAPABLE", "fd_write, ISDIR, SUCCESS, NOTCAPABLE",
      "fd_seek, ISDIR, SPIPE, NOTCAPABLE",
      "fd_tell, ISDIR, SPIPE, NOTCAPABLE", "fd_readdir, SUCCESS, NOTDIR, NOTDIR", "fd_fdstat_set_flags, SUCCESS, SUCCESS, NOTCAPABLE",
      "fd_filestat_get, SUCCESS, SUCCESS, NOTCAPABLE", "fd_prestat_get, SUCCESS, BADF, BADF", "sock_shutdown, NOTSOCK, NOTSOCK, NOTSOCK",
      "sock_recv, NOTSOCK, NOTSOCK, NOTSOCK",
      "sock_send, NOTSOCK, NOTSOCK, NOTSOCK", "sock_accept, NOTSOCK, NOTSOCK, NOTSOCK"})
  void typesAndRights(String name, Errno directory, Errno stream, Errno rightless) {
    assertErrno(Errno.SUCCESS, guest.open(Guest.ROOT, "file", 0, 0, 0, 0, 0));
    int file = guest.result();
    Preview1.Function function = Preview1.functions().stream().filter(f -> f.name().equals(name)).findFirst().get();
    long[] args = new long[function.parameters().length()];
    args[0] = Guest.ROOT;
    assertEquals(directory, function.call(guest.wasi, guest.memory, args));
    args[0] = 1;
    assertEquals(stream, function.call(guest.wasi, guest.memory, args));
    args[0] = file;
    assertEquals(rightless, function.call(guest.wasi, guest.memory, args));
  }

  @Test
  void readsAndWritesWithVectors() {
    int fd = guest.opened("new", Flags.OFLAGS_CREAT);
    guest.memory.write(Guest.DATA, "abcdef".getBytes(), 0, 6);
    int array = 2048;
    int[] vectors = {Guest.DATA, 2, 0, 0, Guest.DATA + 4, 2};
    for (int i = 0; i < vectors.length; i++) {
      guest.memory.writeInt(array + 4 * i, vectors[i]);
    }
    guest.ok("fd_write", fd, array, 3, Guest.RESULT);
    assertEquals(4, guest.result());
    assertEquals("abef", guest.contents("new"));
    guest.ok("fd_seek", fd, 1, Flags.WHENCE_SET, Guest.RESULT);
    guest.ok("fd_read", fd, array, 3, Guest.RESULT);
    assertEquals(3, guest.result());
    assertEquals("beefff", guest.string(Guest.DATA, 6));
  }

  @Test
  void vectorsThatOverlapTheirArrayAreTheOnesThatWereThereAtFirst() {
    guest.connect(new ByteArrayInputStream(new byte[] {-1, -1, -1, -1, -1, -1, -1, -1, 7, 7, 7, 7}), OutputStream.nullOutputStream());
    int array = 2048;
    guest.memory.writeInt(array, array + 8);
    guest.memory.writeInt(array + 4, 8);
    guest.memory.writeInt(array + 8, Guest.DATA);
    guest.memory.writeInt(array + 12, 4);
    guest.ok("fd_read", 0, array, 2, Guest.RESULT);
    assertEquals(12, guest.result());
    assertEquals(0x07070707, guest.memory.readInt(Guest.DATA));
  }

  @Test
  void hostileVectors() {
    assertErrno(Errno.INVAL, guest.call("fd_write", 1, 4096, 1025, Guest.RESULT));
    assertThrows(GuestTrap.class, () -> guest.call("fd_write", 1, 4096, Integer.MIN_VALUE, Guest.RESULT));
    assertThrows(GuestTrap.class, () -> guest.call("fd_write", 1, -8, 1, Guest.RESULT));
    guest.memory.writeInt(Guest.RESULT + 64, 8);
    guest.memory.writeInt(Guest.RESULT + 68, -4);
    assertThrows(GuestTrap.class, () -> guest.call("fd_write", 1, Guest.RESULT + 64, 1, Guest.RESULT));
    assertThrows(GuestTrap.class, () -> guest.call("fd_read", 0, Guest.RESULT + 64, 1, Guest.RESULT));
    // All of the memory 1024 times is more than a ssize_t.
    for (int i = 0; i < 1024; i++) {
      guest.memory.writeInt(2048 + 8 * i, 0);
      guest.memory.writeInt(2048 + 8 * i + 4, 4 << 20);
    }
    assertErrno(Errno.INVAL, guest.call("fd_write", 1, 2048, 1024, Guest.RESULT));
    assertErrno(Errno.INVAL, guest.call("fd_read", 0, 2048, 1024, Guest.RESULT));
    assertEquals(0, guest.stdout.size());
    guest.vector(4);
    assertThrows(GuestTrap.class, () -> guest.call("fd_write", 1, Guest.RESULT + 64, 1, 4 << 20));
    assertEquals(0, guest.stdout.size(), "the result pointer is looked at first");
  }

  @Test
  void streamsCarryMoreThanTheirBuffer() {
    byte[] big = new byte[300_000];
    new java.util.Random(1).nextBytes(big);
    guest.connect(new ByteArrayInputStream(big), guest.stdout);
    assertArrayEquals(big, guest.bytes(0, 1 << 20));
    assertEquals(0, guest.bytes(0, 10).length, "end of input");
    assertErrno(Errno.SUCCESS, guest.write(1, big));
    assertEquals(big.length, guest.result());
    assertArrayEquals(big, guest.stdout.toByteArray());
    guest.write(2, "to the log");
    assertEquals("to the log", guest.stderr.toString());
  }

  /** A read that could block after some bytes returns these. */
  @Test
  void readDoesNotWaitForMoreThanTheFirstBytes() {
    InputStream slow = new InputStream() {
      private int reads;

      @Override
      public int read() {
        throw new AssertionError();
      }

      @Override
      public int read(byte[] into, int offset, int length) {
        assertEquals(0, reads++, "a second read would block");
        return 3;
      }
    };
    guest.connect(slow, guest.stdout);
    assertErrno(Errno.SUCCESS, guest.read(0, 100));
    assertEquals(3, guest.result());
  }

  @Test
  void failuresOfStreamsEndTheCall() {
    IOException gone = new IOException("gone");
    InstarException refused = new InstarException(ErrorCode.values()[0], "over the limit");
    guest.connect(new InputStream() {
      @Override
      public int read() throws IOException {
        throw gone;
      }
    }, new OutputStream() {
      @Override
      public void write(int b) {
        throw refused;
      }
    });
    assertSame(gone, assertThrows(CallStopped.class, () -> guest.read(0, 1)).getCause());
    assertSame(refused, assertThrows(CallStopped.class, () -> guest.write(1, "x")).getCause());
  }

  @Test
  void anInterruptEndsReadsAndWrites() {
    int fd = guest.opened("file", 0);
    for (Runnable call : List.<Runnable>of(() -> guest.read(0, 1), () -> guest.write(1, "x"), () -> guest.read(fd, 5), () -> guest.write(fd, "x"),
        () -> guest.call("random_get", Guest.DATA, 100), () -> guest.call("sched_yield"))) {
      Thread.currentThread().interrupt();
      CallStopped stopped = assertThrows(CallStopped.class, call::run);
      assertEquals(InterruptedException.class, stopped.getCause().getClass());
      assertFalse(Thread.interrupted(), "the flag is taken");
    }
  }

  @Test
  void positions() {
    int fd = guest.opened("file", 0);
    assertErrno(Errno.SUCCESS, guest.call("fd_seek", fd, -5, Flags.WHENCE_END, Guest.RESULT));
    assertEquals(7, guest.memory.readLong(Guest.RESULT));
    assertEquals("world", new String(guest.bytes(fd, 100)));
    guest.ok("fd_tell", fd, Guest.RESULT);
    assertEquals(12, guest.memory.readLong(Guest.RESULT));
    assertErrno(Errno.SUCCESS, guest.call("fd_seek", fd, -2, Flags.WHENCE_CUR, Guest.RESULT));
    assertErrno(Errno.INVAL, guest.call("fd_seek", fd, -11, Flags.WHENCE_CUR, Guest.RESULT));
    assertErrno(Errno.INVAL, guest.call("fd_seek", fd, 0, 3, Guest.RESULT));
    assertErrno(Errno.INVAL, guest.call("fd_seek", fd, -1, Flags.WHENCE_SET, Guest.RESULT));
    assertErrno(Errno.OVERFLOW, guest.call("fd_seek", fd, Long.MAX_VALUE, Flags.WHENCE_CUR, Guest.RESULT));
    assertErrno(Errno.INVAL, guest.call("fd_seek", fd, Long.MIN_VALUE, Flags.WHENCE_CUR, Guest.RESULT));
    guest.ok("fd_tell", fd, Guest.RESULT);
    assertEquals(10, guest.memory.readLong(Guest.RESULT));
    assertErrno(Errno.SUCCESS, guest.call("fd_seek", fd, Long.MAX_VALUE, Flags.WHENCE_SET, Guest.RESULT));
    assertEquals(0, guest.bytes(fd, 10).length);
    assertErrno(Errno.FBIG, guest.write(fd, "x"));
    assertErrno(Errno.INVAL, guest.pwrite(fd, "x", -1));
    assertErrno(Errno.INVAL, guest.call("fd_pread", fd, guest.vector(1), 1, -1, Guest.RESULT));
  }

  @Test
  void theRightToTellAllowsASeekThatStays() {
    assertErrno(Errno.SUCCESS, guest.open(Guest.ROOT, "file", 0, 0, Rights.FD_TELL, 0, 0));
    int fd = guest.result();
    assertErrno(Errno.SUCCESS, guest.call("fd_seek", fd, 0, Flags.WHENCE_CUR, Guest.RESULT));
    assertErrno(Errno.NOTCAPABLE, guest.call("fd_seek", fd, 1, Flags.WHENCE_CUR, Guest.RESULT));
    assertErrno(Errno.SUCCESS, guest.call("fd_tell", fd, Guest.RESULT));
  }

  @Test
  void preadAndPwriteKeepThePosition() {
    int fd = guest.opened("file", 0);
    assertErrno(Errno.SUCCESS, guest.pwrite(fd, "HELLO", 0));
    assertEquals("HELLO, world", guest.string(fd, 100, 0));
    assertEquals("world", guest.string(fd, 100, 7));
    assertEquals("", guest.string(fd, 100, 12));
    guest.ok("fd_tell", fd, Guest.RESULT);
    assertEquals(0, guest.memory.readLong(Guest.RESULT));
  }

  @Test
  void appendWritesAtTheEnd() {
    int fd = guest.opened("file", 0);
    guest.ok("fd_fdstat_set_flags", fd, Flags.FDFLAGS_APPEND);
    guest.write(fd, "!");
    guest.ok("fd_tell", fd, Guest.RESULT);
    assertEquals(13, guest.memory.readLong(Guest.RESULT));
    guest.ok("fd_fdstat_set_flags", fd, 0);
    guest.ok("fd_seek", fd, 0, Flags.WHENCE_SET, Guest.RESULT);
    guest.write(fd, "J");
    assertEquals("Jello, world!", guest.contents("file"));
    assertErrno(Errno.INVAL, guest.call("fd_fdstat_set_flags", fd, 32));
  }

  @Test
  void sizesAndHoles() {
    int fd = guest.opened("file", 0);
    guest.ok("fd_filestat_set_size", fd, 5);
    guest.ok("fd_filestat_set_size", fd, 8);
    assertEquals("hello\0\0\0", guest.contents("file"));
    guest.pwrite(fd, "end", 40_000);
    assertEquals(40_003, guest.fstat(fd).size());
    assertEquals("end", guest.string(fd, 10, 40_000));
    assertEquals("\0".repeat(39_992), guest.string(fd, 39_992, 8));
    guest.ok("fd_filestat_set_size", fd, 40_001);
    guest.ok("fd_filestat_set_size", fd, 40_003);
    assertEquals("e\0\0", guest.string(fd, 10, 40_000));
  }

  @Test
  void allocate() {
    int fd = guest.opened("new", Flags.OFLAGS_CREAT);
    guest.ok("fd_allocate", fd, 0, 100);
    guest.ok("fd_allocate", fd, 10, 10);
    assertEquals(100, guest.fstat(fd).size());
    guest.ok("fd_allocate", fd, 90, 20);
    assertEquals(110, guest.fstat(fd).size());
    assertErrno(Errno.INVAL, guest.call("fd_allocate", fd, 0, 0));
    assertErrno(Errno.INVAL, guest.call("fd_allocate", fd, -1, 1));
    guest.ok("fd_allocate", guest.opened("file", 0), 0, 20);
    assertEquals("hello, world" + "\0".repeat(8), guest.contents("file"));
  }

  @ParameterizedTest
  @CsvSource({"0, 10, 0, SUCCESS", "5, 0, 5, SUCCESS", "0, 1, 6, INVAL", "0, 1, -1, INVAL", "-1, 1, 0, INVAL", "0, -1, 0, INVAL"})
  void advise(long offset, long length, int advice, Errno expected) {
    assertErrno(expected, guest.call("fd_advise", guest.opened("file", 0), offset, length, advice));
  }

  @Test
  void anUnlinkedFileLivesAsLongAsItIsOpen() {
    int fd = guest.opened("file", 0);
    guest.unlink("file");
    guest.pwrite(fd, "H", 0);
    assertEquals("Hello, world", guest.string(fd, 100, 0));
    assertEquals(0, guest.fstat(fd).nlink());
    assertErrno(Errno.NOENT, guest.stat(Guest.ROOT, 0, "file"));
    guest.create("file", "another");
    assertEquals("Hello, world", guest.string(fd, 100, 0));
  }

  @Test
  void rightsOnlyShrink() {
    int fd = guest.opened("file", 0);
    guest.ok("fd_fdstat_set_rights", fd, Rights.FD_READ | Rights.FD_SEEK, 0);
    assertErrno(Errno.NOTCAPABLE, guest.write(fd, "x"));
    assertErrno(Errno.NOTCAPABLE, guest.call("fd_fdstat_set_rights", fd, Rights.FD_READ | Rights.FD_WRITE, 0));
    assertErrno(Errno.NOTCAPABLE, guest.call("fd_fdstat_set_rights", fd, Rights.FD_READ, 1));
    assertErrno(Errno.NOTCAPABLE, guest.call("fd_fdstat_set_rights", fd, 1L << 40, 0));
    assertErrno(Errno.SUCCESS, guest.read(fd, 1));
    guest.ok("fd_fdstat_set_rights", fd, Rights.FD_READ, 0);
    assertErrno(Errno.NOTCAPABLE, guest.call("fd_pread", fd, guest.vector(1), 1, 0, Guest.RESULT));
  }

  @Test
  void renumber() {
    int file = guest.opened("file", 0);
    int other = guest.opened("dir/inner", 0);
    guest.ok("fd_renumber", file, other);
    assertErrno(Errno.BADF, guest.read(file, 1));
    assertEquals("hello, world", new String(guest.bytes(other, 100)));
    guest.ok("fd_renumber", other, other);
    assertErrno(Errno.BADF, guest.call("fd_renumber", other, 77));
    assertErrno(Errno.BADF, guest.call("fd_renumber", 77, other));
    guest.ok("fd_renumber", other, 1);
    guest.write(1, "!");
    assertEquals("hello, world!", guest.contents("file"));
    assertEquals(0, guest.stdout.size());
  }

  @Test
  void preopens() {
    guest.ok("fd_prestat_get", 3, Guest.RESULT);
    assertEquals(0, guest.memory.readByte(Guest.RESULT));
    assertEquals(1, guest.memory.readInt(Guest.RESULT + 4));
    assertErrno(Errno.NAMETOOLONG, guest.call("fd_prestat_dir_name", 3, Guest.DATA, 0));
    guest.ok("fd_prestat_dir_name", 3, Guest.DATA, 1);
    assertEquals("/", guest.string(Guest.DATA, 1));
    guest.ok("fd_prestat_dir_name", 3, Guest.DATA, 100);
    assertErrno(Errno.BADF, guest.call("fd_prestat_get", guest.openedDirectory(3, "dir"), Guest.RESULT));
    try (Guest bare = new Guest(Guest.settings(Optional.empty(), temp, FileQuota.DEFAULT))) {
      assertErrno(Errno.BADF, bare.call("fd_prestat_get", 3, Guest.RESULT));
      assertErrno(Errno.SUCCESS, bare.write(1, "x"));
    }
  }

  @Test
  void streamsAreNoTerminals() {
    for (int fd = 0; fd < 3; fd++) {
      assertEquals(Filetype.UNKNOWN, guest.fstat(fd).type());
      guest.ok("fd_fdstat_get", fd, Guest.RESULT);
      assertEquals(Filetype.UNKNOWN.value(), guest.memory.readByte(Guest.RESULT));
    }
  }

  @Test
  void readdirGivesDotsAndTypes() {
    int fd = guest.openedDirectory(Guest.ROOT, "dir");
    List<Guest.Dirent> entries = guest.readdir(fd, 4096, 0);
    assertEquals(List.of(".", "..", "inner", "nested"), entries.stream().map(Guest.Dirent::name).toList());
    assertEquals(List.of(Filetype.DIRECTORY, Filetype.DIRECTORY, Filetype.REGULAR_FILE, Filetype.DIRECTORY),
        entries.stream().map(Guest.Dirent::type).toList());
    assertEquals(guest.fstat(fd).ino(), entries.get(0).ino());
    assertEquals(guest.stat("dir/inner").ino(), entries.get(2).ino());
    assertEquals(entries.subList(2, 4), guest.readdir(fd, 4096, entries.get(1).next()));
    assertEquals(List.of(), guest.readdir(fd, 4096, entries.get(3).next()));
    assertEquals(List.of(), guest.readdir(fd, 4096, -1));
    assertEquals(List.of(), guest.readdir(fd, 4096, Long.MAX_VALUE));
    assertEquals(entries.subList(2, 3), guest.readdir(fd, 30, 2));
    assertEquals(30, guest.result(), "one entry of 29 bytes and a byte of the next");
    guest.ok("fd_readdir", fd, Guest.DATA, 10, 0, Guest.RESULT);
    assertEquals(10, guest.result(), "an entry is cut, which says that there is more");
    assertThrows(GuestTrap.class, () -> guest.call("fd_readdir", fd, Guest.DATA, -1, 0, Guest.RESULT));
  }

  @Test
  void cookiesStayGoodWhileTheDirectoryChanges() {
    guest.mkdir("many");
    TreeSet<String> stay = new TreeSet<>();
    for (int i = 0; i < 100; i++) {
      guest.create("many/f" + i, "");
      if (i % 2 == 0) {
        stay.add("f" + i);
      }
    }
    int fd = guest.openedDirectory(Guest.ROOT, "many");
    List<String> seen = new ArrayList<>();
    long cookie = 0;
    int round = 0;
    while (true) {
      List<Guest.Dirent> entries = guest.readdir(fd, 100, cookie);
      if (entries.isEmpty()) {
        break;
      }
      for (Guest.Dirent entry : entries) {
        seen.add(entry.name());
      }
      cookie = entries.getLast().next();
      // Removes behind and ahead, and brings a name back.
      guest.unlink("many/f" + (2 * round + 1) % 100);
      guest.unlink("many/f" + (99 - 2 * round) % 100);
      if (round < 20) {
        guest.create("many/new" + round, "");
      }
      round++;
    }
    for (String name : stay) {
      assertEquals(1, seen.stream().filter(name::equals).count(), name);
    }
    assertTrue(seen.contains("new0"), "what is made during the reading comes at the end");
  }

  @Test
  void aNameOfTheImageThatIsMadeAnewIsListedOnce() {
    guest.unlink("file");
    guest.create("file", "again");
    guest.rename("dir/inner", "link");
    assertEquals(List.of("dangling", "dir", "dirlink", "empty", "file", "link", "loop"), guest.list("."));
    assertEquals("inner", guest.contents("link"));
    assertEquals(List.of("nested"), guest.list("dir"));
  }
}
