package dev.instar.tck.function;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.Function;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionRegistry;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Limits;
import dev.instar.api.function.Variant;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What every {@link FunctionRegistry} does. */
@Timeout(60)
public abstract class FunctionRegistrySuite {
  private static final FunctionName ECHO = new FunctionName("demo", "echo");
  private FunctionRegistry registry;

  /** A registry without functions, whose preparer accepts everything. */
  protected abstract FunctionRegistry emptyRegistry() throws Exception;

  /** The same registry after the node has been started again. */
  protected abstract FunctionRegistry afterRestart() throws Exception;

  /** The digest of an image of kind {@link Variant#WASM} that the registry's content store has. */
  protected abstract Digest knownImage() throws Exception;

  @BeforeEach
  void open() throws Exception {
    registry = emptyRegistry();
  }

  private FunctionSpec spec(String label) throws Exception {
    return new FunctionSpec(List.of(new Variant(knownImage(), Variant.WASM, Optional.empty())),
        new Limits(1 << 20, Duration.ofMillis(1500), 10, 20, 30, 4), Map.of("KEY", "ä=\n\"'"), Map.of("label", label));
  }

  @Test
  void theFirstVersionIsActiveWhateverIsAsked() throws Exception {
    FunctionVersion version = registry.publish(ECHO, spec("1"), false);
    assertEquals(1, version.number());
    assertEquals(version, registry.find(ECHO).orElseThrow().activeVersion());
  }

  @Test
  void versionsCountUpAndAreActivatedAndRolledBack() throws Exception {
    registry.publish(ECHO, spec("1"), true);
    registry.publish(ECHO, spec("2"), true);
    registry.publish(ECHO, spec("3"), false);
    assertEquals(2, registry.find(ECHO).orElseThrow().active());
    assertEquals(3, registry.activate(ECHO, 3).active());
    Function back = registry.rollBack(ECHO);
    assertEquals(2, back.active());
    assertEquals(Optional.of(3), back.previous());
    assertEquals(List.of(1, 2, 3), back.versions().stream().map(FunctionVersion::number).toList());
  }

  @Test
  void everythingSurvivesARestart() throws Exception {
    registry.publish(ECHO, spec("1"), true);
    registry.publish(ECHO, spec("2"), true);
    registry.publish(new FunctionName("a", "b.c_d-e"), spec("x"), true);
    List<Function> before = registry.list();
    registry = afterRestart();
    assertEquals(before, registry.list());
    assertEquals(1, registry.rollBack(ECHO).active());
  }

  @Test
  void aNumberIsNotGivenTwice() throws Exception {
    registry.publish(ECHO, spec("1"), true);
    registry.publish(ECHO, spec("2"), false);
    registry.removeVersion(ECHO, 2);
    registry = afterRestart();
    assertEquals(3, registry.publish(ECHO, spec("3"), true).number());
  }

  @Test
  void aFunctionMadeAgainIsAnotherOne() throws Exception {
    FunctionVersion old = registry.publish(ECHO, spec("1"), true);
    registry.remove(ECHO);
    assertTrue(registry.find(ECHO).isEmpty());
    assertTrue(registry.list().isEmpty());
    registry = afterRestart();
    assertTrue(registry.find(ECHO).isEmpty());
    assertNotEquals(old.uid(), registry.publish(ECHO, spec("1"), true).uid());
  }

  @Test
  void theActiveVersionIsNotRemovedAlone() throws Exception {
    registry.publish(ECHO, spec("1"), true);
    assertEquals(ErrorCode.CONFLICT, code(() -> registry.removeVersion(ECHO, 1)));
  }

  @Test
  void aRollBackToARemovedVersionIsRefused() throws Exception {
    registry.publish(ECHO, spec("1"), true);
    assertEquals(ErrorCode.CONFLICT, code(() -> registry.rollBack(ECHO)));
    registry.publish(ECHO, spec("2"), true);
    registry.removeVersion(ECHO, 1);
    assertEquals(ErrorCode.CONFLICT, code(() -> registry.rollBack(ECHO)));
    assertEquals(2, registry.find(ECHO).orElseThrow().active());
  }

  @Test
  void whatIsUnknownIsNamedSo() throws Exception {
    assertEquals(ErrorCode.FUNCTION_NOT_FOUND, code(() -> registry.activate(ECHO, 1)));
    assertEquals(ErrorCode.FUNCTION_NOT_FOUND, code(() -> registry.rollBack(ECHO)));
    assertEquals(ErrorCode.FUNCTION_NOT_FOUND, code(() -> registry.removeVersion(ECHO, 1)));
    assertEquals(ErrorCode.FUNCTION_NOT_FOUND, code(() -> registry.remove(ECHO)));
    registry.publish(ECHO, spec("1"), true);
    assertEquals(ErrorCode.VERSION_NOT_FOUND, code(() -> registry.activate(ECHO, 2)));
    assertEquals(ErrorCode.VERSION_NOT_FOUND, code(() -> registry.removeVersion(ECHO, 2)));
  }

  @Test
  void anImageThatIsNotThereIsRefusedAndNothingIsPublished() throws Exception {
    Digest unknown = Digest.of("nobody has this".getBytes());
    FunctionSpec spec = new FunctionSpec(List.of(new Variant(unknown, Variant.WASM, Optional.empty())), Limits.DEFAULT, Map.of(), Map.of());
    assertEquals(ErrorCode.IMAGE_NOT_FOUND, code(() -> registry.publish(ECHO, spec, true)));
    assertTrue(registry.find(ECHO).isEmpty());
  }

  @Test
  void publishingFromManyThreadsGivesEachItsNumber() throws Exception {
    Set<Integer> numbers = new HashSet<>();
    try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Callable<FunctionVersion>> calls = new ArrayList<>();
      for (int i = 0; i < 16; i++) {
        FunctionSpec spec = spec("" + i);
        calls.add(() -> registry.publish(ECHO, spec, true));
      }
      for (var call : threads.invokeAll(calls)) {
        numbers.add(call.get().number());
      }
    }
    assertEquals(16, numbers.size());
    assertEquals(16, registry.find(ECHO).orElseThrow().versions().size());
  }

  private static ErrorCode code(org.junit.jupiter.api.function.Executable call) {
    return assertThrows(InstarException.class, call).code();
  }
}
