package dev.instar.backend.wasm.wasi;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.LinkOption;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;

/**
 * One sandbox's private file system: a {@link FileImage} below, what the sandbox has changed above it, in memory. A reset is a new view.
 *
 * <p>Names are resolved here, component by component, in objects of this class; symbolic links are texts that are resolved the same way. The
 * host's file system is asked for nothing but the bytes of files that the image lists. So there is no path with which to leave the view, and
 * no race to win: one guest thread at a time walks it.
 *
 * <p>What a guest writes is charged to a quota, and so is each file, directory and link that it makes, so that neither large nor many
 * files use up the node.
 */
final class FileView {
  /** What one file, directory or link that a guest makes is charged, beside its contents: some small objects and a name. */
  static final int NODE_COST = 1024;
  private static final int MAX_NAME = 255;
  private static final int MAX_PATH = 4096;
  private static final int MAX_LINKS = 32;
  private static final int MAX_FILE = Integer.MAX_VALUE - 8;

  private final ByteBudget quota;
  private final Map<FileImage.Entry, Node> live = new IdentityHashMap<>();
  private final Set<FileChannel> channels = new HashSet<>();
  private final Directory root;
  private long nextInode = 1;
  private long charged;

  FileView(FileImage image, ByteBudget quota) {
    this.quota = quota;
    this.root = (Directory) node(image.root);
    root.parent = root;
  }

  /** Anything that has a name. */
  abstract sealed class Node {
    final long inode = nextInode++;
    int links = 1;
    long accessed;
    long modified;
    long changed;
    /** Bytes taken from the quota for it. */
    long cost;

    Node(long time) {
      accessed = modified = changed = time;
    }

    void touch() {
      modified = changed = now();
    }
  }

  /** A directory; its entries are made from the image's at first use. */
  final class Directory extends Node {
    private final FileImage.Folder base;
    private TreeMap<String, Node> entries;
    private List<Map.Entry<String, Node>> listing = List.of();
    private long listed = -1;
    private long changes;
    Directory parent;

    private Directory(FileImage.Folder base, long time) {
      super(time);
      this.base = base;
    }

    /**
     * The entries in an order that holds while a listing goes on, as entries come and go: it is taken anew only when one begins. One for all
     * descriptors of the directory, so that many descriptors do not take many times the room.
     */
    List<Map.Entry<String, Node>> listing(boolean begins) {
      if (begins && listed != changes) {
        listing = entries().entrySet().stream().map(e -> Map.entry(e.getKey(), e.getValue())).toList();
        listed = changes;
      }
      return listing;
    }

    @Override
    void touch() {
      changes++;
      super.touch();
    }

    TreeMap<String, Node> entries() {
      if (entries == null) {
        entries = new TreeMap<>();
        if (base != null) {
          base.entries.forEach((name, entry) -> {
            Node child = node(entry);
            if (child instanceof Directory directory) {
              directory.parent = this;
            }
            entries.put(name, child);
          });
        }
      }
      return entries;
    }
  }

  /** A regular file: its bytes are the image's until the first write. */
  final class RegularFile extends Node {
    private FileImage.Regular base;
    private byte[] data;
    private long size;
    private FileChannel channel;
    private int opens;

    private RegularFile(FileImage.Regular base, long time) {
      super(time);
      this.base = base;
      if (base == null) {
        data = new byte[0];
      } else {
        size = base.size;
        links = base.links;
      }
    }

    long size() {
      return size;
    }

    void open() {
      opens++;
    }

    void close() {
      if (--opens == 0) {
        closeChannel();
        if (links == 0) {
          free(this);
        }
      }
    }

    /** How many bytes were read; 0 at the end. */
    int read(long position, byte[] into, int offset, int length) {
      if (position >= size) {
        return 0;
      }
      int n = (int) Math.min(length, size - position);
      byte[] bytes = data != null ? data : base.data;
      if (bytes != null) {
        System.arraycopy(bytes, (int) position, into, offset, n);
        return n;
      }
      try {
        if (channel == null) {
          channel = FileChannel.open(base.path, StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS);
          channels.add(channel);
        }
        return Math.max(0, channel.read(ByteBuffer.wrap(into, offset, n), position));
      } catch (IOException e) {
        throw Errno.IO.failure();
      }
    }

    void write(long position, byte[] from, int offset, int length) {
      long end = position + length;
      if (end > MAX_FILE || end < 0) {
        throw Errno.FBIG.failure();
      }
      own();
      reserve((int) end);
      System.arraycopy(from, offset, data, (int) position, length);
      size = Math.max(size, end);
      touch();
    }

    void resize(long wanted) {
      if (wanted < 0 || wanted > MAX_FILE) {
        throw Errno.FBIG.failure();
      }
      if (wanted == 0 && data == null) {
        // No need to fetch what is thrown away.
        base = null;
        data = new byte[0];
        size = 0;
      }
      own();
      if (wanted < size) {
        Arrays.fill(data, (int) wanted, (int) size, (byte) 0);
      } else {
        reserve((int) wanted);
      }
      size = wanted;
      touch();
    }

    private void own() {
      if (data != null) {
        return;
      }
      if (size > MAX_FILE) {
        throw Errno.FBIG.failure();
      }
      charge(this, size);
      byte[] copy = new byte[(int) size];
      int at = 0;
      while (at < copy.length) {
        int n = read(at, copy, at, copy.length - at);
        if (n == 0) {
          throw Errno.IO.failure();
        }
        at += n;
      }
      data = copy;
      base = null;
      closeChannel();
    }

    private void reserve(int capacity) {
      if (capacity <= data.length) {
        return;
      }
      int roomy = (int) Math.min(MAX_FILE, Math.max(capacity, data.length + (data.length >> 1) + 64L));
      int taken = tryCharge(this, (long) roomy - data.length) ? roomy : capacity;
      if (taken == capacity) {
        charge(this, (long) capacity - data.length);
      }
      data = Arrays.copyOf(data, taken);
    }

    private void closeChannel() {
      if (channel != null) {
        channels.remove(channel);
        shut(channel);
        channel = null;
      }
    }
  }

  /** A symbolic link: a text. */
  final class SymbolicLink extends Node {
    final String target;

    private SymbolicLink(String target, long time) {
      super(time);
      this.target = target;
    }
  }

  /**
   * Where a path leads.
   *
   * @param parent the directory of the last component; null when the path is a directory itself ({@code .})
   * @param name the last component
   * @param node what is there; null when nothing is
   * @param directoryWanted whether the path ended with a slash
   */
  record Place(Directory parent, String name, Node node, boolean directoryWanted) {
    Node existing() {
      if (node == null) {
        throw Errno.NOENT.failure();
      }
      if (directoryWanted && !(node instanceof Directory)) {
        throw Errno.NOTDIR.failure();
      }
      return node;
    }
  }

  Directory root() {
    return root;
  }

  /** The node for an entry of the image; the same one each time. */
  private Node node(FileImage.Entry entry) {
    Node known = live.get(entry);
    if (known == null) {
      known = switch (entry) {
        case FileImage.Folder f -> new Directory(f, f.modified);
        case FileImage.Regular r -> new RegularFile(r, r.modified);
        case FileImage.Link l -> new SymbolicLink(l.target, l.modified);
      };
      live.put(entry, known);
    }
    return known;
  }

  /**
   * Resolves a path from a directory. A path may not be absolute and may not climb above {@code start}: PERM. A link with an absolute target
   * is resolved from the root of the view, where {@code start} is that root.
   *
   * @param follow whether a link in the last place is followed
   */
  Place resolve(Directory start, String path, boolean follow) {
    if (path.isEmpty()) {
      throw Errno.NOENT.failure();
    }
    if (path.length() > MAX_PATH) {
      throw Errno.NAMETOOLONG.failure();
    }
    if (path.indexOf('\0') >= 0) {
      throw Errno.INVAL.failure();
    }
    if (path.startsWith("/")) {
      throw Errno.PERM.failure();
    }
    boolean directoryWanted = path.endsWith("/");
    Deque<String> todo = new ArrayDeque<>();
    enqueue(todo, path);
    List<Directory> trail = new ArrayList<>();
    trail.add(start);
    int links = 0;
    while (!todo.isEmpty()) {
      String name = todo.pop();
      boolean last = todo.isEmpty();
      if (name.equals(".")) {
        continue;
      }
      if (name.equals("..")) {
        if (trail.size() == 1) {
          throw Errno.PERM.failure();
        }
        trail.removeLast();
        continue;
      }
      if (name.length() > MAX_NAME || name.getBytes(StandardCharsets.UTF_8).length > MAX_NAME) {
        throw Errno.NAMETOOLONG.failure();
      }
      Node node = trail.getLast().entries().get(name);
      if (node instanceof SymbolicLink link && (!last || follow || directoryWanted)) {
        if (++links > MAX_LINKS) {
          throw Errno.LOOP.failure();
        }
        if (link.target.startsWith("/")) {
          if (start != root) {
            throw Errno.PERM.failure();
          }
          trail.clear();
          trail.add(root);
        }
        directoryWanted |= last && link.target.endsWith("/");
        enqueue(todo, link.target);
      } else if (last) {
        return new Place(trail.getLast(), name, node, directoryWanted);
      } else if (node instanceof Directory directory) {
        trail.add(directory);
      } else {
        throw (node == null ? Errno.NOENT : Errno.NOTDIR).failure();
      }
    }
    return new Place(null, ".", trail.getLast(), true);
  }

  /** Puts the components of a path before those that are still to be walked. */
  private static void enqueue(Deque<String> todo, String path) {
    String[] names = path.split("/+");
    for (int i = names.length - 1; i >= 0; i--) {
      if (!names[i].isEmpty()) {
        todo.push(names[i]);
      }
    }
    if (todo.size() > MAX_PATH) {
      throw Errno.NAMETOOLONG.failure();
    }
  }

  RegularFile createFile(Place at) {
    RegularFile file = new RegularFile(null, now());
    add(at, file);
    return file;
  }

  void createDirectory(Place at) {
    if (at.node() != null) {
      throw Errno.EXIST.failure();
    }
    Directory directory = new Directory(null, now());
    add(at, directory);
    directory.parent = at.parent();
  }

  void createLink(Place at, String target) {
    if (at.node() != null) {
      throw Errno.EXIST.failure();
    }
    if (at.directoryWanted() || target.isEmpty()) {
      throw Errno.NOENT.failure();
    }
    if (target.length() > MAX_PATH) {
      throw Errno.NAMETOOLONG.failure();
    }
    if (target.indexOf('\0') >= 0) {
      throw Errno.INVAL.failure();
    }
    SymbolicLink link = new SymbolicLink(target, now());
    charge(link, 2L * target.length());
    try {
      add(at, link);
    } catch (Errno.Failure e) {
      free(link);
      throw e;
    }
  }

  private void add(Place at, Node node) {
    if (at.directoryWanted() && !(node instanceof Directory)) {
      throw Errno.NOENT.failure();
    }
    inUse(at.parent());
    charge(node, NODE_COST);
    at.parent().entries().put(at.name(), node);
    at.parent().touch();
  }

  /** A further name for a file. */
  void hardLink(Node node, Place at) {
    if (node instanceof Directory) {
      throw Errno.PERM.failure();
    }
    if (at.node() != null) {
      throw Errno.EXIST.failure();
    }
    if (at.directoryWanted()) {
      throw Errno.NOENT.failure();
    }
    inUse(at.parent());
    charge(node, NODE_COST);
    node.links++;
    node.changed = now();
    at.parent().entries().put(at.name(), node);
    at.parent().touch();
  }

  void unlink(Place at) {
    if (at.node() == null) {
      throw Errno.NOENT.failure();
    }
    if (at.node() instanceof Directory) {
      throw Errno.ISDIR.failure();
    }
    if (at.directoryWanted()) {
      throw Errno.NOTDIR.failure();
    }
    remove(at);
  }

  void removeDirectory(Place at) {
    if (at.node() == null) {
      throw Errno.NOENT.failure();
    }
    if (!(at.node() instanceof Directory directory)) {
      throw Errno.NOTDIR.failure();
    }
    if (at.parent() == null) {
      throw Errno.INVAL.failure();
    }
    if (!directory.entries().isEmpty()) {
      throw Errno.NOTEMPTY.failure();
    }
    remove(at);
  }

  void rename(Place from, Place to) {
    Node node = from.existing();
    if (from.parent() == null || to.parent() == null) {
      throw Errno.INVAL.failure();
    }
    inUse(to.parent());
    if (node == to.node()) {
      return;
    }
    if (node instanceof Directory moved) {
      for (Directory d = to.parent();; d = d.parent) {
        if (d == moved) {
          throw Errno.INVAL.failure();
        }
        if (d == root) {
          break;
        }
      }
      if (to.node() instanceof Directory target) {
        if (!target.entries().isEmpty()) {
          throw Errno.NOTEMPTY.failure();
        }
      } else if (to.node() != null) {
        throw Errno.NOTDIR.failure();
      }
    } else if (to.node() instanceof Directory) {
      throw Errno.ISDIR.failure();
    } else if (to.directoryWanted()) {
      throw Errno.NOTDIR.failure();
    }
    if (to.node() != null) {
      remove(to);
    }
    from.parent().entries().remove(from.name());
    to.parent().entries().put(to.name(), node);
    if (node instanceof Directory moved) {
      moved.parent = to.parent();
    }
    from.parent().touch();
    to.parent().touch();
  }

  private void remove(Place at) {
    Node node = at.parent().entries().remove(at.name());
    at.parent().touch();
    node.changed = now();
    if (--node.links == 0) {
      if (node instanceof Directory directory) {
        directory.parent = null;
        free(directory);
      } else if (!(node instanceof RegularFile file) || file.opens == 0) {
        free(node);
      }
    }
  }

  /** A directory that was removed while it was open takes no new entries. */
  private void inUse(Directory directory) {
    if (directory.parent == null) {
      throw Errno.NOENT.failure();
    }
  }

  private boolean tryCharge(Node node, long bytes) {
    if (!quota.take(bytes)) {
      return false;
    }
    charged += bytes;
    node.cost += bytes;
    return true;
  }

  private void charge(Node node, long bytes) {
    if (!tryCharge(node, bytes)) {
      throw Errno.NOSPC.failure();
    }
  }

  private void free(Node node) {
    quota.give(node.cost);
    charged -= node.cost;
    node.cost = 0;
  }

  /**
   * The present state as an image for other views. This view is of no use afterwards; what it was charged goes over to the image.
   *
   * @param frozen takes the image's entry for each node, so that open files can be found again
   */
  FileImage freeze(Map<Node, FileImage.Entry> frozen) {
    FileImage image = new FileImage((FileImage.Folder) freeze(root, frozen), charged);
    charged = 0;
    close();
    return image;
  }

  /** The image's entry for a node, for those also that have lost their name and are only open. */
  FileImage.Entry freeze(Node node, Map<Node, FileImage.Entry> frozen) {
    FileImage.Entry known = frozen.get(node);
    if (known != null) {
      return known;
    }
    FileImage.Entry entry = switch (node) {
      case SymbolicLink l -> new FileImage.Link(l.target, l.modified);
      case RegularFile f when f.data == null -> new FileImage.Regular(f.base.path, f.base.data, f.size, f.links, f.modified);
      case RegularFile f -> new FileImage.Regular(null, f.data, f.size, f.links, f.modified);
      case Directory d when d.entries == null && d.base != null -> d.base;
      case Directory d -> {
        Map<String, FileImage.Entry> entries = new TreeMap<>();
        d.entries().forEach((name, child) -> entries.put(name, freeze(child, frozen)));
        yield new FileImage.Folder(entries, d.modified);
      }
    };
    frozen.put(node, entry);
    return entry;
  }

  /** The node of this view for an entry of its image, for what was open when the image was made. */
  Node thaw(FileImage.Entry entry) {
    if (entry instanceof FileImage.Folder && !live.containsKey(entry)) {
      // A directory must know its parent, so walk until its parent has been listed. Few initialisers leave a directory open.
      Deque<Directory> todo = new ArrayDeque<>(List.of(root));
      while (!todo.isEmpty() && !live.containsKey(entry)) {
        for (Node child : todo.pop().entries().values()) {
          if (child instanceof Directory directory) {
            todo.push(directory);
          }
        }
      }
    }
    return node(entry);
  }

  /** Lets go of all that it holds. */
  void close() {
    channels.forEach(FileView::shut);
    channels.clear();
    quota.give(charged);
    charged = 0;
  }

  private static void shut(FileChannel channel) {
    try {
      channel.close();
    } catch (IOException e) {
      // A channel that was only read has nothing to lose.
    }
  }

  /** Nanoseconds since 1970. */
  static long now() {
    var t = Instant.now();
    return TimeUnit.SECONDS.toNanos(t.getEpochSecond()) + t.getNano();
  }
}
