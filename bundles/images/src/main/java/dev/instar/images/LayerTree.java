package dev.instar.images;

import dev.instar.api.data.DurableFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributeView;
import java.nio.file.attribute.FileTime;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;

/**
 * The file tree that the layers of an image make, in memory (OCI image specification 1.1, "Image Layer Filesystem Changeset"). Paths, links and
 * whiteouts are followed in here, with this tree's root as the top of everything, so nothing that a layer says ever meets the node's own file system:
 * that sees the finished tree only, made from the top down, whose directories are new and ours.
 */
final class LayerTree {
  private static final int LINK_HOPS = 40; // as the kernel, path_resolution(7)
  private static final int IDS = 65_536;
  /** Characters of all names and targets of links together: they are in the heap until the tree is made. */
  private static final long MOST_TEXT = 32 << 20;
  /** Segments of paths and of links on their way, of all entries together: a few links may stand for many. */
  private static final int MOST_STEPS = 20_000_000;
  private static final String WHITEOUT = ".wh.";
  private static final String OPAQUE = ".wh..wh..opq";

  private final ArchiveLimits limits;
  private final EntryPaths paths;
  private final Node root = new Node(TarReader.Type.DIRECTORY, 0, 0755, 0, 0, 0, "", Optional.empty());
  private int layer;
  private int entries;
  private long text;
  private int steps;

  LayerTree(ArchiveLimits limits) {
    this.limits = limits;
    paths = new EntryPaths(limits, true);
  }

  /** A file, directory or link; hard links are one node under several names. */
  private static final class Node {
    private final TarReader.Type type;
    private final String target;
    private final Optional<Path> content;
    private final Map<String, Node> children = new TreeMap<>();
    private int layer;
    private int mode;
    private int uid;
    private int gid;
    private long modified;
    private Optional<Path> place = Optional.empty();

    Node(TarReader.Type type, int layer, int mode, int uid, int gid, long modified, String target, Optional<Path> content) {
      this.type = type;
      this.layer = layer;
      this.mode = mode;
      this.uid = uid;
      this.gid = gid;
      this.modified = modified;
      this.target = target;
      this.content = content;
    }
  }

  /** From here on entries are of the next layer. */
  void nextLayer() {
    layer++;
  }

  /** Puts an entry of the layer into the tree. @param content where the bytes of a file have been put; they are moved from there at last */
  void put(TarReader.Entry entry, Optional<Path> content) {
    if (++entries > limits.entries()) {
      throw Refusal.entry(entry.name(), "is one too many: " + limits.entries() + " are allowed");
    }
    List<String> segments = paths.segments(entry.name(), entry.name());
    if (segments.isEmpty()) {
      if (entry.type() != TarReader.Type.DIRECTORY) {
        throw Refusal.entry(entry.name(), "has no name");
      }
      attributes(root, entry);
      return;
    }
    String name = segments.removeLast();
    text += name.length() + entry.target().length();
    if (text > MOST_TEXT) {
      throw Refusal.entry(entry.name(), "is one too many: the names and links of all have more than " + MOST_TEXT + " characters");
    }
    Deque<Node> way = directory(entry.name(), segments);
    Node parent = way.getLast();
    if (name.startsWith(WHITEOUT)) {
      whiteOut(entry.name(), parent, name);
      return;
    }
    Node before = parent.children.get(name);
    if (entry.type() == TarReader.Type.DIRECTORY && before != null && before.type == TarReader.Type.DIRECTORY) {
      attributes(before, entry);
      return;
    }
    // Behind links a short name may lead far down.
    if (entry.type() == TarReader.Type.DIRECTORY && way.size() > limits.depth()) {
      throw Refusal.entry(entry.name(), "is more than " + limits.depth() + " directories deep");
    }
    if (entry.type() == TarReader.Type.HARDLINK) {
      parent.children.put(name, linked(entry));
      return;
    }
    String target = entry.type() == TarReader.Type.SYMLINK ? target(entry) : "";
    Node node = new Node(entry.type(), layer, 0, 0, 0, 0, target, content);
    attributes(node, entry);
    parent.children.put(name, node);
  }

  private void attributes(Node node, TarReader.Entry entry) {
    if (entry.uid() < 0 || entry.uid() >= IDS || entry.gid() < 0 || entry.gid() >= IDS) {
      throw Refusal.entry(entry.name(), "belongs to the user " + entry.uid() + " and the group " + entry.gid() + "; ids from 0 to " + (IDS - 1)
          + " exist in a container");
    }
    node.layer = layer;
    // No set-user-id, no set-group-id: no program gains privileges in a container, and none must on the host. The sticky bit is of use in /tmp.
    node.mode = entry.mode() & 01777;
    node.uid = (int) entry.uid();
    node.gid = (int) entry.gid();
    node.modified = entry.modified();
  }

  private String target(TarReader.Entry entry) {
    paths.checkTarget(entry.name(), entry.target());
    return entry.target();
  }

  private Node linked(TarReader.Entry entry) {
    List<String> segments = paths.segments(entry.name(), entry.target());
    Node node = null;
    if (!segments.isEmpty()) {
      String name = segments.removeLast();
      node = walk(entry.name(), segments, false).map(way -> way.getLast().children.get(name)).orElse(null);
    }
    if (node == null || node.type == TarReader.Type.DIRECTORY) {
      throw Refusal.entry(entry.name(), "is a hard link to '" + Refusal.shown(entry.target()) + "', which is no file of the image before it");
    }
    node.layer = layer;
    return node;
  }

  private void whiteOut(String entry, Node parent, String name) {
    if (name.equals(OPAQUE)) {
      parent.children.values().removeIf(this::isGone);
      return;
    }
    String hidden = name.substring(WHITEOUT.length());
    if (hidden.isEmpty() || hidden.equals(".") || hidden.equals("..")) {
      throw Refusal.entry(entry, "is a whiteout of nothing");
    }
    // Others are notes of the storage driver that wrote the layer.
    if (!hidden.startsWith(WHITEOUT)) {
      Node child = parent.children.get(hidden);
      if (child != null && isGone(child)) {
        parent.children.remove(hidden);
      }
    }
  }

  /** A whiteout hides what is of the layers below; what its own layer has put there stays, wherever in the layer it stands. */
  private boolean isGone(Node node) {
    node.children.values().removeIf(this::isGone);
    return node.layer < layer && node.children.isEmpty();
  }

  /** The way to it, from the root on. */
  private Deque<Node> directory(String entry, List<String> segments) {
    return walk(entry, segments, true).orElseThrow();
  }

  /** Follows links as the kernel would if the root of the tree were the root of all. Empty when there is nothing and it is not to be made. */
  private Optional<Deque<Node>> walk(String entry, List<String> segments, boolean make) {
    Deque<Node> at = new ArrayDeque<>(List.of(root));
    Deque<String> ahead = new ArrayDeque<>(segments);
    int hops = 0;
    while (!ahead.isEmpty()) {
      String segment = ahead.removeFirst();
      if (++steps > MOST_STEPS) {
        throw Refusal.entry(entry, "is one too many: the ways to all are longer than " + MOST_STEPS + " names and links");
      }
      if (segment.isEmpty() || segment.equals(".")) {
        continue;
      }
      if (segment.equals("..")) {
        if (at.size() > 1) {
          at.removeLast();
        }
        continue;
      }
      Node here = at.getLast();
      Node next = here.children.get(segment);
      if (next == null) {
        if (!make) {
          return Optional.empty();
        }
        if (at.size() > limits.depth()) {
          throw Refusal.entry(entry, "is more than " + limits.depth() + " directories deep");
        }
        if (++entries > limits.entries()) {
          throw Refusal.entry(entry, "is one too many: " + limits.entries() + " are allowed");
        }
        next = new Node(TarReader.Type.DIRECTORY, layer, 0755, 0, 0, 0, "", Optional.empty());
        here.children.put(segment, next);
        text += segment.length();
      }
      switch (next.type) {
        case DIRECTORY -> at.addLast(next);
        case SYMLINK -> {
          if (++hops > LINK_HOPS) {
            throw Refusal.entry(entry, "lies behind more than " + LINK_HOPS + " links");
          }
          if (next.target.startsWith("/")) {
            at.clear();
            at.add(root);
          }
          List<String> more = Arrays.asList(next.target.split("/"));
          for (int i = more.size(); i-- > 0;) {
            ahead.addFirst(more.get(i));
          }
        }
        default -> throw Refusal.entry(entry, "stands below '" + Refusal.shown(segment) + "', which is a file");
      }
    }
    return Optional.of(at);
  }

  /**
   * Makes the tree. Files come by a rename from where their content was put, on the same file system.
   *
   * @param directory which must not exist
   * @param firstId what to add to the ids of owners; empty when everything stays with the node's own user
   */
  void make(Path directory, OptionalInt firstId) throws IOException {
    make(root, directory, firstId);
  }

  private void make(Node node, Path path, OptionalInt firstId) throws IOException {
    switch (node.type) {
      case DIRECTORY -> {
        Files.createDirectory(path);
        for (var child : node.children.entrySet()) {
          make(child.getValue(), path.resolve(child.getKey()), firstId);
        }
      }
      case SYMLINK -> Files.createSymbolicLink(path, Path.of(node.target));
      default -> {
        if (node.place.isPresent()) {
          Files.createLink(path, node.place.get());
          return;
        }
        DurableFiles.moveUnsynced(node.content.orElseThrow(), path);
        node.place = Optional.of(path);
      }
    }
    if (firstId.isPresent()) {
      Files.setAttribute(path, "unix:uid", firstId.getAsInt() + node.uid, LinkOption.NOFOLLOW_LINKS);
      Files.setAttribute(path, "unix:gid", firstId.getAsInt() + node.gid, LinkOption.NOFOLLOW_LINKS);
    }
    if (node.type != TarReader.Type.SYMLINK) {
      // A node that is not root must be able to read and delete what it has made.
      int own = firstId.isPresent() ? 0 : node.type == TarReader.Type.DIRECTORY ? 0700 : 0400;
      Files.setAttribute(path, "unix:mode", node.mode | own);
    }
    Files.getFileAttributeView(path, BasicFileAttributeView.class, LinkOption.NOFOLLOW_LINKS)
        .setTimes(FileTime.from(node.modified, TimeUnit.SECONDS), null, null);
  }
}
