package dev.instar.operations.deploy;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.data.ChecksummedDocument;
import dev.instar.api.data.DurableFiles;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What was deployed, on the disk.
 *
 * <pre>
 *   deployed/deployed.json      what the node differs in, see {@link Deployed}
 *   deployed/jars/HEX.jar       the jars, by SHA-256
 *   deployed/incoming/          what is being received
 *   deployed/damaged/           what failed its checksum
 * </pre>
 *
 * One change is made at a time, so only {@link #receive} may be called by several threads.
 */
final class Store {
  private static final Logger LOG = LoggerFactory.getLogger(Store.class);
  private final Path document;
  private final Path jars;
  private final Path incoming;
  private final Path damaged;
  private volatile Deployed state = Deployed.NOTHING;

  /** A file that has been received. */
  record Received(Path file, Digest digest) {}

  Store(Path root) throws IOException {
    document = root.resolve("deployed.json");
    jars = root.resolve("jars");
    incoming = root.resolve("incoming");
    damaged = root.resolve("damaged");
    for (Path directory : new Path[] {root, jars, incoming}) {
      clear(directory);
      DurableFiles.createDirectories(directory);
      DurableFiles.sweep(directory);
    }
    try (DirectoryStream<Path> left = Files.newDirectoryStream(incoming)) {
      // What cannot be deleted, since somebody has put a directory there, is in nobody's way.
      left.forEach(this::discard);
    }
    try {
      state = Deployed.read(ChecksummedDocument.read(document));
    } catch (NoSuchFileException e) {
      // Nothing has been deployed yet.
    } catch (IOException e) {
      LOG.error("What was deployed can't be read, so the node runs as its distribution is: {}. Deploy it again.", e.getMessage());
      setAside(document);
    }
  }

  /** What is no directory and stands where one has to be goes out of the way: deploying must stay possible, since it is what mends a node that runs. */
  private static void clear(Path directory) throws IOException {
    if (Files.exists(directory, LinkOption.NOFOLLOW_LINKS) && !Files.isDirectory(directory)) {
      Path aside = directory.resolveSibling(directory.getFileName() + ".damaged-" + System.currentTimeMillis());
      DurableFiles.move(directory, aside);
      LOG.error("{} is not a directory, so what was kept there is not. It is called {} from now on. Deploy again what is missing.", directory, aside.getFileName());
    }
  }

  Deployed state() {
    return state;
  }

  Path jar(Digest digest) {
    return jars.resolve(digest.hex() + ".jar");
  }

  /** @throws InstarException TOO_LARGE */
  Received receive(InputStream in, long limit) throws IOException {
    Path file = incoming.resolve(UUID.randomUUID() + ".jar");
    try {
      MessageDigest sha256 = Digest.sha256();
      try (OutputStream out = DurableFiles.create(file)) {
        byte[] buffer = new byte[64 << 10];
        long left = limit;
        for (int n; (n = in.read(buffer)) >= 0;) {
          left -= n;
          if (left < 0) {
            throw new InstarException(ErrorCode.TOO_LARGE, "It has more than " + limit + " bytes, the limit of this node (max-bundle-bytes).", Map.of("limitBytes", limit));
          }
          sha256.update(buffer, 0, n);
          out.write(buffer, 0, n);
        }
      }
      return new Received(file, Digest.of(sha256));
    } catch (IOException | RuntimeException e) {
      discard(file);
      if (e instanceof IOException io) {
        throw explained(io);
      }
      throw e;
    }
  }

  /**
   * Keeps a received jar, durably; it is swept again unless a state names it. One of another place stays where it is.
   *
   * @return the jar in its place
   */
  BundleJar keep(BundleJar jar) throws IOException {
    if (!received(jar.file())) {
      return jar;
    }
    Path kept = jar(jar.digest());
    try {
      DurableFiles.sync(jar.file());
      DurableFiles.move(jar.file(), kept);
    } catch (IOException e) {
      throw explained(e);
    }
    return jar.at(kept);
  }

  private boolean received(Path file) {
    return file.startsWith(incoming);
  }

  void discard(Path file) {
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      LOG.warn("{} could not be deleted", file, e);
    }
  }

  void write(Deployed changed) throws IOException {
    try {
      ChecksummedDocument.write(document, changed.json());
    } catch (IOException e) {
      throw explained(e);
    }
    state = changed;
  }

  /** Deletes jars that nothing refers to. */
  void sweep(Set<Path> inUse) {
    try (DirectoryStream<Path> all = Files.newDirectoryStream(jars, "*.jar")) {
      for (Path file : all) {
        if (!inUse.contains(file) && state.bundles().values().stream().noneMatch(e -> jar(e.digest()).equals(file))) {
          DurableFiles.delete(file);
        }
      }
    } catch (IOException e) {
      LOG.warn("Jars that are no longer used could not be deleted from {}", jars, e);
    }
  }

  /** Whether a kept jar is as it was. */
  boolean whole(Digest digest) {
    MessageDigest sha256 = Digest.sha256();
    try (InputStream in = Files.newInputStream(jar(digest))) {
      byte[] buffer = new byte[64 << 10];
      for (int n; (n = in.read(buffer)) >= 0;) {
        sha256.update(buffer, 0, n);
      }
      return Digest.of(sha256).equals(digest);
    } catch (IOException e) {
      return false;
    }
  }

  void setAside(Path file) {
    try {
      DurableFiles.createDirectories(damaged);
      if (Files.exists(file)) {
        DurableFiles.move(file, damaged.resolve(System.currentTimeMillis() + "-" + file.getFileName()));
      }
    } catch (IOException e) {
      LOG.error("The damaged {} could not be set aside", file, e);
    }
  }

  /** What is thrown for a failure of the disk: a full one has a code. */
  private static IOException explained(IOException e) {
    if (DurableFiles.isNoSpace(e)) {
      throw new InstarException(Problem.of(ErrorCode.NO_SPACE, "There is no room for it in the data directory. Make some and try again."), e);
    }
    return e;
  }
}
