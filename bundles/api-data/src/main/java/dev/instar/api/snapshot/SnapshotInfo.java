package dev.instar.api.snapshot;

import java.time.Instant;
import java.util.Set;

/**
 * How a layer stands in a store at one moment.
 *
 * @param storedBytes what it takes on the disk, holes left out
 * @param lastUsed when it was published, imported or last opened, to the minute
 * @param users who needs it, see {@link SnapshotStore#hold}
 * @param leases how many have it open, layers upon it included
 */
public record SnapshotInfo(SnapshotLayer layer, long storedBytes, Instant lastUsed, Set<String> users, int leases) {
  public SnapshotInfo {
    users = Set.copyOf(users);
  }
}
