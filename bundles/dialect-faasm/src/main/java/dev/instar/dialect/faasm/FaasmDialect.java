package dev.instar.dialect.faasm;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.Function;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionRegistry;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Image;
import dev.instar.api.function.Limits;
import dev.instar.api.function.Variant;
import dev.instar.api.http.HttpDialect;
import dev.instar.api.http.HttpExchange;
import dev.instar.api.http.InvocationExchange;
import dev.instar.api.http.Route;
import dev.instar.api.http.RouteHandler;
import dev.instar.api.http.ServiceSlot;
import dev.instar.api.image.ImageStore;
import dev.instar.api.invocation.CallInput;
import dev.instar.api.invocation.Invoker;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Stream;

/**
 * The first generation of Faasm's HTTP API, all on one path:
 *
 * <pre>
 *   PUT  /f/{user}/{function}   the module; 201 for the first version, 200 for later ones
 *   POST /f/{user}/{function}   the input; the function's raw output
 *   GET  /f/{user}/{function}   the active version's module as it was uploaded
 * </pre>
 *
 * {@code curl -T function.wasm http://host/f/user/function/}, as Faasm's own manual writes it, puts the file's name behind the slash; so PUT takes one more
 * segment, which means nothing.
 *
 * An upload of what is active already changes nothing. An upload of other code keeps the limits, environment and labels of the active version: they
 * are set through Instar's own API, and code is all that this one knows.
 */
public final class FaasmDialect implements HttpDialect {
  private static final String PATH = "/f/{user}/{function}";
  private static final Map<String, String> JSON = Map.of("Content-Type", "application/json");

  private final ServiceSlot<FunctionRegistry> functions;
  private final ServiceSlot<ImageStore> images;
  private final ServiceSlot<Invoker> invokers;
  // Two uploads of one name at once must not both find it absent. Held only while the registry is asked, never while bytes come or go.
  private final Lock[] uploads = Stream.generate(ReentrantLock::new).limit(64).toArray(Lock[]::new);
  private volatile long maxUploadBytes = 64L << 20;
  private volatile Duration serviceWait = Duration.ofSeconds(10);
  private volatile InvocationExchange invocations;

  public FaasmDialect(ServiceSlot<FunctionRegistry> functions, ServiceSlot<ImageStore> images, ServiceSlot<Invoker> invokers) {
    this.functions = functions;
    this.images = images;
    this.invokers = invokers;
    invocations = new InvocationExchange(functions, invokers, serviceWait);
  }

  /** See {@link FaasmConfig}. */
  public void configure(long uploadBytes, Duration wait) {
    maxUploadBytes = uploadBytes;
    serviceWait = wait;
    invocations = new InvocationExchange(functions, invokers, wait);
  }

  @Override
  public String name() {
    return "faasm";
  }

  @Override
  public List<Route> routes() {
    return List.of(new Route("PUT", PATH, this::upload), new Route("PUT", PATH + "/{file}", this::upload), new Route("POST", PATH, new Calls(), true), new Route("GET", PATH, this::download));
  }

  private void upload(HttpExchange x) throws IOException, InterruptedException {
    FunctionName name = name(x); // before the first byte of the body is asked for
    CallInput body = x.body(maxUploadBytes);
    if (body.length().isPresent() && body.length().getAsLong() == 0) {
      throw new InstarException(ErrorCode.BAD_BODY, "The body is empty; send the module, e.g. curl -T function.wasm <url>.");
    }
    Image image = images.await(serviceWait).add(body.stream(), maxUploadBytes, Optional.of(name.user()));
    // After the body, which may take long: the registry may have been replaced meanwhile.
    FunctionRegistry registry = functions.await(serviceWait);
    Lock lock = uploads[Math.floorMod(name.hashCode(), uploads.length)];
    FunctionVersion version;
    boolean created;
    lock.lockInterruptibly();
    try {
      Optional<Function> present = registry.find(name);
      boolean same = present.isPresent() && runs(present.get().activeVersion(), image.digest());
      version = same ? present.get().activeVersion() : registry.publish(name, spec(present, image), true);
      created = !same && version.number() == 1;
    } finally {
      lock.unlock();
    }
    answer(x, created ? 201 : 200, version, image.digest());
  }

  private static boolean runs(FunctionVersion version, Digest digest) {
    List<Variant> variants = version.spec().variants();
    return variants.size() == 1 && variants.getFirst().digest().equals(digest);
  }

  private static FunctionSpec spec(Optional<Function> present, Image image) {
    List<Variant> variants = List.of(new Variant(image.digest(), image.kind(), Optional.empty()));
    return present.map(function -> function.activeVersion().spec()).map(old -> new FunctionSpec(variants, old.limits(), old.environment(), old.labels(), old.snapshot(), old.secrets()))
        .orElseGet(() -> new FunctionSpec(variants, Limits.DEFAULT, Map.of(), Map.of()));
  }

  /** None of the values has a character that JSON would have to escape. */
  private static void answer(HttpExchange x, int status, FunctionVersion version, Digest digest) throws IOException {
    String json = "{\"user\":\"" + version.name().user() + "\",\"function\":\"" + version.name().function() + "\",\"version\":" + version.number() + ",\"digest\":\"" + digest + "\"}\n";
    x.respond(status, JSON, json.getBytes(StandardCharsets.UTF_8));
  }

  private final class Calls implements RouteHandler {
    @Override
    public void handle(HttpExchange x) throws IOException, InterruptedException {
      invocations.answer(x, name(x), OptionalInt.empty(), Optional.empty());
    }

    @Override
    public boolean begin(HttpExchange x) {
      return invocations.begin(x, name(x), OptionalInt.empty(), Optional.empty());
    }
  }

  private void download(HttpExchange x) throws IOException, InterruptedException {
    FunctionName name = name(x);
    Function function = functions.await(serviceWait).find(name)
        .orElseThrow(() -> new InstarException(ErrorCode.FUNCTION_NOT_FOUND, "There is no function " + name + "; upload it first."));
    Digest digest = function.activeVersion().spec().variants().getFirst().digest();
    try (InputStream module = images.await(serviceWait).open(digest)) {
      HttpExchange.Streamed out = x.stream(200, Map.of("Content-Type", "application/octet-stream", "ETag", "\"" + digest + "\"",
          "Instar-Version", Integer.toString(function.active())), InvocationExchange.HOLD);
      module.transferTo(out);
      out.finish();
    }
  }

  private static FunctionName name(HttpExchange x) {
    return new FunctionName(x.variable("user"), x.variable("function"));
  }
}
