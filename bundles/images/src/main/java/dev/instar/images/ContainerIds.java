package dev.instar.images;

import dev.instar.api.data.AreaLock;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Optional;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Which ids of the host are the users of this node's containers, so that no two nodes of a host have the same: each writes down, in a directory that all of them know, which blocks of ids it has.
 * What a node that was killed has written counts for nothing, since its process is gone.
 */
final class ContainerIds {
  private static final Logger LOG = LoggerFactory.getLogger(ContainerIds.class);
  static final int BLOCK = 65_536;
  /** As the configuration. */
  static final int LAST = 2_147_418_112;
  private static final int ALL = (LAST - BLOCK) / BLOCK;
  private static final String LOCK = "lock";

  private final Path directory;
  private final String self;

  /** Of this process. */
  ContainerIds() {
    this(Path.of("/run/instar-ids"), name(ProcessHandle.current()));
  }

  /** @param self the process, as {@link #name} writes it */
  ContainerIds(Path directory, String self) {
    this.directory = directory;
    this.self = self;
  }

  /** The number of a process, and when it began, since numbers come again. */
  static String name(ProcessHandle process) {
    return process.pid() + " " + process.info().startInstant().map(begun -> begun.toEpochMilli()).orElse(0L);
  }

  /**
   * The first id of a range that no other node has.
   *
   * What it took before stays its own: containers may still run that have these ids.
   *
   * @param wanted where to look first; what it collides with, and the ranges behind it, are passed over
   */
  int take(int wanted) {
    try (AreaLock _ = AreaLock.take(directory)) {
      Files.createDirectories(directory, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
      try (FileChannel lock = FileChannel.open(directory.resolve(LOCK), Set.of(StandardOpenOption.CREATE, StandardOpenOption.WRITE)); var _ = lock.lock()) {
        int first = wanted;
        for (int i = 0; i < ALL; i++) {
          if (isFree(first) && isFree(first + BLOCK - 1)) {
            Files.writeString(file(first), self);
            Files.writeString(file(first + BLOCK - 1), self);
            if (first != wanted) {
              LOG.info("Another node of this host has the users {} to {} for its containers; this one has {} to {}", wanted, wanted + BLOCK - 1, first, first + BLOCK - 1);
            }
            return first;
          }
          first = first > LAST - BLOCK ? BLOCK : first + BLOCK;
        }
      }
      LOG.warn("All ranges of users for containers are taken by other nodes of this host; this one shares that of {} with another", wanted);
    } catch (IOException e) {
      LOG.warn("It cannot be told in {} which users this node has for its containers ({}); another node of this host may have the same", directory, e.toString());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    return wanted;
  }

  private Path file(int id) {
    return directory.resolve(Integer.toString(id / BLOCK));
  }

  private boolean isFree(int id) throws IOException {
    return owner(file(id)).filter(owner -> !owner.equals(self)).isEmpty();
  }

  /** Who has it and runs. */
  private static Optional<String> owner(Path file) throws IOException {
    if (!Files.exists(file)) {
      return Optional.empty();
    }
    String text = Files.readString(file, StandardCharsets.US_ASCII);
    int blank = text.indexOf(' ');
    if (blank < 1 || blank > 18 || !text.substring(0, blank).chars().allMatch(c -> c >= '0' && c <= '9')) {
      return Optional.empty();
    }
    return ProcessHandle.of(Long.parseLong(text.substring(0, blank))).map(ContainerIds::name).filter(text::equals);
  }

  /** Of this process nothing stays. */
  void giveBack() {
    if (!Files.isDirectory(directory)) {
      return;
    }
    try (AreaLock _ = AreaLock.take(directory); FileChannel lock = FileChannel.open(directory.resolve(LOCK), Set.of(StandardOpenOption.CREATE, StandardOpenOption.WRITE)); var _ = lock.lock()) {
      release();
    } catch (IOException e) {
      LOG.debug("{} keeps what this node has written: {}", directory, e.toString());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void release() throws IOException {
    try (DirectoryStream<Path> files = Files.newDirectoryStream(directory, "[0-9]*")) {
      for (Path file : files) {
        if (Files.readString(file, StandardCharsets.US_ASCII).equals(self)) {
          Files.delete(file);
        }
      }
    }
  }
}
