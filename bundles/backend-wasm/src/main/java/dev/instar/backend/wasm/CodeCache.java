package dev.instar.backend.wasm;

import dev.instar.api.Digest;
import dev.instar.api.data.ChecksummedBytes;
import dev.instar.api.data.ChecksummedDocument;
import dev.instar.api.data.DurableFiles;
import dev.instar.backend.wasm.compile.Code;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
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
 * Compiled code on disk. What is loaded from here runs with the node's own rights, so the directory is the node's alone (mode 0700). Each
 * file has a checksum, which guards against damage, not against who can write there; a damaged file is deleted and its code compiled
 * anew. Files appear whole or not at all, and are not synced. Over its limit the cache deletes what was used least recently.
 *
 * <p>A failure of the cache (a full disk) is logged and costs a compilation; it fails nothing.
 */
final class CodeCache {
  private static final Logger LOG = LoggerFactory.getLogger(CodeCache.class);
  private static final String SUFFIX = ".code";

  private final Path directory;
  private final String compiler;
  private volatile long limit;
  /** Bytes of the files, or more, since some were replaced or deleted; negative: not counted yet. With ten thousand files a count takes 20 ms and more. */
  private long atMost = -1;

  /**
   * @param directory the node's own
   * @param compiler the version of everything that shapes the code; part of the key
   * @param limit bytes of all files together; 0 switches the cache off
   */
  CodeCache(Path directory, String compiler, long limit) throws IOException {
    this.directory = directory;
    this.compiler = compiler;
    this.limit = limit;
    DurableFiles.createDirectories(directory);
    Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwx------"));
    DurableFiles.sweep(directory);
  }

  void limit(long bytes) {
    limit = bytes;
    evict();
  }

  /** What was stored for a module, if it is there and whole. */
  Optional<Code> find(Digest module) {
    Path file = file(module);
    if (Files.exists(file, LinkOption.NOFOLLOW_LINKS) && !Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
      // Nobody knows what a link leads to, and to open a FIFO waits for ever.
      LOG.warn("In the place of the cached code {} there is no file; what is there is deleted, and the module compiled anew.", file);
      discard(file);
      return Optional.empty();
    }
    byte[] bytes;
    try {
      bytes = ChecksummedBytes.read(file);
    } catch (NoSuchFileException e) {
      return Optional.empty();
    } catch (ChecksummedDocument.DamagedException e) {
      LOG.warn("{}; it is deleted and its code compiled anew.", e.getMessage());
      discard(file);
      return Optional.empty();
    } catch (IOException | OutOfMemoryError e) {
      LOG.warn("The cached code {} cannot be read; compiling instead: {}", file, e.toString());
      return Optional.empty();
    }
    try {
      Code code = decode(bytes, module);
      Files.setLastModifiedTime(file, FileTime.from(Instant.now()));
      return Optional.of(code);
    } catch (IOException e) {
      LOG.warn("The cached code {} is damaged ({}); it is deleted and compiled anew.", file, e.getMessage());
      discard(file);
      return Optional.empty();
    }
  }

  /** Forgets a module's code, after it could not be loaded. */
  void remove(Digest module) {
    discard(file(module));
  }

  void store(Digest module, Code code) {
    try {
      byte[] bytes = encode(code, module);
      if (bytes.length > limit) {
        return;
      }
      ChecksummedBytes.writeUnsynced(file(module), bytes);
      stored(bytes.length);
    } catch (IOException e) {
      LOG.warn("Compiled code cannot be cached in {}: {}", directory, e.toString());
    }
  }

  private Path file(Digest module) {
    // The compiler's version goes into the name by its digest, so that any text will do.
    return directory.resolve(module.hex() + "-" + Digest.of(compiler.getBytes(StandardCharsets.UTF_8)).hex().substring(0, 16) + SUFFIX);
  }

  private static void discard(Path file) {
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      LOG.warn("{} cannot be deleted: {}", file, e.toString());
    }
  }

  private record Kept(Path file, long size, FileTime used) {}

  private synchronized void stored(long bytes) {
    if (atMost < 0 || (atMost += bytes) > limit) {
      evict();
    }
  }

  /** Over the limit, to somewhat below it, so that not every new file needs another count. */
  private synchronized void evict() {
    List<Kept> files = new ArrayList<>();
    try (DirectoryStream<Path> all = Files.newDirectoryStream(directory, "*" + SUFFIX)) {
      for (Path file : all) {
        try {
          files.add(new Kept(file, Files.size(file), Files.getLastModifiedTime(file)));
        } catch (NoSuchFileException e) {
          // Deleted meanwhile.
        }
      }
    } catch (IOException e) {
      LOG.warn("The code cache {} cannot be listed: {}", directory, e.toString());
      return;
    }
    long total = files.stream().mapToLong(Kept::size).sum();
    if (total > limit) {
      files.sort(Comparator.comparing(Kept::used));
      for (Kept oldest : files) {
        if (total <= limit - limit / 16) {
          break;
        }
        discard(oldest.file());
        total -= oldest.size();
      }
    }
    atMost = total;
  }

  private byte[] encode(Code code, Digest module) throws IOException {
    var bytes = new ByteArrayOutputStream();
    var out = new DataOutputStream(bytes);
    out.writeUTF(compiler);
    out.writeUTF(module.value());
    code.write(out);
    return bytes.toByteArray();
  }

  private Code decode(byte[] bytes, Digest module) throws IOException {
    var in = new DataInputStream(new ByteArrayInputStream(bytes));
    if (!in.readUTF().equals(compiler) || !in.readUTF().equals(module.value())) {
      throw new IOException("it belongs to another module or compiler");
    }
    return Code.read(in);
  }
}
