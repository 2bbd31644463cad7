package dev.instar.operations.health;

import dev.instar.api.Threads;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Predicate;
import org.apache.felix.hc.api.HealthCheck;
import org.apache.felix.hc.api.Result;
import org.osgi.framework.BundleContext;
import org.osgi.framework.ServiceReference;
import org.osgi.util.tracker.ServiceTracker;

/**
 * Runs the checks of the framework: every service {@link HealthCheck}, whoever brings it. One whose property {@code hc.tags} has {@value #READY} is
 * needed for the node to be ready.
 *
 * <p>Felix' own executor is not used: its bundle wants a servlet container and an event admin, brings nineteen components, and keeps results for two
 * seconds, by which a node would say late that it is ready.
 *
 * <p>Each check runs on a thread of its own, all at the same time, and counts as failed when it takes too long. It is not run again before it has ended, so
 * a check that hangs (a dead network file system) holds one thread.
 */
public final class Health implements AutoCloseable {
  public static final String READY = "ready";
  private static final Duration LIMIT = Duration.ofSeconds(2);

  private final ServiceTracker<HealthCheck, HealthCheck> checks;
  private final Map<HealthCheck, CompletableFuture<Result>> running = new ConcurrentHashMap<>();

  public Health(BundleContext context) {
    checks = new ServiceTracker<>(context, HealthCheck.class, null);
    checks.open();
  }

  /** All of them, sorted by name. */
  public List<Report> all() {
    return run(tags -> true);
  }

  /** Those that the node needs to be ready. */
  public List<Report> needed() {
    return run(tags -> tags.contains(READY));
  }

  private List<Report> run(Predicate<List<String>> wanted) {
    Map<ServiceReference<HealthCheck>, CompletableFuture<Result>> started = new LinkedHashMap<>();
    checks.getTracked().entrySet().stream().sorted(Comparator.comparing((Map.Entry<ServiceReference<HealthCheck>, HealthCheck> e) -> name(e.getKey())))
        .filter(e -> wanted.test(tags(e.getKey()))).forEach(e -> started.put(e.getKey(), running.computeIfAbsent(e.getValue(), this::start)));
    long end = System.nanoTime() + LIMIT.toNanos();
    List<Report> reports = new ArrayList<>();
    started.forEach((reference, result) -> reports.add(report(reference, result, end)));
    return reports;
  }

  private CompletableFuture<Result> start(HealthCheck check) {
    CompletableFuture<Result> result = new CompletableFuture<>();
    Threads.startVirtual("instar-health", () -> {
      Result found;
      try {
        found = check.execute();
      } catch (Throwable e) {
        found = new Result(Result.Status.HEALTH_CHECK_ERROR, "The check itself failed: " + e);
      }
      // First, so that who has been told asks anew the next time.
      running.remove(check);
      result.complete(found);
    });
    return result;
  }

  private static Report report(ServiceReference<HealthCheck> reference, CompletableFuture<Result> running, long end) {
    Result result;
    try {
      result = running.get(Math.max(0, end - System.nanoTime()), TimeUnit.NANOSECONDS);
    } catch (TimeoutException e) {
      result = new Result(Result.Status.CRITICAL, "The check has not ended within " + LIMIT.toSeconds() + " s.");
    } catch (ExecutionException e) {
      throw new IllegalStateException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      result = new Result(Result.Status.TEMPORARILY_UNAVAILABLE, "The check was interrupted.");
    }
    List<Finding> findings = new ArrayList<>();
    result.forEach(entry -> findings.add(Finding.of(entry)));
    if (findings.isEmpty()) {
      findings.add(new Finding(result.getStatus(), "the check has no more to say", ""));
    }
    return new Report(name(reference), tags(reference).contains(READY), result.getStatus(), findings);
  }

  private static String name(ServiceReference<?> reference) {
    return reference.getProperty(HealthCheck.NAME) instanceof String name ? name : "check " + reference.getProperty("service.id");
  }

  private static List<String> tags(ServiceReference<?> reference) {
    return switch (reference.getProperty(HealthCheck.TAGS)) {
      case String one -> List.of(one);
      case String[] several -> Arrays.asList(several);
      case null, default -> List.of();
    };
  }

  @Override
  public void close() {
    checks.close();
  }
}
