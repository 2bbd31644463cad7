package dev.instar.network;

import dev.instar.tck.capability.RequiresCapability;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** On the kernel of this machine, in namespaces of its own: its network stays as it is. */
@RequiresCapability({"network-namespace", "python3"})
class NetworkIT {
  /** At once: most of their time they wait for packets that don't come. */
  @TestFactory
  Stream<DynamicTest> networks() throws Exception {
    try (ExecutorService threads = Executors.newCachedThreadPool()) {
      List<Callable<Stream<DynamicTest>>> all = List.of(() -> OwnNetwork.tests(NftChecks.class), () -> OwnNetwork.tests(IptablesChecks.class),
          () -> OwnNetwork.tests(KillChecks.class));
      List<DynamicTest> tests = new ArrayList<>();
      for (Future<Stream<DynamicTest>> each : threads.invokeAll(all)) {
        each.get().forEach(tests::add);
      }
      return tests.stream();
    }
  }
}
