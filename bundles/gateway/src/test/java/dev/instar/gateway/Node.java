package dev.instar.gateway;

import dev.instar.api.Digest;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.Limits;
import dev.instar.api.function.Variant;
import dev.instar.api.http.HttpDialect;
import dev.instar.api.http.HttpEntry;
import dev.instar.api.http.Route;
import dev.instar.api.http.RouteHandler;
import dev.instar.api.http.ServiceSlot;
import dev.instar.gateway.access.Access;
import dev.instar.gateway.access.Credentials;
import dev.instar.listener.HttpListener;
import dev.instar.tck.http.RawHttp;
import dev.instar.tck.http.RawHttp.Answer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The real listener and gateway over parts in memory. */
public final class Node implements AutoCloseable {
  public final MemoryImages images = new MemoryImages();
  public final MemoryFunctions functions = new MemoryFunctions(images);
  public final ScriptedInvoker invoker = new ScriptedInvoker(functions);
  public final Services services = new Services();
  public final Dialects dialects = new Dialects();
  final MemoryLogs logs = new MemoryLogs();
  final Access access = new Access();
  private final Gateway gateway;
  private final HttpListener listener;
  private String headers = "";

  public Node() {
    this(Settings.DEFAULT, dev.instar.listener.Settings.FREE_PORT);
  }

  public Node(Settings settings, dev.instar.listener.Settings port) {
    this(settings, port, HeldBytes.ofHeap());
  }

  Node(Settings settings, dev.instar.listener.Settings port, HeldBytes heap) {
    services.functions().bind(functions, Map.of());
    services.images().bind(images, Map.of());
    services.invokers().bind(invoker, Map.of());
    services.logs().bind(logs, Map.of());
    gateway = new Gateway(services, dialects, settings, access, "1.2.3", heap);
    ServiceSlot<HttpEntry> entries = new ServiceSlot<>("gateway");
    entries.bind(gateway, Map.of());
    listener = HttpListener.open(port, entries);
  }

  public int port() {
    return listener.port();
  }

  Gateway gateway() {
    return gateway;
  }

  /** The end of the listener, with its callers. */
  void drain() {
    listener.drain();
  }

  /** Publishes a function of any content. */
  public void function(String name, Limits limits) {
    functions.publish(FunctionName.parse(name), new FunctionSpec(List.of(new Variant(Digest.of(new byte[0]), Variant.WASM, Optional.empty())), limits, Map.of(), Map.of()), true);
  }

  /** Adds a dialect of one route. */
  public void route(String method, String template, RouteHandler handler) {
    dialects.add(dialect("test " + method + template, new Route(method, template, handler)), Map.of());
  }

  public static HttpDialect dialect(String name, Route... routes) {
    return new HttpDialect() {
      @Override
      public String name() {
        return name;
      }

      @Override
      public List<Route> routes() {
        return List.of(routes);
      }
    };
  }

  /** Gives it credentials, kept in that directory; requests bear the administrator's from now on. */
  public void administrator(Path directory) throws IOException {
    access.credentials(Optional.of(Credentials.open(directory)));
    headers = bearer(Files.readString(directory.resolve(Credentials.TOKEN)).strip());
  }

  /** The header with a token, and its line end. */
  static String bearer(String token) {
    return "Authorization: Bearer " + token + "\r\n";
  }

  /** What {@link #call} and {@link #get} send beside Host and Content-Length, with line ends. */
  public String headers() {
    return headers;
  }

  /** One request on a connection of its own, with a body of declared length. */
  public Answer call(String method, String path, String body) throws IOException {
    return call(method, path, headers, body);
  }

  /** @param headers each with its line end */
  public Answer call(String method, String path, String headers, String body) throws IOException {
    return RawHttp.exchange(port(), method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "Content-Length: " + body.length() + "\r\n\r\n" + body);
  }

  public Answer get(String path) throws IOException {
    return RawHttp.exchange(port(), "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n");
  }

  @Override
  public void close() {
    listener.close();
    gateway.close();
  }
}
