package dev.instar.api.http;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * The service of one kind that is there at the moment, for references that come and go while requests run: a component declares a
 * dynamic, greedy 0..n reference and passes what it is given to {@link #bind} and {@link #unbind}. Of several the one with the highest service
 * ranking (then the oldest, by service id) is current.
 *
 * <p>{@link #current} is one volatile read. {@link #await} does not wait while a service is there. Any thread may call any method.
 *
 * @param <T> the type of the service
 */
public final class ServiceSlot<T> {
  private record Held<T>(T service, int ranking, long id) {}

  private static final Comparator<Held<?>> BEST_FIRST = Comparator.<Held<?>>comparingInt(Held::ranking).reversed().thenComparingLong(Held::id);

  private final String what;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final List<Held<T>> held = new ArrayList<>();
  private volatile Optional<T> current = Optional.empty();

  /** @param what the kind of service as users know it, e.g. {@code scheduler}, for the problem that says that it is missing */
  public ServiceSlot(String what) {
    this.what = Objects.requireNonNull(what);
  }

  /** Takes a service, or the changed properties of one that it has. */
  public void bind(T service, Map<String, ?> properties) {
    int ranking = properties.get("service.ranking") instanceof Integer value ? value : 0;
    long id = properties.get("service.id") instanceof Long value ? value : Long.MAX_VALUE;
    lock.lock();
    try {
      held.removeIf(h -> h.service() == service);
      held.add(new Held<>(service, ranking, id));
      held.sort(BEST_FIRST);
      publish();
    } finally {
      lock.unlock();
    }
  }

  /** Lets go of a service. Who has it already may still use it to the end of what it does. */
  public void unbind(T service) {
    lock.lock();
    try {
      held.removeIf(h -> h.service() == service);
      publish();
    } finally {
      lock.unlock();
    }
  }

  /** The service, if there is one now. */
  public Optional<T> current() {
    return current;
  }

  /** The service; waits for one up to {@code limit}. @throws InstarException NOT_READY, worth a retry, when none has come */
  public T await(Duration limit) throws InterruptedException {
    Optional<T> now = current;
    return now.isPresent() ? now.get() : awaitOther(Optional.empty(), limit).orElseThrow(this::missing);
  }

  /**
   * A service other than {@code unwanted}; waits for one up to {@code limit}. For work that a service has refused because it is about to go.
   */
  public Optional<T> awaitOther(Optional<T> unwanted, Duration limit) throws InterruptedException {
    long left = limit.toNanos();
    lock.lock();
    try {
      while (current.isEmpty() || (unwanted.isPresent() && unwanted.get() == current.get())) {
        if (left <= 0) {
          return Optional.empty();
        }
        left = changed.awaitNanos(left);
      }
      return current;
    } finally {
      lock.unlock();
    }
  }

  private void publish() {
    current = held.isEmpty() ? Optional.empty() : Optional.of(held.getFirst().service());
    changed.signalAll();
  }

  private InstarException missing() {
    return new InstarException(Problem.of(ErrorCode.NOT_READY, "The node's " + what + " is not there at the moment; it may be starting or being replaced. Try again.")
        .retryAfter(Duration.ofSeconds(1)));
  }
}
