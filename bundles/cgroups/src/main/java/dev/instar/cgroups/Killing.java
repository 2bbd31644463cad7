package dev.instar.cgroups;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;

/** Ends whatever is in some directories, and removes them. */
final class Killing {
  /** The file of version 2 by which the kernel kills all at once. */
  static final String WORD = "cgroup.kill";
  /** The file of version 1 by which all stop and go on. */
  static final String FREEZER = "freezer.state";
  private static final long NANOS = TimeUnit.SECONDS.toNanos(2);

  private Killing() {}

  /** Returns when nothing is inside any more, or after two seconds. False when something is. */
  static boolean kill(List<Path> directories) {
    return kill(directories, System.nanoTime() + NANOS);
  }

  private static boolean kill(List<Path> directories, long end) {
    while (true) {
      Set<Long> inside = members(directories);
      if (inside.isEmpty()) {
        return true;
      }
      strike(directories);
      // Those of a killed process's threads that are on their way out count until they are.
      Pause.brief();
      if (System.nanoTime() > end) {
        return members(directories).isEmpty();
      }
    }
  }

  private static Set<Long> members(List<Path> directories) {
    Set<Long> inside = new LinkedHashSet<>();
    directories.forEach(directory -> inside.addAll(Members.all(directory)));
    return inside;
  }

  /** One blow: the kernel's, where it has one, and a signal to each that is there, stopped meanwhile so that none forks away from it. */
  private static void strike(List<Path> directories) {
    for (Path directory : directories) {
      tell(directory.resolve(WORD), "1");
    }
    directories.forEach(directory -> tell(directory.resolve(FREEZER), "FROZEN"));
    try {
      members(directories).forEach(Members::kill);
    } finally {
      // The signal works when it goes on. What was frozen below goes on, too, or it would never end.
      directories.forEach(directory -> Members.tree(directory).reversed().forEach(each -> tell(each.resolve(FREEZER), "THAWED")));
    }
  }

  private static void tell(Path file, String word) {
    if (Files.exists(file)) {
      try {
        ControlFile.write(file, word);
      } catch (IOException e) {
        // It is being removed; else the next blow comes.
      }
    }
  }

  /** Kills and removes. Empty when all is gone; else why not, after two seconds. */
  static Optional<IOException> remove(List<Path> directories) {
    long end = System.nanoTime() + NANOS;
    while (true) {
      Optional<IOException> failure = Optional.empty();
      for (Path directory : directories) {
        Optional<IOException> one = Members.remove(directory);
        failure = failure.isPresent() ? failure : one;
      }
      if (failure.isEmpty() || System.nanoTime() > end) {
        return failure;
      }
      kill(directories, end);
      Pause.brief();
    }
  }
}
