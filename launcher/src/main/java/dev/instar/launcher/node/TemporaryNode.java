package dev.instar.launcher.node;

import dev.instar.launcher.Distribution;
import dev.instar.launcher.ExitCode;
import dev.instar.launcher.Failure;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/** A node with every feature, on a free port of the loopback and in a temporary data directory, that leaves nothing behind. */
public final class TemporaryNode implements AutoCloseable {
  private static final Duration START = Duration.ofSeconds(60);

  private final Path data;
  private final Node node;
  private final URI url;

  private TemporaryNode(Path data, Node node, URI url) {
    this.data = data;
    this.node = node;
    this.url = url;
  }

  /** Returns when it listens. */
  public static TemporaryNode start(Distribution distribution) throws Failure, InterruptedException {
    return start(distribution, Map.of());
  }

  /** @param properties of the framework, beside those that every node has */
  public static TemporaryNode start(Distribution distribution, Map<String, String> properties) throws Failure, InterruptedException {
    Path data;
    try {
      data = Files.createTempDirectory("instar-");
    } catch (IOException e) {
      throw new Failure(ExitCode.MISSING, "No temporary directory can be made in " + System.getProperty("java.io.tmpdir") + ": " + e.getMessage() + ".", e);
    }
    // Its warnings would be about itself.
    System.setProperty("instar.console.level", "OFF");
    Node node = null;
    try {
      node = Node.start(distribution, new NodeOptions(data, distribution.config(), OptionalInt.of(0), Optional.of("127.0.0.1"), new HashSet<>(distribution.features()), properties));
      return new TemporaryNode(data, node, node.awaitListening(START));
    } catch (Failure | InterruptedException | RuntimeException e) {
      if (node != null) {
        node.close();
      }
      delete(data);
      throw e;
    }
  }

  public URI url() {
    return url;
  }

  @Override
  public void close() {
    node.close();
    delete(data);
  }

  private static void delete(Path tree) {
    try {
      DataPlace.delete(tree);
    } catch (IOException e) {
      System.err.println("The temporary directory " + tree + " could not be deleted: " + e + ".");
    }
  }
}
