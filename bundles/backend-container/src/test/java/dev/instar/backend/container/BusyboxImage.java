package dev.instar.backend.container;

import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.instar.api.Digest;
import dev.instar.api.function.Image;
import dev.instar.api.function.Variant;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/** Images of the host's static busybox, unpacked as the content store would do it. */
final class BusyboxImage {
  static final int FIRST_ID = 1_900_000_000;
  private static final List<String> PROGRAMS = List.of("sh", "cat", "dd", "stat", "touch", "sleep", "id", "mount", "ls", "ps", "chroot", "mknod", "hostname", "wc", "grep", "kill", "chmod",
      "mkdir", "head", "nc", "yes", "env", "ln", "rm", "ip", "printf", "ping", "true", "unshare", "httpd", "tr", "dmesg", "hwclock", "tail");
  private final Path directory;
  private int number;

  private BusyboxImage(Path directory) {
    this.directory = directory;
  }

  /** Makes the files below the directory. */
  static BusyboxImage in(Path directory) throws Exception {
    Path root = Files.createDirectory(directory.resolve("rootfs"));
    Process which = new ProcessBuilder("sh", "-c", "command -v busybox").start();
    Path busybox = Path.of(new String(which.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip());
    for (String made : List.of("bin", "etc", "home")) {
      Files.createDirectory(root.resolve(made));
    }
    Files.copy(busybox, root.resolve("bin/busybox"));
    for (String program : PROGRAMS) {
      Files.createSymbolicLink(root.resolve("bin").resolve(program), Path.of("busybox"));
    }
    Files.writeString(root.resolve("etc/passwd"), "root:x:0:0::/root:/bin/sh\nguest:x:1000:1001::/home/guest:/bin/sh\n");
    Files.writeString(root.resolve("etc/group"), "root:x:0:\nguests:x:1002:\n");
    try (Stream<Path> all = Files.walk(root)) {
      for (Path path : all.toList()) {
        Files.setAttribute(path, "unix:uid", FIRST_ID, LinkOption.NOFOLLOW_LINKS);
        Files.setAttribute(path, "unix:gid", FIRST_ID, LinkOption.NOFOLLOW_LINKS);
      }
    }
    return new BusyboxImage(directory);
  }

  Path root() {
    return directory.resolve("rootfs");
  }

  /** With a shell script as its command. */
  Image script(String script) throws IOException {
    return image(Map.of("Cmd", List.of("/bin/sh", "-c", script)));
  }

  Image image(Map<String, Object> config) throws IOException {
    byte[] bytes = new JsonMapper().writeValueAsBytes(Map.of("os", "linux", "config", config));
    Path file = directory.resolve("config-" + number++ + ".json");
    Files.write(file, bytes);
    return new Image(Digest.of(bytes), Variant.CONTAINER, bytes.length, file, Optional.of(root()));
  }
}
