package dev.instar.api.snapshot;

import dev.instar.api.Digest;
import java.util.List;

/**
 * What a collection has done.
 *
 * @param removed in the order of removal
 * @param keptBytes what the rest takes; it can be over the budget when the rest is in use
 */
public record GcResult(List<Digest> removed, long freedBytes, long keptBytes) {
  public GcResult {
    removed = List.copyOf(removed);
  }
}
