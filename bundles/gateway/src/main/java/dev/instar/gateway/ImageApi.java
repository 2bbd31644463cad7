package dev.instar.gateway;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Names;
import dev.instar.api.function.Function;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Image;
import dev.instar.api.http.HttpExchange;
import dev.instar.api.http.InvocationExchange;
import dev.instar.api.http.Route;
import dev.instar.api.image.ImageDetails;
import dev.instar.api.image.ImageInfo;
import dev.instar.api.image.ImageStore;
import dev.instar.gateway.access.Caller;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/** The part of Instar's own API by which images come, are seen, and go. */
final class ImageApi {
  private static final String ALL = "/v1/images";
  private static final String ONE = ALL + "/{digest}";

  private final Services services;
  private final Supplier<Settings> settings;

  ImageApi(Services services, Supplier<Settings> settings) {
    this.services = services;
    this.settings = settings;
  }

  List<Route> routes() {
    return List.of(
        new Route("GET", ALL, this::list),
        new Route("POST", ALL, this::add),
        new Route("GET", ONE, this::give),
        new Route("GET", ONE + "/description", this::describe),
        new Route("DELETE", ONE, this::remove));
  }

  private void add(HttpExchange x) throws IOException, InterruptedException {
    Optional<String> user = user(x);
    long limit = settings.get().maxUploadBytes();
    InputStream body = x.body(limit).stream();
    Image image = images().add(body, limit, user);
    Json.respond(x, 201, Map.of("Location", ALL + "/" + image.digest()),
        Json.object().put("digest", image.digest().value()).put("kind", image.kind()).put("size", image.size()));
  }

  /** Against whose share it counts: who is named, else whose token it is. */
  private static Optional<String> user(HttpExchange x) {
    Optional<String> named = x.query("user");
    Caller caller = caller(x);
    if (named.isEmpty()) {
      return caller instanceof Caller.Holder holder ? Optional.of(holder.user().name()) : Optional.empty();
    }
    Names.check("user", named.get());
    if (!caller.mayUpload(named.get())) {
      throw new InstarException(ErrorCode.FORBIDDEN, "This token is not one for uploading for '" + named.get() + "'. The node's administrator may allow it (instar users add --upload).");
    }
    return named;
  }

  private static Caller caller(HttpExchange x) {
    return x instanceof Exchange exchange ? exchange.caller() : Caller.ANYONE;
  }

  private void give(HttpExchange x) throws IOException, InterruptedException {
    Digest digest = digest(x);
    try (InputStream in = images().open(digest)) {
      HttpExchange.Streamed out = x.stream(200, Map.of("Content-Type", "application/octet-stream", "ETag", '"' + digest.value() + '"'), InvocationExchange.HOLD);
      in.transferTo(out);
      out.finish();
    }
  }

  /** Those that came for users for whom the caller may upload, or that functions of these have. */
  private void list(HttpExchange x) throws IOException, InterruptedException {
    Caller caller = caller(x);
    Map<Digest, List<FunctionVersion>> uses = uses();
    List<ImageInfo> all = images().list();
    Json.respond(x, "images", all.stream().filter(info -> visible(caller, info, uses)).map(info -> json(info, uses, caller)));
  }

  private static boolean visible(Caller caller, ImageInfo info, Map<Digest, List<FunctionVersion>> uses) {
    return !(caller instanceof Caller.Holder) || info.user().filter(caller::mayUpload).isPresent()
        || uses.getOrDefault(info.digest(), List.of()).stream().anyMatch(version -> caller.mayUpload(version.name().user()));
  }

  private void describe(HttpExchange x) throws IOException, InterruptedException {
    Digest digest = digest(x);
    Caller caller = caller(x);
    Map<Digest, List<FunctionVersion>> uses = uses();
    ImageDetails details = images().inspect(digest).filter(found -> visible(caller, found.info(), uses)).orElseThrow(() -> notFound(digest));
    ObjectNode node = json(details.info(), uses, caller);
    if (details.configuration().isPresent()) {
      try {
        node.set("configuration", Json.read(details.configuration().get().getBytes(StandardCharsets.UTF_8)));
      } catch (JsonProcessingException e) {
        throw new InstarException(ErrorCode.DAMAGED, "The configuration of the image " + digest + " cannot be read. Upload it again.");
      }
      ArrayNode layers = node.putArray("layers");
      details.layers().forEach(layer -> layers.addObject().put("digest", layer.digest()).put("size", layer.size()));
    }
    Json.respond(x, 200, node);
  }

  private void remove(HttpExchange x) throws IOException, InterruptedException {
    services.functions().await(settings.get().serviceWait()).removeImage(digest(x));
    x.respond(204, Map.of(), new byte[0]);
  }

  private static ObjectNode json(ImageInfo info, Map<Digest, List<FunctionVersion>> uses, Caller caller) {
    ObjectNode node = Json.object().put("digest", info.digest().value()).put("kind", info.kind()).put("size", info.size()).put("added", info.added().toString());
    info.user().filter(user -> !(caller instanceof Caller.Holder) || caller.mayUpload(user)).ifPresent(user -> node.put("user", user));
    node.put("unpackedBytes", info.unpackedBytes()).put("unpackedFiles", info.unpackedFiles()).put("unpacked", info.unpacked());
    ArrayNode functions = node.putArray("functions");
    uses.getOrDefault(info.digest(), List.of()).stream().filter(version -> caller.mayUpload(version.name().user())).forEach(version -> functions.add(version.label()));
    return node;
  }

  /** Images are shown all the same while the registry is away. */
  private Map<Digest, List<FunctionVersion>> uses() {
    Map<Digest, List<FunctionVersion>> uses = new HashMap<>();
    for (Function function : services.functions().current().map(registry -> registry.list()).orElse(List.of())) {
      for (FunctionVersion version : function.versions()) {
        version.spec().variants().stream().map(variant -> variant.digest()).distinct().forEach(digest -> uses.computeIfAbsent(digest, d -> new ArrayList<>()).add(version));
      }
    }
    return uses;
  }

  private static Digest digest(HttpExchange x) {
    return new Digest(x.variable("digest"));
  }

  private static InstarException notFound(Digest digest) {
    return new InstarException(ErrorCode.IMAGE_NOT_FOUND, "There is no image " + digest + "; GET " + ALL + " lists them.", Map.of("digest", digest.value()));
  }

  private ImageStore images() throws InterruptedException {
    return services.images().await(settings.get().serviceWait());
  }
}
