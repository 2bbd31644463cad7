package dev.instar.gateway;

import dev.instar.api.InstarException;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.log.FunctionLogs;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;

/** A log in memory that tells its followers at once. Stands for the bundle logs. */
final class MemoryLogs implements FunctionLogs {
  private final List<Entry> entries = new CopyOnWriteArrayList<>();
  private final List<Consumer<Entry>> followers = new CopyOnWriteArrayList<>();
  private volatile Optional<InstarException> refusal = Optional.empty();

  /** Nobody can follow from now on. */
  void refuse(InstarException e) {
    refusal = Optional.of(e);
  }

  void say(String text) {
    Entry entry = new Entry(Instant.now(), 1, "inv", text);
    entries.add(entry);
    followers.forEach(follower -> follower.accept(entry));
  }

  int followers() {
    return followers.size();
  }

  @Override
  public Sink open(FunctionVersion version, String invocationId, long limit) {
    throw new UnsupportedOperationException();
  }

  @Override
  public List<Entry> read(FunctionName function, int tail, Instant since) {
    List<Entry> all = entries.stream().filter(entry -> !entry.time().isBefore(since)).toList();
    return all.subList(Math.max(0, all.size() - tail), all.size());
  }

  @Override
  public AutoCloseable follow(FunctionName function, Consumer<Entry> consumer) {
    if (refusal.isPresent()) {
      throw refusal.get();
    }
    followers.add(consumer);
    return () -> followers.remove(consumer);
  }

  @Override
  public void remove(FunctionName function) {
    entries.clear();
  }
}
