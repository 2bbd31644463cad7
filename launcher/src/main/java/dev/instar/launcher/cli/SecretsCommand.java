package dev.instar.launcher.cli;

import com.fasterxml.jackson.databind.JsonNode;
import dev.instar.launcher.ExitCode;
import dev.instar.launcher.Failure;
import java.io.Console;
import java.io.IOException;
import java.io.InputStream;
import java.net.http.HttpRequest.BodyPublishers;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** {@code instar secrets}. */
@Command(name = "secrets", description = {"Keeps passwords, keys and tokens that functions need.", "A function that is deployed with --secret NAME finds the secret NAME of its user in the file /var/openfaas/secrets/NAME."},
    subcommands = {SecretsCommand.Put.class, SecretsCommand.All.class, SecretsCommand.Remove.class})
public final class SecretsCommand implements Runnable {
  private static final String PATH = "/v1/secrets";

  @Spec
  private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "A command is missing");
  }

  /** A user's secret. */
  record Name(String user, String secret) {
    String path() {
      return PATH + "/" + Arguments.encoded(user) + "/" + Arguments.encoded(secret);
    }

    @Override
    public String toString() {
      return user + "/" + secret;
    }
  }

  /** {@code user/secret}. */
  static final class NameConverter implements ITypeConverter<Name> {
    @Override
    public Name convert(String text) {
      int slash = text.indexOf('/');
      if (slash <= 0 || slash == text.length() - 1 || text.indexOf('/', slash + 1) >= 0) {
        throw new TypeConversionException("'" + text + "' is not a secret's name; write user/name, e.g. me/db-password");
      }
      return new Name(text.substring(0, slash), text.substring(slash + 1));
    }
  }

  /** {@code instar secrets put}. */
  @Command(name = "put", description = {"Gives a secret its value, which is all of the standard input, or of a file, byte for byte. At a terminal it is asked for and not shown.",
      "Sandboxes that are started afterwards see it; those that have an older value get no further call."},
      footer = {"", "Examples:", "  printf %s \"$PASSWORD\" | instar secrets put me/db-password", "  instar secrets put me/tls-key --file key.pem"})
  static final class Put implements Callable<Integer> {
    @Parameters(index = "0", paramLabel = "USER/NAME", converter = NameConverter.class, description = "The secret, as user/name.")
    private Name name;
    @Option(names = "--file", paramLabel = "FILE", description = "Take the value from this file.")
    private Optional<Path> file;
    @Mixin
    private NodeOption node;

    @Override
    public Integer call() throws Exception {
      byte[] value = value();
      try (NodeClient client = node.connect()) {
        JsonNode put = client.send("PUT", name.path(), BodyPublishers.ofByteArray(value));
        System.out.println("Put " + Output.printable(name.toString()) + ", " + put.path("size").asLong() + " bytes.");
        if (value[value.length - 1] == '\n') {
          System.err.println("note: the value ends with a line end, which is a part of it; use printf instead of echo where it should have none");
        }
        return ExitCode.OK;
      }
    }

    private byte[] value() throws Failure {
      byte[] value = read();
      if (value.length == 0) {
        throw new Failure(ExitCode.FAILED, "The value is empty, so nothing was put.");
      }
      return value;
    }

    private byte[] read() throws Failure {
      try {
        if (file.isPresent()) {
          return Files.readAllBytes(file.get());
        }
        Console console = System.console();
        if (console != null && console.isTerminal()) {
          char[] typed = console.readPassword("Value of %s: ", name);
          ByteBuffer bytes = StandardCharsets.UTF_8.encode(CharBuffer.wrap(typed == null ? new char[0] : typed));
          byte[] value = new byte[bytes.remaining()];
          bytes.get(value);
          return value;
        }
        InputStream in = System.in;
        return in.readAllBytes();
      } catch (IOException e) {
        throw new Failure(ExitCode.FAILED, file.map(f -> "The file " + f + " cannot be read: ").orElse("The standard input cannot be read: ") + Reason.of(e) + ".", e);
      }
    }
  }

  /** {@code instar secrets list}. */
  @Command(name = "list", description = "Lists names, sizes and times of secrets. Values are never given back.")
  static final class All extends AnswerCommand {
    @Parameters(index = "0", arity = "0..1", paramLabel = "USER", description = "Only those of this user.")
    private Optional<String> user = Optional.empty();

    @Override
    JsonNode ask(NodeClient client) throws Failure, InterruptedException {
      return client.get(PATH + user.map(u -> "?user=" + Arguments.encoded(u)).orElse(""));
    }

    @Override
    void show(JsonNode answer) {
      List<List<String>> rows = new ArrayList<>();
      answer.path("secrets").forEach(s -> rows.add(List.of(s.path("user").asText() + "/" + s.path("name").asText(), s.path("size").asText(), s.path("updated").asText())));
      if (rows.isEmpty()) {
        System.out.println("There are no secrets; see 'instar secrets put --help'.");
      } else {
        Output.table(List.of("SECRET", "BYTES", "PUT"), rows);
      }
    }
  }

  /** {@code instar secrets rm}. */
  @Command(name = "rm", aliases = "remove", description = "Forgets a secret. Functions that name it are not started any more until it is put again.")
  static final class Remove implements Callable<Integer> {
    @Parameters(index = "0", paramLabel = "USER/NAME", converter = NameConverter.class, description = "The secret, as user/name.")
    private Name name;
    @Mixin
    private NodeOption node;

    @Override
    public Integer call() throws Exception {
      try (NodeClient client = node.connect()) {
        client.delete(name.path());
        System.out.println("Removed " + Output.printable(name.toString()) + ".");
        return ExitCode.OK;
      }
    }
  }
}
