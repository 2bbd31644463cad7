package dev.instar.backend.process;

import dev.instar.api.data.DurableFiles;
import java.io.IOException;
import java.nio.file.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Removes directories that a function has written to. */
final class Directories {
  private static final Logger LOG = LoggerFactory.getLogger(Directories.class);

  private Directories() {}

  /** Removes a tree and follows no link. What cannot be removed goes when the node starts next, which empties its scratch directories. */
  static void delete(Path tree) {
    try {
      DurableFiles.deleteTree(tree);
    } catch (IOException e) {
      LOG.warn("Part of {} could not be removed; it goes when the node starts next: {}", tree, e.toString());
    }
  }
}
