package dev.instar.gateway;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.http.HttpDialect;
import dev.instar.api.http.Route;
import dev.instar.api.http.RouteHandler;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class DialectsTest {
  private static final RouteHandler A = x -> {};
  private static final RouteHandler B = x -> x.requestId();

  private final Dialects dialects = new Dialects();

  private Optional<RouteHandler> find(String method, String path) {
    return dialects.match(RequestPath.segments(path)).flatMap(match -> match.route(method).map(Route::handler));
  }

  @Test
  void matchesLiteralsBeforeVariables() {
    dialects.add(Node.dialect("d", new Route("GET", "/f/{user}/{function}", A), new Route("POST", "/f/special/{x}", B), new Route("GET", "/f/{user}/{function}/logs", B)), Map.of());
    Routes.Match match = dialects.match(List.of("f", "u", "n")).orElseThrow();
    assertEquals(List.of("u", "n"), match.values());
    assertEquals(List.of("user", "function"), match.variables("GET"));
    assertEquals(List.of("GET", "HEAD", "OPTIONS"), match.node().allowed());
    assertSame(A, match.route("HEAD").map(Route::handler).orElseThrow());
    assertTrue(match.route("POST").map(Route::handler).isEmpty());
    assertSame(B, find("POST", "/f/special/y").orElseThrow());
    // No route goes on from the literal, so the variable takes the segment.
    assertEquals(List.of("special", "y"), dialects.match(List.of("f", "special", "y", "logs")).orElseThrow().values());
    assertTrue(dialects.match(List.of("f", "u")).isEmpty());
    assertTrue(dialects.match(List.of()).isEmpty());
  }

  @Test
  void ofTwoThatCollideTheLowerRankingThenTheLaterIsLeftOutWhole() {
    HttpDialect first = Node.dialect("first", new Route("GET", "/a/{x}", A));
    HttpDialect second = Node.dialect("second", new Route("GET", "/b", B), new Route("GET", "/a/{y}", B));
    dialects.add(second, Map.of("service.id", 2L));
    dialects.add(first, Map.of("service.id", 1L));
    assertSame(A, find("GET", "/a/1").orElseThrow());
    assertTrue(find("GET", "/b").isEmpty());
    dialects.add(second, Map.of("service.id", 2L, "service.ranking", 1));
    assertSame(B, find("GET", "/a/1").orElseThrow());
    assertSame(B, find("GET", "/b").orElseThrow());
    dialects.remove(second, Duration.ZERO);
    assertSame(A, find("GET", "/a/1").orElseThrow());
  }

  @Test
  void leavesOutWhatIsWronglyDeclared() {
    for (Route wrong : List.of(new Route("get", "/x", A), new Route("GET", "x", A), new Route("GET", "/x/", A), new Route("GET", "/x//y", A), new Route("GET", "/x{y}", A), new Route("GET", "/{y}/{y}", A))) {
      dialects.add(Node.dialect("wrong", new Route("GET", "/good", A), wrong), Map.of());
      assertTrue(find("GET", "/good").isEmpty(), wrong::template);
    }
    dialects.add(Node.dialect("twice", new Route("GET", "/good", A), new Route("GET", "/good", B)), Map.of());
    assertTrue(find("GET", "/good").isEmpty());
  }

  @Test
  void waitsForADialectThatIsReplaced() throws Exception {
    HttpDialect old = Node.dialect("d", new Route("GET", "/a", A));
    dialects.add(old, Map.of());
    dialects.remove(old, Duration.ZERO);
    CompletableFuture<Optional<Routes.Match>> waiting = new CompletableFuture<>();
    Thread.ofVirtual().start(() -> {
      try {
        waiting.complete(dialects.await(List.of("a"), TimeUnit.MINUTES.toNanos(1)));
      } catch (Throwable e) {
        waiting.completeExceptionally(e);
      }
    });
    // What never was there is not waited for.
    assertTrue(dialects.await(List.of("b"), TimeUnit.MINUTES.toNanos(1)).isEmpty());
    dialects.add(Node.dialect("d", new Route("GET", "/a", B)), Map.of());
    assertSame(B, waiting.get().orElseThrow().route("GET").map(Route::handler).orElseThrow());
  }

  @Test
  void waitsNoLongerThanTheLimit() throws Exception {
    HttpDialect old = Node.dialect("d", new Route("GET", "/a", A));
    dialects.add(old, Map.of());
    dialects.remove(old, Duration.ZERO);
    assertTrue(dialects.await(List.of("a"), TimeUnit.MILLISECONDS.toNanos(20)).isEmpty());
    assertTrue(dialects.await(List.of("a"), TimeUnit.MINUTES.toNanos(1)).isEmpty(), "and then not at all");
  }

  @Test
  void oneThatGoesEndsItsExchangesFirst() throws Exception {
    HttpDialect dialect = Node.dialect("d", new Route("GET", "/a", A));
    dialects.add(dialect, Map.of());
    Dialects.Use use = dialects.use(A).orElseThrow();
    assertTrue(use.enter());
    CountDownLatch gone = new CountDownLatch(1);
    Thread.ofVirtual().start(() -> {
      dialects.remove(dialect, Duration.ofMinutes(1));
      gone.countDown();
    });
    while (dialects.use(A).isPresent()) {
      Thread.sleep(1);
    }
    assertFalse(gone.await(50, TimeUnit.MILLISECONDS));
    use.leave();
    assertTrue(gone.await(30, TimeUnit.SECONDS));
    assertFalse(use.enter(), "who matched it before and comes now looks again");
  }
}
