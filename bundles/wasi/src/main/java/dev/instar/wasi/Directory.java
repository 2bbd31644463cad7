package dev.instar.wasi;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Function;

/**
 * A directory of the view: the image's entries, overlaid with what was looked up, made and removed.
 *
 * <p>Every name has a position that never changes while it exists, and positions are never given twice: {@code .} and {@code ..} have 0 and 1, the
 * image's names follow in their order, new names come after. A reading with cookies therefore sees each name that stays exactly once, whatever is
 * made and removed meanwhile. A rename onto an existing name keeps the position of that name.
 */
final class Directory extends Inode {
  private static final long FIRST = 2;

  /** Turns an entry of the image into an inode of the view. */
  @FunctionalInterface
  interface Materializer {
    Inode materialize(LowerTree.Node node, Directory parent);
  }

  /** One line of a directory reading; {@code next} is the cookie to go on with. */
  record Listing(String name, long number, Filetype type, long next) {}

  private static final class Entry {
    final String name;
    final long position;
    /** Null when the image's entry of this name was removed. */
    Inode inode;

    Entry(String name, long position, Inode inode) {
      this.name = name;
      this.position = position;
      this.inode = inode;
    }
  }

  private final LowerTree.Directory lower;
  private final Materializer materializer;
  private final Map<String, Entry> touched = new HashMap<>();
  private final TreeMap<Long, Entry> added = new TreeMap<>();
  private long nextPosition;
  private int entries;
  /** Its own parent for the root. */
  Directory parent;

  /** With itself as parent when there is none. */
  Directory(LowerTree.Directory lower, Directory parent, Materializer materializer) {
    super(lower.attributes());
    this.lower = lower;
    this.parent = parent == null ? this : parent;
    this.materializer = materializer;
    this.entries = lower.names().length;
    this.nextPosition = FIRST + entries;
  }

  @Override
  Filetype type() {
    return Filetype.DIRECTORY;
  }

  /** As on most file systems, a multiple of a block that says little. */
  @Override
  long size() {
    return 4096;
  }

  boolean isEmpty() {
    return entries == 0;
  }

  Optional<Inode> get(String name) {
    Entry entry = touched.get(name);
    if (entry == null) {
      int index = lower.indexOf(name);
      if (index < 0) {
        return Optional.empty();
      }
      entry = new Entry(name, FIRST + index, materializer.materialize(lower.nodes()[index], this));
      touched.put(name, entry);
    }
    return Optional.ofNullable(entry.inode);
  }

  /** Adds a name, or gives one that {@link #get} has found another inode. Tells whether a name was added. */
  boolean put(String name, Inode inode) {
    if (inode instanceof Directory directory) {
      directory.parent = this;
    }
    Entry entry = touched.get(name);
    if (entry != null && entry.inode != null) {
      entry.inode = inode;
      return false;
    }
    entry = new Entry(name, nextPosition++, inode);
    touched.put(name, entry);
    added.put(entry.position, entry);
    entries++;
    return true;
  }

  /** Removes a name that {@link #get} has found. Tells whether it was an added one. */
  boolean remove(String name) {
    Entry entry = touched.remove(name);
    if (lower.indexOf(name) >= 0) {
      touched.put(name, new Entry(name, -1, null));
    }
    entries--;
    return added.remove(entry.position) != null;
  }

  /** Whether a name is not one of the image's. */
  boolean isAdded(String name) {
    Entry entry = touched.get(name);
    return entry != null && added.containsKey(entry.position);
  }

  /** The first entry at or after a cookie. */
  Optional<Listing> list(long cookie) {
    if (links == 0 || cookie < 0) {
      return Optional.empty();
    }
    if (cookie == 0) {
      return Optional.of(new Listing(".", number, type(), 1));
    }
    if (cookie == 1) {
      return Optional.of(new Listing("..", parent.number, type(), 2));
    }
    for (long index = cookie - FIRST; index < lower.names().length; index++) {
      String name = lower.names()[(int) index];
      Entry entry = touched.get(name);
      if (entry == null) {
        LowerTree.Node node = lower.nodes()[(int) index];
        return Optional.of(new Listing(name, node.attributes().number(), type(node), FIRST + index + 1));
      }
      if (entry.position == FIRST + index) {
        return Optional.of(listing(entry));
      }
    }
    return Optional.ofNullable(added.ceilingEntry(cookie)).map(e -> listing(e.getValue()));
  }

  /**
   * The present names and what they lead to; what was not touched leads where it did.
   *
   * @param all to take nothing for untouched: a file with several names may have been changed by another one
   */
  LowerTree.Directory freeze(Function<Inode, LowerTree.Node> freezer, boolean all) {
    if (all) {
      for (String name : lower.names()) {
        get(name);
      }
    }
    TreeMap<String, LowerTree.Node> nodes = new TreeMap<>();
    for (int i = 0; i < lower.names().length; i++) {
      if (!touched.containsKey(lower.names()[i])) {
        nodes.put(lower.names()[i], lower.nodes()[i]);
      }
    }
    for (Entry entry : touched.values()) {
      if (entry.inode != null) {
        nodes.put(entry.name, freezer.apply(entry.inode));
      }
    }
    return new LowerTree.Directory(attributes(), nodes.keySet().toArray(String[]::new), nodes.values().toArray(LowerTree.Node[]::new));
  }

  private static Listing listing(Entry entry) {
    return new Listing(entry.name, entry.inode.number, entry.inode.type(), entry.position + 1);
  }

  private static Filetype type(LowerTree.Node node) {
    return switch (node) {
      case LowerTree.File _ -> Filetype.REGULAR_FILE;
      case LowerTree.Link _ -> Filetype.SYMBOLIC_LINK;
      case LowerTree.Directory _ -> Filetype.DIRECTORY;
    };
  }
}
