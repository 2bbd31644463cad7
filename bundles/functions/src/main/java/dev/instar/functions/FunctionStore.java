package dev.instar.functions;

import dev.instar.api.Digest;
import dev.instar.api.InstarException;
import dev.instar.api.Threads;
import dev.instar.api.data.ChecksummedDocument;
import dev.instar.api.data.DurableFiles;
import dev.instar.api.function.FunctionName;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.ReentrantLock;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Functions on disk, one {@link ChecksummedDocument} each.
 *
 * <pre>
 *   functions/alice/hello.json                       one function
 *   functions/_damaged/alice.hello.json-&lt;time&gt;     set aside; no user's name begins with an underscore
 * </pre>
 *
 * A damaged document takes nobody with it: it is set aside, named in the log, and the others load.
 */
final class FunctionStore {
  private static final Logger LOG = LoggerFactory.getLogger(FunctionStore.class);
  private static final String SUFFIX = ".json";
  private static final Pattern DIGEST = Pattern.compile("sha256:[0-9a-f]{64}");
  private static final int READERS = Math.clamp(Runtime.getRuntime().availableProcessors(), 1, 4);

  private final Path area;
  private final Path damaged;
  /** By user: a user's directory goes with his last function, which must not happen while another is being written. */
  private final ReentrantLock[] locks = new ReentrantLock[64];
  private final AtomicBoolean unread = new AtomicBoolean();

  FunctionStore(Path area) {
    this.area = area;
    this.damaged = area.resolve("_damaged");
    Arrays.setAll(locks, i -> new ReentrantLock());
  }

  /** Reads everything; sweeps away what writers that died have left. */
  Map<FunctionName, Entry> load() throws IOException {
    DurableFiles.createDirectories(damaged);
    List<Path> files = new ArrayList<>();
    try (DirectoryStream<Path> users = Files.newDirectoryStream(area)) {
      for (Path user : users) {
        if (user.equals(damaged)) {
          continue;
        }
        if (!Files.isDirectory(user, LinkOption.NOFOLLOW_LINKS)) {
          LOG.warn("{} is no directory of ours and is left alone", user);
          continue;
        }
        files.addAll(list(user));
      }
    }
    Map<FunctionName, Entry> entries = new ConcurrentHashMap<>();
    // Few threads that go on, and not one for each file: ten thousand virtual ones cost more processor time than the reading.
    AtomicInteger next = new AtomicInteger();
    try (var readers = Executors.newFixedThreadPool(READERS, work -> Threads.platform("instar-functions-read", work))) {
      for (int i = 0; i < Math.min(READERS, files.size()); i++) {
        readers.execute(() -> {
          for (int n; (n = next.getAndIncrement()) < files.size();) {
            load(files.get(n), entries);
          }
        });
      }
    }
    return entries;
  }

  /** One function as it is on disk now; nothing is changed there. Empty when there is none or it cannot be read. */
  Optional<Entry> read(FunctionName name) {
    try {
      return Optional.of(FunctionDocument.read(ChecksummedDocument.read(file(name))));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    } catch (IOException e) {
      LOG.warn("The function {} cannot be read: {}", name, e.toString());
      return Optional.empty();
    }
  }

  /** All functions as they are on disk now; nothing is changed there. */
  Map<FunctionName, Entry> readAll() {
    Map<FunctionName, Entry> entries = new ConcurrentHashMap<>();
    try (DirectoryStream<Path> users = Files.newDirectoryStream(area)) {
      for (Path user : users) {
        if (user.equals(damaged) || !Files.isDirectory(user, LinkOption.NOFOLLOW_LINKS)) {
          continue;
        }
        for (Path file : list(user)) {
          String name = file.getFileName().toString();
          if (name.endsWith(SUFFIX) && !DurableFiles.isTemporary(file)) {
            read(new FunctionName(user.getFileName().toString(), name.substring(0, name.length() - SUFFIX.length())))
                .ifPresent(e -> entries.put(e.function().name(), e));
          }
        }
      }
    } catch (IOException | DirectoryIteratorException | InstarException e) {
      LOG.warn("Not all functions can be listed: {}", e.toString());
    }
    return entries;
  }

  private static List<Path> list(Path directory) throws IOException {
    List<Path> files = new ArrayList<>();
    try (DirectoryStream<Path> stream = Files.newDirectoryStream(directory)) {
      stream.forEach(files::add);
    }
    return files;
  }

  private void load(Path file, Map<FunctionName, Entry> entries) {
    try {
      if (DurableFiles.isTemporary(file)) {
        Files.deleteIfExists(file);
        return;
      }
      if (!file.getFileName().toString().endsWith(SUFFIX) || !Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
        LOG.warn("{} is no function's document and is left alone", file);
        return;
      }
      Entry entry = FunctionDocument.read(ChecksummedDocument.read(file));
      FunctionName name = entry.function().name();
      if (!file.equals(file(name))) {
        throw new FunctionDocument.InvalidException("it is the document of " + name, null);
      }
      entries.put(name, entry);
    } catch (ChecksummedDocument.DamagedException | FunctionDocument.InvalidException e) {
      setAside(file, e);
    } catch (IOException | RuntimeException | Error e) {
      // An Error too (a file of gigabytes is an OutOfMemoryError): it would end the reader and take other functions with it.
      unread.set(true);
      LOG.error("The function in {} cannot be read and is not available: {}", file, e.toString());
    }
  }

  private void setAside(Path file, Exception why) {
    Path place = damaged.resolve(file.getParent().getFileName() + "." + file.getFileName() + "-" + System.currentTimeMillis());
    try {
      DurableFiles.move(file, place);
      LOG.error("The function in {} is damaged and not available; the file was moved to {}. Deploy the function again. ({})", file, place,
          why.getMessage());
    } catch (IOException e) {
      unread.set(true);
      LOG.error("The function in {} is damaged and not available ({}), and cannot be set aside: {}", file, why.getMessage(), e.toString());
    }
  }

  /** Whether there is a document whose function, and so whose images, we do not know. */
  boolean hasUnread() {
    return unread.get();
  }

  /** The digests that stand in the documents set aside: an operator may want to mend one. */
  Set<Digest> damagedDigests() throws IOException {
    Set<Digest> digests = new HashSet<>();
    for (Path file : list(damaged)) {
      try {
        Matcher matcher = DIGEST.matcher(new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1));
        while (matcher.find()) {
          digests.add(new Digest(matcher.group()));
        }
      } catch (NoSuchFileException e) {
        // The operator has taken it away.
      }
    }
    return digests;
  }

  void save(Entry entry) throws IOException {
    Path file = file(entry.function().name());
    byte[] json = FunctionDocument.write(entry);
    ReentrantLock lock = lock(entry.function().name());
    lock.lock();
    try {
      DurableFiles.createDirectories(file.getParent());
      ChecksummedDocument.write(file, json);
    } finally {
      lock.unlock();
    }
  }

  void delete(FunctionName name) throws IOException {
    Path file = file(name);
    ReentrantLock lock = lock(name);
    lock.lock();
    try {
      if (DurableFiles.delete(file) && list(file.getParent()).isEmpty()) {
        Files.delete(file.getParent());
      }
    } finally {
      lock.unlock();
    }
  }

  private ReentrantLock lock(FunctionName name) {
    return locks[Math.floorMod(name.user().hashCode(), locks.length)];
  }

  private Path file(FunctionName name) {
    return area.resolve(name.user()).resolve(name.function() + SUFFIX);
  }
}
