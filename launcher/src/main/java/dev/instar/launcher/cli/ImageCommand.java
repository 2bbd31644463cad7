package dev.instar.launcher.cli;

import com.fasterxml.jackson.databind.JsonNode;
import dev.instar.launcher.ExitCode;
import dev.instar.launcher.Failure;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** {@code instar image}. */
@Command(name = "image", description = "Shows and removes what is in the content store: modules, bundles, programs, container images.",
    subcommands = {ImageCommand.All.class, ImageCommand.Inspect.class, ImageCommand.Remove.class})
public final class ImageCommand implements Runnable {
  private static final String PATH = "/v1/images";
  private static final String WHICH = "The image: its digest, or eight or more digits that it begins with.";
  private static final Pattern DIGITS = Pattern.compile("[0-9a-f]{8,64}");
  private static final int SHOWN_DIGITS = 12;

  @Spec
  private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "A command is missing");
  }

  /** The digits that a digest begins with. */
  record Which(String digits) {
    /** @throws Failure when there is none, or several */
    String digest(NodeClient client) throws Failure, InterruptedException {
      if (digits.length() == 64) {
        return "sha256:" + digits;
      }
      List<String> found = new ArrayList<>();
      client.each(PATH, "images", image -> {
        if (image.path("digest").asText().startsWith("sha256:" + digits)) {
          found.add(image.path("digest").asText());
        }
      });
      if (found.size() != 1) {
        throw new Failure(ExitCode.FAILED, found.isEmpty() ? "No image begins with " + digits + "; see 'instar image list'." : "More than one image begins with " + digits + "; give more digits.");
      }
      return found.getFirst();
    }
  }

  /** With or without the algorithm. */
  static final class WhichConverter implements ITypeConverter<Which> {
    @Override
    public Which convert(String text) {
      String digits = text.startsWith("sha256:") ? text.substring("sha256:".length()) : text;
      if (!DIGITS.matcher(digits).matches()) {
        throw new TypeConversionException("'" + text + "' is no digest; give sha256: and 64 digits of 0-9 a-f, or eight or more of these digits");
      }
      return new Which(digits);
    }
  }

  /** {@code instar image list}. */
  @Command(name = "list", aliases = "ls", description = {"Lists the images, what they take packed and unpacked, and the functions that have them.",
      "A * behind the unpacked size: it is on the disk now. Else it comes with the next use."})
  static final class All extends AnswerCommand {
    @Override
    JsonNode ask(NodeClient client) throws Failure, InterruptedException {
      return client.get(PATH);
    }

    @Override
    void show(JsonNode answer) {
      List<List<String>> rows = new ArrayList<>();
      for (JsonNode image : answer.path("images")) {
        String digits = image.path("digest").asText().replaceFirst("^sha256:", "");
        rows.add(List.of(digits.substring(0, Math.min(SHOWN_DIGITS, digits.length())), image.path("kind").asText(), Output.size(image.path("size").asLong()), unpacked(image),
            image.path("user").asText("-"), functions(image), image.path("added").asText()));
      }
      if (rows.isEmpty()) {
        System.out.println("There are no images; 'instar deploy' brings some.");
      } else {
        Output.table(List.of("DIGEST", "KIND", "PACKED", "UNPACKED", "CAME FOR", "FUNCTIONS", "UPLOADED"), rows);
      }
    }
  }

  /** {@code instar image inspect}. */
  @Command(name = "inspect", description = "Shows all that is known of an image: of a container image what it runs, its variables, ports and layers, too.")
  static final class Inspect extends AnswerCommand {
    @Parameters(index = "0", paramLabel = "DIGEST", converter = WhichConverter.class, description = WHICH)
    private Which which;

    @Override
    JsonNode ask(NodeClient client) throws Failure, InterruptedException {
      return client.get(PATH + "/" + which.digest(client) + "/description");
    }

    @Override
    void show(JsonNode image) {
      System.out.println(Output.printable(image.path("digest").asText()));
      line("kind", image.path("kind").asText());
      line("packed", Output.size(image.path("size").asLong()));
      line("unpacked", unpacked(image) + (image.path("unpackedFiles").asLong() > 0 ? " in " + image.path("unpackedFiles").asLong() + " files" : ""));
      line("uploaded", image.path("added").asText() + (image.has("user") ? ", first for " + image.path("user").asText() : ""));
      line("functions", functions(image));
      JsonNode configuration = image.path("configuration");
      if (configuration.isObject()) {
        JsonNode config = configuration.path("config");
        line("platform", configuration.path("os").asText("linux") + "/" + configuration.path("architecture").asText("-"));
        line("entry point", words(config.path("Entrypoint")));
        line("command", words(config.path("Cmd")));
        line("directory", config.path("WorkingDir").asText("/"));
        line("user", config.path("User").asText("root"));
        List<String> ports = new ArrayList<>();
        config.path("ExposedPorts").fieldNames().forEachRemaining(ports::add);
        line("ports", ports.isEmpty() ? "-" : String.join(" ", ports));
        config.path("Env").forEach(variable -> line("variable", variable.asText()));
        image.path("layers").forEach(layer -> line("layer", layer.path("digest").asText() + " " + Output.size(layer.path("size").asLong())));
      }
    }

    private static String words(JsonNode list) {
      return list.isArray() && !list.isEmpty() ? list.toString() : "-";
    }

    private static void line(String name, String value) {
      System.out.println(Output.printable("  " + name + " ".repeat(Math.max(1, 20 - name.length())) + value));
    }
  }

  /** {@code instar image rm}. */
  @Command(name = "rm", aliases = "remove", description = "Removes an image that no function has, packed and unpacked.")
  static final class Remove implements Callable<Integer> {
    @Parameters(index = "0", paramLabel = "DIGEST", converter = WhichConverter.class, description = WHICH)
    private Which which;
    @Mixin
    private NodeOption node;

    @Override
    public Integer call() throws Exception {
      try (NodeClient client = node.connect()) {
        String digest = which.digest(client);
        client.delete(PATH + "/" + digest);
        System.out.println("Removed " + Output.printable(digest) + ".");
        return ExitCode.OK;
      }
    }
  }

  private static String unpacked(JsonNode image) {
    long bytes = image.path("unpackedBytes").asLong();
    return (bytes > 0 || image.path("unpackedFiles").asLong() > 0 ? Output.size(bytes) : "-") + (image.path("unpacked").asBoolean() ? "*" : "");
  }

  private static String functions(JsonNode image) {
    List<String> labels = new ArrayList<>();
    image.path("functions").forEach(label -> labels.add(label.asText()));
    return labels.isEmpty() ? "-" : labels.size() > 3 ? String.join(", ", labels.subList(0, 3)) + " and " + (labels.size() - 3) + " more" : String.join(", ", labels);
  }
}
