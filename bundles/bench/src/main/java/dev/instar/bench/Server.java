package dev.instar.bench;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.lang.ProcessBuilder.Redirect;
import java.lang.management.ManagementFactory;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * A server that echoes at a URL.
 *
 * @param process empty for one that runs elsewhere; its processor time is unknown then
 */
record Server(String name, String version, URI url, Optional<ProcessHandle> process, AutoCloseable end) implements AutoCloseable {
  static final String WORKERD_VERSION = "1.20261117.1";
  /** By name: its class needs Jetty, which is not on this JVM's class path. */
  private static final String ECHO_SERVER = "dev.instar.bench.EchoServer";
  /** A node lets calls end; there are none. */
  private static final long STOP_S = 20;
  private static final Pattern READY = Pattern.compile("Instar is ready on (\\S+)");
  private static final Pattern STARTING = Pattern.compile("Starting Instar (\\S+) .*");
  private static final Pattern JETTY = Pattern.compile("port (\\d+) jetty (\\S+)");
  private static final Pattern LISTENS = Pattern.compile(".*\"listen\".*\"port\":(\\d+).*");

  /** A node of our own with our echo as {@code demo/echo}. */
  static Server node(Path home, Place place) throws IOException, InterruptedException, Failure {
    Started started = start(place, "node", List.of(home.resolve("bin/instar").toString(), "run", "--port", "0", "--bind", "127.0.0.1", "--no-examples",
        "--data", place.directory().resolve("data").toString()), List.of(STARTING, READY));
    URI node = URI.create(started.said.get(1).group(1));
    URI function = node.resolve("/f/demo/echo");
    upload(function);
    return new Server("instar", started.said.get(0).group(1), function, Optional.of(started.process.toHandle()), () -> {});
  }

  /** A node that runs already. The echo is uploaded under a name of its own and removed at the end. */
  static Server running(URI node, Place place) throws IOException, InterruptedException, Failure {
    String name = "echo-" + Long.toString(ProcessHandle.current().pid(), 36);
    URI function = node.resolve("/f/bench/" + name);
    upload(function);
    return place.keep(new Server("instar", "at " + node, function, Optional.empty(), () -> send(HttpRequest.newBuilder(node.resolve("/v1/functions/bench/" + name)).DELETE())));
  }

  private static void upload(URI function) throws IOException, InterruptedException, Failure {
    byte[] module;
    try (InputStream in = Server.class.getResourceAsStream("echo.wasm")) {
      module = in.readAllBytes();
    }
    send(HttpRequest.newBuilder(function).PUT(BodyPublishers.ofByteArray(module)));
  }

  private static void send(HttpRequest.Builder request) throws IOException, InterruptedException, Failure {
    try (HttpClient client = HttpClient.newHttpClient()) {
      HttpResponse<String> answer = client.send(request.build(), BodyHandlers.ofString());
      if (answer.statusCode() / 100 != 2) {
        throw new Failure(answer.request().method() + " " + answer.uri() + " was answered with " + answer.statusCode() + ": " + answer.body());
      }
    } catch (ConnectException e) {
      throw new Failure("No node answers at " + request.build().uri().resolve("/") + ".", e);
    }
  }

  /**
   * A bare Jetty from the jars of the node's own listener, with the options of this JVM, which the command gives those of a node.
   *
   * @param threads what {@link EchoServer} is told
   */
  static Server jetty(String name, String threads, Path home, Place place) throws IOException, InterruptedException, Failure {
    List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString()));
    ManagementFactory.getRuntimeMXBean().getInputArguments().stream().filter(o -> !o.startsWith("-Dinstar.")).forEach(command::add);
    List<String> jars = new ArrayList<>();
    for (String folder : List.of("bench", "bundles")) {
      try (Stream<Path> files = Files.list(home.resolve(folder))) {
        files.map(Path::toString).filter(f -> f.matches(".*/(dev\\.instar\\.bench|jetty|slf4j)-[^/]*\\.jar")).forEach(jars::add);
      }
    }
    command.addAll(List.of("-cp", String.join(":", jars), ECHO_SERVER, threads));
    Started started = start(place, name, command, List.of(JETTY));
    Matcher said = started.said.getFirst();
    return new Server(name, said.group(2), local(said.group(1)), Optional.of(started.process.toHandle()), () -> {});
  }

  /** Cloudflare's workerd, fetched with npm into {@code cache} the first time. */
  static Server workerd(Path cache, Place place) throws IOException, InterruptedException, Failure {
    Path program = workerdProgram(cache, place);
    Path folder = Files.createDirectory(place.directory().resolve("workerd"));
    place.unpack("workerd/worker.mjs", folder);
    place.unpack("echo.wasm", folder);
    Path config = place.unpack("workerd/config.capnp", folder);
    Started started = start(place, "workerd", List.of(program.toString(), "serve", config.toString(), "--control-fd=1"), List.of(LISTENS));
    return new Server("workerd", WORKERD_VERSION, local(started.said.getFirst().group(1)), Optional.of(started.process.toHandle()), () -> {});
  }

  /** Whether workerd is there, or npm to fetch it with. */
  static boolean hasWorkerd(Path cache) throws InterruptedException, IOException {
    if (find(workerdFolder(cache)).isPresent()) {
      return true;
    }
    try {
      return new ProcessBuilder("npm", "--version").redirectOutput(Redirect.DISCARD).redirectError(Redirect.DISCARD).start().waitFor() == 0;
    } catch (IOException e) {
      return false;
    }
  }

  private static Path workerdFolder(Path cache) {
    return cache.resolve("workerd-" + WORKERD_VERSION);
  }

  private static Path workerdProgram(Path cache, Place place) throws IOException, InterruptedException, Failure {
    Path folder = workerdFolder(cache);
    Optional<Path> there = find(folder);
    if (there.isPresent()) {
      return there.get();
    }
    Path log = place.directory().resolve("npm.log");
    Path made = place.keep(new Place.Tree(Files.createDirectories(cache.resolve(folder.getFileName() + "." + ProcessHandle.current().pid())))).path();
    Process npm = new ProcessBuilder("npm", "install", "--prefix", made.toString(), "--no-save", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund",
        "workerd@" + WORKERD_VERSION).redirectErrorStream(true).redirectOutput(log.toFile()).start();
    place.keep(() -> stop(npm));
    if (npm.waitFor() != 0) {
      throw new Failure("npm could not install workerd " + WORKERD_VERSION + "; without it: --against jetty. It said: " + Files.readString(log).strip());
    }
    if (find(made).isEmpty()) {
      throw new Failure("The npm package workerd has no program for this machine; without it: --against jetty.");
    }
    Files.move(made, folder, StandardCopyOption.ATOMIC_MOVE);
    return find(folder).orElseThrow();
  }

  /** The program itself, not the script around it that would be one more process. */
  private static Optional<Path> find(Path folder) throws IOException {
    Path packages = folder.resolve("node_modules/@cloudflare");
    if (!Files.isDirectory(packages)) {
      return Optional.empty();
    }
    try (Stream<Path> found = Files.list(packages)) {
      return found.map(p -> p.resolve("bin/workerd")).filter(Files::isExecutable).findFirst();
    }
  }

  private static URI local(String port) {
    return URI.create("http://127.0.0.1:" + port + "/f/demo/echo");
  }

  private record Started(Process process, List<Matcher> said) {}

  /** Starts a process and waits until it has said these things on standard output, in this order. */
  private static Started start(Place place, String name, List<String> command, List<Pattern> saying) throws IOException, InterruptedException, Failure {
    Path err = place.directory().resolve(name + ".err");
    ProcessBuilder builder = new ProcessBuilder(command).redirectError(err.toFile());
    // A node runs on the JDK that the servers in Java run on, which is this one.
    builder.environment().put("INSTAR_JAVA_HOME", System.getProperty("java.home"));
    Process process = builder.start();
    place.keep(() -> stop(process));
    BufferedReader out = process.inputReader(StandardCharsets.UTF_8);
    List<Matcher> said = new ArrayList<>();
    for (String line; said.size() < saying.size() && (line = out.readLine()) != null;) {
      Matcher matcher = saying.get(said.size()).matcher(line);
      if (matcher.matches()) {
        said.add(matcher);
      }
    }
    if (said.size() < saying.size()) {
      throw new Failure(name + " did not start: " + (Files.exists(err) ? Files.readString(err).strip() : ""));
    }
    return new Started(process, said);
  }

  private static void stop(Process process) throws InterruptedException {
    List<ProcessHandle> children = process.descendants().toList();
    process.destroy();
    if (!process.waitFor(STOP_S, TimeUnit.SECONDS)) {
      process.destroyForcibly().waitFor();
    }
    children.forEach(ProcessHandle::destroyForcibly);
  }

  @Override
  public void close() throws Exception {
    end.close();
  }
}
