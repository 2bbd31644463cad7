package dev.instar.snapshots;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectMethod;

import dev.instar.api.snapshot.SnapshotStore;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.EnumSource.Mode;
import org.junit.platform.testkit.engine.EngineTestKit;
import org.junit.platform.testkit.engine.Events;

/** No test of the suite passes whatever comes: each flaw of a store is found by the test that stands beside it. */
class SuiteFindsFlawsTest {
  private static volatile Flaw flaw = Flaw.NONE;

  static class Flawed extends SnapshotStoreConformanceTest {
    @Override
    protected SnapshotStore emptyStore() throws Exception {
      return new FlawedStore(super.emptyStore(), flaw);
    }

    @Override
    protected SnapshotStore reopened() throws Exception {
      if (flaw == Flaw.FORGETS_AT_RESTART) {
        FlawedStore.forget(layers());
      }
      return new FlawedStore(super.reopened(), flaw);
    }
  }

  @ParameterizedTest
  @EnumSource(mode = Mode.EXCLUDE, names = "NONE")
  void theFlawIsFound(Flaw one) {
    flaw = one;
    Events tests = EngineTestKit.engine("junit-jupiter").selectors(selectMethod(Flawed.class, one.test)).execute().testEvents();
    assertTrue(tests.started().count() == 1, () -> "There is no test " + one.test);
    assertTrue(tests.failed().count() == 1, () -> one.test + " did not find that the store " + one);
  }

  @ParameterizedTest
  @EnumSource(mode = Mode.EXCLUDE, names = "NONE")
  void withoutTheFlawTheTestPasses(Flaw one) {
    flaw = Flaw.NONE;
    Events tests = EngineTestKit.engine("junit-jupiter").selectors(selectMethod(Flawed.class, one.test)).execute().testEvents();
    assertTrue(tests.succeeded().count() == 1, () -> one.test + " fails on the store by itself when it is wrapped");
  }
}
