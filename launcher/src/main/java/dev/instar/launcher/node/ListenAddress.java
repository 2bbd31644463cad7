package dev.instar.launcher.node;

import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import dev.instar.launcher.ExitCode;
import dev.instar.launcher.Failure;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.UnknownHostException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Where the node will listen: the command line's word, else the file's, else the listener's defaults.
 *
 * @param host an address or name of this machine
 * @param port 0 for a free one
 */
public record ListenAddress(String host, int port) {
  private static final String FILE = "dev.instar.listener.cfg.json";
  private static final JsonMapper COMMENTED = JsonMapper.builder().enable(JsonReadFeature.ALLOW_JAVA_COMMENTS).build();

  /** A file that cannot be read counts as absent here: the node itself refuses it with file, key and value. */
  public static ListenAddress of(NodeOptions options) {
    JsonNode file = COMMENTED.createObjectNode();
    Path path = options.config().resolve(FILE);
    if (Files.isReadable(path)) {
      try {
        file = COMMENTED.readTree(path.toFile());
      } catch (IOException e) {
        file = COMMENTED.createObjectNode();
      }
    }
    int port = options.port().orElse(value(file, "port").asInt(8080));
    return new ListenAddress(options.bind().orElse(value(file, "bind").asText("127.0.0.1")), port);
  }

  /** A key may carry its type: {@code "port:Integer"} (OSGi Configurator specification, section 150.3.1). */
  private static JsonNode value(JsonNode file, String key) {
    for (var member : file.properties()) {
      if (member.getKey().equals(key) || member.getKey().startsWith(key + ":")) {
        return member.getValue();
      }
    }
    return MissingNode.getInstance();
  }

  /** Says who is to blame when the port cannot be had. The listener binds it for good a moment later. */
  public void checkFree() throws Failure {
    InetAddress address;
    try {
      address = InetAddress.getByName(host);
    } catch (UnknownHostException e) {
      throw new Failure(ExitCode.FAILED, "'" + host + "' is not an address of this machine; give one with --bind, e.g. 127.0.0.1.", e);
    }
    if (port == 0) {
      return;
    }
    try (ServerSocket probe = new ServerSocket()) {
      probe.setReuseAddress(true);
      probe.bind(new InetSocketAddress(address, port));
    } catch (IOException e) {
      String text = String.valueOf(e.getMessage());
      String why = text.contains("in use") ? "is in use by another program; give another with --port (0 takes a free one)."
          : text.contains("denied") ? "may not be opened by this user; give one above 1023 with --port."
          : "cannot be opened (" + text + "); see --port and --bind.";
      throw new Failure(ExitCode.FAILED, "Port " + port + " on " + host + " " + why, e);
    }
  }
}
