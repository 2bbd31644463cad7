package dev.instar.launcher.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.instar.launcher.ExitCode;
import dev.instar.launcher.Failure;
import dev.instar.launcher.cli.Arguments.Size;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileNotFoundException;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** {@code instar snapshots}. */
@Command(name = "snapshots", synopsisSubcommandLabel = "COMMAND", description = "Shows and handles the snapshots that a node keeps of initialised functions.",
    subcommands = {SnapshotsCommand.All.class, SnapshotsCommand.Inspect.class, SnapshotsCommand.Verify.class, SnapshotsCommand.Export.class, SnapshotsCommand.Import.class,
        SnapshotsCommand.Collect.class, SnapshotsCommand.Remove.class})
public final class SnapshotsCommand implements Runnable {
  private static final String PATH = "/v1/snapshots";
  /** So many digits of an id are shown in tables; 48 bits tell any number of snapshots that a disk holds from each other. */
  private static final int SHOWN_DIGITS = 12;

  @Spec
  private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "A command is missing");
  }

  /**
   * Which snapshot is meant.
   *
   * @param text a function's name, or hexadecimal digits that the snapshot's id begins with
   */
  record Which(String text) {
    private static final int FEWEST_DIGITS = 8;
    private static final int ALL_DIGITS = 64;
    private static final Pattern DIGITS = Pattern.compile("[0-9a-f]{" + FEWEST_DIGITS + "," + ALL_DIGITS + "}");

    /** Its path at the node. */
    String path(NodeClient client) throws Failure, InterruptedException {
      return PATH + "/" + id(client);
    }

    private String id(NodeClient client) throws Failure, InterruptedException {
      boolean function = text.indexOf('/') >= 0;
      if (text.length() == ALL_DIGITS && !function) {
        return "sha256:" + text;
      }
      List<String> found = new ArrayList<>();
      client.each(PATH, "snapshots", snapshot -> {
        String id = snapshot.path("id").asText();
        if (function ? isHeldByActiveVersion(snapshot) : id.startsWith("sha256:" + text)) {
          found.add(id);
        }
      });
      if (found.isEmpty()) {
        throw new Failure(ExitCode.FAILED, function ? "The version of " + text + " that answers calls holds no snapshot; see 'instar snapshots list'."
            : "There is no snapshot " + text + "; see 'instar snapshots list'.");
      }
      if (found.size() > 1 && !function) {
        throw new Failure(ExitCode.FAILED, found.size() + " snapshots begin with " + text + "; give more digits: " + String.join(", ", found));
      }
      // The newest come first, and the newest of a function's is the one that lies on the others.
      return found.getFirst();
    }

    private boolean isHeldByActiveVersion(JsonNode snapshot) {
      for (JsonNode user : snapshot.path("users")) {
        if (user.path("function").asText().equals(text) && user.path("active").asBoolean()) {
          return true;
        }
      }
      return false;
    }

    @Override
    public String toString() {
      return text;
    }

    /** Takes {@code user/function}, and an id or its beginning, with or without {@code sha256:}. */
    static final class Converter implements ITypeConverter<Which> {
      @Override
      public Which convert(String argument) {
        if (argument.indexOf('/') >= 0) {
          return new Which(new Arguments.NameConverter().convert(argument).toString());
        }
        String digits = argument.replaceFirst("^sha256:", "");
        if (!DIGITS.matcher(digits).matches()) {
          throw new TypeConversionException("'" + argument + "' is no snapshot; give " + FEWEST_DIGITS + " or more hexadecimal digits that its id begins with, or user/function");
        }
        return new Which(digits);
      }
    }
  }

  private static final String WHICH = "The snapshot: 8 or more digits that its id begins with, or user/function for the one that the function's active version holds.";

  /** {@code instar snapshots list}. */
  @Command(name = "list", description = "Lists the snapshots, the newest first.")
  static final class All implements Callable<Integer> {
    @Mixin
    private Output output;
    @Mixin
    private NodeOption node;

    @Override
    public Integer call() throws Exception {
      try (NodeClient client = node.connect()) {
        if (output.json()) {
          Output.print(client.get(PATH));
          return ExitCode.OK;
        }
        Instant now = Instant.now();
        List<List<String>> rows = new ArrayList<>();
        client.each(PATH, "snapshots", s -> rows.add(List.of(shortId(s.path("id").asText()), users(s), s.path("backend").asText(), Output.size(s.path("memoryBytes").asLong()),
            Output.size(s.path("storedBytes").asLong()), ago(now, s.path("created")), ago(now, s.path("lastUsed")), s.path("leases").asText())));
        if (rows.isEmpty()) {
          System.out.println("There are no snapshots; a function's 'snapshot' policy says when one is made, see 'instar deploy --help'.");
        } else {
          Output.table(List.of("ID", "FUNCTION", "BACKEND", "MEMORY", "STORED", "AGE", "USED", "OPEN"), rows);
        }
        return ExitCode.OK;
      }
    }
  }

  /** {@code instar snapshots inspect}. */
  @Command(name = "inspect", description = "Shows all that is known of a snapshot.")
  static final class Inspect extends AnswerCommand {
    @Parameters(index = "0", paramLabel = "SNAPSHOT", converter = Which.Converter.class, description = WHICH)
    private Which which;

    @Override
    JsonNode ask(NodeClient client) throws Failure, InterruptedException {
      return client.get(which.path(client));
    }

    @Override
    void show(JsonNode snapshot) {
      SnapshotsCommand.show(snapshot);
    }
  }

  /** {@code instar snapshots verify}. */
  @Command(name = "verify", description = {"Reads every byte of a snapshot and of those that it lies on.", "What is damaged is set aside; its functions are initialised anew."})
  static final class Verify implements Callable<Integer> {
    @Parameters(index = "0", paramLabel = "SNAPSHOT", converter = Which.Converter.class, description = WHICH)
    private Which which;
    @Mixin
    private Output output;
    @Mixin
    private NodeOption node;

    @Override
    public Integer call() throws Exception {
      try (NodeClient client = node.connect(); Progress progress = Progress.of("Verifying " + which)) {
        JsonNode snapshot = client.post(which.path(client) + "/verify", Output.JSON.createObjectNode());
        if (output.json()) {
          Output.print(snapshot);
        } else {
          System.out.println("Every byte of " + Output.printable(snapshot.path("id").asText()) + " is as it was published.");
        }
        return ExitCode.OK;
      }
    }
  }

  /** {@code instar snapshots export}. */
  @Command(name = "export", description = {"Writes a snapshot, with those that it lies on, as one archive for 'instar snapshots import'.",
      "An archive holds a function's memory: keep it as you keep the function's data."},
      footer = {"", "Example:", "  instar snapshots export demo/echo --to echo.snapshot"})
  static final class Export implements Callable<Integer> {
    @Parameters(index = "0", paramLabel = "SNAPSHOT", converter = Which.Converter.class, description = WHICH)
    private Which which;
    @Option(names = {"-o", "--to"}, required = true, paramLabel = "FILE", description = "Where the archive goes; '-' is standard output.")
    private String to;
    @Option(names = "--force", description = "Replace a file that is there.")
    private boolean force;
    @Mixin
    private NodeOption node;

    @Override
    public Integer call() throws Exception {
      try (NodeClient client = node.connect()) {
        if ("-".equals(to)) {
          // Not System.out, which hides that its reader has gone.
          try (OutputStream out = new FileOutputStream(FileDescriptor.out)) {
            copy(client, out);
          }
        } else {
          Path file = Path.of(to).toAbsolutePath();
          check(file);
          System.out.println("Exported " + which + " to " + to + ", " + Output.size(write(client, file)) + ".");
        }
        return ExitCode.OK;
      }
    }

    private void check(Path file) throws Failure {
      if (Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
        if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
          throw new Failure(ExitCode.FAILED, to + " is there and is no file; give another name, or '--to -' and redirect standard output.");
        }
        if (!force) {
          throw exists();
        }
      }
    }

    private Failure exists() {
      return new Failure(ExitCode.FAILED, "The file " + to + " is there already; give another name, or --force to replace it.");
    }

    private long write(NodeClient client, Path file) throws Failure, InterruptedException {
      Path part = null;
      try {
        part = Files.createTempFile(file.getParent(), "." + file.getFileName() + ".", ".part");
        // For Ctrl-C; the last line of this method is for everything else.
        part.toFile().deleteOnExit();
        long bytes;
        try (FileOutputStream out = new FileOutputStream(part.toFile())) {
          bytes = copy(client, out);
          out.getFD().sync();
        }
        if (force) {
          Files.move(part, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } else {
          Files.move(part, file);
        }
        return bytes;
      } catch (FileAlreadyExistsException e) {
        throw exists();
      } catch (IOException e) {
        throw new Failure(ExitCode.FAILED, "The archive cannot be written: " + Reason.of(e) + ".", e);
      } finally {
        if (part != null) {
          part.toFile().delete();
        }
      }
    }

    private long copy(NodeClient client, OutputStream out) throws Failure, InterruptedException {
      try (Progress progress = Progress.of("Exporting " + which);
          InputStream archive = client.stream("GET", which.path(client) + "/archive", BodyPublishers.noBody(), "")) {
        byte[] buffer = new byte[64 << 10];
        long bytes = 0;
        for (int n; (n = read(archive, buffer)) >= 0; bytes += n) {
          try {
            out.write(buffer, 0, n);
          } catch (IOException e) {
            throw new Failure(ExitCode.FAILED, "The archive cannot be written: " + Reason.of(e) + ".", e);
          }
        }
        return bytes;
      } catch (IOException e) {
        throw cut(e);
      }
    }

    private int read(InputStream archive, byte[] buffer) throws Failure {
      try {
        return archive.read(buffer);
      } catch (IOException e) {
        throw cut(e);
      }
    }

    private Failure cut(IOException e) {
      return new Failure(ExitCode.FAILED, "The archive of " + which + " was cut off: " + e.getMessage() + ". Its snapshot may be damaged; 'instar snapshots verify' tells.", e);
    }
  }

  /** {@code instar snapshots import}. */
  @Command(name = "import", description = {"Takes in an archive that 'instar snapshots export' wrote.",
      "Only from a node that you trust: what a snapshot holds is what its function runs."})
  static final class Import implements Callable<Integer> {
    @Parameters(index = "0", paramLabel = "FILE", description = "The archive; '-' is standard input.")
    private String file;
    @Mixin
    private Output output;
    @Mixin
    private NodeOption node;

    @Override
    public Integer call() throws Exception {
      try (NodeClient client = node.connect()) {
        BodyPublisher archive = archive();
        JsonNode snapshot;
        try (Progress progress = Progress.of("Importing " + file)) {
          snapshot = client.upload(PATH, archive);
        }
        if (output.json()) {
          Output.print(snapshot);
        } else {
          System.out.println(Output.printable("Imported " + snapshot.path("id").asText() + " of backend " + snapshot.path("backend").asText() + ", "
              + Output.size(snapshot.path("memoryBytes").asLong()) + " of memory."));
        }
        return ExitCode.OK;
      }
    }

    private BodyPublisher archive() throws Failure {
      if ("-".equals(file)) {
        return BodyPublishers.ofInputStream(() -> new FileInputStream(FileDescriptor.in));
      }
      Path path = Path.of(file);
      try {
        if (!Files.isRegularFile(path)) {
          throw new Failure(ExitCode.FAILED, "There is no file " + file + ".");
        }
        return BodyPublishers.ofFile(path);
      } catch (FileNotFoundException e) {
        throw new Failure(ExitCode.FAILED, "The file " + file + " cannot be read by this user.", e);
      }
    }
  }

  /** {@code instar snapshots gc}. */
  @Command(name = "gc", description = {"Removes the snapshots that the node's policy, or this one, no longer keeps; never one that is in use.", "They are made again when they are needed."})
  static final class Collect implements Callable<Integer> {
    @Option(names = "--unused-for", paramLabel = "TIME", converter = Arguments.DurationConverter.class,
        description = "Snapshots that no function holds go when they have not been used for so long, e.g. 24h (default: the node's max-age-hours).")
    private Optional<Duration> unusedFor;
    @Option(names = "--budget", paramLabel = "SIZE", converter = Arguments.SizeConverter.class,
        description = "What all together may take, e.g. 1Gi; past it the longest unused go (default: the node's budget-mib).")
    private Optional<Size> budget;
    @Mixin
    private Output output;
    @Mixin
    private NodeOption node;

    @Override
    public Integer call() throws Exception {
      ObjectNode policy = Output.JSON.createObjectNode();
      unusedFor.ifPresent(time -> policy.put("unusedForSeconds", time.toSeconds()));
      budget.ifPresent(size -> policy.put("budgetBytes", size.bytes()));
      try (NodeClient client = node.connect(); Progress progress = Progress.of("Collecting snapshots")) {
        JsonNode result = client.post(PATH + "/gc", policy);
        if (output.json()) {
          Output.print(result);
        } else {
          result.path("removed").forEach(id -> System.out.println("Removed " + Output.printable(id.asText()) + "."));
          System.out.println(result.path("removed").size() + " removed, " + Output.size(result.path("freedBytes").asLong()) + " freed, "
              + Output.size(result.path("keptBytes").asLong()) + " kept.");
        }
        return ExitCode.OK;
      }
    }
  }

  /** {@code instar snapshots remove}. */
  @Command(name = "remove", description = "Removes a snapshot that is not in use, whoever holds it. It is made again when it is needed.")
  static final class Remove implements Callable<Integer> {
    @Parameters(index = "0", paramLabel = "SNAPSHOT", converter = Which.Converter.class, description = WHICH)
    private Which which;
    @Mixin
    private NodeOption node;

    @Override
    public Integer call() throws Exception {
      try (NodeClient client = node.connect()) {
        client.delete(which.path(client));
        System.out.println("Removed " + which + ".");
        return ExitCode.OK;
      }
    }
  }

  private static String shortId(String id) {
    String digits = id.replaceFirst("^sha256:", "");
    return digits.substring(0, Math.min(SHOWN_DIGITS, digits.length()));
  }

  private static String users(JsonNode snapshot) {
    List<String> users = new ArrayList<>();
    snapshot.path("users").forEach(user -> users.add(user.has("function") ? user.path("function").asText() + " version " + user.path("version").asInt() : user.path("uid").asText()));
    return users.isEmpty() ? "-" : String.join(", ", users);
  }

  private static String ago(Instant now, JsonNode time) {
    // The node's clock may be ahead of ours.
    long seconds = Math.max(0, Duration.between(Instant.parse(time.asText()), now).toSeconds());
    return seconds < 60 ? seconds + "s" : seconds < 3600 ? seconds / 60 + "m" : seconds < 86_400 ? seconds / 3600 + "h" : seconds / 86_400 + "d";
  }

  private static void show(JsonNode snapshot) {
    Instant now = Instant.now();
    System.out.println(Output.printable(snapshot.path("id").asText()));
    line("lies on", snapshot.path("parent").isTextual() ? snapshot.path("parent").asText() : "nothing");
    line("held by", users(snapshot));
    line("backend", snapshot.path("backend").asText() + " " + snapshot.path("backendVersion").asText());
    snapshot.path("machine").properties().forEach(e -> line("  " + e.getKey(), e.getValue().asText()));
    snapshot.path("images").forEach(image -> line("image", image.asText()));
    line("created", snapshot.path("created").asText() + " (" + ago(now, snapshot.path("created")) + " ago) by " + snapshot.path("creator").asText());
    line("last used", snapshot.path("lastUsed").asText() + " (" + ago(now, snapshot.path("lastUsed")) + " ago)");
    line("in use", snapshot.path("leases").asInt() + " have it open");
    line("memory", Output.size(snapshot.path("memoryBytes").asLong()) + " in " + snapshot.path("extents").size() + " extents");
    line("stored", Output.size(snapshot.path("storedBytes").asLong()));
    snapshot.path("blobs").forEach(blob -> line("file " + blob.path("name").asText(), Output.size(blob.path("bytes").asLong()) + " " + blob.path("digest").asText()));
  }

  private static void line(String name, String value) {
    System.out.println(Output.printable("  " + name + " ".repeat(Math.max(1, 20 - name.length())) + value));
  }
}
