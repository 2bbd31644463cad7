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
import dev.instar.api.http.ServiceSlot;
import dev.instar.api.image.ImageStore;
import dev.instar.api.invocation.Invoker;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.ConfigurationPolicy;
import org.osgi.service.component.annotations.Modified;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.component.annotations.ReferenceCardinality;
import org.osgi.service.component.annotations.ReferencePolicy;
import org.osgi.service.component.annotations.ReferencePolicyOption;
import org.osgi.service.metatype.annotations.Designate;

/**
 * The API of Faasm's first generation on one port. Where that answered a failure with 200 and a text, this answers with the failure's status.
 *
 * <pre>
 *   PUT  /f/{user}/{function}   upload (curl -T): 201 for a new function; 200 for a new version, or for the content that is active already
 *   POST /f/{user}/{function}   call: the body is the input, the answer the raw output
 *   GET  /f/{user}/{function}   the active version's artifact as it was uploaded
 * </pre>
 */
@Component(immediate = true, configurationPid = "dev.instar.dialect.faasm", configurationPolicy = ConfigurationPolicy.REQUIRE)
@Designate(ocd = FaasmConfig.class, factory = true)
public final class FaasmDialect implements HttpDialect {
  private static final String FUNCTION = "/f/{user}/{function}";

  private record Settings(long maxUploadBytes, Duration serviceWait) {}

  private final ServiceSlot<FunctionRegistry> functions = new ServiceSlot<>("registry of functions");
  private final ServiceSlot<ImageStore> images = new ServiceSlot<>("image store");
  private final ServiceSlot<Invoker> invokers = new ServiceSlot<>("scheduler");
  private volatile Settings settings;
  private volatile InvocationExchange invocations;

  @Activate
  @Modified
  void configure(FaasmConfig config) {
    settings = new Settings(config.max$_$upload$_$bytes(), Duration.ofMillis(config.service$_$wait$_$ms()));
    invocations = new InvocationExchange(functions, invokers, settings.serviceWait());
  }

  @Reference(cardinality = ReferenceCardinality.MULTIPLE, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  void bindRegistry(FunctionRegistry registry, Map<String, Object> properties) {
    functions.bind(registry, properties);
  }

  void unbindRegistry(FunctionRegistry registry) {
    functions.unbind(registry);
  }

  @Reference(cardinality = ReferenceCardinality.MULTIPLE, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  void bindImages(ImageStore store, Map<String, Object> properties) {
    images.bind(store, properties);
  }

  void unbindImages(ImageStore store) {
    images.unbind(store);
  }

  @Reference(cardinality = ReferenceCardinality.MULTIPLE, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  void bindInvoker(Invoker invoker, Map<String, Object> properties) {
    invokers.bind(invoker, properties);
  }

  void unbindInvoker(Invoker invoker) {
    invokers.unbind(invoker);
  }

  @Override
  public String name() {
    return "faasm";
  }

  @Override
  public List<Route> routes() {
    return List.of(new Route("PUT", FUNCTION, this::upload), new Route("POST", FUNCTION, this::call), new Route("GET", FUNCTION, this::fetch));
  }

  private void call(HttpExchange exchange) throws IOException, InterruptedException {
    invocations.answer(exchange, name(exchange), OptionalInt.empty(), Optional.empty());
  }

  private void upload(HttpExchange exchange) throws IOException, InterruptedException {
    FunctionName name = name(exchange);
    Settings now = settings;
    Image image = images.await(now.serviceWait()).add(exchange.body(now.maxUploadBytes()).stream(), now.maxUploadBytes());
    FunctionRegistry registry = functions.await(now.serviceWait());
    Optional<Function> before = registry.find(name);
    Optional<FunctionVersion> same = before.map(Function::activeVersion).filter(active -> active.spec().variants().equals(variants(image)));
    FunctionVersion version = same.isPresent() ? same.get() : registry.publish(name, spec(before, image), true);
    // Names and digests are of characters that need no escape.
    String json = "{\"user\":\"" + name.user() + "\",\"function\":\"" + name.function() + "\",\"version\":" + version.number() + ",\"digest\":\"" + image.digest()
        + "\"}\n";
    exchange.respond(before.isEmpty() ? 201 : 200, Map.of("Content-Type", "application/json"), json.getBytes(StandardCharsets.US_ASCII));
  }

  private static List<Variant> variants(Image image) {
    return List.of(new Variant(image.digest(), image.kind(), Optional.empty()));
  }

  /** An upload replaces the code; limits, environment and labels that were set by other means stay. */
  private static FunctionSpec spec(Optional<Function> before, Image image) {
    return before.map(function -> function.activeVersion().spec())
        .map(old -> new FunctionSpec(variants(image), old.limits(), old.environment(), old.labels()))
        .orElseGet(() -> new FunctionSpec(variants(image), Limits.DEFAULT, Map.of(), Map.of()));
  }

  private void fetch(HttpExchange exchange) throws IOException, InterruptedException {
    FunctionName name = name(exchange);
    Settings now = settings;
    Function function = functions.await(now.serviceWait()).find(name)
        .orElseThrow(() -> new InstarException(ErrorCode.FUNCTION_NOT_FOUND, "There is no function " + name + "; upload it first."));
    Digest digest = function.activeVersion().spec().variants().getFirst().digest();
    try (InputStream artifact = images.await(now.serviceWait()).open(digest)) {
      HttpExchange.Streamed answer = exchange.stream(200, Map.of("Content-Type", "application/octet-stream", "ETag", '"' + digest.value() + '"'),
          InvocationExchange.HOLD);
      artifact.transferTo(answer);
      answer.finish();
    }
  }

  private static FunctionName name(HttpExchange exchange) {
    return new FunctionName(exchange.variable("user"), exchange.variable("function"));
  }
}
