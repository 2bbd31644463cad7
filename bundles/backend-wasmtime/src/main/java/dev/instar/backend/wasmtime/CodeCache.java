package dev.instar.backend.wasmtime;

import dev.instar.api.Digest;
import dev.instar.api.data.DurableFiles;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Machine code on disk, as the compiling process made it. What is loaded from here runs with the node's own rights, so the directory is the node's alone (mode
 * 0700). A file's name has the digest of its content, which is verified each time before it is mapped: that guards against damage, not against who can
 * write there. Files appear whole or not at all. Over its limit the cache deletes what was used least recently; what is mapped stays so.
 */
final class CodeCache {
  private static final Logger LOG = LoggerFactory.getLogger(CodeCache.class);
  private static final String SUFFIX = ".code";

  private final Path directory;
  private final String engine;
  private volatile long limit;

  /**
   * @param directory the node's own
   * @param engine its version; another one's files are of no use
   * @param limit bytes of all files together
   */
  CodeCache(Path directory, String engine, long limit) throws IOException {
    this.directory = directory;
    this.engine = engine.replaceAll("[^0-9A-Za-z.]", "_");
    this.limit = limit;
    DurableFiles.createDirectories(directory);
    Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwx------"));
    DurableFiles.sweep(directory);
  }

  void limit(long bytes) {
    limit = bytes;
    evict();
  }

  private String prefix(Digest module) {
    return module.hex() + "-" + engine + "-";
  }

  /** What was stored for a module, if it is there and whole. */
  Optional<Path> find(Digest module) {
    try (DirectoryStream<Path> files = Files.newDirectoryStream(directory, prefix(module) + "*" + SUFFIX)) {
      for (Path file : files) {
        if (Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS) && file.getFileName().toString().equals(name(module, Files.readAllBytes(file)))) {
          Files.setLastModifiedTime(file, FileTime.from(Instant.now()));
          return Optional.of(file);
        }
        LOG.warn("The cached code {} is damaged; compiling anew", file);
        Files.delete(file);
      }
    } catch (IOException e) {
      LOG.warn("The cached code of module {} cannot be read; compiling anew: {}", module, e.toString());
    }
    return Optional.empty();
  }

  private String name(Digest module, byte[] code) {
    return prefix(module) + Digest.of(code).hex() + SUFFIX;
  }

  /** Keeps what was compiled, at least until the next {@link #evict}. */
  Path store(Digest module, byte[] code) throws IOException {
    Path file = directory.resolve(name(module, code));
    DurableFiles.writeUnsynced(file, out -> out.write(code));
    return file;
  }

  void remove(Path file) {
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      LOG.warn("The cached code {} cannot be removed: {}", file, e.toString());
    }
  }

  private record Kept(Path file, long bytes, FileTime used) {}

  /** Deletes what is over the limit. */
  synchronized void evict() {
    List<Kept> all = new ArrayList<>();
    long bytes = 0;
    try (DirectoryStream<Path> files = Files.newDirectoryStream(directory, "*" + SUFFIX)) {
      for (Path file : files) {
        Kept kept = new Kept(file, Files.size(file), Files.getLastModifiedTime(file));
        all.add(kept);
        bytes += kept.bytes();
      }
    } catch (IOException e) {
      LOG.warn("The cache of code cannot be looked through: {}", e.toString());
      return;
    }
    all.sort(Comparator.comparing(Kept::used));
    for (Kept kept : all) {
      if (bytes <= limit) {
        return;
      }
      remove(kept.file());
      bytes -= kept.bytes();
    }
  }
}
