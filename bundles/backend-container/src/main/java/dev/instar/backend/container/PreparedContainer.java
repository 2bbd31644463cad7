package dev.instar.backend.container;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Names;
import dev.instar.api.cgroup.CgroupLease;
import dev.instar.api.data.DurableFiles;
import dev.instar.api.function.Limits;
import dev.instar.api.network.NetworkLease;
import dev.instar.api.sandbox.PrepareRequest;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.api.sandbox.StartContext;
import dev.instar.api.secret.SecretLease;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * An image that is ready to run. In its directory:
 *
 * <pre>
 *   call.json     the process of a call, in a cgroup; call-alone.json without one
 *   image         a link to the files of the image
 *   base/         what the node lays over them: the first process, /etc/hosts, /etc/resolv.conf, /tmp
 *   run/…         a directory for each container: its specification, what the runtime has said, the id of its first process
 * </pre>
 */
final class PreparedContainer implements PreparedFunction {
  /** The part of a call's time that is left when a port was not opened. */
  private static final int SPARE = 20;
  /** So long it may take to get the container's last words. */
  private static final long LEAST_SPARE_MILLIS = 500;
  /** A label, or a variable of the environment as OpenFaaS has it: the program that answers calls, over its standard streams unless there is a port. */
  static final String PROCESS = "fprocess";
  /** A label: the port on which the function takes calls as HTTP requests. */
  static final String PORT = "port";
  /** A label: {@code http}, or {@code h2c} for a function that takes HTTP/2 only. */
  static final String PROTOCOL = "protocol";
  /** A label: the interpreter that loads the function's file before it is called. */
  static final String RUNTIME = "runtime";
  /** A label: {@code true} for a root file system that can't be written to. */
  static final String READ_ONLY = "read-only";
  private static final Logger LOG = LoggerFactory.getLogger(PreparedContainer.class);
  private static final String PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  private static final String HELD = ".instar/held";
  private static final String LAYERS = "base:image";
  /** Of the file system in memory: its root, and the four directories that the overlay needs. */
  private static final int OWN_FILES = 5;
  /** And the directories that lead to the secrets. */
  private static final int SECRETS_FILES = 4;

  private final String label;
  private final String hostname;
  private final Path directory;
  private final Host host;
  private final Host.Root root;
  private final Talk talk;
  private final ImageConfiguration.User user;
  private final Limits limits;
  private final Specification specification;
  /** The first process, in a cgroup and alone. */
  private final Map<Boolean, Map<String, Object>> first;
  private final Set<Sandbox> sandboxes;
  private volatile boolean closed;

  /** @param directory of its own, which it deletes when it is closed */
  PreparedContainer(PrepareRequest request, Path directory, Host host, int processes, Set<Sandbox> sandboxes) throws IOException {
    label = request.version().label();
    hostname = request.version().name().function();
    this.directory = directory;
    this.host = host;
    this.sandboxes = sandboxes;
    limits = request.version().spec().limits();
    Path image = request.image().rootfs().orElseThrow();
    RootFiles files = new RootFiles(image);
    int owner = (int) Files.getAttribute(image, "unix:uid", LinkOption.NOFOLLOW_LINKS);
    ImageConfiguration configuration = ImageConfiguration.read(request.image().program());
    user = configuration.user(files);
    Map<String, String> given = request.version().spec().environment();
    Map<String, String> labels = request.version().spec().labels();
    Map<String, String> environment = new LinkedHashMap<>(Map.of("PATH", PATH, "HOME", user.home()));
    environment.putAll(configuration.environment());
    environment.putAll(given);
    talk = Talk.of(labels, given, configuration);
    String program = program(talk.command(), files, configuration.directory(), environment.get("PATH"));
    boolean forks = talk instanceof Talk.Framed framed && framed.language().forks();
    if (talk instanceof Talk.Framed framed) {
      check(framed.file(), files, configuration.directory());
    }
    boolean readOnly = isReadOnly(labels) || forks;
    specification = new Specification(limits, processes, owner > 0 ? OptionalInt.of(owner) : OptionalInt.empty(), readOnly, host.runtime().crun(), !forks);
    root = new Host.Root(directory, LAYERS, "mode=711,size=" + Specification.fileBytes(limits) + ",nr_inodes="
        + (limits.madeFiles() + OWN_FILES + (request.version().spec().secrets().isEmpty() ? 0 : SECRETS_FILES)), owner);
    List<String> command = new ArrayList<>(talk.command());
    command.set(0, program);
    Map<Boolean, Map<String, Object>> functions = new HashMap<>();
    for (boolean alone : new boolean[] {false, true}) {
      functions.put(alone, specification.process(command, environment, configuration.directory(), user.uid(), user.gid(), alone));
      Specification.write(directory.resolve(call(alone)), functions.get(alone));
    }
    first = switch (talk) {
      case Talk.PerCall perCall -> {
        command.addFirst("/" + HELD);
        yield Map.of(false, specification.process(command, environment, configuration.directory(), user.uid(), user.gid(), false), true,
            specification.process(command, environment, configuration.directory(), user.uid(), user.gid(), true));
      }
      case Talk.Http http -> functions;
      case Talk.Framed framed -> functions;
    };
    Files.createSymbolicLink(directory.resolve("image"), image);
    Files.createDirectory(directory.resolve("run"));
    base(directory.resolve("base"), owner);
  }

  private static boolean isReadOnly(Map<String, String> labels) {
    String given = labels.getOrDefault(READ_ONLY, "false");
    return switch (given) {
      case "true" -> true;
      case "false" -> false;
      default -> throw new InstarException(ErrorCode.MODULE_REFUSED, "The label '" + READ_ONLY + "' is '" + Names.shown(given) + "'; give true or false.");
    };
  }

  private static void check(String file, RootFiles files, String directory) {
    if (files.find(file.startsWith("/") ? file : directory + "/" + file).filter(found -> Files.isRegularFile(found, LinkOption.NOFOLLOW_LINKS)).isEmpty()) {
      String shown = file.replaceAll("[^ -~]", "?");
      throw new InstarException(ErrorCode.MODULE_REFUSED, "The file '" + (shown.length() > 120 ? shown.substring(0, 120) + "..." : shown)
          + "' that the label '" + PROCESS + "' names as the function is not in the image.");
    }
  }

  private static String call(boolean alone) {
    return alone ? "call-alone.json" : "call.json";
  }

  /** Where the program of the command is in the container. */
  private static String program(List<String> words, RootFiles files, String directory, String searchPath) {
    if (words.isEmpty()) {
      throw new InstarException(ErrorCode.MODULE_REFUSED, "The image names no program to run; give one with the label '" + PROCESS + "'.");
    }
    return files.program(words.getFirst(), directory, searchPath).orElseThrow(() -> {
      String shown = words.getFirst().replaceAll("[^ -~]", "?");
      return new InstarException(ErrorCode.MODULE_REFUSED, "The program '" + (shown.length() > 120 ? shown.substring(0, 120) + "..." : shown)
          + "' that should answer calls is not in the image, or can't be executed.");
    });
  }

  private void base(Path base, int owner) throws IOException {
    Path held = base.resolve(HELD);
    // With the places of mounts, which else would count as files that the function has made.
    for (Path made : List.of(base, base.resolve("etc"), held.getParent(), base.resolve("tmp"), base.resolve("dev"), base.resolve("proc"), base.resolve("sys"))) {
      Files.createDirectory(made);
      own(made, owner, made.endsWith("tmp") ? 01777 : 0755);
    }
    HeldProgram.write(held);
    own(held, owner, 0755);
    if (talk instanceof Talk.Framed framed) {
      Path program = base.resolve(framed.language().place());
      framed.language().write(program);
      own(program, owner, 0644);
    }
    for (var file : Map.of("etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost\n", "etc/resolv.conf", "").entrySet()) {
      Files.writeString(base.resolve(file.getKey()), file.getValue());
      own(base.resolve(file.getKey()), owner, 0644);
    }
  }

  private static void own(Path path, int owner, int mode) throws IOException {
    own(path, owner, owner, mode);
  }

  private static void own(Path path, int user, int group, int mode) throws IOException {
    Files.setAttribute(path, "unix:uid", user);
    Files.setAttribute(path, "unix:gid", group);
    Files.setAttribute(path, "unix:mode", mode);
  }

  @Override
  public Map<String, String> describe() {
    return Map.of("entry", talk.entry(), "reset", talk instanceof Talk.Framed framed ? framed.language().forks()
            ? "the process of the call, all that it has started, and what it has written to files; the next is forked from the state after the function was loaded"
            : "everything; a container takes one call" : "nothing; a container, with what calls have left in it, is reused for calls of this version only",
        "limits", "openFiles, fileBytes, madeFiles", "isolation", "container (" + host.runtime().version() + ")");
  }

  @Override
  public Sandbox start(StartContext context) throws InterruptedException {
    if (closed) {
      throw new InstarException(ErrorCode.NOT_READY, "The prepared function " + label + " is closed.");
    }
    Optional<NetworkLease> network = context.leases().find(NetworkLease.class);
    boolean alone = context.leases().find(CgroupLease.class).isEmpty();
    if (talk instanceof Talk.Http http && network.isEmpty()) {
      throw new InstarException(ErrorCode.NETWORK_UNAVAILABLE, "The function takes calls on port " + http.port()
          + ", for which its container needs a network, and this node lends none. 'instar doctor' says what is missing.");
    }
    Path own = directory.resolve("run").resolve(context.sandboxId());
    Host.Root root = this.root;
    try {
      Files.createDirectory(own);
      Optional<Path> secrets = secrets(context);
      Specification.write(own.resolve("config.json"), specification.container(first.get(alone), host.root(), hostname, network.map(NetworkLease::namespace), secrets));
      if (network.isPresent() && !network.get().nameservers().isEmpty()) {
        resolvers(own, network.get());
        root = new Host.Root(directory, directory.relativize(own.resolve("net")) + ":" + LAYERS, root.options(), root.owner());
      }
    } catch (IOException e) {
      discard(own);
      host.forgetSecrets(context.sandboxId());
      throw notWritten(e);
    }
    Container container = Container.start(host, root, own, context, limits);
    return switch (talk) {
      case Talk.PerCall perCall -> {
        container.awaitHeld(context.deadline());
        yield new CallSandbox(container, directory.resolve(call(alone)), sandboxes);
      }
      case Talk.Framed framed -> {
        FramedSandbox sandbox = new FramedSandbox(container, framed.language().forks(), context, sandboxes);
        sandbox.awaitReady(context.deadline());
        yield sandbox;
      }
      case Talk.Http http -> {
        HttpSandbox sandbox = new HttpSandbox(container, new InetSocketAddress(network.orElseThrow().address(), http.port()), hostname, http.http2(), context,
            sandboxes);
        // Before the call's time is up, or its end would be told instead of what was waited for.
        long left = Duration.between(Instant.now(), context.deadline()).toMillis();
        sandbox.awaitReady(context.deadline().minusMillis(Math.min(left / 2, Math.max(left / SPARE, LEAST_SPARE_MILLIS))));
        yield sandbox;
      }
    };
  }

  /** Where the secrets of one container are, each in a file that only the image's user can read. */
  private Optional<Path> secrets(StartContext context) throws IOException {
    Optional<SecretLease> lent = context.leases().find(SecretLease.class);
    if (lent.isEmpty()) {
      return Optional.empty();
    }
    Path place = host.secrets(context.sandboxId());
    for (Map.Entry<String, byte[]> secret : lent.get().values().entrySet()) {
      Path file = place.resolve(secret.getKey());
      try (OutputStream out = DurableFiles.create(file)) {
        out.write(secret.getValue());
      }
      own(file, root.owner() + user.uid(), root.owner() + user.gid(), 0400);
    }
    own(place, root.owner() + user.uid(), root.owner() + user.gid(), 0500);
    return Optional.of(place);
  }

  private void resolvers(Path own, NetworkLease network) throws IOException {
    Path file = own.resolve("net/etc/resolv.conf");
    for (Path made : List.of(own.resolve("net"), file.getParent())) {
      Files.createDirectory(made);
      own(made, root.owner(), 0755);
    }
    StringBuilder text = new StringBuilder();
    network.nameservers().forEach(server -> text.append("nameserver ").append(server.getHostAddress()).append('\n'));
    Files.writeString(file, text);
    own(file, root.owner(), 0644);
  }

  private static InstarException notWritten(IOException e) {
    LOG.error("A container could not be described", e);
    return DurableFiles.isNoSpace(e) ? new InstarException(ErrorCode.NO_SPACE, "The file system of the node's data directory is full; no container was started.")
        : new InstarException(ErrorCode.INTERNAL, "The container could not be described; the node's log has more.");
  }

  private static void discard(Path path) {
    try {
      DurableFiles.deleteTree(path);
    } catch (IOException e) {
      LOG.warn("Part of {} could not be removed; it goes when the node starts next: {}", path, e.toString());
    }
  }

  @Override
  public void close() {
    closed = true;
    discard(directory);
  }
}
