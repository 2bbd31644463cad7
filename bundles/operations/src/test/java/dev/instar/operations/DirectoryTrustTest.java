package dev.instar.operations;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DirectoryTrustTest {
  @TempDir Path dir;
  private Path above;
  private Path watched;
  private DirectoryTrust trust;

  @BeforeEach
  void make() throws IOException {
    above = Files.createDirectory(dir.resolve("above"));
    watched = Files.createDirectory(above.resolve("watched"));
    trust = DirectoryTrust.ofThisProcess();
    mode(above, 0755);
    mode(watched, 0755);
  }

  private static void mode(Path path, int mode) throws IOException {
    Files.setAttribute(path, "unix:mode", mode);
  }

  private void refused(String why) throws IOException {
    Optional<String> objection = trust.objection(watched);
    assertTrue(objection.orElseThrow().contains(why), objection.get());
  }

  @Test
  void theNodesOwnIsTrusted() throws Exception {
    assertEquals(Optional.empty(), trust.objection(watched));
    mode(watched, 0700);
    assertEquals(Optional.empty(), trust.objection(watched));
  }

  @Test
  void oneThatOthersMayWriteIsRefused() throws Exception {
    for (int mode : new int[] {0775, 0757, 0777, 01777, 02775}) {
      mode(watched, mode);
      refused("'chmod go-w " + watched);
    }
  }

  @Test
  void oneThatOthersMayPutAnotherInPlaceOfIsRefused() throws Exception {
    for (int mode : new int[] {0775, 0757, 0777}) {
      mode(above, mode);
      refused("'chmod go-w " + above + "'");
    }
    mode(above, 01777);
    assertEquals(Optional.empty(), trust.objection(watched), "what is sticky is not renamed by others");
  }

  @Test
  void aboveTheDataDirectoryNothingIsLookedAt() throws Exception {
    mode(dir, 0777);
    try {
      assertTrue(trust.objection(watched).isPresent());
      assertEquals(Optional.empty(), trust.objection(watched, above));
      assertEquals(Optional.empty(), trust.objection(watched, watched.getParent().resolve("../above").normalize()));
      mode(above, 0777);
      assertTrue(trust.objection(watched, above).isPresent(), "itself is looked at");
      Path elsewhere = Files.createDirectory(dir.resolve("elsewhere"));
      assertTrue(trust.objection(elsewhere, above).isPresent(), "that is not below it");
    } finally {
      mode(dir, 0700);
    }
  }

  @Test
  void anothersIsRefused() throws Exception {
    int own = (Integer) Files.getAttribute(watched, "unix:uid");
    if (own == 0) {
      // Only root can give something away.
      Files.setAttribute(watched, "unix:uid", 12345);
      refused("belongs to another user (12345)");
      Files.setAttribute(watched, "unix:uid", 0);
      Files.setAttribute(above, "unix:uid", 12345);
      refused("belongs to another user (12345)");
    } else {
      trust = DirectoryTrust.of(own + 1);
      refused("belongs to another user (" + own + ")");
    }
  }

  @Test
  void aLinkIsTrustedAsTheWayToItAndWhatItLeadsTo() throws Exception {
    Path link = Files.createSymbolicLink(dir.resolve("link"), watched);
    assertEquals(Optional.empty(), trust.objection(link));
    Path open = Files.createDirectory(dir.resolve("open"));
    mode(open, 0777);
    Path there = Files.createSymbolicLink(open.resolve("link"), watched);
    assertTrue(trust.objection(there).orElseThrow().contains(open.toString()));
    mode(watched, 0777);
    assertTrue(trust.objection(link).isPresent());
  }

  @Test
  void filesAreLookedAtToo() throws Exception {
    Path file = Files.createFile(watched.resolve("a.jar"), PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-r--r--")));
    assertEquals(Optional.empty(), trust.objectionToFile(file));
    mode(file, 0666);
    assertTrue(trust.objectionToFile(file).isPresent());
    assertTrue(trust.objectionToFile(Files.createSymbolicLink(watched.resolve("b.jar"), file)).isPresent());
    assertTrue(trust.objection(file).isPresent(), "no directory");
    assertThrows(IOException.class, () -> trust.objection(dir.resolve("none")));
  }
}
