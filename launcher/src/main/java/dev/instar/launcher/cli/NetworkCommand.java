package dev.instar.launcher.cli;

import com.fasterxml.jackson.databind.JsonNode;
import dev.instar.launcher.Failure;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Command;

/** {@code instar network}. */
@Command(name = "network", description = {"Lists the networks that sandboxes have: whose they are, what may go out of them, and what has gone through.",
    "The first line says whether this host can make networks, and how many are ready."})
public final class NetworkCommand extends AnswerCommand {
  @Override
  JsonNode ask(NodeClient client) throws Failure, InterruptedException {
    return optional(client, "/v1/network", "This node gives no networks: the bundle dev.instar.network is not there. 'instar features apply container' brings it.");
  }

  @Override
  void show(JsonNode answer) {
    if (answer.path("usable").asBoolean()) {
      System.out.println(Output.printable("network " + answer.path("detail").asText() + ": " + answer.path("ready").asText() + " ready, "
          + answer.path("leases").size() + " leased, " + answer.path("most").asText() + " at most; names on the host begin with i" + answer.path("mark").asText()));
    } else {
      System.out.println(Output.printable("network not usable, so sandboxes have none of their own"));
      System.out.println(Output.printable("missing: " + answer.path("missing").asText() + "; remedy: " + answer.path("remedy").asText()));
    }
    List<List<String>> rows = new ArrayList<>();
    for (JsonNode lease : answer.path("leases")) {
      String namespace = lease.path("namespace").asText();
      rows.add(List.of(lease.path("function").asText(), lease.path("address").asText(), namespace.substring(namespace.lastIndexOf('/') + 1), lease.path("egress").asText(),
          lease.has("bitsPerSecond") ? lease.path("bitsPerSecond").asText() + " bit/s" : "-", Output.size(lease.path("receivedBytes").asLong()),
          Output.size(lease.path("sentBytes").asLong()), lease.path("since").asText()));
    }
    if (rows.isEmpty()) {
      System.out.println("No sandbox has a network.");
    } else {
      Output.table(List.of("FUNCTION", "ADDRESS", "NAMESPACE", "EGRESS", "BANDWIDTH", "RECEIVED", "SENT", "SINCE"), rows);
    }
  }
}
