package dev.instar.backend.container;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;

/**
 * What an image says of how it runs (OCI image specification 1.1, "Image Configuration").
 *
 * @param command its entry point with the arguments
 * @param environment in the order of the image
 * @param directory where it starts
 * @param user as the image writes it: a name or number, with a group behind a colon
 * @param port the first of the TCP ports that it exposes; 8080 where that is among them
 */
record ImageConfiguration(List<String> command, Map<String, String> environment, String directory, String user, OptionalInt port) {
  private static final JsonMapper JSON = new JsonMapper();

  static ImageConfiguration read(Path file) throws IOException {
    JsonNode config = JSON.readTree(Files.readAllBytes(file)).path("config");
    List<String> command = new ArrayList<>();
    config.path("Entrypoint").forEach(word -> command.add(word.asText()));
    config.path("Cmd").forEach(word -> command.add(word.asText()));
    Map<String, String> environment = new LinkedHashMap<>();
    for (JsonNode variable : config.path("Env")) {
      String text = variable.asText();
      int equals = text.indexOf('=');
      if (equals > 0 && text.indexOf('\0') < 0) {
        environment.put(text.substring(0, equals), text.substring(equals + 1));
      }
    }
    String directory = config.path("WorkingDir").asText("");
    return new ImageConfiguration(command, environment, directory.startsWith("/") ? directory : "/" + directory, config.path("User").asText(""),
        port(config.path("ExposedPorts")));
  }

  /** The names of an object, as {@code 8080/tcp} or {@code 8080}. */
  private static OptionalInt port(JsonNode exposed) {
    List<Integer> ports = new ArrayList<>();
    exposed.fieldNames().forEachRemaining(name -> {
      String number = name.endsWith("/tcp") ? name.substring(0, name.length() - "/tcp".length()) : name;
      if (number.matches("[0-9]{1,5}") && Integer.parseInt(number) > 0 && Integer.parseInt(number) < 65_536) {
        ports.add(Integer.parseInt(number));
      }
    });
    return ports.contains(Talk.USUAL_PORT) ? OptionalInt.of(Talk.USUAL_PORT) : ports.stream().mapToInt(Integer::intValue).findFirst();
  }

  /**
   * Who runs in the container.
   *
   * @param home the home directory
   */
  record User(int uid, int gid, String home) {}

  /** Looks names up in the image's own tables. @throws InstarException MODULE_REFUSED when a name is not in them */
  User user(RootFiles files) {
    String[] parts = user.split(":", 2);
    String name = parts[0].isBlank() ? "0" : parts[0];
    int uid;
    int gid = 0;
    String home = "/";
    if (isId(name)) {
      uid = Integer.parseInt(name);
      home = uid == 0 ? "/root" : "/";
    } else {
      String[] fields = files.entry("/etc/passwd", name).filter(f -> f.length >= 6 && isId(f[2]) && isId(f[3]))
          .orElseThrow(() -> refused("user", name, "/etc/passwd"));
      uid = Integer.parseInt(fields[2]);
      gid = Integer.parseInt(fields[3]);
      home = fields[5].startsWith("/") ? fields[5] : "/";
    }
    if (parts.length == 2 && !parts[1].isBlank()) {
      gid = isId(parts[1]) ? Integer.parseInt(parts[1])
          : Integer.parseInt(files.entry("/etc/group", parts[1]).filter(f -> f.length >= 3 && isId(f[2]))
              .orElseThrow(() -> refused("group", parts[1], "/etc/group"))[2]);
    }
    return new User(uid, gid, home);
  }

  /** What exists in a container: 0 to 65535. */
  private static boolean isId(String text) {
    return text.matches("[0-9]{1,5}") && Integer.parseInt(text) < 65_536;
  }

  private static InstarException refused(String what, String name, String table) {
    String shown = name.replaceAll("[^ -~]", "?");
    return new InstarException(ErrorCode.MODULE_REFUSED, "The image runs as the " + what + " '" + (shown.length() > 80 ? shown.substring(0, 80) + "..." : shown)
        + "', which is neither a number up to 65535 nor in its " + table + ".");
  }
}
