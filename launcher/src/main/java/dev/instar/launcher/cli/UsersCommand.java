package dev.instar.launcher.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.instar.launcher.ExitCode;
import dev.instar.launcher.Failure;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code instar users}. */
@Command(name = "users", description = {"Says who else than the administrator may upload and call.", "Off loopback, and with access 'required' in dev.instar.gateway.cfg.json, each caller needs a token."},
    subcommands = {UsersCommand.Add.class, UsersCommand.All.class, UsersCommand.Remove.class})
public final class UsersCommand implements Runnable {
  private static final String PATH = "/v1/users";

  @Spec
  private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "A command is missing");
  }

  /** {@code instar users add}. */
  @Command(name = "add", description = {"Gives somebody a token, which is the only line of the standard output: instar users add ann > ann.token", "The node keeps a checksum of it and can't tell it again."})
  static final class Add implements Callable<Integer> {
    @Parameters(index = "0", paramLabel = "NAME", description = "The user's name.")
    private String name;
    @Option(names = "--upload", paramLabel = "USER", description = "Whose functions the user may publish, change and see the logs of; may be repeated. Without this and --call: the user's own.")
    private Set<String> upload = new LinkedHashSet<>();
    @Option(names = "--call", paramLabel = "USER", description = "Whose functions the user may call; may be repeated.")
    private Set<String> call = new LinkedHashSet<>();
    @Mixin
    private NodeOption node;

    @Override
    public Integer call() throws Exception {
      ObjectNode body = Output.JSON.createObjectNode().put("name", name);
      if (!upload.isEmpty() || !call.isEmpty()) {
        ArrayNode uploads = body.putArray("upload");
        upload.forEach(uploads::add);
        ArrayNode calls = body.putArray("call");
        call.forEach(calls::add);
      }
      try (NodeClient client = node.connect()) {
        JsonNode added = client.post(PATH, body);
        System.err.println("Added " + name + ", who may upload for " + names(added.path("upload")) + " and call functions of " + names(added.path("call")) + ".");
        System.out.println(Output.printable(added.path("token").asText()));
        return ExitCode.OK;
      }
    }
  }

  /** {@code instar users list}. */
  @Command(name = "list", description = "Lists who has a token, and for what.")
  static final class All extends AnswerCommand {
    @Override
    JsonNode ask(NodeClient client) throws Failure, InterruptedException {
      return client.get(PATH);
    }

    @Override
    void show(JsonNode answer) {
      List<List<String>> rows = new ArrayList<>();
      answer.path("users").forEach(u -> rows.add(List.of(u.path("name").asText(), names(u.path("upload")), names(u.path("call")), u.path("created").asText())));
      if (rows.isEmpty()) {
        System.out.println("There are no users; see 'instar users add --help'.");
      } else {
        Output.table(List.of("NAME", "UPLOADS FOR", "CALLS", "ADDED"), rows);
      }
    }
  }

  /** {@code instar users remove}. */
  @Command(name = "remove", description = "Takes somebody's token away; it holds no more at once.")
  static final class Remove implements Callable<Integer> {
    @Parameters(index = "0", paramLabel = "NAME", description = "The user's name.")
    private String name;
    @Mixin
    private NodeOption node;

    @Override
    public Integer call() throws Exception {
      try (NodeClient client = node.connect()) {
        client.delete(PATH + "/" + Arguments.encoded(name));
        System.out.println("Removed " + Output.printable(name) + ".");
        return ExitCode.OK;
      }
    }
  }

  private static String names(JsonNode list) {
    List<String> names = new ArrayList<>();
    list.forEach(name -> names.add(name.asText()));
    return names.isEmpty() ? "nobody" : String.join(",", names);
  }
}
