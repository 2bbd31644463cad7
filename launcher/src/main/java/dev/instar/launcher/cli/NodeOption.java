package dev.instar.launcher.cli;

import java.net.URI;
import picocli.CommandLine.Option;

/** {@code --url}. */
final class NodeOption {
  @Option(names = "--url", paramLabel = "URL", defaultValue = "${env:INSTAR_URL:-http://127.0.0.1:8080}", converter = Arguments.UrlConverter.class,
      description = "The node to talk to (default: INSTAR_URL, else http://127.0.0.1:8080).")
  private URI url;

  URI url() {
    return url;
  }

  NodeClient connect() {
    return new NodeClient(url);
  }
}
