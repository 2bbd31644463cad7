package dev.instar.gateway;

import static dev.instar.gateway.ExchangeIT.assertProblem;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.operations.BundleStatus;
import dev.instar.api.operations.Change;
import dev.instar.api.operations.Deployer;
import dev.instar.api.operations.Deployment;
import dev.instar.api.operations.Deployment.State;
import dev.instar.api.operations.FeatureStatus;
import dev.instar.api.operations.Plan;
import dev.instar.api.operations.Plan.Action;
import dev.instar.api.operations.Plan.Step;
import dev.instar.tck.http.RawHttp.Answer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Changes of bundles through the real listener, over a deployer that is scripted. */
class BundleApiIT {
  private static final Plan PLAN = new Plan(List.of(new Step(Action.UPDATE, "a", "2.0.0", "replaces 1.0.0"), new Step(Action.REFRESH, "b", "1.0.0", "")), List.of("wasm"), List.of("me/f"), 1, false);
  private static final String PLAN_JSON = "{\"steps\":[{\"action\":\"update\",\"bundle\":\"a\",\"version\":\"2.0.0\",\"reason\":\"replaces 1.0.0\"},{\"action\":\"refresh\",\"bundle\":\"b\",\"version\":\"1.0.0\"}],"
      + "\"backends\":[\"wasm\"],\"functions\":[\"me/f\"],\"functionCount\":1,\"endsConnection\":false}";
  private final Node node = new Node();
  private final Scripted deployer = new Scripted();

  /** Takes every change and says what it was told. */
  private static final class Scripted implements Deployer {
    private final List<String> asked = new ArrayList<>();
    private Plan plan = PLAN;
    private State end = State.DONE;

    private String read(Change change) throws IOException {
      return switch (change) {
        case Change.Install install -> "install " + new String(install.jar().readAllBytes(), StandardCharsets.UTF_8);
        case Change.Update update -> "update " + update.bundle() + " " + new String(update.jar().readAllBytes(), StandardCharsets.UTF_8);
        case Change.ApplyFeature apply -> "apply " + new String(apply.json().readAllBytes(), StandardCharsets.UTF_8);
        default -> change.toString();
      };
    }

    @Override
    public List<BundleStatus> bundles() {
      return List.of(new BundleStatus(3, "a", "1.0.0", "active", 4, "api", ""), new BundleStatus(4, "b", "1.0.0", "active", 4, "distribution", "it is needed"));
    }

    @Override
    public List<FeatureStatus> features() {
      return List.of(new FeatureStatus("f", "g:f:1", "x", List.of("g:a:1"), true, false));
    }

    @Override
    public Plan plan(Change change) throws IOException {
      asked.add("plan " + read(change));
      return plan;
    }

    @Override
    public Deployment begin(Change change) throws IOException {
      asked.add(read(change));
      if (change instanceof Change.Uninstall) {
        throw new InstarException(ErrorCode.BUNDLE_STAYS, "It stays.", Map.of("bundle", "a"));
      }
      return deployment(State.RUNNING);
    }

    private Deployment deployment(State state) {
      return new Deployment("x-1", "update a", plan, state, state == State.ROLLED_BACK ? Optional.of(Problem.of(ErrorCode.BUNDLE_FAILED, "It does not start.")) : Optional.empty(), List.of("a note"), Duration.ofMillis(7));
    }

    @Override
    public Optional<Deployment> find(String id) {
      return id.equals("x-1") ? Optional.of(deployment(end)) : Optional.empty();
    }

    @Override
    public Optional<Deployment> await(String id, Duration limit) {
      return find(id);
    }
  }

  @BeforeEach
  void bind(@TempDir Path dir) throws IOException {
    node.administrator(dir);
    node.services.deployers().bind(deployer, Map.of());
  }

  @AfterEach
  void close() {
    node.close();
  }

  private void answers(int status, String body, Answer answer) {
    assertEquals(status, answer.status(), answer::toString);
    assertEquals(body, answer.text());
  }

  @Test
  void showsBundlesAndFeatures() throws Exception {
    String a = "{\"id\":3,\"name\":\"a\",\"version\":\"1.0.0\",\"state\":\"active\",\"startLevel\":4,\"origin\":\"api\"}";
    answers(200, "{\"bundles\":[" + a + ",{\"id\":4,\"name\":\"b\",\"version\":\"1.0.0\",\"state\":\"active\",\"startLevel\":4,\"origin\":\"distribution\",\"stays\":\"it is needed\"}]}", node.get("/v1/bundles"));
    answers(200, a, node.get("/v1/bundles/a"));
    answers(200, a, node.get("/v1/bundles/3"));
    assertProblem(ErrorCode.BUNDLE_NOT_FOUND.status(), ErrorCode.BUNDLE_NOT_FOUND.code(), node.get("/v1/bundles/nobody"));
    answers(200, "{\"features\":[{\"name\":\"f\",\"id\":\"g:f:1\",\"description\":\"x\",\"present\":true,\"applied\":false,\"bundles\":[\"g:a:1\"]}]}", node.get("/v1/features"));
  }

  @Test
  void eachChangeIsAskedForAndItsEndAwaited() throws Exception {
    String done = "{\"id\":\"x-1\",\"what\":\"update a\",\"state\":\"done\",\"plan\":" + PLAN_JSON + ",\"notes\":[\"a note\"],\"millis\":7}";
    Answer installed = node.call("POST", "/v1/bundles", "jar");
    answers(200, done, installed);
    assertEquals("/v1/deployments/x-1", installed.headers().get("location"));
    answers(200, done, node.call("PUT", "/v1/bundles/a", "jar"));
    answers(200, done, node.call("POST", "/v1/bundles/a/start", ""));
    answers(200, done, node.call("POST", "/v1/bundles/a/stop", ""));
    answers(200, done, node.call("POST", "/v1/features", "{}"));
    answers(200, done, node.call("POST", "/v1/features/f/apply", ""));
    answers(200, done, node.call("DELETE", "/v1/features/f", ""));
    assertEquals(List.of("install jar", "update a jar", "Start[bundle=a]", "Stop[bundle=a]", "apply {}", "ApplyShippedFeature[name=f]", "RemoveFeature[name=f]"), deployer.asked);
  }

  @Test
  void aDryRunOnlyPlans() throws Exception {
    answers(200, "{\"dryRun\":true,\"plan\":" + PLAN_JSON + "}", node.call("PUT", "/v1/bundles/a?dryRun=true", "jar"));
    assertEquals(List.of("plan update a jar"), deployer.asked);
    assertProblem(ErrorCode.BAD_REQUEST.status(), ErrorCode.BAD_REQUEST.code(), node.call("PUT", "/v1/bundles/a?dryRun=maybe", "jar"));
  }

  @Test
  void whatReplacesThePartThatAnswersIsNotAwaited() throws Exception {
    deployer.plan = new Plan(PLAN.steps(), List.of(), List.of(), 0, true);
    Answer answer = node.call("PUT", "/v1/bundles/a", "jar");
    assertEquals(202, answer.status());
    assertTrue(answer.text().contains("\"state\":\"running\""), answer::text);
    assertEquals(200, node.get("/v1/deployments/x-1").status());
    assertProblem(ErrorCode.DEPLOYMENT_NOT_FOUND.status(), ErrorCode.DEPLOYMENT_NOT_FOUND.code(), node.get("/v1/deployments/x-2"));
  }

  @Test
  void aRefusalAndAFailureAreProblems() throws Exception {
    assertProblem(ErrorCode.BUNDLE_STAYS.status(), ErrorCode.BUNDLE_STAYS.code(), node.call("DELETE", "/v1/bundles/a", ""));
    deployer.end = State.ROLLED_BACK;
    assertProblem(ErrorCode.BUNDLE_FAILED.status(), ErrorCode.BUNDLE_FAILED.code(), node.call("PUT", "/v1/bundles/a", "jar"));
  }
}
