package dev.instar.data;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.Threads;
import dev.instar.api.data.DataDirectory;
import dev.instar.api.data.DurableFiles;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A data directory while this process holds its lock.
 *
 * <p>The lock is a POSIX record lock. The kernel drops those as soon as the process closes <i>any</i> descriptor of the file, so within a
 * JVM nobody may so much as open the file while it is held: a system property named for the directory's inode keeps others away,
 * also those of another class loader.
 *
 * <p>Scratch is emptied by renaming it away, which takes no time, and deleting it in the background.
 */
public final class LockedDataDirectory implements DataDirectory, AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(LockedDataDirectory.class);
  private static final Pattern SEGMENT = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,62}");
  private static final Set<PosixFilePermission> OWNER_ONLY = PosixFilePermissions.fromString("rwx------");
  private static final Set<PosixFilePermission> FILE_MODE = PosixFilePermissions.fromString("rw-------");
  private static final String LOCK = "lock";
  private static final String SCRATCH = "scratch";
  private static final String OLD_SCRATCH = "scratch.old-";
  private static final Duration SWEEP_WAIT = Duration.ofSeconds(2);

  private final Path root;
  private final String inProcess;
  private final FileChannel channel;
  private final Thread sweeper;

  private LockedDataDirectory(Path root, String inProcess, FileChannel channel) throws IOException {
    this.root = root;
    this.inProcess = inProcess;
    this.channel = channel;
    Path scratch = root.resolve(SCRATCH);
    if (Files.exists(scratch, LinkOption.NOFOLLOW_LINKS)) {
      DurableFiles.moveUnsynced(scratch, root.resolve(OLD_SCRATCH + UUID.randomUUID()));
    }
    sweeper = Threads.startVirtual("instar-data-sweep", this::sweep);
  }

  /**
   * Makes the directory if it is missing, locks it and empties its scratch.
   *
   * @throws Refused with a sentence for the operator
   */
  public static LockedDataDirectory open(Path place) throws Refused {
    Path absolute = place.toAbsolutePath().normalize();
    try {
      if (!Files.isDirectory(absolute)) {
        DurableFiles.createDirectories(absolute);
      }
      Path root = absolute.toRealPath();
      restrict(root);
      String inProcess = "dev.instar.data.locked." + Files.readAttributes(root, BasicFileAttributes.class).fileKey();
      String pid = Long.toString(ProcessHandle.current().pid());
      if (System.getProperties().putIfAbsent(inProcess, pid) != null) {
        throw held(root, pid);
      }
      try {
        return lock(root, inProcess, pid);
      } catch (IOException | RuntimeException | Refused e) {
        System.clearProperty(inProcess);
        throw e;
      }
    } catch (IOException e) {
      throw new Refused("The data directory " + absolute + " cannot be used: " + reason(e)
          + ". Give a directory that this user may write to (--data, or the framework property "
          + DataDirectoryComponent.PROPERTY + ").");
    }
  }

  /** A directory that was there before us and holds other things than ours keeps its mode: somebody may have named his home directory. */
  private static void restrict(Path root) throws IOException, Refused {
    Set<PosixFilePermission> mode = Files.getPosixFilePermissions(root);
    if (mode.equals(OWNER_ONLY)) {
      return;
    }
    boolean ours = Files.isRegularFile(root.resolve(LOCK), LinkOption.NOFOLLOW_LINKS);
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(root)) {
      ours |= !entries.iterator().hasNext();
    }
    if (ours) {
      Files.setPosixFilePermissions(root, OWNER_ONLY);
    } else if (mode.contains(PosixFilePermission.GROUP_WRITE) || mode.contains(PosixFilePermission.OTHERS_WRITE)) {
      throw new Refused("The data directory " + root + " (" + PosixFilePermissions.toString(mode)
          + ") is not empty and others may write to it. Name a directory of its own, or run: chmod 700 " + root);
    }
  }

  private static LockedDataDirectory lock(Path root, String inProcess, String pid) throws IOException, Refused {
    Path file = root.resolve(LOCK);
    FileChannel channel = FileChannel.open(file, Set.of(StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE,
        LinkOption.NOFOLLOW_LINKS),
        PosixFilePermissions.asFileAttribute(FILE_MODE));
    try {
      FileLock lock;
      try {
        lock = channel.tryLock();
      } catch (OverlappingFileLockException e) {
        throw held(root, pid);
      }
      if (lock == null) {
        ByteBuffer text = ByteBuffer.allocate(32);
        channel.read(text, 0);
        throw held(root, new String(text.array(), 0, text.position(), StandardCharsets.US_ASCII).strip());
      }
      channel.truncate(0);
      channel.write(ByteBuffer.wrap((pid + "\n").getBytes(StandardCharsets.US_ASCII)), 0);
      return new LockedDataDirectory(root, inProcess, channel);
    } catch (IOException | RuntimeException | Refused e) {
      channel.close();
      throw e;
    }
  }

  private static Refused held(Path root, String pid) {
    return new Refused(root.resolve(LOCK) + " is held by process " + (pid.matches("[0-9]+") ? pid : "(unknown)")
        + ": another node uses this data directory. Stop that node, or give this one a directory of its own (--data).");
  }

  private static String reason(IOException e) {
    return switch (e) {
      case AccessDeniedException denied -> denied.getFile() + " may not be read or written by this user";
      case NoSuchFileException missing -> missing.getFile() + " does not exist";
      case FileAlreadyExistsException other -> other.getFile() + " is not a directory";
      case FileSystemException other when other.getReason() != null -> other.getFile() + ": " + other.getReason();
      default -> String.valueOf(e.getMessage());
    };
  }

  @Override
  public Path root() {
    return root;
  }

  @Override
  public Path area(String name) {
    if (name.equals(SCRATCH) || name.equals(LOCK) || name.startsWith(OLD_SCRATCH)) {
      throw new IllegalArgumentException("the name '" + name + "' is the data directory's own");
    }
    return directory(root, name);
  }

  @Override
  public Path scratch(String name) {
    return directory(root.resolve(SCRATCH), name);
  }

  private static Path directory(Path parent, String name) {
    if (!SEGMENT.matcher(name).matches()) {
      throw new IllegalArgumentException("'" + name + "' is not a single path segment of A-Z a-z 0-9 . _ -");
    }
    Path directory = parent.resolve(name);
    try {
      DurableFiles.createDirectories(directory);
      return directory;
    } catch (IOException e) {
      throw new InstarException(Problem.of(DurableFiles.isNoSpace(e) ? ErrorCode.NO_SPACE : ErrorCode.INTERNAL,
          "The directory " + directory + " cannot be made: " + reason(e) + "."), e);
    }
  }

  private void sweep() {
    List<Path> old;
    try (var entries = Files.list(root)) {
      old = entries.filter(p -> p.getFileName().toString().startsWith(OLD_SCRATCH)).toList();
    } catch (IOException e) {
      LOG.warn("Old scratch directories in {} cannot be listed: {}", root, e.toString());
      return;
    }
    for (Path scratch : old) {
      try {
        DurableFiles.deleteTree(scratch);
      } catch (IOException e) {
        LOG.warn("Something in {} cannot be deleted; it is tried again at the next start: {}", scratch, e.toString());
      }
    }
  }

  /** Waits until what earlier nodes left in scratch is deleted. */
  void awaitSwept() throws InterruptedException {
    sweeper.join();
  }

  /** Gives the lock back, after the sweep of old scratch where that ends within two seconds: else the next holder's sweep would meet it. Idempotent. */
  @Override
  public void close() {
    if (!channel.isOpen()) {
      return;
    }
    try {
      sweeper.join(SWEEP_WAIT);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    try {
      channel.truncate(0);
      channel.close();
    } catch (IOException e) {
      LOG.warn("The lock of {} was not given back cleanly: {}", root, e.toString());
    } finally {
      System.clearProperty(inProcess);
    }
  }

  /** Why the data directory cannot be used; the message is for the operator. */
  public static final class Refused extends Exception {
    private static final long serialVersionUID = 1;

    Refused(String message) {
      super(message);
    }
  }
}
