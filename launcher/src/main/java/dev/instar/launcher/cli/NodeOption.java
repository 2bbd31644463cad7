package dev.instar.launcher.cli;

import dev.instar.launcher.Distribution;
import dev.instar.launcher.Failure;
import java.net.URI;
import java.nio.file.Path;
import java.util.Optional;
import javax.net.ssl.SSLContext;
import picocli.CommandLine.Option;

/** Which node a command talks to, as whom: {@code --url}, {@code --token-file}, {@code --ca}. */
final class NodeOption {
  private static final String CA = "INSTAR_CA";
  private static final String TOKEN_FILE = "INSTAR_TOKEN_FILE";

  @Option(names = "--url", paramLabel = "URL", defaultValue = "${env:INSTAR_URL:-http://127.0.0.1:8080}", converter = Arguments.UrlConverter.class,
      description = "The node to talk to (default: INSTAR_URL, else http://127.0.0.1:8080).")
  private URI url;
  @Option(names = "--token-file", paramLabel = "FILE",
      description = "The file with the token to send, or the data directory of the node (default: INSTAR_TOKEN_FILE, else the administrator's token in the usual data directory).")
  private Optional<Path> tokenFile;
  @Option(names = "--ca", paramLabel = "FILE", description = "The certificates (PEM) that vouch for an https:// node, or its own (default: INSTAR_CA, else those of the JDK).")
  private Optional<Path> ca;

  URI url() {
    return url;
  }

  NodeClient connect() throws Failure {
    Optional<Path> named = tokenFile.or(() -> environment(TOKEN_FILE));
    Credential credential = named.isPresent() ? Credential.named(named.get(), url) : Credential.found(Distribution.locate().defaultData(), url);
    Optional<Path> authorities = "https".equals(url.getScheme()) ? ca.or(() -> environment(CA)) : Optional.empty();
    Optional<SSLContext> trust = authorities.isPresent() ? Optional.of(Trust.authorities(authorities.get())) : Optional.empty();
    return new NodeClient(url, credential, trust);
  }

  private static Optional<Path> environment(String name) {
    return Optional.ofNullable(System.getenv(name)).filter(value -> !value.isEmpty()).map(Path::of);
  }
}
