package dev.instar.tck.crash;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.IntConsumer;

/**
 * A directory whose changes are written down: {@link #root} is a path of a file system of its own, which does on the real one what it is asked to
 * and remembers it. Whoever is given that path, and keeps to {@code java.nio.file}, is recorded without knowing. One change is made at a time, so
 * that the record has the order in which they happened.
 *
 * <p>It can also be full from some change on, or tell of each change before it happens.
 */
public final class RecordedDisk {
  private static final String FULL = "No space left on device";

  /** A file or a directory, as its names have it now. */
  static final class Node {
    final int id;
    final boolean isDirectory;
    final Map<String, Node> children = new HashMap<>();

    Node(int id, boolean isDirectory) {
      this.id = id;
      this.isDirectory = isDirectory;
    }
  }

  private final Path real;
  private final Path root;
  private final Node top = new Node(0, true);
  private final List<Operation> operations = new ArrayList<>();
  private int nodes = 1;
  private int changes;
  private int spaceTaken;
  private int fullFrom = Integer.MAX_VALUE;
  private int fullUntil = Integer.MAX_VALUE;
  private IntConsumer before = n -> {};

  /** @param real for a history that says everything, an empty directory; what is in it is not recorded */
  public RecordedDisk(Path real) throws IOException {
    this.real = real.toRealPath();
    take(this.real, top);
    root = new RecordingFileSystem(this).wrap(this.real);
  }

  private void take(Path directory, Node node) throws IOException {
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(directory)) {
      for (Path entry : entries) {
        Node child = new Node(nodes++, Files.isDirectory(entry, LinkOption.NOFOLLOW_LINKS));
        node.children.put(entry.getFileName().toString(), child);
        if (child.isDirectory) {
          take(entry, child);
        }
      }
    }
  }

  /** The directory, for who shall be recorded. */
  public Path root() {
    return root;
  }

  /** Says that what was done since the last time has been acknowledged. */
  public synchronized void done() {
    operations.add(new Operation.Done());
  }

  /** All up to now. */
  public synchronized History history() {
    return new History(operations);
  }

  /** Calls {@code hook} before each change with its number, from 0 on; syncs and acknowledgements are counted as changes too. */
  public synchronized void beforeEach(IntConsumer hook) {
    before = hook;
  }

  /** How often something was done that takes space. */
  public synchronized int spaceTaken() {
    return spaceTaken;
  }

  /** Refuses all that takes space, from the {@code n}-th such change from now on (0 is the next), {@code times} times. */
  public synchronized void full(int n, int times) {
    fullFrom = spaceTaken + n;
    fullUntil = times == Integer.MAX_VALUE ? times : fullFrom + times;
  }

  /** There is space again. @return whether anything was refused */
  public synchronized boolean room() {
    boolean refused = spaceTaken > fullFrom;
    fullFrom = Integer.MAX_VALUE;
    fullUntil = Integer.MAX_VALUE;
    return refused;
  }

  /** Does something and writes it down. */
  interface Action<T> {
    T run() throws IOException;
  }

  synchronized <T> T change(Operation operation, Optional<Path> file, Action<T> action) throws IOException {
    before.accept(changes++);
    if (operation.takesSpace()) {
      int n = spaceTaken++;
      if (n >= fullFrom && n < fullUntil) {
        // In the words of the JDK, which takes them from strerror(3).
        throw file.isPresent() ? new FileSystemException(file.get().toString(), null, FULL) : new IOException(FULL);
      }
    }
    T result = action.run();
    operations.add(operation);
    return result;
  }

  synchronized Optional<Node> node(Path path) {
    Node at = top;
    Path relative = real.relativize(path.toAbsolutePath().normalize());
    for (Path name : relative) {
      if (name.toString().isEmpty()) {
        continue;
      }
      at = at.children.get(name.toString());
      if (at == null) {
        return Optional.empty();
      }
    }
    return Optional.of(at);
  }

  private Node parent(Path path) {
    return node(path.toAbsolutePath().getParent()).orElseThrow(() ->
        new IllegalStateException(path + " is outside of the recorded disk, or was made behind its back"));
  }

  synchronized Node create(Path path, boolean isDirectory, Optional<String> link, Action<?> action) throws IOException {
    Node parent = parent(path);
    String name = path.getFileName().toString();
    Node node = new Node(nodes, isDirectory);
    change(new Operation.Create(parent.id, name, node.id, isDirectory, link), Optional.of(path), action);
    nodes++;
    parent.children.put(name, node);
    return node;
  }

  synchronized void remove(Path path, Action<?> action) throws IOException {
    Node parent = parent(path);
    String name = path.getFileName().toString();
    change(new Operation.Remove(parent.id, name), Optional.of(path), action);
    parent.children.remove(name);
  }

  synchronized void rename(Path source, Path target, Action<?> action) throws IOException {
    Node from = parent(source);
    String oldName = source.getFileName().toString();
    Node node = from.children.get(oldName);
    if (node == null) {
      // Not there: let the real file system say so.
      action.run();
      throw new IllegalStateException(source + " was made behind the recorder's back");
    }
    Node to = parent(target);
    String newName = target.getFileName().toString();
    change(new Operation.Rename(from.id, oldName, to.id, newName, node.id), Optional.of(target), action);
    from.children.remove(oldName);
    to.children.put(newName, node);
  }
}
