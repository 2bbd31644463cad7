package dev.instar.wasi;

import java.nio.charset.StandardCharsets;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The files of one sandbox: a tree of inodes over the image's {@link LowerTree}, private and writable. Only this class interprets paths that a guest
 * has made; the host's file system sees none of them. It is asked for two things only: bytes of an image file, by the path that the scan of
 * the image found, and blocks of the {@link BlockStore}'s one file.
 *
 * <p>A path is resolved below the directory of a descriptor and cannot leave it: {@code ..} at that directory, an absolute path, or an absolute
 * link below any directory but the root is {@code perm}, which is what the official tests of WASI ask for. Below the root an absolute link starts again at the root, as it would in a
 * container.
 *
 * <p>Inodes are made when a guest first meets them and {@link #reset} drops all of them, so it costs what the call has touched.
 */
final class FileView {
  /** PATH_MAX and NAME_MAX of Linux, in bytes of UTF-8. */
  static final int PATH_MAX = 4096;
  private static final int NAME_MAX = 255;
  /** What a made inode is charged for: more than it takes with most names and targets. */
  private static final int INODE_COST = 1 << 10;
  /** How many symbolic links one resolution follows. */
  private static final int LINKS_MAX = 32;
  /** Numbers of the inodes that the guest makes start above those of any image. */
  static final long FIRST_NUMBER = 1L << 32;

  /** What to do with a symbolic link at the end of a path. */
  enum Last {
    /** The name itself is meant: unlink, rename, mkdir. */
    NAME,
    /** A link is meant itself, unless a slash comes after it. */
    NOFOLLOW,
    FOLLOW
  }

  /**
   * Where a path leads.
   *
   * @param parent the directory of the last name
   * @param name the last name, {@code .} or {@code ..}
   * @param inode empty when there is no such name
   * @param slash whether a slash came after the name
   */
  record Place(Directory parent, String name, Optional<Inode> inode, boolean slash) {
    /** Whether the path ends in {@code .} or {@code ..}: a directory without the name that it has in its parent. */
    boolean isDot() {
      return name.equals(".") || name.equals("..");
    }

    Inode existing() throws ErrnoException {
      Inode found = inode.orElseThrow(Errno.NOENT::failure);
      if (slash && !(found instanceof Directory)) {
        throw Errno.NOTDIR.failure();
      }
      return found;
    }
  }

  private static final LowerTree.Source EMPTY = new LowerTree.Blocks(Map.of(), Optional.empty(), 0);

  private final LowerTree lower;
  private final FileQuota quota;
  private final Clocks clocks;
  private final ByteBudget budget;
  private final BlockStore store;
  private final long firstNumber;
  /** Files of a snapshot that have several names: one inode for all. */
  private final Map<LowerTree.Node, Inode> shared = new IdentityHashMap<>();
  private Directory root;
  /** Names that exist beside the image's. */
  private int made;
  private long nextNumber;
  private boolean pristine;
  /** The earliest time that was given to a change. */
  private long firstStamp;

  /** @param firstNumber for the inodes that the guest makes */
  FileView(LowerTree lower, long firstNumber, WasiSettings settings) {
    this.lower = lower;
    this.firstNumber = firstNumber;
    this.quota = settings.quota();
    this.clocks = settings.clocks();
    this.budget = settings.budget();
    this.store = new BlockStore(settings.scratch(), quota, budget);
    reset();
  }

  /** Back to the image. Descriptors must have been closed. */
  void reset() {
    store.reset();
    budget.give((long) made * INODE_COST);
    made = 0;
    shared.clear();
    nextNumber = firstNumber;
    pristine = true;
    firstStamp = Long.MAX_VALUE;
    root = new Directory(lower.root(), null, this::materialize);
  }

  /** Whether nothing was changed since the last reset. */
  boolean isPristine() {
    return pristine;
  }

  /** The time for a change that is about to be made. Every change asks for it. */
  long stamp() {
    pristine = false;
    long now = clocks.realtime();
    firstStamp = Math.min(firstStamp, now);
    return now;
  }

  /** Whether the times of an inode may tell when it was changed since the last reset. */
  boolean tellsTheTime(Inode inode) {
    return Math.max(inode.accessed, Math.max(inode.modified, inode.changed)) >= firstStamp;
  }

  Directory root() {
    return root;
  }

  Place resolve(Directory start, String path, Last last) throws ErrnoException {
    if (path.isEmpty()) {
      throw Errno.NOENT.failure();
    }
    if (path.charAt(0) == '/') {
      throw Errno.PERM.failure();
    }
    if (start.links == 0) {
      throw Errno.NOENT.failure();
    }
    Directory at = start;
    String rest = path;
    int position = 0;
    int followed = 0;
    while (true) {
      int end = rest.indexOf('/', position);
      boolean slash = end >= 0;
      String name = rest.substring(position, slash ? end : rest.length());
      position = end;
      while (slash && position < rest.length() && rest.charAt(position) == '/') {
        position++;
      }
      boolean isLast = !slash || position == rest.length();
      if (name.equals(".") || name.equals("..")) {
        if (name.length() == 2) {
          if (at == start) {
            throw Errno.PERM.failure();
          }
          at = at.parent;
        }
        if (isLast) {
          return new Place(at, name, Optional.of(at), slash);
        }
        continue;
      }
      if (bytes(name) > NAME_MAX) {
        throw Errno.NAMETOOLONG.failure();
      }
      Optional<Inode> found = at.get(name);
      boolean follow = !isLast || last == Last.FOLLOW || last == Last.NOFOLLOW && slash;
      if (found.isPresent() && follow && found.get() instanceof Symlink link) {
        if (++followed > LINKS_MAX) {
          throw Errno.LOOP.failure();
        }
        String target = link.target;
        int first = 0;
        if (target.startsWith("/")) {
          if (start != root) {
            throw Errno.PERM.failure();
          }
          at = root;
          while (first < target.length() && target.charAt(first) == '/') {
            first++;
          }
        }
        rest = isLast ? target.substring(first) + (slash ? "/" : "") : target.substring(first) + "/" + rest.substring(position);
        position = 0;
        if (first > 0 && rest.replace("/", "").isEmpty()) {
          return new Place(root, ".", Optional.of(root), slash);
        }
        while (position < rest.length() && rest.charAt(position) == '/') {
          position++;
        }
        continue;
      }
      if (isLast) {
        return new Place(at, name, found, slash);
      }
      Inode inode = found.orElseThrow(Errno.NOENT::failure);
      if (!(inode instanceof Directory next)) {
        throw Errno.NOTDIR.failure();
      }
      at = next;
    }
  }

  /** An empty file at a place where nothing is. */
  RegularFile createFile(Place place) throws ErrnoException {
    if (place.slash()) {
      throw Errno.ISDIR.failure();
    }
    RegularFile file = new RegularFile(new LowerTree.File(Inode.made(number(), stamp()), 0, EMPTY), store);
    enter(place, file);
    return file;
  }

  void createDirectory(Directory start, String path) throws ErrnoException {
    Place place = vacant(resolve(start, path, Last.NAME));
    LowerTree.Directory empty = new LowerTree.Directory(Inode.made(number(), stamp()), new String[0], new LowerTree.Node[0]);
    enter(place, new Directory(empty, place.parent(), this::materialize));
  }

  void symlink(String target, Directory start, String path) throws ErrnoException {
    if (target.isEmpty()) {
      throw Errno.NOENT.failure();
    }
    Place place = vacantName(resolve(start, path, Last.NAME));
    enter(place, new Symlink(new LowerTree.Link(Inode.made(number(), stamp()), target)));
  }

  void link(Directory from, String oldPath, boolean follow, Directory to, String newPath) throws ErrnoException {
    Inode inode = resolve(from, oldPath, follow ? Last.FOLLOW : Last.NOFOLLOW).existing();
    Place place = vacantName(resolve(to, newPath, Last.NAME));
    if (inode instanceof Directory) {
      throw Errno.PERM.failure();
    }
    number();
    inode.links++;
    inode.changed = stamp();
    enter(place, inode);
  }

  void unlink(Directory start, String path) throws ErrnoException {
    Place place = resolve(start, path, Last.NAME);
    if (place.isDot()) {
      throw Errno.ISDIR.failure();
    }
    Inode inode = place.inode().orElseThrow(Errno.NOENT::failure);
    if (inode instanceof Directory) {
      throw Errno.ISDIR.failure();
    }
    if (place.slash()) {
      throw Errno.NOTDIR.failure();
    }
    remove(place, stamp());
    dropped(inode);
  }

  void removeDirectory(Directory start, String path) throws ErrnoException {
    Place place = resolve(start, path, Last.NAME);
    if (place.isDot()) {
      throw (place.name().equals(".") ? Errno.INVAL : Errno.NOTEMPTY).failure();
    }
    if (!(place.inode().orElseThrow(Errno.NOENT::failure) instanceof Directory directory)) {
      throw Errno.NOTDIR.failure();
    }
    if (!directory.isEmpty()) {
      throw Errno.NOTEMPTY.failure();
    }
    remove(place, stamp());
    dropped(directory);
  }

  void rename(Directory from, String oldPath, Directory to, String newPath) throws ErrnoException {
    Place old = resolve(from, oldPath, Last.NAME);
    Place target = resolve(to, newPath, Last.NAME);
    if (old.isDot() || target.isDot()) {
      throw Errno.BUSY.failure();
    }
    Inode inode = old.inode().orElseThrow(Errno.NOENT::failure);
    if (!(inode instanceof Directory) && (old.slash() || target.slash())) {
      throw Errno.NOTDIR.failure();
    }
    if (inode instanceof Directory directory && isWithin(target.parent(), directory)) {
      throw Errno.INVAL.failure();
    }
    if (target.inode().isPresent()) {
      Inode replaced = target.inode().get();
      if (replaced instanceof Directory directory && isWithin(old.parent(), directory)) {
        throw Errno.NOTEMPTY.failure();
      }
      if (replaced == inode) {
        return;
      }
      if (inode instanceof Directory) {
        if (!(replaced instanceof Directory directory)) {
          throw Errno.NOTDIR.failure();
        }
        if (!directory.isEmpty()) {
          throw Errno.NOTEMPTY.failure();
        }
      } else if (replaced instanceof Directory) {
        throw Errno.ISDIR.failure();
      }
    } else if (made >= quota.inodes() && !old.parent().isAdded(old.name()) || !budget.take(INODE_COST)) {
      throw Shortage.INODES.failure();
    }
    long now = stamp();
    inode.changed = now;
    remove(old, now);
    enter(target, inode);
    target.inode().ifPresent(this::dropped);
  }

  /** Whether a directory is another one or lies below it. */
  private boolean isWithin(Directory directory, Directory other) {
    for (Directory at = directory; at != root; at = at.parent) {
      if (at == other) {
        return true;
      }
    }
    return other == root;
  }

  private Inode materialize(LowerTree.Node node, Directory parent) {
    return node.attributes().links() == 1 ? inode(node, parent) : shared.computeIfAbsent(node, n -> inode(n, parent));
  }

  private Inode inode(LowerTree.Node node, Directory parent) {
    return switch (node) {
      case LowerTree.File file -> new RegularFile(file, store);
      case LowerTree.Link link -> new Symlink(link);
      case LowerTree.Directory directory -> new Directory(directory, parent, this::materialize);
    };
  }

  /** The inode of a snapshot that a descriptor leads to: below the root, or without a name. */
  Inode restored(LowerTree.Node node, Optional<List<String>> path) {
    if (path.isEmpty()) {
      return materialize(node, root);
    }
    Inode at = root;
    for (String name : path.get()) {
      at = ((Directory) at).get(name).orElseThrow();
    }
    return at;
  }

  /** Whether it started from a frozen view and not from a scan, where each file has one name. */
  boolean isOfState() {
    return firstNumber != FIRST_NUMBER;
  }

  long nextNumber() {
    return nextNumber;
  }

  private static Place vacant(Place place) throws ErrnoException {
    if (place.inode().isPresent()) {
      throw Errno.EXIST.failure();
    }
    return place;
  }

  /** For what is no directory: a name with a slash after it must not be made. */
  private static Place vacantName(Place place) throws ErrnoException {
    if (place.slash() && place.inode().isPresent() && !(place.inode().get() instanceof Directory)) {
      throw Errno.NOTDIR.failure();
    }
    vacant(place);
    if (place.slash()) {
      throw Errno.NOENT.failure();
    }
    return place;
  }

  /** The number for a new inode, when another name may be made; charges for it. */
  private long number() throws ErrnoException {
    if (made >= quota.inodes() || !budget.take(INODE_COST)) {
      throw Shortage.INODES.failure();
    }
    return nextNumber++;
  }

  private void enter(Place place, Inode inode) {
    if (place.parent().put(place.name(), inode)) {
      made++;
    }
    place.parent().modifiedAt(inode.changed);
  }

  private void remove(Place place, long now) {
    if (place.parent().remove(place.name())) {
      made--;
      budget.give(INODE_COST);
    }
    place.parent().modifiedAt(now);
  }

  /** A name of an inode has gone. */
  private void dropped(Inode inode) {
    inode.links--;
    inode.changed = stamp();
    if (inode instanceof RegularFile file) {
      file.release();
    }
  }

  private static int bytes(String name) {
    return name.length() > NAME_MAX ? name.length() : name.getBytes(StandardCharsets.UTF_8).length;
  }
}
