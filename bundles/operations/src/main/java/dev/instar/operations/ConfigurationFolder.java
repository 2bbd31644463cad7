package dev.instar.operations;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The configuration files of a directory, and the secrets that they name. What is looked at has changed when it stays the same for two looks, so that a
 * file that is being written is not taken before its end, and one that an editor takes away for a moment is not missed.
 *
 * <p>Looks are cheap (one stat a file) and need no notice from the kernel, which mounts of containers and networks do not all give.
 */
final class ConfigurationFolder {
  private static final Logger LOG = LoggerFactory.getLogger(ConfigurationFolder.class);

  /** What tells one content of a file from another. The directory's mode is in it, because it decides whether files are used. */
  private record Stamp(Object inode, Object size, Object modified, Object changed, Object directoryMode) {
    static final Stamp NONE = new Stamp(0, 0, 0, 0, 0);
  }

  /**
   * What is not as it was.
   *
   * @param files that have come or have changed
   * @param gone names of files
   * @param secrets names of secrets that have come, have changed or have gone
   */
  record Changes(List<ConfigurationFile> files, List<String> gone, Set<String> secrets) {}

  private final Path directory;
  private final Optional<Path> secrets;
  private final Map<String, Stamp> taken = new TreeMap<>();
  private final Map<String, Stamp> takenSecrets = new HashMap<>();
  private Map<String, Stamp> seen = Map.of();
  private Map<String, Stamp> seenSecrets = Map.of();
  private boolean unreadable;

  ConfigurationFolder(Path directory, Optional<Path> secrets) {
    this.directory = directory;
    this.secrets = secrets;
  }

  Path directory() {
    return directory;
  }

  /** All files that are there. */
  List<ConfigurationFile> readAll() {
    List<ConfigurationFile> files = new ArrayList<>();
    scan().ifPresent(now -> now.keySet().forEach(file -> files.add(take(file))));
    return files;
  }

  /** Reads a file at once; a later look only tells of what comes after. */
  ConfigurationFile take(String file) {
    Path path = directory.resolve(file);
    Stamp before = stamp(path);
    ConfigurationFile read = ConfigurationFile.read(path);
    taken.put(file, before);
    return read;
  }

  /** Forgets a file that has been deleted. */
  void drop(String file) {
    taken.remove(file);
  }

  /**
   * Looks at everything.
   *
   * @param wanted names of the secrets that files ask for
   */
  Changes look(Set<String> wanted) {
    Optional<Map<String, Stamp>> scanned = scan();
    Set<String> changedSecrets = lookAtSecrets(wanted);
    if (scanned.isEmpty()) {
      return new Changes(List.of(), List.of(), changedSecrets);
    }
    Map<String, Stamp> now = scanned.get();
    List<ConfigurationFile> changed = new ArrayList<>();
    now.forEach((file, stamp) -> {
      if (!stamp.equals(taken.get(file)) && stamp.equals(seen.get(file))) {
        ConfigurationFile read = ConfigurationFile.read(directory.resolve(file));
        if (stamp(directory.resolve(file)).equals(stamp)) {
          taken.put(file, stamp);
          changed.add(read);
        }
      }
    });
    List<String> gone = taken.keySet().stream().filter(file -> !now.containsKey(file) && !seen.containsKey(file)).toList();
    gone.forEach(taken::remove);
    seen = now;
    return new Changes(changed, gone, changedSecrets);
  }

  private Set<String> lookAtSecrets(Set<String> wanted) {
    Map<String, Stamp> now = new HashMap<>();
    secrets.ifPresent(place -> wanted.stream().filter(Interpolation::isSecretName).forEach(name -> now.put(name, stamp(place.resolve(name)))));
    Set<String> changed = new HashSet<>();
    now.forEach((name, stamp) -> {
      Stamp was = takenSecrets.putIfAbsent(name, stamp);
      if (was != null && !stamp.equals(was) && stamp.equals(seenSecrets.get(name))) {
        takenSecrets.put(name, stamp);
        changed.add(name);
      }
    });
    takenSecrets.keySet().retainAll(now.keySet());
    seenSecrets = now;
    return changed;
  }

  private Optional<Map<String, Stamp>> scan() {
    try (Stream<Path> entries = Files.list(directory)) {
      Map<String, Stamp> found = new TreeMap<>();
      for (Path path : entries.filter(ConfigurationFile::is).toList()) {
        Stamp stamp = stamp(path);
        if (!stamp.equals(Stamp.NONE)) {
          found.put(path.getFileName().toString(), stamp);
        }
      }
      unreadable = false;
      return Optional.of(found);
    } catch (IOException e) {
      if (!unreadable) {
        LOG.warn("The directory of configuration files {} {}; what is in force stays", directory, e instanceof NoSuchFileException ? "is not there" : "can't be read: " + e.getMessage());
      }
      unreadable = true;
      return Optional.empty();
    }
  }

  private Stamp stamp(Path path) {
    try {
      Map<String, Object> file = Files.readAttributes(path, "unix:ino,size,lastModifiedTime,ctime");
      return new Stamp(file.get("ino"), file.get("size"), file.get("lastModifiedTime"), file.get("ctime"), Files.getAttribute(path.toAbsolutePath().getParent(), "unix:mode"));
    } catch (IOException e) {
      return Stamp.NONE;
    } catch (UnsupportedOperationException e) {
      return new Stamp(0, path.toFile().length(), FileTime.fromMillis(path.toFile().lastModified()), 0, 0);
    }
  }
}
