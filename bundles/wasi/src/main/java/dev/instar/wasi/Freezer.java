package dev.instar.wasi;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Turns a view and a table of descriptors into a {@link WasiState}. Serves once. */
final class Freezer {
  private final long maxHeapBytes;
  private final Map<Inode, LowerTree.Node> frozen = new IdentityHashMap<>();
  private long heapBytes;
  private boolean again;

  Freezer(long maxHeapBytes) {
    this.maxHeapBytes = maxHeapBytes;
  }

  /** Carries a failure out of the walk. */
  private static final class Failed extends RuntimeException {
    private static final long serialVersionUID = 1;

    Failed() {
      super(null, null, false, false);
    }
  }

  /** Empty when there is more than allowed or something cannot be read. */
  Optional<WasiState> freeze(Optional<FileView> files, FdTable table) {
    try {
      again = files.map(FileView::isOfState).orElse(false);
      Optional<LowerTree> tree = files.map(view -> new LowerTree((LowerTree.Directory) freeze(view.root())));
      List<Optional<WasiState.Slot>> slots = new ArrayList<>();
      Map<LowerTree.Node, List<String>> paths = tree.map(t -> paths(t.root())).orElse(Map.of());
      for (Optional<Descriptor> descriptor : table.all()) {
        slots.add(descriptor.map(d -> slot(d, paths)));
      }
      long nextNumber = files.map(FileView::nextNumber).orElse(FileView.FIRST_NUMBER);
      return Optional.of(new WasiState(tree, nextNumber, Collections.unmodifiableList(slots), heapBytes));
    } catch (Failed e) {
      return Optional.empty();
    }
  }

  private LowerTree.Node freeze(Inode inode) {
    LowerTree.Node done = frozen.get(inode);
    if (done != null) {
      return done;
    }
    LowerTree.Node node = switch (inode) {
      case Symlink link -> new LowerTree.Link(link.attributes(), link.target);
      case Directory directory -> directory.freeze(this::freeze, again);
      case RegularFile file -> {
        if (file.frozenBytes() > maxHeapBytes - heapBytes) {
          throw new Failed();
        }
        heapBytes += file.frozenBytes();
        try {
          yield file.freeze();
        } catch (ErrnoException e) {
          throw new Failed();
        }
      }
    };
    frozen.put(inode, node);
    return node;
  }

  private WasiState.Slot slot(Descriptor descriptor, Map<LowerTree.Node, List<String>> paths) {
    return switch (descriptor) {
      case Descriptor.Stream s -> new WasiState.Slot.Stream(s.standard, s.base, s.inheriting, s.flags);
      case Descriptor.OpenFile f -> {
        LowerTree.Node node = freeze(f.file);
        yield new WasiState.Slot.File(node, Optional.ofNullable(paths.get(node)), f.offset, f.base, f.inheriting, f.flags);
      }
      case Descriptor.OpenDirectory d -> {
        LowerTree.Node node = freeze(d.directory);
        yield new WasiState.Slot.Directory(node, Optional.ofNullable(paths.get(node)), d.preopen, d.base, d.inheriting, d.flags);
      }
    };
  }

  /** One path to each node. */
  private static Map<LowerTree.Node, List<String>> paths(LowerTree.Directory root) {
    Map<LowerTree.Node, List<String>> paths = new IdentityHashMap<>();
    ArrayDeque<LowerTree.Directory> open = new ArrayDeque<>(List.of(root));
    paths.put(root, List.of());
    while (!open.isEmpty()) {
      LowerTree.Directory directory = open.pop();
      for (int i = 0; i < directory.names().length; i++) {
        List<String> path = new ArrayList<>(paths.get(directory));
        path.add(directory.names()[i]);
        paths.put(directory.nodes()[i], path);
        if (directory.nodes()[i] instanceof LowerTree.Directory child) {
          open.push(child);
        }
      }
    }
    return paths;
  }
}
