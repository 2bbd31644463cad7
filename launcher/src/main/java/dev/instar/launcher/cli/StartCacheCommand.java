package dev.instar.launcher.cli;

import dev.instar.launcher.Distribution;
import dev.instar.launcher.ExitCode;
import dev.instar.launcher.Failure;
import dev.instar.launcher.node.TemporaryNode;
import java.io.IOException;
import java.io.InputStream;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.time.Duration;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;

/**
 * {@code instar start-cache}. The script runs it in a JVM that records (JEP 514); here is what is worth recording: a whole start, the
 * deployment of the examples, a call of each, the client, the stop. And first calls, often enough that the JVM has a profile of what they run (JEP 515): of
 * functions whose state is stored, each of which has been forgotten again when its turn comes.
 */
@Command(name = "start-cache", description = {"Makes the cache with which this JDK starts Instar in less time.", "'instar build' does so by itself; an unpacked distribution works without it."})
public final class StartCacheCommand implements Callable<Integer> {
  /** One MiB of prepared images is sixteen functions. */
  private static final Map<String, String> FORGETFUL = Map.of("instar.override.dev.instar.scheduler/prepared-mib", "1");
  private static final int FUNCTIONS = 24;
  /** A method's profile begins when it has been compiled, after 200 calls and more. */
  private static final int FIRST_CALLS = 600;
  /** How long it waits until all states are stored; without them it goes on with those that are. */
  private static final Duration STORED = Duration.ofSeconds(20);

  @Override
  public Integer call() throws Exception {
    Distribution distribution = Distribution.locate();
    Examples examples = Examples.read(distribution.examples());
    try (Progress progress = Progress.of("Making the start-up cache");
        TemporaryNode node = TemporaryNode.start(distribution, FORGETFUL);
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
      firstCalls(client, examples);
      client.get("/v1/functions");
      client.each("/v1/functions", "functions", function -> {});
      client.get("/v1/backends");
    }
    return ExitCode.OK;
  }

  private static void firstCalls(NodeClient client, Examples examples) throws Failure, IOException, InterruptedException {
    Optional<byte[]> echo = examples.examples().stream().filter(e -> e.function().equals("echo")).map(Examples.Example::module).findFirst();
    if (echo.isEmpty()) {
      return;
    }
    for (int i = 0; i < FUNCTIONS; i++) {
      send(client, "PUT", i, BodyPublishers.ofByteArray(numbered(echo.get(), i)));
    }
    long end = System.nanoTime() + STORED.toNanos();
    while (client.get("/v1/snapshots").path("snapshots").size() < FUNCTIONS && System.nanoTime() < end) {
      call(client, FUNCTIONS);
      // A node looks once a second for what is to be stored.
      Thread.sleep(100);
    }
    call(client, FIRST_CALLS);
  }

  private static void call(NodeClient client, int times) throws Failure, IOException, InterruptedException {
    for (int i = 0; i < times; i++) {
      send(client, "POST", i % FUNCTIONS, BodyPublishers.ofString("hello"));
    }
  }

  private static void send(NodeClient client, String method, int function, BodyPublisher body) throws Failure, IOException, InterruptedException {
    try (InputStream answer = client.stream(method, path(function), body, "application/octet-stream")) {
      answer.readAllBytes();
    }
  }

  private static String path(int function) {
    return "/f/" + Examples.USER + "/start-cache-" + function;
  }

  /** The module with a section of its own, which makes it another. */
  private static byte[] numbered(byte[] module, int number) {
    byte[] section = {0, 3, 1, 'n', (byte) number};
    byte[] numbered = Arrays.copyOf(module, module.length + section.length);
    System.arraycopy(section, 0, numbered, module.length, section.length);
    return numbered;
  }
}
