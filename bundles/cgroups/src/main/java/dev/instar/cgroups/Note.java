package dev.instar.cgroups;

import dev.instar.api.cgroup.CgroupLimits;
import dev.instar.api.cgroup.CgroupRequest;
import dev.instar.api.function.HostLimits;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;

/**
 * What this bundle's successor has to know of a lease: a small file in the data directory, as lines of a name and a value. It need not outlast the host, as a cgroup does not, and
 * so is not synced.
 *
 * @param taken when, in milliseconds since 1970
 * @param closed whether its owner has given it back; then it is only still to be removed
 */
record Note(CgroupRequest request, List<Path> directories, Optional<String> runtimePath, long taken, boolean closed) {
  /** The last line: what lacks it is being written. */
  private static final String END = "end";

  void write(Path file) throws IOException {
    StringBuilder text = new StringBuilder();
    line(text, "sandbox", request.sandboxId());
    line(text, "holder", request.holder());
    directories.forEach(directory -> line(text, "directory", directory.toString()));
    runtimePath.ifPresent(path -> line(text, "runtime", path));
    line(text, "taken", Long.toString(taken));
    line(text, "closed", Boolean.toString(closed));
    CgroupLimits limits = request.limits();
    limits.memoryBytes().ifPresent(value -> line(text, "memory", Long.toString(value)));
    limits.host().cpuMillis().ifPresent(value -> line(text, "cpu", Integer.toString(value)));
    limits.host().cpuWeight().ifPresent(value -> line(text, "cpuWeight", Integer.toString(value)));
    limits.host().cpuset().ifPresent(value -> line(text, "cpuset", value));
    limits.host().processes().ifPresent(value -> line(text, "processes", Integer.toString(value)));
    limits.host().ioWeight().ifPresent(value -> line(text, "ioWeight", Integer.toString(value)));
    line(text, END, "");
    Files.writeString(file, text);
  }

  private static void line(StringBuilder text, String name, String value) {
    text.append(name).append('=').append(value.replace('\n', ' ')).append('\n');
  }

  /** Empty where there is none, or half of one. */
  static Optional<Note> read(Path file) {
    try {
      Map<String, String> one = new HashMap<>();
      List<Path> directories = new ArrayList<>();
      for (String line : Files.readString(file, StandardCharsets.UTF_8).lines().toList()) {
        int equals = line.indexOf('=');
        String value = line.substring(equals + 1);
        if (line.startsWith("directory=")) {
          directories.add(Path.of(value));
        } else {
          one.put(line.substring(0, equals), value);
        }
      }
      if (!one.containsKey(END)) {
        return Optional.empty();
      }
      HostLimits host = new HostLimits(number(one, "cpu"), number(one, "cpuWeight"), Optional.ofNullable(one.get("cpuset")), number(one, "processes"), number(one, "ioWeight"));
      OptionalLong memory = one.containsKey("memory") ? OptionalLong.of(Long.parseLong(one.get("memory"))) : OptionalLong.empty();
      return Optional.of(new Note(new CgroupRequest(one.get("sandbox"), one.get("holder"), new CgroupLimits(memory, host)), List.copyOf(directories),
          Optional.ofNullable(one.get("runtime")), Long.parseLong(one.get("taken")), Boolean.parseBoolean(one.get("closed"))));
    } catch (IOException | RuntimeException e) {
      return Optional.empty();
    }
  }

  private static OptionalInt number(Map<String, String> one, String name) {
    return one.containsKey(name) ? OptionalInt.of(Integer.parseInt(one.get(name))) : OptionalInt.empty();
  }

  Note with(CgroupLimits limits) {
    return new Note(new CgroupRequest(request.sandboxId(), request.holder(), limits), directories, runtimePath, taken, closed);
  }

  Note closing() {
    return new Note(request, directories, runtimePath, taken, true);
  }
}
