package dev.instar.images;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.data.DurableFiles;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/**
 * Whatever an archive holds: it is refused, or all of it lies below its view and within the limits; and no more than the view is left.
 *
 * <p>The first byte of an input says what the rest is: an even one, a gzip stream as it stands; an odd one, a tar stream, whose headers are given
 * the checksums that fit, so that the fuzzer gets past both.
 */
class BundleUnpackerFuzzTest {
  private static final ArchiveLimits LIMITS = new ArchiveLimits(1 << 20, 40, 60, 6, 100);

  @FuzzTest
  void anArchiveStaysInItsViewAndItsLimits(byte[] input) throws IOException {
    if (input.length == 0) {
      return;
    }
    byte[] rest = Arrays.copyOfRange(input, 1, input.length);
    byte[] archive = (input[0] & 1) == 0 ? rest : Tars.gzip(summed(rest));
    Path root = Files.createTempDirectory("fuzz-unpack");
    try {
      Path view = root.resolve("view");
      boolean refused = false;
      try {
        BundleUnpacker.unpack(new ByteArrayInputStream(archive), view, LIMITS, Files::newOutputStream);
      } catch (InstarException e) {
        assertTrue(e.code() == ErrorCode.ARCHIVE_REFUSED || e.code() == ErrorCode.UNSUPPORTED_ARTIFACT, () -> e.code() + ": " + e.getMessage());
        assertTrue(e.problem().detail().chars().allMatch(c -> c >= ' ' && c <= '~'), "printable: " + e.problem().detail());
        refused = true;
      }
      try (Stream<Path> left = Files.list(root)) {
        assertEquals(refused ? List.of() : List.of(view), left.toList());
      }
      if (!refused) {
        check(view);
      }
    } finally {
      DurableFiles.deleteTree(root);
    }
  }

  /** Puts in the checksum of each block that stands where a header would. */
  private static byte[] summed(byte[] tar) {
    byte[] out = tar.clone();
    for (int at = 0; at + 512 <= out.length; at += 512) {
      byte[] header = Arrays.copyOfRange(out, at, at + 512);
      if (header[156] != 0 || header[0] != 0) {
        Tars.checksum(header);
        System.arraycopy(header, 0, out, at, 512);
      }
    }
    return out;
  }

  private static void check(Path view) throws IOException {
    Path program = view.resolve(BundleUnpacker.PROGRAM);
    assertTrue(Files.isRegularFile(program, LinkOption.NOFOLLOW_LINKS));
    Path rootfs = view.resolve(BundleUnpacker.ROOTFS);
    try (Stream<Path> walked = Files.walk(view)) {
      long bytes = 0;
      int entries = 0;
      for (Path path : (Iterable<Path>) walked::iterator) {
        entries++;
        assertTrue(path.equals(view) || path.equals(program) || path.startsWith(rootfs), path::toString);
        if (path.startsWith(rootfs) && !path.equals(rootfs)) {
          assertTrue(rootfs.relativize(path).getNameCount() <= LIMITS.depth(), path::toString);
          assertTrue(path.getFileName().toString().getBytes(StandardCharsets.UTF_8).length <= LIMITS.nameBytes(), path::toString);
        }
        if (Files.isSymbolicLink(path)) {
          // As the kernel would follow it: where it leads to something, that is in the view.
          assertFalse(Files.readSymbolicLink(path).isAbsolute(), path::toString);
          if (Files.exists(path)) {
            assertTrue(path.toRealPath().startsWith(rootfs.toRealPath()), () -> path + " leads out");
          }
        } else if (Files.isRegularFile(path, LinkOption.NOFOLLOW_LINKS)) {
          bytes += Files.size(path);
          assertEquals(1, Files.getAttribute(path, "unix:nlink"), path::toString);
        } else {
          assertTrue(Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS), path::toString);
        }
      }
      assertTrue(entries <= LIMITS.entries() + 1, "entries");
      // Once in the archive, and as often again in what hard links copy.
      assertTrue(bytes <= 2 * LIMITS.unpackedBytes(), "bytes");
    }
  }
}
