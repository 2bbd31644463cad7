package dev.instar.operations.deploy;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TrustTest {
  @TempDir
  Path top;

  private static Path directory(Path path, String mode) throws Exception {
    Files.createDirectory(path);
    return Files.setPosixFilePermissions(path, PosixFilePermissions.fromString(mode));
  }

  @Test
  void oursAloneIsTrusted() throws Exception {
    Path data = directory(top.resolve("data"), "rwx------");
    assertEquals(Optional.empty(), Trust.wrong(directory(data.resolve("deploy"), "rwxr-xr-x"), data));
    Path elsewhere = directory(top.resolve("elsewhere"), "rwx------");
    assertEquals(Optional.empty(), Trust.wrong(directory(elsewhere.resolve("deploy"), "rwx------"), data));
  }

  @Test
  void whatOthersMayWriteIsNot() throws Exception {
    Path data = directory(top.resolve("data"), "rwx------");
    assertTrue(Trust.wrong(directory(data.resolve("group"), "rwxrwx---"), data).orElseThrow().contains("may be written by others"));
    assertTrue(Trust.wrong(directory(data.resolve("all"), "rwx----w-"), data).orElseThrow().contains("chmod go-w"));
    // Who may rename the directory above can put another in its place.
    Path above = directory(top.resolve("above"), "rwxrwxrwx");
    assertTrue(Trust.wrong(directory(above.resolve("deploy"), "rwx------"), data).orElseThrow().startsWith(above.toRealPath() + " may be written"));
    Files.createSymbolicLink(data.resolve("link"), above);
    assertTrue(Trust.wrong(data.resolve("link"), data).isPresent());
    assertTrue(Trust.wrong(data.resolve("none"), data).isPresent());
  }

  @Test
  void norIsAFileThatTheyMayWrite() throws Exception {
    Path file = Files.createFile(top.resolve("a.jar"), PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-r--r--")));
    assertEquals(Optional.empty(), Trust.wrongFile(file));
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-rw-r--"));
    assertTrue(Trust.wrongFile(file).isPresent());
  }
}
