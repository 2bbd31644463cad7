package dev.instar.tck.placement;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.Digest;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Limits;
import dev.instar.api.function.Variant;
import dev.instar.api.placement.PlacementPolicy;
import dev.instar.api.placement.PlacementPolicy.Candidate;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What every {@link PlacementPolicy} does. */
@Timeout(60)
public abstract class PlacementPolicySuite {
  private PlacementPolicy policy;

  /** One as its bundle would make it. */
  protected abstract PlacementPolicy policy() throws Exception;

  @BeforeEach
  void make() throws Exception {
    policy = policy();
  }

  /** A version of two variants or more. */
  public static FunctionVersion version(int variants, Map<String, String> labels) {
    List<Variant> all = IntStream.range(0, variants).mapToObj(i -> new Variant(Digest.of(new byte[] {(byte) i}), Variant.WASM, Optional.empty())).toList();
    return new FunctionVersion(new FunctionName("demo", "hybrid"), 1, "uid", Instant.EPOCH, new FunctionSpec(all, Limits.DEFAULT, Map.of(), labels));
  }

  private static List<Candidate> candidates(Random random, int count) {
    return IntStream.range(0, count).mapToObj(i -> new Candidate(i, Variant.WASM, "b" + i, random.nextBoolean(), random.nextInt(3), random.nextInt(3))).toList();
  }

  @Test
  void choosesOneOfThem() {
    Random random = new Random(1);
    for (int i = 0; i < 5000; i++) {
      int count = 2 + random.nextInt(15);
      int chosen = policy.choose(version(count, Map.of()), candidates(random, count));
      assertTrue(chosen >= 0 && chosen < count, chosen + " of " + count);
    }
  }

  @Test
  void choosesWhereNotAllVariantsCanRun() {
    List<Candidate> some = List.of(new Candidate(1, Variant.WASM, "wasm", true, 0, 0), new Candidate(4, Variant.EXECUTABLE, "process", false, 0, 0));
    int chosen = policy.choose(version(5, Map.of()), some);
    assertTrue(chosen == 0 || chosen == 1, "a place in the list is wanted, not a variant: " + chosen);
  }

  @Test
  void takesLabelsThatItDoesNotKnow() {
    List<Candidate> two = candidates(new Random(2), 2);
    int chosen = policy.choose(version(2, Map.of("placement", "no such \uFFFF thing", "", "", "x".repeat(1000), "y")), two);
    assertTrue(chosen == 0 || chosen == 1);
  }

  @Test
  void manyMayAskAtOnce() throws Exception {
    try (ExecutorService threads = Executors.newFixedThreadPool(8)) {
      List<Callable<Integer>> asked = new ArrayList<>();
      for (int i = 0; i < 8; i++) {
        int seed = i;
        asked.add(() -> {
          Random random = new Random(seed);
          int wrong = 0;
          for (int n = 0; n < 2000; n++) {
            int chosen = policy.choose(version(3, Map.of()), candidates(random, 3));
            wrong += chosen < 0 || chosen > 2 ? 1 : 0;
          }
          return wrong;
        });
      }
      for (Future<Integer> wrong : threads.invokeAll(asked)) {
        assertEquals(0, wrong.get());
      }
    }
  }
}
