package dev.instar.operations.deploy;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.Threads;
import dev.instar.api.data.DurableFiles;
import dev.instar.api.operations.Deployment;
import dev.instar.operations.DirectoryTrust;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.osgi.framework.BundleContext;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.metatype.annotations.Designate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Deploys what lies in a directory, by the same plans as everything else. A file that can't be deployed is told in the log once, and tried again when
 * it changes or another change of the node has been made, which may have brought what it lacked.
 */
@Component(immediate = true, service = {}, configurationPid = WatchConfig.PID)
@Designate(ocd = WatchConfig.class)
public final class WatchedDirectory {
  private static final Logger LOG = LoggerFactory.getLogger(WatchedDirectory.class);
  private static final Duration END = Duration.ofMinutes(30);

  /** A file as it is, and since when. */
  private record Stamp(long size, FileTime time) {}

  /** A file that does not change any more. */
  private record Seen(Stamp stamp, long since) {}

  /** What could not be deployed, why, and how many changes the node had seen by then. */
  private record Failed(Stamp stamp, String why, long done) {}

  private final Deployments deployments;
  private final Optional<Path> directory;
  private final Path data;
  private final long poll;
  private final long settle;
  private final Map<String, Seen> seen = new HashMap<>();
  private final Map<String, Stamp> taken = new HashMap<>();
  private final Map<String, Failed> failed = new HashMap<>();
  private final Optional<Thread> thread;
  private final DirectoryTrust trust;
  private String distrust = "";
  private volatile boolean closed;

  /** Begins to watch. */
  @Activate
  public WatchedDirectory(BundleContext context, @Reference Deployments deployments, WatchConfig config) throws IOException {
    this.deployments = deployments;
    trust = DirectoryTrust.ofThisProcess();
    data = Path.of(context.getProperty("instar.data"));
    directory = config.directory().isBlank() ? Optional.empty() : Optional.of(data.resolve(config.directory().strip()).normalize());
    poll = config.poll$_$ms();
    settle = Duration.ofMillis(config.settle$_$ms()).toNanos();
    thread = directory.map(d -> Threads.startPlatform("instar-watch", () -> watch(d)));
  }

  @Deactivate
  void close() {
    closed = true;
    thread.ifPresent(t -> {
      t.interrupt();
      try {
        t.join();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    });
  }

  private void watch(Path place) {
    while (!closed) {
      try {
        if (place.startsWith(data)) {
          DurableFiles.createDirectories(place);
        }
        Optional<String> wrong = trust.objection(place, data);
        if (wrong.isEmpty()) {
          distrust = "";
          look(place);
        } else if (!distrust.equals(wrong.get())) {
          distrust = wrong.get();
          LOG.error("The directory {} is not watched: {}. Whoever may write there could put a bundle there.", place, distrust);
        }
        Thread.sleep(poll);
      } catch (InterruptedException e) {
        return;
      } catch (IOException | RuntimeException e) {
        if (!distrust.equals(e.toString())) {
          distrust = e.toString();
          LOG.error("The directory {} can't be watched", place, e);
        }
        try {
          Thread.sleep(poll);
        } catch (InterruptedException interrupted) {
          return;
        }
      }
    }
  }

  private void look(Path place) throws IOException, InterruptedException {
    Map<String, Stamp> there = new TreeMap<>();
    try (DirectoryStream<Path> files = Files.newDirectoryStream(place)) {
      for (Path file : files) {
        String name = file.getFileName().toString();
        if (!name.startsWith(".") && (name.endsWith(".jar") || name.endsWith(".json"))) {
          try {
            BasicFileAttributes attributes = Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
            if (attributes.isRegularFile()) {
              there.put(name, new Stamp(attributes.size(), attributes.lastModifiedTime()));
            }
          } catch (NoSuchFileException e) {
            // Gone since it was listed.
          }
        }
      }
    }
    remove(there.keySet());
    for (Map.Entry<String, Stamp> one : there.entrySet()) {
      String name = one.getKey();
      Stamp stamp = one.getValue();
      Seen before = seen.get(name);
      if (before == null || !before.stamp().equals(stamp)) {
        seen.put(name, new Seen(stamp, System.nanoTime()));
        continue;
      }
      Failed failure = failed.get(name);
      boolean again = failure == null || !failure.stamp().equals(stamp) || failure.done() != deployments.done();
      if (System.nanoTime() - before.since() >= settle && !stamp.equals(taken.get(name)) && again) {
        take(place.resolve(name), name, stamp);
      }
    }
    seen.keySet().retainAll(there.keySet());
    taken.keySet().retainAll(there.keySet());
    failed.keySet().retainAll(there.keySet());
  }

  private void take(Path file, String name, Stamp stamp) throws InterruptedException {
    long done = deployments.done();
    try {
      Optional<String> wrong = trust.objectionToFile(file);
      if (wrong.isPresent()) {
        throw BundleJar.refused("The file is not taken: " + wrong.get() + ".");
      }
      String origin = origin(name);
      if (name.endsWith(".json")) {
        if (stamp.size() > FeatureFile.MAX_BYTES) {
          throw BundleJar.refused("It has more than " + FeatureFile.MAX_BYTES + " bytes.");
        }
        FeatureFile feature = FeatureFile.read(Files.readAllBytes(file));
        Deployed.Applied applied = deployments.state().features().get(feature.name());
        if (applied == null || !applied.id().equals(feature.id()) || !applied.bundles().equals(feature.bundles()) || !applied.origin().equals(origin)) {
          deploy(changes -> changes.apply(feature, origin));
        }
        for (Deployed.Applied other : deployments.state().features().values()) {
          if (other.origin().equals(origin) && !other.name().equals(feature.name())) {
            deploy(changes -> changes.remove(other.name()));
          }
        }
      } else {
        Store.Received received = deployments.receive(file);
        Digest digest = received.digest();
        if (deployments.state().bundles().values().stream().anyMatch(e -> e.digest().equals(digest) && deployments.runs(e))) {
          deployments.discard(received);
        } else {
          try {
            deploy(changes -> changes.put(received, origin));
          } finally {
            deployments.discard(received);
          }
        }
        // The file held another bundle before.
        for (Deployed.Entry other : deployments.state().bundles().values()) {
          if (other.origin().equals(origin) && !other.digest().equals(digest)) {
            deploy(changes -> changes.uninstall(other.name()));
          }
        }
      }
      taken.put(name, stamp);
      failed.remove(name);
    } catch (InstarException e) {
      fail(name, stamp, e.problem(), done);
    } catch (IOException e) {
      fail(name, stamp, Problem.of(ErrorCode.INTERNAL, "It can't be read: " + e + "."), done);
    }
  }

  private void fail(String name, Stamp stamp, Problem problem, long done) {
    Failed before = failed.put(name, new Failed(stamp, problem.detail(), done));
    if (before == null || !before.why().equals(problem.detail())) {
      LOG.error("{} is not deployed: {} ({})", name, problem.detail(), problem.code().code());
    }
  }

  /** Undoes what files did that are gone. */
  private void remove(Set<String> there) throws IOException, InterruptedException {
    Set<String> origins = new HashSet<>();
    there.forEach(name -> origins.add(origin(name)));
    for (Deployed.Applied feature : List.copyOf(deployments.state().features().values())) {
      if (gone(feature.origin(), origins)) {
        undo(feature.origin(), changes -> changes.remove(feature.name()));
      }
    }
    for (Deployed.Entry entry : List.copyOf(deployments.state().bundles().values())) {
      if (gone(entry.origin(), origins)) {
        undo(entry.origin(), changes -> changes.uninstall(entry.name()));
      }
    }
  }

  private static final String FILE = "file ";

  private static String origin(String name) {
    return FILE + name;
  }

  private static boolean gone(String origin, Set<String> there) {
    return origin.startsWith(FILE) && !there.contains(origin);
  }

  private void undo(String origin, Deployments.Task task) throws IOException, InterruptedException {
    Failed before = failed.get(origin);
    if (before != null && before.done() == deployments.done()) {
      return;
    }
    long done = deployments.done();
    try {
      deploy(task);
    } catch (InstarException e) {
      if (before == null || !before.why().equals(e.problem().detail())) {
        LOG.error("What {} brought is still there, though it is gone: {}", origin, e.problem().detail());
      }
      failed.put(origin, new Failed(new Stamp(0, FileTime.fromMillis(0)), e.problem().detail(), done));
    }
  }

  private void deploy(Deployments.Task task) throws IOException, InterruptedException {
    Deployment begun = deployments.begin(task);
    Deployment ended = deployments.await(begun.id(), END).orElse(begun);
    if (ended.problem().isPresent()) {
      throw new InstarException(ended.problem().get());
    }
    ended.notes().forEach(note -> LOG.warn("{}: {}", ended.what(), note));
  }
}
