package dev.instar.launcher.cli;

import com.fasterxml.jackson.databind.JsonNode;
import dev.instar.launcher.ExitCode;
import dev.instar.launcher.Failure;
import java.util.concurrent.Callable;
import picocli.CommandLine.Mixin;

/** Asks a node one thing, and shows the answer: for people, or as it came with {@code -o json}. */
abstract class AnswerCommand implements Callable<Integer> {
  @Mixin
  private Output output;
  @Mixin
  private NodeOption node;

  abstract JsonNode ask(NodeClient client) throws Failure, InterruptedException;

  abstract void show(JsonNode answer) throws Failure;

  @Override
  public final Integer call() throws Exception {
    try (NodeClient client = node.connect()) {
      JsonNode answer = ask(client);
      if (output.json()) {
        Output.print(answer);
      } else {
        show(answer);
      }
      return ExitCode.OK;
    }
  }

  /**
   * What a part of the node tells that comes with a feature.
   *
   * @param absent for people, where that part is not there
   */
  static JsonNode optional(NodeClient client, String path, String absent) throws Failure, InterruptedException {
    try {
      return client.get(path);
    } catch (NodeClient.Refused e) {
      throw e.code().equals("route-not-found") ? new Failure(ExitCode.FAILED, absent) : e;
    }
  }
}
