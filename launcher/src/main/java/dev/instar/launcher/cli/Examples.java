package dev.instar.launcher.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.instar.launcher.Failure;
import java.io.IOException;
import java.net.http.HttpRequest.BodyPublishers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The functions of {@code examples/deploy.txt}, which a node is started with so that there is something to call.
 *
 * @param examples in the order of the file
 */
record Examples(List<Example> examples) {
  /** Who owns them. */
  static final String USER = "demo";

  /**
   * @param function its name
   * @param module the module itself
   * @param digest as the node would name it
   */
  record Example(String function, byte[] module, String digest) {}

  /** Reads them all; a distribution without the file has none. */
  static Examples read(Path directory) throws IOException {
    Path list = directory.resolve("deploy.txt");
    List<Example> examples = new ArrayList<>();
    if (Files.exists(list)) {
      for (String line : Files.readAllLines(list)) {
        if (line.isBlank() || line.startsWith("#")) {
          continue;
        }
        String[] parts = line.split("\t");
        if (parts.length != 2) {
          throw new IOException(list + ": '" + line + "' is not a name and a path with a tab between them");
        }
        byte[] module = Files.readAllBytes(directory.resolve(parts[1]));
        examples.add(new Example(parts[0], module, digest(module)));
      }
    }
    return new Examples(examples);
  }

  private static String digest(byte[] module) {
    try {
      return "sha256:" + HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(module));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * Deploys those that the node does not have. One that was deployed before is left as it is, also when its user has put
   * another version over it since.
   *
   * @return a line for each that failed
   */
  List<String> deploy(NodeClient client) throws Failure, InterruptedException {
    List<String> failed = new ArrayList<>();
    if (examples.isEmpty()) {
      return failed;
    }
    Map<String, Set<String>> there = new HashMap<>();
    for (JsonNode function : client.get("/v1/functions?user=" + USER).path("functions")) {
      Set<String> digests = there.computeIfAbsent(function.path("function").asText(), f -> new HashSet<>());
      function.path("versions").forEach(version -> version.path("variants").forEach(variant -> digests.add(variant.path("digest").asText())));
    }
    for (Example example : examples) {
      if (there.getOrDefault(example.function, Set.of()).contains(example.digest)) {
        continue;
      }
      try {
        JsonNode image = client.upload("/v1/images", BodyPublishers.ofByteArray(example.module));
        ObjectNode version = Output.JSON.createObjectNode();
        version.putArray("variants").addObject().put("digest", image.path("digest").asText()).put("kind", image.path("kind").asText());
        client.post(new Arguments.Name(USER, example.function).path() + "/versions", version);
      } catch (NodeClient.Refused e) {
        failed.add(USER + "/" + example.function + ": " + e.getMessage());
      }
    }
    return failed;
  }
}
