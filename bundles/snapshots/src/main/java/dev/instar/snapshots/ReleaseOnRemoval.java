package dev.instar.snapshots;

import dev.instar.api.InstarException;
import dev.instar.api.function.FunctionListener;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.snapshot.SnapshotStore;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Reference;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Ends what a version holds when it is removed. Where its state is being stored just then, it may hold that afterwards; {@link ReleaseAtStart} ends that,
 * and the budget does not spare it.
 */
@Component
public final class ReleaseOnRemoval implements FunctionListener {
  private static final Logger LOG = LoggerFactory.getLogger(ReleaseOnRemoval.class);
  private final SnapshotStore snapshots;

  @Activate
  public ReleaseOnRemoval(@Reference SnapshotStore snapshots) {
    this.snapshots = snapshots;
  }

  @Override
  public void versionRemoved(FunctionVersion version) {
    try {
      snapshots.release(version.uid());
    } catch (InstarException e) {
      LOG.warn("{} is removed and still holds its snapshots; the next start of the node releases them", version.label(), e);
    }
  }
}
