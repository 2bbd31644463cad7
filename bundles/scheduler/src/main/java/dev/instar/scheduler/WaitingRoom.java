package dev.instar.scheduler;

import dev.instar.api.InstarException;
import dev.instar.api.function.FunctionVersion;
import java.util.HashMap;
import java.util.Map;

/**
 * Bounds how many calls wait, whatever for: a backend, a preparation, a sandbox, a thread. Who need not wait never comes here. Its
 * monitor is a leaf: nothing else is locked under it.
 */
final class WaitingRoom {
  private final Map<String, Integer> byVersion = new HashMap<>();
  private final Map<String, Integer> byUser = new HashMap<>();
  private int all;
  private Settings settings;

  WaitingRoom(Settings settings) {
    this.settings = settings;
  }

  synchronized void apply(Settings settings) {
    this.settings = settings;
  }

  synchronized int waiting() {
    return all;
  }

  /** @throws InstarException FUNCTION_BUSY, NODE_BUSY when the room, or the caller's part of it, is full */
  synchronized void enter(FunctionVersion version) {
    String user = version.name().user();
    if (byVersion.getOrDefault(version.uid(), 0) >= settings.functionQueue()) {
      throw Refusal.thrown(Refusal.functionQueueFull(version, settings.functionQueue()));
    }
    if (all >= settings.queue()) {
      throw Refusal.thrown(Refusal.nodeQueueFull(settings.queue()));
    }
    if (byUser.getOrDefault(user, 0) >= settings.userQueue()) {
      throw Refusal.thrown(Refusal.userQueueFull(user, settings.userQueue()));
    }
    byVersion.merge(version.uid(), 1, Integer::sum);
    byUser.merge(user, 1, Integer::sum);
    all++;
  }

  synchronized void leave(FunctionVersion version) {
    byVersion.computeIfPresent(version.uid(), (key, count) -> count == 1 ? null : count - 1);
    byUser.computeIfPresent(version.name().user(), (key, count) -> count == 1 ? null : count - 1);
    all--;
  }
}
