package dev.instar.secrets;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Names;
import dev.instar.api.Problem;
import dev.instar.api.data.AreaLock;
import dev.instar.api.data.ChecksummedBytes;
import dev.instar.api.data.ChecksummedDocument.DamagedException;
import dev.instar.api.data.DataDirectory;
import dev.instar.api.data.DurableFiles;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.lease.LeaseProvider;
import dev.instar.api.lease.LeaseRequest;
import dev.instar.api.secret.SecretInfo;
import dev.instar.api.secret.SecretLease;
import dev.instar.api.secret.SecretStore;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Modified;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.metatype.annotations.Designate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Secrets on the data directory.
 *
 * <pre>
 *   secrets/&lt;user&gt;/&lt;name&gt;                    the value, then its SHA-256; mode 0400, the directories 0700
 *   secrets/_damaged/&lt;user&gt;-&lt;name&gt;-&lt;time&gt;    set aside
 * </pre>
 * Nothing is kept in memory but what is on loan, so a successor needs to be told nothing, and a lease sees by its files whether it is still what would be lent. Changes follow one another,
 * those of a successor included; readers take no lock.
 */
@Component(immediate = true, service = {SecretStore.class, LeaseProvider.class}, configurationPid = FileSecrets.PID)
@Designate(ocd = Config.class)
public final class FileSecrets implements SecretStore, LeaseProvider {
  static final String PID = "dev.instar.secrets";
  private static final Logger LOG = LoggerFactory.getLogger(FileSecrets.class);
  private static final int SUM_BYTES = 32;
  /** No user's name. */
  private static final String DAMAGED = "_damaged";

  /**
   * What is taken.
   *
   * @param bytes of one value
   * @param perUser secrets of one user
   * @param total secrets of all users
   */
  record Bounds(int bytes, int perUser, int total) {
    static Bounds of(Config config) {
      return new Bounds(config.max$_$bytes(), config.max$_$per$_$user(), config.max$_$total());
    }
  }

  private final Path area;
  private volatile Bounds bounds;

  @Activate
  public FileSecrets(@Reference DataDirectory data, Config config) {
    this(data, Bounds.of(config));
  }

  FileSecrets(DataDirectory data, Bounds bounds) {
    this.bounds = bounds;
    area = data.area("secrets");
    try (AreaLock _ = lock()) {
      for (Path directory : directories()) {
        DurableFiles.sweep(directory);
        removeIfEmpty(directory);
      }
    } catch (IOException e) {
      throw failed("The directory of secrets cannot be read", e);
    }
  }

  @Modified
  void configure(Config config) {
    bounds = Bounds.of(config);
  }

  /** Waits for whoever changes something, a predecessor included: each change is as quick as the disk. */
  private AreaLock lock() {
    boolean interrupted = false;
    try {
      while (true) {
        try {
          return AreaLock.take(area);
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  @Override
  public SecretInfo put(String user, String name, byte[] value) {
    Path file = file(user, name);
    Bounds now = bounds;
    if (value.length == 0) {
      throw new InstarException(ErrorCode.BAD_REQUEST, "The value of the secret is empty; a secret has 1 to " + now.bytes() + " bytes.");
    }
    if (value.length > now.bytes()) {
      throw new InstarException(ErrorCode.TOO_LARGE, "The value has " + value.length + " bytes; a secret has " + now.bytes() + " at most.", Map.of("limitBytes", now.bytes()));
    }
    try (AreaLock _ = lock()) {
      if (!Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
        room(user, now);
      }
      DurableFiles.createDirectories(file.getParent());
      write(file, value);
      return info(user, file).orElseThrow(() -> new NoSuchFileException(file.toString()));
    } catch (IOException e) {
      throw failed("The secret " + name + " of " + user + " cannot be written", e);
    }
  }

  private void room(String user, Bounds now) throws IOException {
    if (names(user).size() >= now.perUser()) {
      throw new InstarException(ErrorCode.CONFLICT, "The user " + user + " has " + now.perUser() + " secrets, which is as many as one may have (max-per-user of " + PID + "). Delete one.");
    }
    int all = 0;
    for (Path directory : directories()) {
      all += names(directory.getFileName().toString()).size();
    }
    if (all >= now.total()) {
      throw new InstarException(ErrorCode.CONFLICT, "This node keeps " + now.total() + " secrets, which is as many as it may (max-total of " + PID + "). Delete one.");
    }
  }

  /** The form is that of {@link ChecksummedBytes}. Nobody but the node's user ever sees the file, under no name. */
  private static void write(Path file, byte[] value) throws IOException {
    // No secret's name begins with a dot. Whoever writes holds the lock.
    Path temporary = file.resolveSibling("." + file.getFileName() + ".tmp");
    Files.deleteIfExists(temporary);
    try {
      try (OutputStream out = DurableFiles.create(temporary)) {
        out.write(value);
        out.write(sum(value));
      }
      Files.setPosixFilePermissions(temporary, PosixFilePermissions.fromString("r--------"));
      DurableFiles.sync(temporary);
      DurableFiles.move(temporary, file);
    } catch (IOException | RuntimeException e) {
      Files.deleteIfExists(temporary);
      throw e;
    }
  }

  private static byte[] sum(byte[] value) {
    return Digest.sha256().digest(value);
  }

  @Override
  public Optional<SecretInfo> find(String user, String name) {
    Path file = file(user, name);
    try {
      return info(user, file);
    } catch (IOException e) {
      throw failed("The secret " + name + " of " + user + " cannot be looked at", e);
    }
  }

  private static Optional<SecretInfo> info(String user, Path file) throws IOException {
    try {
      BasicFileAttributes attributes = Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
      return attributes.isRegularFile() ? Optional.of(new SecretInfo(user, file.getFileName().toString(), Math.max(0, attributes.size() - SUM_BYTES), attributes.lastModifiedTime().toInstant()))
          : Optional.empty();
    } catch (NoSuchFileException e) {
      return Optional.empty();
    }
  }

  @Override
  public List<SecretInfo> list(Optional<String> user) {
    user.ifPresent(one -> Names.check("user", one));
    try {
      List<SecretInfo> all = new ArrayList<>();
      for (String one : user.isPresent() ? List.of(user.get()) : directories().stream().map(directory -> directory.getFileName().toString()).toList()) {
        for (String name : names(one)) {
          info(one, file(one, name)).ifPresent(all::add);
        }
      }
      return all;
    } catch (IOException e) {
      throw failed("The secrets cannot be listed", e);
    }
  }

  @Override
  public void delete(String user, String name) {
    Path file = file(user, name);
    try (AreaLock _ = lock()) {
      if (!DurableFiles.delete(file)) {
        throw notFound(user, name);
      }
      removeIfEmpty(file.getParent());
    } catch (IOException e) {
      throw failed("The secret " + name + " of " + user + " cannot be deleted", e);
    }
  }

  @Override
  public long maxBytes() {
    return bounds.bytes();
  }

  @Override
  public String kind() {
    return SecretLease.KIND;
  }

  @Override
  public void check(FunctionVersion version) {
    String user = version.name().user();
    for (String name : version.spec().secrets()) {
      if (find(user, name).isEmpty()) {
        throw notFound(user, name);
      }
    }
  }

  @Override
  public Optional<SecretLease> take(LeaseRequest request) {
    List<String> names = request.version().spec().secrets();
    if (names.isEmpty()) {
      return Optional.empty();
    }
    String user = request.version().name().user();
    Map<Path, Lent.Stamp> files = new LinkedHashMap<>();
    Map<String, byte[]> values = new TreeMap<>();
    for (String name : names) {
      Path file = file(user, name);
      values.put(name, read(user, file, files));
    }
    return Optional.of(new Lent(files, values));
  }

  private byte[] read(String user, Path file, Map<Path, Lent.Stamp> files) {
    String name = file.getFileName().toString();
    try {
      while (true) {
        Lent.Stamp before = Lent.Stamp.of(file);
        byte[] value = ChecksummedBytes.read(file);
        if (before.equals(Lent.Stamp.of(file))) {
          files.put(file, before);
          return value;
        }
        // It was replaced meanwhile, and which of the two was read is not known.
      }
    } catch (NoSuchFileException e) {
      throw missing(name, "The secret " + name + " of " + user + ", with which the function was deployed, is not there any more. Put it again, or deploy the function without.");
    } catch (DamagedException e) {
      setAside(user, file);
      throw missing(name, "The secret " + name + " of " + user + " is damaged and was set aside. Put it again.");
    } catch (IOException e) {
      throw failed("The secret " + name + " of " + user + " cannot be read", e);
    }
  }

  private void setAside(String user, Path file) {
    try (AreaLock _ = lock()) {
      ChecksummedBytes.read(file);
    } catch (DamagedException e) {
      try {
        Path aside = area.resolve(DAMAGED);
        DurableFiles.createDirectories(aside);
        Path place = aside.resolve(user + "-" + file.getFileName() + "-" + System.currentTimeMillis());
        DurableFiles.move(file, place);
        LOG.error("{}; it was moved to {}. Functions that need it are not started until it is put again.", e.getMessage(), place);
      } catch (IOException f) {
        LOG.error("{}, and cannot be set aside: {}", e.getMessage(), f.toString());
      }
    } catch (IOException e) {
      // Gone or put again meanwhile.
      LOG.debug("{} is not damaged any more: {}", file, e.toString());
    }
  }

  @Override
  public Map<String, String> describe(FunctionVersion version) {
    return version.spec().secrets().isEmpty() ? Map.of() : Map.of("secrets", String.join(", ", version.spec().secrets()));
  }

  private Path file(String user, String name) {
    Names.check("user", user);
    Names.check("secret", name);
    return area.resolve(user).resolve(name);
  }

  private List<Path> directories() throws IOException {
    TreeSet<Path> found = new TreeSet<>();
    try (DirectoryStream<Path> all = Files.newDirectoryStream(area, entry -> !entry.endsWith(DAMAGED) && Files.isDirectory(entry, LinkOption.NOFOLLOW_LINKS))) {
      all.forEach(found::add);
    }
    return List.copyOf(found);
  }

  private TreeSet<String> names(String user) throws IOException {
    TreeSet<String> names = new TreeSet<>();
    try (DirectoryStream<Path> all = Files.newDirectoryStream(area.resolve(user), entry -> !DurableFiles.isTemporary(entry))) {
      all.forEach(entry -> names.add(entry.getFileName().toString()));
    } catch (NoSuchFileException | NotDirectoryException e) {
      // He has none.
    }
    return names;
  }

  private static void removeIfEmpty(Path directory) throws IOException {
    boolean empty;
    try (DirectoryStream<Path> all = Files.newDirectoryStream(directory)) {
      empty = !all.iterator().hasNext();
    }
    if (empty) {
      Files.deleteIfExists(directory);
    }
  }

  private static InstarException notFound(String user, String name) {
    return new InstarException(ErrorCode.SECRET_NOT_FOUND, "The user " + user + " has no secret " + name + ". Put it first: instar secrets put " + user + "/" + name + ".",
        Map.of("secret", name));
  }

  private static InstarException missing(String name, String detail) {
    return new InstarException(Problem.of(ErrorCode.SECRET_MISSING, detail, Map.of("secret", name)).retryAfter(Duration.ofSeconds(10)));
  }

  private static InstarException failed(String what, IOException e) {
    if (DurableFiles.isNoSpace(e)) {
      return new InstarException(ErrorCode.NO_SPACE, what + ": the data directory's file system is full. Make room there.");
    }
    LOG.error("{}: {}", what, e.toString());
    return new InstarException(ErrorCode.INTERNAL, what + "; the node's log says why.");
  }
}
