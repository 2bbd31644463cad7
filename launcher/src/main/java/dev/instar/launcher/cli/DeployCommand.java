package dev.instar.launcher.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.instar.launcher.ExitCode;
import dev.instar.launcher.Failure;
import dev.instar.launcher.cli.Arguments.Name;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.net.http.HttpRequest.BodyPublishers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code instar deploy}. */
@Command(name = "deploy", description = {"Uploads a function, or a whole tree of them, and lets it answer calls.",
    "A function that is there already gets a new version, with the options that are given now and the defaults for the others: it takes none over from the version before."},
    footer = {"", "Examples:", "  instar deploy me/shout shout.wasm --memory 64Mi --timeout 5s", "  instar deploy me/resize --image archive:resize.tar --label port=8080", "  instar deploy --tree /usr/local/faasm/wasm"})
public final class DeployCommand implements Callable<Integer> {
  /** One function, or a tree. */
  static final class What {
    @ArgGroup(exclusive = false, multiplicity = "1")
    One one;
    @Option(names = "--tree", required = true, paramLabel = "DIR", description = "Deploy every <user>/<function>/function.wasm of a Faasm function tree: of DIR/wasm, or of DIR itself.")
    Path tree;
  }

  /** One function. */
  static final class One {
    @Parameters(index = "0", paramLabel = "NAME", converter = Arguments.NameConverter.class, description = "The function, as user/function.")
    Name name;
    @Parameters(index = "1", arity = "0..1", paramLabel = "PATH", description = "A WebAssembly module (.wasm), a bundle (.tgz), or a program for the process backend.")
    Path artifact;
    @Option(names = "--image", paramLabel = "IMAGE",
        description = "Instead of PATH, a container image on this disk: oci:DIR (an OCI image layout), archive:FILE (of docker save, or a tar of a layout) or dir:DIR (a root file system, run by the label fprocess).")
    String image;
  }

  @Spec
  private CommandSpec spec;
  @ArgGroup(multiplicity = "1")
  private What what;
  @Mixin
  private LimitOptions limits;
  @Option(names = "--env", paramLabel = "KEY=VALUE", description = "An environment variable; may be repeated.")
  private Map<String, String> environment = Map.of();
  @Option(names = "--label", paramLabel = "KEY=VALUE", description = "A label; may be repeated.")
  private Map<String, String> labels = Map.of();
  @Option(names = "--secret", paramLabel = "NAME", description = "A secret of the function's user that it finds in /var/openfaas/secrets; may be repeated. See 'instar secrets'.")
  private Set<String> secrets = Set.of();
  @Option(names = "--snapshot", paramLabel = "WHEN",
      description = "When the initialised state is stored for the next start of the node: deploy (the default), calls:N (after N calls), idle or never.")
  private Optional<String> snapshot;
  @Option(names = "--backend", paramLabel = "NAME", description = "The backend that must run it (default: any that can).")
  private Optional<String> backend;
  @Option(names = "--no-activate", description = "Keep the version that answers calls now; see 'instar activate'.")
  private boolean inactive;
  @Mixin
  private Output output;
  @Mixin
  private NodeOption node;
  /** Of all functions of a tree, which mostly have the same. */
  private final Set<String> notes = new LinkedHashSet<>();

  @Override
  public Integer call() throws Exception {
    if (what.one != null && (what.one.artifact == null) == (what.one.image == null)) {
      throw new ParameterException(spec.commandLine(), what.one.image == null ? "Missing: PATH, or --image=IMAGE" : "Give PATH or --image, not both");
    }
    try (NodeClient client = node.connect()) {
      if (what.tree != null) {
        return tree(client);
      }
      JsonNode version = what.one.image == null ? deploy(client, what.one.name, what.one.artifact) : deployImage(client, what.one.name, what.one.image);
      if (output.json()) {
        Output.print(version);
      } else {
        System.out.println("Deployed " + what.one.name + ", version " + version.path("number").asInt() + (inactive ? " (not active)" : "") + ".");
      }
      notes.forEach(System.err::println);
      return ExitCode.OK;
    }
  }

  private int tree(NodeClient client) throws Failure, InterruptedException {
    List<Path> modules = modules(what.tree);
    ArrayNode results = Output.JSON.createArrayNode();
    List<String> failed = new ArrayList<>();
    for (Path module : modules) {
      Path directory = module.getParent();
      Name name = new Name(directory.getParent().getFileName().toString(), directory.getFileName().toString());
      ObjectNode result = results.addObject().put("function", name.toString());
      try {
        int number = deploy(client, name, module).path("number").asInt();
        result.put("version", number);
        if (!output.json()) {
          System.out.println(name + ": version " + number);
        }
      } catch (Failure failure) {
        if (failure.exitCode() == ExitCode.UNREACHABLE) {
          throw failure;
        }
        failed.add(name.toString());
        result.put("error", failure.getMessage());
        if (!output.json()) {
          System.out.println(name + ": failed: " + failure.getMessage());
        }
      }
    }
    if (output.json()) {
      Output.print(results);
    } else {
      System.out.println(modules.size() - failed.size() + " deployed, " + failed.size() + " failed");
    }
    notes.forEach(System.err::println);
    if (!failed.isEmpty()) {
      throw new Failure(ExitCode.FAILED, failed.size() + " of " + modules.size() + " functions could not be deployed: " + String.join(", ", failed));
    }
    return ExitCode.OK;
  }

  /** The modules of a Faasm tree: of its folder {@code wasm} where there is one. */
  private static List<Path> modules(Path tree) throws Failure {
    Path root = Files.isDirectory(tree.resolve("wasm")) ? tree.resolve("wasm") : tree;
    try (Stream<Path> files = Files.walk(root, 3)) {
      List<Path> modules = files.filter(f -> root.relativize(f).getNameCount() == 3 && f.endsWith("function.wasm")).sorted().toList();
      if (modules.isEmpty()) {
        throw new Failure(ExitCode.FAILED, "There is no function in " + root + "; a tree has <user>/<function>/function.wasm.");
      }
      return modules;
    } catch (IOException e) {
      throw new Failure(ExitCode.FAILED, "The tree " + root + " cannot be read: " + Reason.of(e) + ".", e);
    }
  }

  private JsonNode deployImage(NodeClient client, Name name, String given) throws Failure, InterruptedException {
    ContainerImage named;
    try {
      named = ContainerImage.parse(given);
    } catch (IllegalArgumentException e) {
      throw new ParameterException(spec.commandLine(), e.getMessage());
    }
    Path packed;
    try (Progress progress = Progress.of("Packing " + named)) {
      packed = named.pack();
      named.note().ifPresent(notes::add);
    } catch (IOException e) {
      throw new Failure(ExitCode.FAILED, "The image " + named + " cannot be read: " + Reason.of(e) + ".", e);
    }
    try {
      JsonNode image;
      try (Progress progress = Progress.of("Uploading " + named)) {
        image = client.upload(images(name), BodyPublishers.ofFile(packed));
      } catch (FileNotFoundException e) {
        throw new Failure(ExitCode.FAILED, "The packed image " + packed + " has gone.", e);
      }
      return publish(client, name, image);
    } finally {
      packed.toFile().delete();
    }
  }

  private JsonNode deploy(NodeClient client, Name name, Path artifact) throws Failure, InterruptedException {
    JsonNode image;
    try (Progress progress = Progress.of("Uploading " + artifact)) {
      if (Files.isDirectory(artifact)) {
        throw new Failure(ExitCode.FAILED, artifact + " is a directory. Give a module or a bundle (pack the directory as .tgz), or deploy a whole tree of functions with --tree.");
      }
      if (!Files.isRegularFile(artifact)) {
        throw new Failure(ExitCode.FAILED, "There is no file " + artifact + ".");
      }
      image = client.upload(images(name), BodyPublishers.ofFile(artifact));
    } catch (FileNotFoundException e) {
      throw new Failure(ExitCode.FAILED, "The file " + artifact + " cannot be read by this user.", e);
    }
    return publish(client, name, image);
  }

  /** Where artifacts go, and against whose share of the store they count. */
  private static String images(Name name) {
    return "/v1/images?user=" + Arguments.encoded(name.user());
  }

  private JsonNode publish(NodeClient client, Name name, JsonNode image) throws Failure, InterruptedException {
    ObjectNode body = Output.JSON.createObjectNode();
    ObjectNode variant = body.putArray("variants").addObject();
    variant.put("digest", image.path("digest").asText());
    variant.put("kind", image.path("kind").asText());
    backend.ifPresent(b -> variant.put("backend", b));
    ObjectNode asked = limits.json();
    if (!asked.isEmpty()) {
      body.set("limits", asked);
    }
    map(body, "environment", environment);
    map(body, "labels", labels);
    snapshot.ifPresent(s -> body.put("snapshot", s));
    if (!secrets.isEmpty()) {
      ArrayNode names = body.putArray("secrets");
      secrets.forEach(names::add);
    }
    body.put("activate", !inactive);
    try (Progress progress = Progress.of("Preparing " + name)) {
      JsonNode version = client.post(name.path() + "/versions", body);
      if (!asked.isEmpty()) {
        noteBounds(client, name, version);
      }
      return version;
    }
  }

  /** Notes which limits the node bounds. The API describes how the active version runs, so nothing is known of another. */
  private void noteBounds(NodeClient client, Name name, JsonNode version) throws InterruptedException {
    try {
      JsonNode function = client.get(name.path());
      if (function.path("active").asInt() == version.path("number").asInt()) {
        notes.addAll(limits.bounded(function.path("runs")));
      }
    } catch (Failure e) {
      // It is deployed all the same.
    }
  }

  private void map(ObjectNode body, String member, Map<String, String> map) {
    if (!map.isEmpty()) {
      ObjectNode json = body.putObject(member);
      map.forEach((key, value) -> {
        if (key.isEmpty()) {
          throw new ParameterException(spec.commandLine(), "'=" + value + "' has no name before the '='");
        }
        json.put(key, value);
      });
    }
  }
}
