package dev.instar.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.launcher.ShippedMembers.Use;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** Threads of a shipped bundle are made by {@code dev.instar.api.Threads} alone, so that none keeps a bundle that was replaced. */
class OneWayToThreadsTest {
  private static final Set<String> MAKE_THREADS = Set.of("java/lang/Thread.ofPlatform", "java/lang/Thread.ofVirtual", "java/lang/Thread.startVirtualThread", "java/lang/Thread.<init>",
      "java/util/concurrent/Executors.newVirtualThreadPerTaskExecutor");
  /** Runs in a process of its own, without bundles. */
  private static final String COMPILER = "dev/instar/backend/wasm/compile/CompilerProcess.class";

  @Test
  void noOtherClassMakesThreads() throws IOException {
    Map<Boolean, List<Use>> uses = ShippedMembers.uses(MAKE_THREADS).stream().filter(use -> !use.inClass().equals(COMPILER))
        .collect(Collectors.partitioningBy(use -> use.inClass().equals("dev/instar/api/Threads.class")));
    assertEquals(List.of(), uses.get(false));
    assertTrue(uses.get(true).size() >= 2, () -> "only " + uses.get(true) + " was seen: the search finds nothing");
  }

  @Test
  void noClassIsAThread() throws IOException {
    assertEquals(List.of(), ShippedMembers.subclasses("java/lang/Thread"));
    assertTrue(ShippedMembers.subclasses("java/lang/Object").size() > 100, "the search finds nothing");
  }
}
