package dev.instar.scheduler;

import dev.instar.api.data.ChecksummedDocument;
import dev.instar.api.data.DataDirectory;
import dev.instar.api.data.DurableFiles;
import dev.instar.api.function.FunctionName;
import dev.instar.api.invocation.BackendAssignment;
import dev.instar.api.invocation.BackendScope;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The assignments on the disk: {@code backends/assignments.json} of the data directory, one JSON array. Only this class writes it, so it reads no other form of JSON. */
final class AssignmentFile {
  private static final Logger LOG = LoggerFactory.getLogger(AssignmentFile.class);
  private static final Pattern ENTRY = Pattern.compile(
      "\\{\"function\":\"([^\"]*)\",\"user\":\"([^\"]*)\",\"own\":\"([^\"]+)\",\"to\":\"([^\"]+)\",\"before\":\"([^\"]+)\",\"since\":(\\d{1,18}),\"rampMillis\":(\\d{1,18})}");
  private static final String NAME = "assignments.json";

  private final Path file;

  AssignmentFile(DataDirectory data) throws IOException {
    file = data.area("backends").resolve(NAME);
  }

  /** When; the epoch when nothing was. */
  FileTime written() throws IOException {
    return Files.exists(file) ? Files.getLastModifiedTime(file) : FileTime.fromMillis(0);
  }

  /** What was written last; nothing, and a word in the log, when that is damaged. */
  Assignments read() throws IOException {
    if (!Files.exists(file)) {
      return Assignments.NONE;
    }
    if (!Files.isRegularFile(file)) {
      return aside("is no file", null);
    }
    try {
      String json = new String(ChecksummedDocument.read(file), StandardCharsets.UTF_8);
      List<BackendAssignment> all = new ArrayList<>();
      Matcher entry = ENTRY.matcher(json);
      while (entry.find()) {
        BackendScope scope = !entry.group(1).isEmpty() ? new BackendScope.One(FunctionName.parse(entry.group(1)))
            : !entry.group(2).isEmpty() ? new BackendScope.User(entry.group(2)) : new BackendScope.All();
        all.add(new BackendAssignment(scope, entry.group(3), entry.group(4), entry.group(5), Instant.ofEpochMilli(Long.parseLong(entry.group(6))),
            Duration.ofMillis(Long.parseLong(entry.group(7)))));
      }
      return new Assignments(all);
    } catch (ChecksummedDocument.DamagedException e) {
      return aside("is damaged", e);
    }
  }

  private Assignments aside(String how, Exception cause) throws IOException {
    Path aside = file.resolveSibling(NAME + ".damaged");
    DurableFiles.move(file, aside);
    LOG.error("{} {} and was set aside as {}: calls go to their own backends until they are moved again", file, how, aside, cause);
    return Assignments.NONE;
  }

  void write(Assignments assignments) throws IOException {
    String json = assignments.all().stream().map(AssignmentFile::entry).collect(Collectors.joining(",", "[", "]"));
    ChecksummedDocument.write(file, json.getBytes(StandardCharsets.UTF_8));
  }

  private static String entry(BackendAssignment a) {
    String function = a.scope() instanceof BackendScope.One(FunctionName name) ? name.toString() : "";
    String user = a.scope() instanceof BackendScope.User(String name) ? name : "";
    return "{\"function\":\"" + function + "\",\"user\":\"" + user + "\",\"own\":\"" + a.own() + "\",\"to\":\"" + a.to() + "\",\"before\":\"" + a.before() + "\",\"since\":"
        + a.since().toEpochMilli() + ",\"rampMillis\":" + a.ramp().toMillis() + "}";
  }
}
