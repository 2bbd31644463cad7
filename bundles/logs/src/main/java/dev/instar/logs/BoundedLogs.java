package dev.instar.logs;

import dev.instar.api.data.DataDirectory;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.log.FunctionLogs;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Modified;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.metatype.annotations.Designate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Function logs, bounded everywhere: a call by its limit, a function's newest entries in memory, all functions' together, the queue to
 * the disk, a function's two files, and what waits for a follower.
 *
 * <pre>
 *   call ─▶ LineSink ─▶ Book (memory) ─┬▶ queue ─▶ LogWriter, one thread ─▶ logs/user/function.log
 *                                      └▶ Follower, a thread each ─▶ consumer
 * </pre>
 *
 * A function that writes as fast as it can costs its own lines: nothing on the left ever waits for anything on the right.
 */
@Component(immediate = true, service = FunctionLogs.class, configurationPid = BoundedLogs.PID)
@Designate(ocd = LogsConfig.class)
public final class BoundedLogs implements FunctionLogs {
  static final String PID = "dev.instar.logs";
  private static final Logger LOG = LoggerFactory.getLogger(BoundedLogs.class);
  /** A removal matters for as long as a call of the removed function may run on; beyond this many the oldest is forgotten. */
  static final int REMEMBERED_REMOVALS = 10_000;
  private static final Duration FLUSH = Duration.ofSeconds(2);

  private final String run = UUID.randomUUID().toString().substring(0, 8);
  private final Map<FunctionName, Book> books = new ConcurrentHashMap<>();
  private final Map<FunctionName, List<Follower>> followers = new ConcurrentHashMap<>();
  /** When the functions of these names were removed last, oldest first. */
  private final Map<FunctionName, Instant> removals = Collections.synchronizedMap(new LinkedHashMap<>() {
    private static final long serialVersionUID = 1;

    @Override
    protected boolean removeEldestEntry(Map.Entry<FunctionName, Instant> eldest) {
      return size() > REMEMBERED_REMOVALS;
    }
  });
  private final AtomicLong total = new AtomicLong();
  private final ReentrantLock evicting = new ReentrantLock();
  private final LogFiles files;
  private final LogWriter writer;
  private volatile LogSettings settings;

  @Activate
  public BoundedLogs(@Reference DataDirectory data, LogsConfig config) {
    this(data, LogSettings.of(config));
  }

  /** For use without OSGi. */
  public BoundedLogs(DataDirectory data, LogSettings settings) {
    this.settings = settings;
    files = new LogFiles(data.area("logs"));
    writer = new LogWriter(files, () -> settings().queueBytes(), () -> settings().fileBytes());
  }

  @Modified
  void configure(LogsConfig config) {
    settings = LogSettings.of(config);
  }

  @Deactivate
  public void stop() {
    followers.values().forEach(list -> list.forEach(Follower::close));
    writer.stop(FLUSH);
  }

  LogSettings settings() {
    return settings;
  }

  /** Names this life of the component in the files. */
  String run() {
    return run;
  }

  @Override
  public Sink open(FunctionVersion version, String invocationId, long limit) {
    // Also while no book is made: a removal is either seen here, or it finds the book and ends it.
    Book book = books.compute(version.name(), (n, there) -> there != null || wasRemoved(version) ? there : new Book(n, this, total));
    if (book == null || wasRemoved(version)) {
      // The call of a removed function runs on; what it says must not be taken for the words of the next one of that name.
      book = Book.closed(version.name(), this, total);
    }
    return new LineSink(book, version.number(), invocationId, Math.max(0, limit));
  }

  private boolean wasRemoved(FunctionVersion version) {
    Instant removed = removals.get(version.name());
    return removed != null && version.created().isBefore(removed);
  }

  /** Called by a book for each entry, in the order of entries. */
  void pass(FunctionName name, Stamped stamped) {
    writer.write(name, stamped);
    for (Follower follower : followers.getOrDefault(name, List.of())) {
      follower.offer(stamped.entry());
    }
  }

  /** Empties the books that were written to least recently, when all together hold too much; a tenth is freed so that this is seldom. */
  void makeRoom() {
    long most = settings.totalBytes();
    if (total.get() <= most || !evicting.tryLock()) {
      return;
    }
    try {
      List<Book> oldestFirst = new ArrayList<>(books.values());
      long now = System.nanoTime();
      Map<Book, Long> ages = new IdentityHashMap<>();
      oldestFirst.forEach(b -> ages.put(b, now - b.lastUsed()));
      oldestFirst.sort(Comparator.comparingLong((Book b) -> ages.get(b)).reversed());
      for (Book book : oldestFirst) {
        if (total.get() <= most - most / 10) {
          return;
        }
        book.evict();
      }
    } finally {
      evicting.unlock();
    }
  }

  @Override
  public List<Entry> read(FunctionName function, int tail, Instant since) {
    if (tail <= 0) {
      return List.of();
    }
    Book book = books.get(function);
    List<Stamped> inMemory = book == null ? List.of() : book.entries();
    List<Entry> newest = inMemory.stream().map(Stamped::entry).filter(e -> !e.time().isBefore(since)).toList();
    boolean enough = newest.size() >= tail || !inMemory.isEmpty() && inMemory.getFirst().entry().time().isBefore(since);
    ArrayDeque<Entry> result = new ArrayDeque<>();
    if (!enough) {
      writer.flush(FLUSH);
      try {
        files.read(function, stamped -> {
          // What is in memory too is taken from there.
          boolean older = inMemory.isEmpty() || !stamped.run().equals(run) || stamped.sequence() < inMemory.getFirst().sequence();
          if (older && !stamped.entry().time().isBefore(since)) {
            add(result, stamped.entry(), tail);
          }
        });
      } catch (IOException e) {
        LOG.warn("The log of {} cannot be read: {}", function, e.toString());
      }
    }
    newest.forEach(e -> add(result, e, tail));
    return List.copyOf(result);
  }

  private static void add(ArrayDeque<Entry> result, Entry entry, int tail) {
    if (result.size() == tail) {
      result.remove();
    }
    result.add(entry);
  }

  @Override
  public AutoCloseable follow(FunctionName function, Consumer<Entry> consumer) {
    Follower follower = new Follower(consumer, gone -> followers.computeIfPresent(function, (n, list) -> {
      List<Follower> left = list.stream().filter(f -> f != gone).toList();
      return left.isEmpty() ? null : left;
    }));
    followers.merge(function, List.of(follower), (a, b) -> {
      List<Follower> both = new ArrayList<>(a);
      both.addAll(b);
      return List.copyOf(both);
    });
    return follower.start();
  }

  @Override
  public void remove(FunctionName function) {
    books.compute(function, (n, book) -> {
      // Taken out first, so that a name that is removed again is the newest.
      removals.remove(n);
      removals.put(n, Instant.now());
      if (book == null) {
        writer.delete(n);
      } else {
        book.remove(() -> writer.delete(n));
      }
      return null;
    });
  }
}
