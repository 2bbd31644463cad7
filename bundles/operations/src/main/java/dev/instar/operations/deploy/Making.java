package dev.instar.operations.deploy;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.BundleException;
import org.osgi.framework.Constants;
import org.osgi.framework.FrameworkEvent;
import org.osgi.framework.startlevel.BundleStartLevel;
import org.osgi.framework.startlevel.FrameworkStartLevel;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Makes one change, or takes it back.
 *
 * <p>A new version is a bundle of its own beside the old one, which stays installed until the new one has shown that it works: going back is to
 * start it again. Only an old one that others are wired to goes first, or they would be wired to it anew; going back installs it from its file again.
 *
 * <pre>
 *   install new → [start new, verify]*   → stop old → start new, verify → write down → uninstall old
 *                 * where both may run       [uninstall old, refresh what uses it]
 * </pre>
 */
final class Making {
  /** Instar's deployed bundles start where most of the distribution's do. */
  private static final int USUAL_LEVEL = 4;
  /** Stops drain what runs for up to half a minute each, one after the other. */
  private static final Duration REFRESH = Duration.ofMinutes(5);
  private static final Logger LOG = LoggerFactory.getLogger(Making.class);

  /** A bundle that had a place before, and what to know of it to bring it back. */
  private static final class Former {
    private Bundle bundle;
    private final boolean ran;
    private final int level;
    private final String location;
    private final Set<String> offered;
    private boolean stopped;
    private boolean uninstalled;

    private Former(Bundle bundle) {
      this.bundle = bundle;
      ran = Bundles.runs(bundle);
      level = bundle.adapt(BundleStartLevel.class).getStartLevel();
      location = bundle.getLocation();
      offered = Bundles.offers(bundle);
    }
  }

  /** A bundle that should run, and the services that it is to offer. */
  private record Expected(Bundle bundle, Set<String> services, boolean strict) {}

  private final BundleContext context;
  private final Bundles bundles;
  private final Components components;
  private final Duration limit;
  private final Map<Work.Replacement, Former> formers = new LinkedHashMap<>();
  private final Map<Work.Replacement, Bundle> nexts = new LinkedHashMap<>();
  private final List<Bundle> stopped = new ArrayList<>();
  private final List<Bundle> started = new ArrayList<>();
  private final Map<Bundle, Set<String>> refreshed = new HashMap<>();
  private final List<String> notes = new ArrayList<>();

  /** @param limit for a bundle to offer its services */
  Making(BundleContext context, Bundles bundles, Components components, Duration limit) {
    this.context = context;
    this.bundles = bundles;
    this.components = components;
    this.limit = limit;
  }

  /** What should be done with the bundles, written down. */
  @FunctionalInterface
  interface Record {
    void write() throws IOException;
  }

  /**
   * @throws InstarException when it did not come to be, and what was there is there again
   * @return what whoever asked should know
   */
  List<String> run(Work work, Record record) throws InterruptedException, IOException {
    try {
      make(work);
      record.write();
    } catch (BundleException | IOException | RuntimeException | InterruptedException e) {
      String back = takeBack();
      if (e instanceof InterruptedException interrupted) {
        throw interrupted;
      }
      if (e instanceof InstarException refused && refused.code() == ErrorCode.NO_SPACE) {
        throw refused;
      }
      throw new InstarException(Problem.of(ErrorCode.BUNDLE_FAILED, reason(e) + " " + back), e);
    }
    for (Former former : formers.values()) {
      if (!former.uninstalled) {
        try {
          former.bundle.uninstall();
        } catch (BundleException | IllegalStateException e) {
          LOG.error("{} was replaced but could not be uninstalled", former.bundle.getSymbolicName(), e);
        }
      }
    }
    return notes;
  }

  private static String reason(Exception e) {
    if (e instanceof InstarException known) {
      return known.problem().detail();
    }
    StringBuilder reason = new StringBuilder("It failed: ").append(e.getMessage() == null ? e.toString() : e.getMessage());
    Throwable cause = e.getCause();
    if (cause != null && cause.getMessage() != null && !reason.toString().contains(cause.getMessage())) {
      reason.append(": ").append(cause.getMessage());
    }
    return reason.append('.').toString();
  }

  private void make(Work work) throws BundleException, InterruptedException {
    List<Bundle> gone = work.formers();
    for (Bundle bundle : bundles.dependents(gone)) {
      refreshed.put(bundle, Bundles.runs(bundle) ? Bundles.offers(bundle) : Set.of());
    }
    for (Work.Replacement one : work.replacements()) {
      one.former().ifPresent(bundle -> formers.put(one, new Former(bundle)));
    }
    for (Work.Replacement one : work.replacements()) {
      if (one.next().isPresent()) {
        Bundle next = context.installBundle(one.next().get().location());
        nexts.put(one, next);
        next.adapt(BundleStartLevel.class).setStartLevel(formers.containsKey(one) ? formers.get(one).level : level());
      }
    }
    List<Work.Replacement> later = new ArrayList<>();
    for (Work.Replacement one : work.replacements()) {
      if (overlaps(one)) {
        start(nexts.get(one));
        verify(List.of(new Expected(nexts.get(one), formers.get(one).offered, true)));
      } else {
        later.add(one);
      }
    }
    List<Bundle> uninstalled = new ArrayList<>();
    for (Work.Replacement one : work.replacements()) {
      Former former = formers.get(one);
      if (former != null) {
        former.stopped = true;
        former.bundle.stop();
        if (one.next().isEmpty() || inUse(former.bundle) || one.next().get().singleton()) {
          former.uninstalled = true;
          former.bundle.uninstall();
          uninstalled.add(former.bundle);
        }
      }
    }
    refresh(uninstalled);
    List<Expected> expected = new ArrayList<>();
    for (Work.Replacement one : later) {
      if (one.next().isPresent() && one.start()) {
        start(nexts.get(one));
        Former former = formers.get(one);
        expected.add(new Expected(nexts.get(one), former == null ? Set.of() : former.offered, former != null && former.ran));
      }
    }
    refreshed.forEach((bundle, offered) -> {
      if (!offered.isEmpty()) {
        expected.add(new Expected(bundle, offered, true));
      }
    });
    for (Bundle bundle : work.stops()) {
      stopped.add(bundle);
      bundle.stop();
    }
    for (Bundle bundle : work.starts()) {
      started.add(bundle);
      start(bundle);
      expected.add(new Expected(bundle, Set.of(), false));
    }
    verify(expected);
  }

  /** Never one that the framework has not reached: the bundle would not start. */
  private int level() {
    return Math.min(USUAL_LEVEL, context.getBundle(Constants.SYSTEM_BUNDLE_LOCATION).adapt(FrameworkStartLevel.class).getStartLevel());
  }

  private boolean overlaps(Work.Replacement one) {
    Former former = formers.get(one);
    return former != null && former.ran && one.start() && one.next().filter(jar -> jar.overlaps() && !jar.singleton()).isPresent() && !inUse(former.bundle);
  }

  /** Whether others are wired to it, or the one that comes might be. */
  private boolean inUse(Bundle bundle) {
    return !bundles.dependents(List.of(bundle)).isEmpty() || bundle.getHeaders("").get("Export-Package") != null;
  }

  private static void start(Bundle bundle) throws BundleException {
    bundle.start(Bundle.START_ACTIVATION_POLICY);
  }

  private void refresh(Collection<Bundle> changed) throws InterruptedException {
    if (changed.isEmpty()) {
      return;
    }
    CountDownLatch done = new CountDownLatch(1);
    bundles.wiring().refreshBundles(changed, event -> {
      if (event.getType() == FrameworkEvent.PACKAGES_REFRESHED) {
        done.countDown();
      }
    });
    if (!done.await(REFRESH.toSeconds(), TimeUnit.SECONDS)) {
      throw failed("The bundles that use " + changed.stream().map(Bundle::getSymbolicName).toList() + " were not refreshed within " + REFRESH.toMinutes() + " minutes.");
    }
  }

  /** Waits until all run and offer what they are to. */
  private void verify(List<Expected> expected) throws InterruptedException {
    long end = System.nanoTime() + limit.toNanos();
    for (Expected one : expected) {
      Bundle bundle = one.bundle();
      while (true) {
        if (!Bundles.runs(bundle)) {
          throw failed(Bundles.shown(bundle) + " does not run: it is " + Bundles.state(bundle) + "; the node's log may say more.");
        }
        Optional<String> failure = components.failure(bundle);
        if (failure.isPresent()) {
          throw failed(Bundles.shown(bundle) + ": " + failure.get() + ".");
        }
        Set<String> lacking = new TreeSet<>(one.services());
        lacking.removeAll(Bundles.offers(bundle));
        List<String> waiting = components.waiting(bundle);
        if (lacking.isEmpty() && waiting.isEmpty()) {
          break;
        }
        if (System.nanoTime() > end) {
          String told = Bundles.shown(bundle) + (lacking.isEmpty() ? "" : " does not offer " + String.join(", ", lacking)) + (waiting.isEmpty() ? "" : (lacking.isEmpty() ? " " : ": ") + String.join("; ", waiting));
          if (one.strict()) {
            throw failed(told + ", " + limit.toMillis() + " ms after its start.");
          }
          notes.add(told + ".");
          break;
        }
        Thread.sleep(20);
      }
    }
  }

  private static InstarException failed(String detail) {
    return new InstarException(ErrorCode.BUNDLE_FAILED, detail);
  }

  /** Brings back what was there. @return what came of it, as a sentence */
  private String takeBack() {
    boolean interrupted = Thread.interrupted();
    List<String> lost = new ArrayList<>();
    List<Bundle> changed = new ArrayList<>();
    for (Bundle next : nexts.values()) {
      attempt(lost, next, () -> {
        next.stop();
        next.uninstall();
      });
      changed.add(next);
    }
    for (Former former : formers.values()) {
      if (former.uninstalled) {
        attempt(lost, former.bundle, () -> {
          changed.add(former.bundle);
          Bundle again = context.installBundle(former.location);
          again.adapt(BundleStartLevel.class).setStartLevel(former.level);
          former.bundle = again;
        });
      }
    }
    try {
      refresh(changed);
    } catch (InterruptedException e) {
      interrupted = true;
    } catch (InstarException e) {
      lost.add(e.problem().detail());
    }
    for (Former former : formers.values()) {
      if (former.stopped && former.ran) {
        attempt(lost, former.bundle, () -> start(former.bundle));
      }
    }
    stopped.forEach(bundle -> attempt(lost, bundle, () -> start(bundle)));
    started.forEach(bundle -> attempt(lost, bundle, bundle::stop));
    refreshed.forEach((bundle, offered) -> {
      if (!offered.isEmpty() && !Bundles.runs(bundle)) {
        attempt(lost, bundle, () -> start(bundle));
      }
    });
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    return lost.isEmpty() ? "What was there before is there again." : "Not all of what was there before could be brought back: " + String.join("; ", lost) + ". Start the node again.";
  }

  @FunctionalInterface
  private interface Step {
    void run() throws BundleException;
  }

  private static void attempt(List<String> lost, Bundle bundle, Step step) {
    try {
      step.run();
    } catch (BundleException | IllegalStateException e) {
      LOG.error("{} could not be brought back", bundle.getSymbolicName(), e);
      lost.add(bundle.getSymbolicName() + ": " + e.getMessage());
    }
  }
}
