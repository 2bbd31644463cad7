package dev.instar.backend.wasm;

import dev.instar.api.Digest;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Compiled code on disk. What is loaded from here runs with the node's own rights, so the directory is the node's alone (mode 0700). Each
 * file ends with the SHA-256 of what precedes it, which guards against damage, not against who can write there; a damaged file is
 * deleted and its code compiled anew. Files appear whole or not at all. Over its limit the cache deletes what was used least recently.
 *
 * <p>A failure of the cache (a full disk) is logged and costs a compilation; it fails nothing.
 */
final class CodeCache {
  private static final Logger LOG = LoggerFactory.getLogger(CodeCache.class);
  private static final String SUFFIX = ".code";
  private static final int CHECKSUM = 32;

  private final Path directory;
  private final String compiler;
  private volatile long limit;

  /**
   * @param directory the node's own
   * @param compiler the version of everything that shapes the code; part of the key
   * @param limit bytes of all files together; 0 switches the cache off
   */
  CodeCache(Path directory, String compiler, long limit) throws IOException {
    this.directory = directory;
    this.compiler = compiler;
    this.limit = limit;
    Files.createDirectories(directory);
    Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwx------"));
    try (DirectoryStream<Path> left = Files.newDirectoryStream(directory, "*.tmp")) {
      for (Path file : left) {
        Files.deleteIfExists(file);
      }
    }
  }

  /**
   * The classes of one module.
   *
   * @param classes bytecode by class name, in the order in which it must be loaded; the machine's own class is the last
   * @param interpreted indices of the functions that are not compiled
   */
  record Code(Map<String, byte[]> classes, Set<Integer> interpreted) {}

  void limit(long bytes) {
    limit = bytes;
    evict();
  }

  /** What was stored for a module, if it is there and whole. */
  Optional<Code> find(Digest module) {
    Path file = file(module);
    byte[] bytes;
    try {
      bytes = Files.readAllBytes(file);
    } catch (NoSuchFileException e) {
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
    Path temporary = directory.resolve(UUID.randomUUID() + ".tmp");
    try {
      byte[] bytes = encode(code, module);
      if (bytes.length > limit) {
        return;
      }
      Files.write(temporary, bytes);
      Files.move(temporary, file(module), StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
      evict();
    } catch (IOException e) {
      LOG.warn("Compiled code cannot be cached in {}: {}", directory, e.toString());
      discard(temporary);
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
    files.sort(Comparator.comparing(Kept::used));
    for (Kept oldest : files) {
      if (total <= limit) {
        return;
      }
      discard(oldest.file());
      total -= oldest.size();
    }
  }

  private byte[] encode(Code code, Digest module) throws IOException {
    var bytes = new ByteArrayOutputStream();
    var out = new DataOutputStream(bytes);
    out.writeUTF(compiler);
    out.writeUTF(module.value());
    out.writeInt(code.interpreted().size());
    for (int function : new TreeSet<>(code.interpreted())) {
      out.writeInt(function);
    }
    out.writeInt(code.classes().size());
    for (var entry : code.classes().entrySet()) {
      out.writeUTF(entry.getKey());
      out.writeInt(entry.getValue().length);
      out.write(entry.getValue());
    }
    out.write(checksum(bytes.toByteArray(), bytes.size()));
    return bytes.toByteArray();
  }

  private Code decode(byte[] bytes, Digest module) throws IOException {
    int length = bytes.length - CHECKSUM;
    if (length < 0 || !MessageDigest.isEqual(checksum(bytes, length), Arrays.copyOfRange(bytes, length, bytes.length))) {
      throw new IOException("its checksum does not match");
    }
    var in = new DataInputStream(new ByteArrayInputStream(bytes, 0, length));
    if (!in.readUTF().equals(compiler) || !in.readUTF().equals(module.value())) {
      throw new IOException("it belongs to another module or compiler");
    }
    Set<Integer> interpreted = new TreeSet<>();
    for (int n = count(in, 4); n > 0; n--) {
      interpreted.add(in.readInt());
    }
    Map<String, byte[]> classes = new LinkedHashMap<>();
    for (int n = count(in, 6); n > 0; n--) {
      String name = in.readUTF();
      if (classes.put(name, in.readNBytes(count(in, 1))) != null) {
        throw new IOException("a class is there twice");
      }
    }
    return new Code(classes, interpreted);
  }

  /** @param smallest how many bytes one of what is counted has at least */
  private static int count(DataInputStream in, int smallest) throws IOException {
    int n = in.readInt();
    if (n < 0 || (long) n * smallest > in.available()) {
      throw new IOException("it claims more than there is");
    }
    return n;
  }

  private static byte[] checksum(byte[] bytes, int length) {
    MessageDigest sha256 = Digest.sha256();
    sha256.update(bytes, 0, length);
    return sha256.digest();
  }
}
