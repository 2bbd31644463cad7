package dev.instar.launcher.cli;

import dev.instar.launcher.Distribution;
import dev.instar.launcher.ExitCode;
import dev.instar.launcher.node.TemporaryNode;
import java.io.InputStream;
import java.net.http.HttpRequest.BodyPublishers;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;

/**
 * {@code instar start-cache}. The script runs it in a JVM that records (JEP 514); here is what is worth recording: a whole start, the
 * deployment of the examples, a call of each, the client, the stop.
 */
@Command(name = "start-cache", description = {"Makes the cache with which this JDK starts Instar in less time.", "'instar build' does so by itself; an unpacked distribution works without it."})
public final class StartCacheCommand implements Callable<Integer> {
  @Override
  public Integer call() throws Exception {
    Distribution distribution = Distribution.locate();
    Examples examples = Examples.read(distribution.examples());
    try (Progress progress = Progress.of("Making the start-up cache");
        TemporaryNode node = TemporaryNode.start(distribution);
        NodeClient client = new NodeClient(node.url())) {
      RunCommand.awaitReady(client);
      examples.deploy(client);
      for (Examples.Example example : examples.examples()) {
        try (InputStream answer = client.stream("POST", new Arguments.Name(Examples.USER, example.function()).path() + "/invoke", BodyPublishers.ofString("0"), "application/octet-stream")) {
          answer.readAllBytes();
        } catch (NodeClient.Refused e) {
          // Some examples do not take this input; their code has been loaded all the same.
        }
      }
      client.get("/v1/functions");
      client.each("/v1/functions", "functions", function -> {});
      client.get("/v1/backends");
    }
    return ExitCode.OK;
  }
}
