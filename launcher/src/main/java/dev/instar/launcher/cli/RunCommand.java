package dev.instar.launcher.cli;

import dev.instar.launcher.Distribution;
import dev.instar.launcher.node.Node;
import dev.instar.launcher.node.NodeOptions;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(name = "run", description = "Starts a node in the foreground.")
public final class RunCommand implements Callable<Integer> {
  @Option(names = "--port") Optional<Integer> port;
  @Option(names = "--bind") Optional<String> bind;
  @Option(names = "--data") Optional<Path> data;
  @Option(names = "--config") Optional<Path> config;
  @Option(names = "--feature") Set<String> features = Set.of();

  @Override
  public Integer call() throws Exception {
    Distribution d = Distribution.locate();
    Node node = Node.start(d, new NodeOptions(data.orElse(d.defaultData()).toAbsolutePath(), config.orElse(d.config()), port.isPresent() ? OptionalInt.of(port.get()) : OptionalInt.empty(), bind, features, Map.of()));
    Runtime.getRuntime().addShutdownHook(new Thread(() -> node.stop(Duration.ofSeconds(30))));
    System.out.println("Instar is ready on " + node.awaitListening(Duration.ofSeconds(60)));
    node.awaitStopped();
    return 0;
  }
}
