package dev.instar.wasi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PathCallsTest extends FilesTest {
  private static final int CREAT = Flags.OFLAGS_CREAT;
  private static final int DIRECTORY = Flags.OFLAGS_DIRECTORY;

  @ParameterizedTest
  @CsvSource({
      // path, lookupflags, oflags, expected
      "file, 0, 0, SUCCESS", "file, 0, 1, SUCCESS", "file, 0, 5, EXIST", "file, 0, 8, SUCCESS", "file, 0, 2, NOTDIR", "file/, 0, 0, NOTDIR",
      "file///, 0, 0, NOTDIR", "file/., 0, 0, NOTDIR", "file/.., 0, 0, NOTDIR", "file/x, 0, 1, NOTDIR", "new, 0, 0, NOENT", "new, 0, 1, SUCCESS",
      "new, 0, 5, SUCCESS", "new, 0, 2, NOENT", "new/, 0, 1, ISDIR", "no/new, 0, 1, NOENT", "new, 0, 3, INVAL", "new, 0, 16, INVAL",
      "new, 2, 1, INVAL",
      "dir, 0, 2, SUCCESS", "dir/, 0, 2, SUCCESS", "dir///nested/./, 0, 2, SUCCESS", "dir/../dir/nested/../../file, 0, 0, SUCCESS",
      ".., 0, 2, PERM",
      "dir, 0, 1, ISDIR", "dir, 0, 10, ISDIR", "dir, 0, 0, ISDIR", "., 0, 2, SUCCESS", "., 0, 1, ISDIR",
      "link, 0, 0, LOOP", "link, 1, 0, SUCCESS", "link, 0, 2, NOTDIR", "link, 1, 2, NOTDIR", "link/, 0, 0, NOTDIR", "link, 1, 5, EXIST",
      "dirlink, 0, 2, NOTDIR", "dirlink, 1, 2, SUCCESS", "dirlink/, 0, 2, SUCCESS", "dirlink/inner, 0, 0, SUCCESS", "dirlink/../file, 0, 0, SUCCESS",
      "dangling, 1, 0, NOENT", "dangling, 1, 1, SUCCESS", "dangling, 1, 5, EXIST", "loop, 1, 0, LOOP", "loop, 0, 0, LOOP", "loop/x, 0, 0, LOOP",
      "'', 0, 0, NOENT", "/file, 0, 0, PERM", "dir/../.., 0, 2, PERM", "dir/../../image/file, 0, 0, PERM"})
  void pathOpen(String path, int lookup, int oflags, Errno expected) {
    long base = (oflags & DIRECTORY) != 0 ? Rights.DIRECTORY : Rights.FILE;
    assertErrno(expected, guest.open(Guest.ROOT, path, lookup, oflags, base, Rights.ALL, 0));
  }

  @Test
  void creatingThroughADanglingLinkMakesItsTarget() {
    guest.opened("dangling", CREAT);
    assertEquals(Filetype.REGULAR_FILE, guest.stat("nowhere").type());
    assertEquals(Filetype.SYMBOLIC_LINK, guest.stat("dangling").type());
  }

  @Test
  void pathOpenChecksRightsOfTheDirectory() {
    guest.ok("fd_fdstat_set_rights", Guest.ROOT, Rights.DIRECTORY & ~Rights.PATH_CREATE_FILE & ~Rights.PATH_FILESTAT_SET_SIZE,
        Rights.ALL & ~Rights.FD_WRITE & ~Rights.FD_SYNC);
    assertErrno(Errno.NOTCAPABLE, guest.open(Guest.ROOT, "new", 0, CREAT, 0, 0, 0));
    assertErrno(Errno.NOTCAPABLE, guest.open(Guest.ROOT, "file", 0, Flags.OFLAGS_TRUNC, 0, 0, 0));
    assertErrno(Errno.NOTCAPABLE, guest.open(Guest.ROOT, "file", 0, 0, Rights.FD_WRITE, 0, 0));
    assertErrno(Errno.NOTCAPABLE, guest.open(Guest.ROOT, "dir", 0, DIRECTORY, 0, Rights.FD_WRITE, 0));
    assertErrno(Errno.NOTCAPABLE, guest.open(Guest.ROOT, "file", 0, 0, Rights.FD_READ, 0, Flags.FDFLAGS_SYNC));
    assertErrno(Errno.SUCCESS, guest.open(Guest.ROOT, "file", 0, 0, Rights.FD_READ, 0, Flags.FDFLAGS_DSYNC));
    guest.ok("fd_fdstat_set_rights", Guest.ROOT, 0, 0);
    assertErrno(Errno.NOTCAPABLE, guest.open(Guest.ROOT, "file", 0, 0, 0, 0, 0));
  }

  @Test
  void rightsThatDoNotApplyToTheTypeAreLeftOut() {
    assertErrno(Errno.SUCCESS, guest.open(Guest.ROOT, "dir", 0, DIRECTORY, ~Rights.FD_WRITE, -1, 0));
    int fd = guest.result();
    guest.ok("fd_fdstat_get", fd, Guest.RESULT);
    assertEquals(Rights.DIRECTORY, guest.memory.readLong(Guest.RESULT + 8));
    assertEquals(Rights.ALL, guest.memory.readLong(Guest.RESULT + 16));
    assertErrno(Errno.SUCCESS, guest.open(Guest.ROOT, "file", 0, 0, -1, -1, Flags.FDFLAGS_APPEND));
    guest.ok("fd_fdstat_get", guest.result(), Guest.RESULT);
    assertEquals(Filetype.REGULAR_FILE.value(), guest.memory.readByte(Guest.RESULT));
    assertEquals(Flags.FDFLAGS_APPEND, guest.memory.readShort(Guest.RESULT + 2));
    assertEquals(Rights.FILE, guest.memory.readLong(Guest.RESULT + 8));
  }

  /** As open(2) says of O_RDWR, even with O_DIRECTORY. */
  @Test
  void aDirectoryIsNotOpenedForWriting() {
    for (String path : new String[] {"dir", "dir/", "."}) {
      for (int oflags : new int[] {0, DIRECTORY}) {
        assertErrno(Errno.ISDIR, guest.open(Guest.ROOT, path, 0, oflags, Rights.FD_READ | Rights.FD_WRITE, 0, 0));
        assertErrno(Errno.SUCCESS, guest.open(Guest.ROOT, path, 0, oflags, Rights.FD_READ, 0, 0));
      }
    }
  }

  @Test
  void pathCallsNeedADirectory() {
    int fd = guest.opened("file", 0);
    assertErrno(Errno.NOTDIR, guest.open(fd, "x", 0));
    assertErrno(Errno.NOTDIR, guest.open(0, "x", 0));
    assertErrno(Errno.BADF, guest.open(77, "x", 0));
    assertErrno(Errno.BADF, guest.open(-1, "x", 0));
    assertErrno(Errno.NOTDIR, guest.call("fd_readdir", fd, Guest.DATA, 100, 0, Guest.RESULT));
  }

  @ParameterizedTest
  @CsvSource({"new, SUCCESS", "new/, SUCCESS", "dir/new//, SUCCESS", "dir, EXIST", "file, EXIST", "link, EXIST", "dangling, EXIST",
      "dangling/, EXIST",
      "no/new, NOENT", "file/new, NOTDIR", "'', NOENT", "., EXIST", ".., PERM", "/new, PERM", "dir/.., EXIST", "loop/x, LOOP"})
  void pathCreateDirectory(String path, Errno expected) {
    assertErrno(expected, guest.mkdir(path));
  }

  @ParameterizedTest
  @CsvSource({"empty, SUCCESS", "empty/, SUCCESS", "dir, NOTEMPTY", "dir/nested, SUCCESS", "file, NOTDIR", "file/, NOTDIR", "dirlink, NOTDIR",
      "dirlink/, NOTDIR",
      "new, NOENT", "., INVAL", "dir/.., NOTEMPTY", ".., PERM", "dir/nested/., INVAL"})
  void pathRemoveDirectory(String path, Errno expected) {
    assertErrno(expected, guest.rmdir(path));
  }

  @ParameterizedTest
  @CsvSource({"file, SUCCESS", "link, SUCCESS", "dangling, SUCCESS", "loop, SUCCESS", "dirlink, SUCCESS", "file/, NOTDIR", "dirlink/, NOTDIR",
      "dir, ISDIR", "dir/, ISDIR",
      "., ISDIR", "new, NOENT", "new/, NOENT", "dirlink/inner, SUCCESS", "file/x, NOTDIR", ".., PERM"})
  void pathUnlinkFile(String path, Errno expected) {
    assertErrno(expected, guest.unlink(path));
  }

  @ParameterizedTest
  @CsvSource({"file, new, SUCCESS", "file, file, SUCCESS", "file, dir/inner, SUCCESS", "file, empty, ISDIR", "file, dir, ISDIR",
      "file, new/, NOTDIR", "file/, new, NOTDIR",
      "dir, new, SUCCESS", "dir/, new/, SUCCESS", "dir, empty, SUCCESS", "empty, dir, NOTEMPTY", "dir, file, NOTDIR", "dir, dir/nested/x, INVAL",
      "dir, dir/x, INVAL",
      "dir, dir, SUCCESS", "dir/nested, dir, NOTEMPTY", "link, new, SUCCESS", "link, file, SUCCESS", "dirlink/, new, NOTDIR", "new, x, NOENT",
      "., x, BUSY", "dir, ., BUSY",
      "dir/.., x, BUSY", "file, no/x, NOENT", "file, ../x, PERM", "../x, y, PERM", "file, dirlink/x, SUCCESS"})
  void pathRename(String from, String to, Errno expected) {
    assertErrno(expected, guest.rename(from, to));
    if (expected == Errno.SUCCESS && !from.equals(to)) {
      assertErrno(Errno.NOENT, guest.stat(Guest.ROOT, 0, from.replace("/", "")));
      guest.stat(to);
    }
  }

  @ParameterizedTest
  @CsvSource({"anything at all, new, SUCCESS", "/etc/passwd, new, SUCCESS", "x, file, EXIST", "x, new/, NOENT", "x, dir/, EXIST", "x, file/, NOTDIR", "x, dangling/, NOTDIR", "x, ., EXIST",
      "'', new, NOENT",
      "x, no/new, NOENT", "x, ../new, PERM"})
  void pathSymlink(String target, String path, Errno expected) {
    assertErrno(expected, guest.symlink(target, path));
    if (expected == Errno.SUCCESS) {
      assertEquals(target, guest.readlink(path));
      assertEquals(target.length(), guest.stat(path).size());
    }
  }

  @ParameterizedTest
  @CsvSource({"0, file, new, SUCCESS", "0, file, file, EXIST", "0, file, dir, EXIST", "0, file, dangling, EXIST", "0, dir, new, PERM",
      "0, file, new/, NOENT", "0, file, link/, NOTDIR", "0, file, dir/, EXIST",
      "0, file/, new, NOTDIR", "0, link, new, SUCCESS", "1, link, new, SUCCESS", "1, dangling, new, NOENT", "0, dangling, new, SUCCESS",
      "1, loop, new, LOOP",
      "0, none, new, NOENT", "2, file, new, INVAL", "0, ../file, new, PERM"})
  void pathLink(int lookup, String from, String to, Errno expected) {
    assertErrno(expected, guest.link(lookup, from, to));
  }

  @Test
  void hardLinksAreOneFile() {
    guest.link(0, "file", "dir/other");
    Guest.Stat stat = guest.stat("file");
    assertEquals(2, stat.nlink());
    assertEquals(stat, guest.stat("dir/other"));
    guest.create("dir/other", "changed");
    assertEquals("changed", guest.contents("file"));
    guest.unlink("file");
    assertEquals(1, guest.stat("dir/other").nlink());
    guest.link(0, "link", "copy");
    assertEquals(Filetype.SYMBOLIC_LINK, guest.stat("copy").type());
    guest.link(1, "link", "nope");
    assertErrno(Errno.NOENT, guest.stat(Guest.ROOT, 0, "nope"));
  }

  @ParameterizedTest
  @CsvSource({"link, SUCCESS", "file, INVAL", "dir, INVAL", "none, NOENT", "link/, NOTDIR", "dirlink/, INVAL", "../x, PERM"})
  void pathReadlink(String path, Errno expected) {
    assertErrno(expected, guest.readlink(path, 100));
  }

  @Test
  void readlinkCutsOff() {
    assertErrno(Errno.SUCCESS, guest.readlink("link", 2));
    assertEquals("fi", guest.string(Guest.DATA, guest.result()));
    assertErrno(Errno.SUCCESS, guest.readlink("link", 0));
    assertEquals(0, guest.result());
  }

  @ParameterizedTest
  @CsvSource({"file, 0, REGULAR_FILE", "link, 0, SYMBOLIC_LINK", "link, 1, REGULAR_FILE", "dirlink, 1, DIRECTORY", "dirlink/, 0, DIRECTORY",
      "., 0, DIRECTORY",
      "dir/.., 0, DIRECTORY"})
  void pathFilestatGet(String path, int lookup, Filetype expected) {
    assertErrno(Errno.SUCCESS, guest.stat(Guest.ROOT, lookup, path));
    assertEquals(expected.value(), guest.memory.readByte(Guest.RESULT + 16));
  }

  @Test
  void filestatHasTheFileOfTheImage() throws Exception {
    Guest.Stat stat = guest.stat("file");
    assertEquals(12, stat.size());
    assertEquals(1, stat.nlink());
    assertEquals(java.nio.file.Files.getLastModifiedTime(image.resolve("file")).to(java.util.concurrent.TimeUnit.NANOSECONDS), stat.mtim());
    assertErrno(Errno.NOENT, guest.stat(Guest.ROOT, 1, "dangling"));
    assertErrno(Errno.INVAL, guest.stat(Guest.ROOT, 4, "file"));
  }

  @ParameterizedTest
  @CsvSource({"5, SUCCESS, 111, 222", "1, SUCCESS, 111, -1", "4, SUCCESS, -1, 222", "0, SUCCESS, -1, -1", "3, INVAL, -1, -1", "12, INVAL, -1, -1",
      "16, INVAL, -1, -1"})
  void setTimes(int flags, Errno expected, long atim, long mtim) {
    Guest.Stat before = guest.stat("file");
    int fd = guest.opened("file", 0);
    assertErrno(expected, guest.call("fd_filestat_set_times", fd, 111, 222, flags));
    Guest.Stat after = guest.stat("file");
    assertEquals(atim < 0 ? before.atim() : atim, after.atim());
    assertEquals(mtim < 0 ? before.mtim() : mtim, after.mtim());
  }

  @Test
  void setTimesByPathFollowsWhenTold() {
    byte[] path = "link".getBytes();
    guest.memory.write(4096, path, 0, 4);
    guest.ok("path_filestat_set_times", Guest.ROOT, 0, 4096, 4, 5, -1, Flags.FSTFLAGS_ATIM | Flags.FSTFLAGS_MTIM_NOW);
    assertEquals(5, guest.stat("link").atim());
    assertTrue(guest.stat("link").mtim() > guest.stat("file").mtim() - 1, "now is not before the file was made");
    guest.ok("path_filestat_set_times", Guest.ROOT, 1, 4096, 4, 7, -1, Flags.FSTFLAGS_ATIM | Flags.FSTFLAGS_MTIM);
    assertEquals(7, guest.stat("file").atim());
    assertEquals(-1, guest.stat("file").mtim());
    assertEquals(5, guest.stat("link").atim());
  }

  @Test
  void stringsAreChecked() {
    assertErrno(Errno.INVAL, guest.mkdir("a\0b"));
    guest.memory.writeByte(4096, (byte) 0xff);
    assertErrno(Errno.ILSEQ, guest.call("path_create_directory", Guest.ROOT, 4096, 1));
    // An overlong '/'.
    guest.memory.writeShort(4096, (short) 0xafc0);
    assertErrno(Errno.ILSEQ, guest.call("path_create_directory", Guest.ROOT, 4096, 2));
    assertErrno(Errno.NAMETOOLONG, guest.mkdir("x".repeat(256)));
    assertErrno(Errno.NAMETOOLONG, guest.mkdir("ä".repeat(128)));
    assertErrno(Errno.SUCCESS, guest.mkdir("ä".repeat(127)));
    assertErrno(Errno.SUCCESS, guest.mkdir("x".repeat(255)));
    assertErrno(Errno.NAMETOOLONG, guest.mkdir("./".repeat(2048) + "x"));
    assertErrno(Errno.SUCCESS, guest.mkdir("./".repeat(2047) + "x"));
    assertThrows(GuestTrap.class, () -> guest.call("path_create_directory", Guest.ROOT, 4 << 20, 1));
    assertThrows(GuestTrap.class, () -> guest.call("path_create_directory", Guest.ROOT, 4096, -1));
  }

  @Test
  void thirtyTwoLinksAreFollowedAndNoMore() {
    guest.symlink("file", "l1");
    for (int i = 2; i <= 33; i++) {
      guest.symlink("l" + (i - 1), "l" + i);
    }
    assertErrno(Errno.SUCCESS, guest.open(Guest.ROOT, "l32", 0));
    assertErrno(Errno.LOOP, guest.open(Guest.ROOT, "l33", 0));
  }
}
