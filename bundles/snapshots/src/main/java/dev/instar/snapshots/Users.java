package dev.instar.snapshots;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.instar.api.Digest;
import dev.instar.api.data.ChecksummedDocument;
import dev.instar.api.data.DurableFiles;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Who holds which layer: one checksummed document a layer that anybody holds, beside the layers, which never change. */
final class Users {
  private static final Logger LOG = LoggerFactory.getLogger(Users.class);
  private static final Pattern USER = Pattern.compile("[ -~]{1,200}");
  private static final JsonMapper JSON = JsonMapper.builder().build();
  private final Path directory;

  Users(Path directory) {
    this.directory = directory;
  }

  static boolean isUser(String user) {
    return USER.matcher(user).matches();
  }

  /** Who held it; nobody when that cannot be read: a layer is kept too shortly then, and made again. */
  Set<String> read(Digest layer) {
    Path file = directory.resolve(layer.hex());
    if (Files.notExists(file)) {
      return Set.of();
    }
    try {
      return Set.copyOf(List.of(JSON.readValue(ChecksummedDocument.read(file), String[].class)));
    } catch (JsonProcessingException | ChecksummedDocument.DamagedException | NullPointerException e) {
      LOG.warn("Nobody knows any more who needs the snapshot layer {}: {}", layer, e.getMessage());
      delete(layer);
      return Set.of();
    } catch (IOException e) {
      throw Failures.failed("The users of the snapshot layer " + layer + " cannot be read", e);
    }
  }

  void write(Digest layer, Set<String> users) {
    if (users.isEmpty()) {
      delete(layer);
      return;
    }
    try {
      DurableFiles.createDirectories(directory);
      ChecksummedDocument.write(directory.resolve(layer.hex()), JSON.writeValueAsBytes(new TreeSet<>(users)));
    } catch (IOException e) {
      throw Failures.failed("The users of the snapshot layer " + layer + " cannot be stored", e);
    }
  }

  /** Deletes what is said of layers that are no longer there: set aside at a start, or removed just before a crash. */
  void keep(Predicate<String> layers) throws IOException {
    try (DirectoryStream<Path> gone = Files.newDirectoryStream(directory, file -> !layers.test(file.getFileName().toString()))) {
      for (Path file : gone) {
        Files.deleteIfExists(file);
      }
    }
  }

  void delete(Digest layer) {
    try {
      DurableFiles.delete(directory.resolve(layer.hex()));
    } catch (IOException e) {
      throw Failures.failed("The users of the snapshot layer " + layer + " cannot be removed", e);
    }
  }
}
