package dev.instar.tck.sandbox;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectMethod;

import java.time.Duration;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.EnumSource.Mode;
import org.junit.platform.testkit.engine.EngineTestKit;
import org.junit.platform.testkit.engine.Events;

/** No test of the suite passes whatever comes: each flaw of a backend is found by the test that stands beside it. */
class SuiteFindsFlawsTest {
  private static volatile Flaw flaw = Flaw.NONE;

  static class Flawed extends ToyBackendConformanceTest {
    @Override
    Flaw flaw() {
      return flaw;
    }

    @Override
    protected Duration patience() {
      return Duration.ofSeconds(2);
    }

    @Override
    protected Duration bound() {
      return Duration.ofSeconds(1);
    }
  }

  @ParameterizedTest
  @EnumSource(mode = Mode.EXCLUDE, names = "NONE")
  void theFlawIsFound(Flaw one) {
    flaw = one;
    int parameters = one.test.indexOf('(');
    String name = parameters < 0 ? one.test : one.test.substring(0, parameters);
    String types = parameters < 0 ? "" : one.test.substring(parameters + 1, one.test.length() - 1);
    Events tests = EngineTestKit.engine("junit-jupiter").selectors(selectMethod(Flawed.class, name, types)).execute().testEvents();
    assertTrue(tests.started().count() > 0, () -> "There is no test " + one.test);
    assertTrue(tests.failed().count() > 0, () -> one.test + " did not find that the backend " + one);
  }
}
