package dev.instar.wasi;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;

/** A guest over an image with a few files. */
abstract class FilesTest {
  @TempDir
  Path temp;

  Path image;
  Guest guest;

  @BeforeEach
  void start() throws IOException {
    image = Files.createDirectory(temp.resolve("image"));
    Files.writeString(image.resolve("file"), "hello, world");
    Files.createDirectories(image.resolve("dir/nested"));
    Files.writeString(image.resolve("dir/inner"), "inner");
    Files.createDirectory(image.resolve("empty"));
    Files.createSymbolicLink(image.resolve("link"), Path.of("file"));
    Files.createSymbolicLink(image.resolve("dirlink"), Path.of("dir"));
    Files.createSymbolicLink(image.resolve("dangling"), Path.of("nowhere"));
    Files.createSymbolicLink(image.resolve("loop"), Path.of("loop"));
    guest = guest(FileQuota.DEFAULT);
  }

  Guest guest(FileQuota quota) throws IOException {
    return Guest.over(LowerTree.scan(image, 100), temp.resolve("scratch"), quota);
  }

  @AfterEach
  void stop() {
    guest.close();
  }

  static void assertErrno(Errno expected, Errno actual) {
    assertEquals(expected, actual);
  }
}
