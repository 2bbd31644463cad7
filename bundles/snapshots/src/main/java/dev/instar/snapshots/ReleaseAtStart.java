package dev.instar.snapshots;

import dev.instar.api.Threads;
import dev.instar.api.function.FunctionRegistry;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.snapshot.SnapshotStore;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Ends what versions hold that are no longer there: they were removed while nobody listened, or prepared and never published. It is a component of its
 * own, beside the one that listens, so that the registry does not wait for a listener that waits for the registry.
 *
 * <p>A version that is being published just then may lose what it holds. It holds it again when it is next prepared, and a layer that nobody holds still
 * stays for the age that is configured.
 */
@Component(immediate = true, service = {})
public final class ReleaseAtStart {
  private static final Logger LOG = LoggerFactory.getLogger(ReleaseAtStart.class);
  /** The form of {@link FunctionVersion#uid}; whoever else holds layers has other names. */
  private static final Pattern UID = Pattern.compile("[0-9a-f]{32}");

  private final Thread thread;

  /** On a thread of its own: the rest of the node's start does not wait until all layers and functions have been read. */
  @Activate
  public ReleaseAtStart(@Reference SnapshotStore snapshots, @Reference FunctionRegistry functions) {
    thread = Threads.startPlatform("instar-snapshots-release", () -> {
      try {
        release(snapshots, functions);
      } catch (RuntimeException e) {
        LOG.warn("Versions that are no longer there may still hold snapshots; the next start of the node tries again", e);
      }
    });
  }

  /** Returns when nothing is released any more. */
  @Deactivate
  void stop() throws InterruptedException {
    thread.join();
  }

  private static void release(SnapshotStore snapshots, FunctionRegistry functions) {
    // The holders first: a version that comes in between is no reason to release.
    Set<String> gone = snapshots.list().stream().flatMap(info -> info.users().stream()).filter(user -> UID.matcher(user).matches())
        .collect(Collectors.toCollection(TreeSet::new));
    if (gone.isEmpty()) {
      return;
    }
    functions.list().forEach(function -> function.versions().forEach(version -> gone.remove(version.uid())));
    gone.forEach(snapshots::release);
    if (!gone.isEmpty()) {
      LOG.info("Released the snapshots of {} versions that are no longer there", gone.size());
    }
  }
}
