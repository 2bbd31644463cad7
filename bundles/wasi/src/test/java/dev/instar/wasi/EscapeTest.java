package dev.instar.wasi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Ways out of the view, tried from inside and through what an image brings along. A file with a secret lies beside the image. */
class EscapeTest extends FilesTest {
  private static final String SECRET = "secret";

  @BeforeEach
  void secret() throws IOException {
    Files.writeString(temp.resolve("secret"), SECRET);
    Files.createSymbolicLink(image.resolve("up"), Path.of("../secret"));
    Files.createSymbolicLink(image.resolve("deepup"), Path.of("dir/nested/../../../secret"));
    Files.createSymbolicLink(image.resolve("absolute"), temp.resolve("secret"));
    Files.createSymbolicLink(image.resolve("parent"), Path.of(".."));
    Files.createSymbolicLink(image.resolve("top"), Path.of("/"));
    Files.createSymbolicLink(image.resolve("rooted"), Path.of("/dir/inner"));
    guest.close();
    guest = guest(FileQuota.DEFAULT);
  }

  /** So that nobody who cleans the directory up meets them. */
  @AfterEach
  void removeLinks() throws IOException {
    for (String name : new String[] {"up", "deepup", "absolute", "parent", "top", "rooted", "dir/inner"}) {
      Files.delete(image.resolve(name));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"..", "../secret", "../../../../../../etc/passwd", "dir/../../secret", "dir/nested/../../../secret", "./../secret",
      "dirlink/../../secret", "up",
      "deepup", "parent", "parent/secret", "dirlink/../parent/secret", "top/../secret", "top/top/..", "/etc/passwd", "//etc/passwd", "/", "/.."})
  void neverOpens(String path) {
    assertErrno(Errno.PERM, guest.open(Guest.ROOT, path, 0));
    assertErrno(Errno.PERM, guest.open(Guest.ROOT, path, Flags.OFLAGS_DIRECTORY));
    assertErrno(Errno.PERM, guest.open(Guest.ROOT, path, Flags.OFLAGS_CREAT | Flags.OFLAGS_TRUNC));
    assertErrno(Errno.PERM, guest.stat(Guest.ROOT, 1, path));
  }

  @Test
  void absoluteLinksStartAtTheRootOfTheView() {
    assertErrno(Errno.NOENT, guest.open(Guest.ROOT, "absolute", 0));
    assertEquals("inner", guest.contents("rooted"));
    assertEquals("inner", guest.contents("top/top/rooted"));
    assertEquals(Filetype.DIRECTORY, guest.stat("top/").type());
  }

  @Test
  void aDescriptorIsABorderToo() {
    int dir = guest.openedDirectory(Guest.ROOT, "dir");
    guest.symlink("/file", dir, "abs");
    guest.symlink("../file", dir, "rel");
    for (String path : new String[] {"..", "../file", "nested/../../file", "abs", "rel", "/file", "abs/x"}) {
      assertErrno(Errno.PERM, guest.open(dir, path, 0));
    }
    assertErrno(Errno.PERM, guest.rename(dir, "inner", dir, "../stolen"));
    assertErrno(Errno.PERM, guest.rename(dir, "../file", dir, "stolen"));
    assertErrno(Errno.SUCCESS, guest.open(Guest.ROOT, "dir/rel", 0));
    assertErrno(Errno.SUCCESS, guest.open(Guest.ROOT, "dir/abs", 0));
  }

  @Test
  void aDirectoryThatMovesUnderAnOpenDescriptorStaysTheBorder() {
    int nested = guest.openedDirectory(Guest.ROOT, "dir/nested");
    guest.rename("dir/nested", "moved");
    assertErrno(Errno.PERM, guest.open(nested, "../file", 0));
    assertErrno(Errno.SUCCESS, guest.open(nested, "x", Flags.OFLAGS_CREAT));
    assertEquals(Filetype.REGULAR_FILE, guest.stat("moved/x").type());
    // Deeper now than at its opening: more steps up than there were.
    guest.mkdir("a");
    guest.mkdir("a/b");
    guest.rename("moved", "a/b/moved");
    assertErrno(Errno.PERM, guest.open(nested, "..", 0));
    assertErrno(Errno.PERM, guest.open(nested, "./../../../../secret", 0));
  }

  @Test
  void aRemovedDirectoryIsEmptyForGood() {
    int dir = guest.openedDirectory(Guest.ROOT, "empty");
    guest.rmdir("empty");
    assertErrno(Errno.NOENT, guest.open(dir, "x", Flags.OFLAGS_CREAT));
    assertErrno(Errno.NOENT, guest.open(dir, "..", 0));
    assertErrno(Errno.NOENT, guest.rename(Guest.ROOT, "file", dir, "x"));
    assertErrno(Errno.NOENT, guest.symlink("x", dir, "x"));
    assertEquals(0, guest.readdir(dir, 1000, 0).size());
    assertEquals(0, guest.fstat(dir).nlink());
    // A new directory of the name is another one.
    guest.mkdir("empty");
    assertErrno(Errno.NOENT, guest.open(dir, "x", Flags.OFLAGS_CREAT));
  }

  @Test
  void aLinkThatIsSwappedForADirectoryCountsAsWhatItIsNow() {
    guest.mkdir("swap");
    guest.create("swap/secret", "inside");
    assertEquals("inside", guest.contents("swap/secret"));
    guest.rename("swap", "aside");
    guest.symlink("..", "swap");
    assertErrno(Errno.PERM, guest.open(Guest.ROOT, "swap/secret", 0));
    guest.unlink("swap");
    guest.symlink("aside", "swap");
    assertEquals("inside", guest.contents("swap/secret"));
  }

  @Test
  void aDirectoryCannotBeMovedIntoItselfByALink() {
    guest.mkdir("a");
    guest.mkdir("a/b");
    guest.symlink("a/b", "in");
    assertErrno(Errno.INVAL, guest.rename("a", "in/a"));
    assertErrno(Errno.INVAL, guest.rename("a", "a/b/../b/a"));
  }

  @Test
  void nothingReachesTheHost() throws IOException {
    guest.create("file", "changed");
    guest.unlink("link");
    guest.rename("dir", "moved");
    guest.create("up2", "x");
    guest.create("absolute2", "x".repeat(100_000));
    assertEquals("hello, world", Files.readString(image.resolve("file")));
    assertEquals(Path.of("file"), Files.readSymbolicLink(image.resolve("link")));
    assertEquals("inner", Files.readString(image.resolve("dir/inner")));
    assertEquals(SECRET, Files.readString(temp.resolve("secret")));
    try (var names = Files.list(temp)) {
      assertEquals(java.util.List.of("image", "secret"),
          names.map(p -> p.getFileName().toString()).filter(n -> !n.equals("scratch")).sorted().toList());
    }
  }

  @Test
  void aFileThatBecameALinkOnTheHostIsNotFollowed() throws IOException {
    int fd = guest.opened("dir/inner", 0);
    Files.delete(image.resolve("dir/inner"));
    Files.createSymbolicLink(image.resolve("dir/inner"), temp.resolve("secret"));
    assertErrno(Errno.IO, guest.read(fd, 100));
  }

  @Test
  void anImageOfTooManyFilesIsRefused() {
    assertThrows(IOException.class, () -> LowerTree.scan(image, 5));
  }
}
