package dev.instar.placement;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.instar.api.function.Variant;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.placement.PlacementPolicy;
import dev.instar.api.placement.PlacementPolicy.Candidate;
import dev.instar.tck.placement.PlacementPolicySuite;
import java.lang.annotation.Annotation;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class LabelledPlacementTest extends PlacementPolicySuite {
  private static final Candidate COLD = new Candidate(0, Variant.WASM, "wasm", false, 0, 0);
  private static final Candidate PREPARED = new Candidate(1, Variant.WASM, "wasmtime", true, 0, 2);
  private static final Candidate IDLE = new Candidate(2, Variant.EXECUTABLE, "process", true, 1, 0);

  private static PlacementConfig config(String order) {
    return new PlacementConfig() {
      @Override
      public String order() {
        return order;
      }

      @Override
      public Class<? extends Annotation> annotationType() {
        return PlacementConfig.class;
      }
    };
  }

  @Override
  protected PlacementPolicy policy() {
    return new LabelledPlacement(config("idle-first"));
  }

  private static int choose(String order, Map<String, String> labels, Candidate... candidates) {
    return new LabelledPlacement(config(order)).choose(version(3, labels), List.of(candidates));
  }

  @Test
  void prefersAnIdleSandboxToAStart() {
    assertEquals(2, choose("idle-first", Map.of(), COLD, PREPARED, IDLE));
    assertEquals(0, choose("idle-first", Map.of(), IDLE, PREPARED, COLD));
  }

  @Test
  void prefersAStartToAPreparation() {
    assertEquals(1, choose("idle-first", Map.of(), COLD, PREPARED));
    assertEquals(0, choose("idle-first", Map.of(), COLD, COLD));
  }

  @Test
  void takesTheDeployersOrderWhereNothingElseIsAskedFor() {
    assertEquals(0, choose("in-order", Map.of(), COLD, PREPARED, IDLE));
  }

  @Test
  void aFunctionsLabelWinsOverTheConfiguration() {
    assertEquals(1, choose("in-order", Map.of("placement", "idle-first"), COLD, IDLE));
    assertEquals(0, choose("idle-first", Map.of("placement", "in-order"), COLD, IDLE));
    assertEquals(1, choose("idle-first", Map.of("placement", "fastest"), COLD, IDLE), "an unknown word is as none");
  }

  @Test
  void aLabelThatSaysNothingIsToldToTheDeployer() {
    LabelledPlacement policy = new LabelledPlacement(config("in-order"));
    InstarException refused = assertThrows(InstarException.class, () -> policy.check(version(1, Map.of("placement", "nonsense"))));
    assertEquals(ErrorCode.BAD_REQUEST, refused.code());
    assertEquals("The label placement is 'nonsense'; give in-order or idle-first.", refused.problem().detail());
    policy.check(version(1, Map.of("placement", "idle-first")));
    policy.check(version(2, Map.of()));
  }

  @Test
  void aChangedConfigurationHoldsAtOnce() {
    LabelledPlacement policy = new LabelledPlacement(config("in-order"));
    policy.modified(config("idle-first"));
    assertEquals(1, policy.choose(version(2, Map.of()), List.of(COLD, IDLE)));
  }
}
