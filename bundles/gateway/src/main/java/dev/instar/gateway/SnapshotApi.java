package dev.instar.gateway;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.Threads;
import dev.instar.api.http.HttpExchange;
import dev.instar.api.http.InvocationExchange;
import dev.instar.api.http.Route;
import dev.instar.api.snapshot.GcPolicy;
import dev.instar.api.snapshot.GcResult;
import dev.instar.api.snapshot.SnapshotInfo;
import dev.instar.api.snapshot.SnapshotLayer;
import dev.instar.api.snapshot.SnapshotStore;
import dev.instar.gateway.Json.JsonObject;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.Semaphore;
import java.util.function.Supplier;

/** The part of Instar's own API by which operators see and handle snapshots. */
final class SnapshotApi {
  private static final String ALL = "/v1/snapshots";
  private static final String ONE = ALL + "/{id}";
  /** Verifications, exports and imports at one time; each keeps a thread, and a processor where the disk and the caller are fast. */
  static final int PLACES = 4;
  private static final long HUNDRED_YEARS = Duration.ofDays(36_500).toSeconds();

  private final Services services;
  private final Supplier<Duration> serviceWait;
  private final Semaphore places = new Semaphore(PLACES);

  SnapshotApi(Services services, Supplier<Duration> serviceWait) {
    this.services = services;
    this.serviceWait = serviceWait;
  }

  List<Route> routes() {
    return List.of(
        new Route("GET", ALL, this::list),
        new Route("POST", ALL, this::take),
        new Route("POST", ALL + "/gc", this::collect),
        new Route("GET", ONE, x -> Json.respond(x, 200, SnapshotJson.whole(find(store(), id(x)), functions()))),
        new Route("DELETE", ONE, this::remove),
        new Route("POST", ONE + "/verify", this::verify),
        new Route("GET", ONE + "/archive", this::give));
  }

  private void list(HttpExchange x) throws IOException, InterruptedException {
    List<SnapshotInfo> all = store().list();
    SnapshotJson.Functions functions = functions();
    Json.respond(x, "snapshots", all.stream().map(info -> SnapshotJson.of(info, functions)));
  }

  private void verify(HttpExchange x) throws IOException, InterruptedException {
    SnapshotStore store = store();
    Digest id = id(x);
    apart(() -> {
      store.verify(id);
      return id;
    });
    Json.respond(x, 200, SnapshotJson.whole(find(store, id), functions()));
  }

  private void give(HttpExchange x) throws IOException, InterruptedException {
    SnapshotStore store = store();
    Digest id = find(store, id(x)).layer().id();
    Map<String, String> headers = Map.of("Content-Type", "application/octet-stream");
    if ("HEAD".equals(x.method())) {
      HttpExchange.Streamed answer = x.stream(200, headers, 0);
      answer.flush();
      answer.finish();
      return;
    }
    apart(() -> {
      // Whatever fails within leaves the answer unfinished, and the gateway cuts it off: half an archive never looks like a whole one.
      HttpExchange.Streamed answer = x.stream(200, headers, InvocationExchange.HOLD);
      OutputStream out = new BufferedOutputStream(answer, InvocationExchange.HOLD / 2);
      store.exportTo(id, out);
      out.flush();
      answer.finish();
      return id;
    });
  }

  private void take(HttpExchange x) throws IOException, InterruptedException {
    SnapshotStore store = store();
    // Packed, an archive is hardly larger than what it unpacks to, and that the store bounds before it takes it.
    InputStream archive = new BufferedInputStream(x.body(Long.MAX_VALUE).stream(), InvocationExchange.HOLD / 2);
    SnapshotLayer layer = apart(() -> store.importFrom(archive));
    Json.respond(x, 201, Map.of("Location", ALL + "/" + layer.id()), SnapshotJson.whole(find(store, layer.id()), functions()));
  }

  private void remove(HttpExchange x) throws IOException, InterruptedException {
    Digest id = id(x);
    if (!store().remove(id)) {
      throw notFound(id);
    }
    x.respond(204, Map.of(), new byte[0]);
  }

  private void collect(HttpExchange x) throws IOException, InterruptedException {
    JsonObject body = Json.bodyIfAny(x).onlyFields("unusedForSeconds", "budgetBytes");
    SnapshotStore store = store();
    GcPolicy usual = store.policy();
    GcPolicy policy = new GcPolicy(body.has("unusedForSeconds") ? seconds(body, "unusedForSeconds") : usual.unusedFor(),
        body.has("budgetBytes") ? bytes(body, "budgetBytes") : usual.budgetBytes());
    GcResult result = store.collect(policy);
    ObjectNode node = Json.object();
    ArrayNode removed = node.putArray("removed");
    result.removed().forEach(id -> removed.add(id.value()));
    node.put("freedBytes", result.freedBytes()).put("keptBytes", result.keptBytes());
    node.put("unusedForSeconds", policy.unusedFor().toSeconds()).put("budgetBytes", policy.budgetBytes());
    Json.respond(x, 200, node);
  }

  private static Duration seconds(JsonObject body, String name) {
    JsonNode value = body.get(name);
    if (!value.isIntegralNumber() || !value.canConvertToLong() || value.longValue() < 0 || value.longValue() > HUNDRED_YEARS) {
      throw body.wrong(name, "seconds, up to a hundred years of them");
    }
    return Duration.ofSeconds(value.longValue());
  }

  private static long bytes(JsonObject body, String name) {
    return Quantities.bytes(body.get(name)).orElseThrow(() -> body.wrong(name, "bytes, or a string such as \"512Mi\", \"4Gi\""));
  }

  /**
   * Does what may read, hash and pack gigabytes on a thread that the kernel shares out: a virtual one keeps its carrier from all other requests until
   * it waits. It is not given up when this thread is interrupted, since it uses the exchange.
   */
  private <T> T apart(Callable<T> work) throws IOException {
    if (!places.tryAcquire()) {
      throw new InstarException(Problem.of(ErrorCode.NODE_BUSY, "The node verifies, exports and imports " + PLACES + " snapshots at one time, and does now. Try again in a moment.")
          .retryAfter(Duration.ofSeconds(1)));
    }
    boolean interrupted = false;
    try {
      FutureTask<T> task = new FutureTask<>(work);
      Threads.startPlatform("instar-snapshot-api", task);
      while (true) {
        try {
          return task.get();
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    } catch (ExecutionException e) {
      Throwable cause = e.getCause();
      if (cause instanceof IOException io) {
        throw io;
      }
      if (cause instanceof Error error) {
        throw error;
      }
      throw cause instanceof RuntimeException runtime ? runtime : new IllegalStateException(cause);
    } finally {
      places.release();
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private static Digest id(HttpExchange x) {
    return new Digest(x.variable("id"));
  }

  private static SnapshotInfo find(SnapshotStore store, Digest id) {
    return store.inspect(id).orElseThrow(() -> notFound(id));
  }

  private static InstarException notFound(Digest id) {
    return new InstarException(ErrorCode.SNAPSHOT_NOT_FOUND, "There is no snapshot " + id + "; GET " + ALL + " lists them.", Map.of("layer", id.value()));
  }

  private SnapshotStore store() throws InterruptedException {
    return services.snapshots().await(serviceWait.get());
  }

  /** A snapshot is shown all the same while the registry is away. */
  private SnapshotJson.Functions functions() {
    return services.functions().current().map(registry -> SnapshotJson.Functions.of(registry.list())).orElse(SnapshotJson.Functions.NONE);
  }
}
