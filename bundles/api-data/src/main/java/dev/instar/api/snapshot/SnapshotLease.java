package dev.instar.api.snapshot;

import java.util.List;
import org.osgi.annotation.versioning.ProviderType;

/** A layer and all that it lies on, open. None of them is collected or removed until it is closed. Any thread may use it. */
@ProviderType
public interface SnapshotLease extends AutoCloseable {
  /** From the base up; the layer that was asked for is the last. */
  List<OpenLayer> layers();

  /** Lets it go. Files that are still mapped stay readable, but may no longer be found by their names. Idempotent. */
  @Override
  void close();
}
