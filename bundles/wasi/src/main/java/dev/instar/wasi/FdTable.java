package dev.instar.wasi;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** The descriptors of a guest by number. A new one gets the lowest free number, as in POSIX. */
final class FdTable {
  private final Descriptor[] slots;
  private int open;
  private boolean changed;

  FdTable(int max) {
    slots = new Descriptor[max];
  }

  Descriptor get(int fd) throws ErrnoException {
    if (fd < 0 || fd >= slots.length || slots[fd] == null) {
      throw Errno.BADF.failure();
    }
    return slots[fd];
  }

  /** For calls on regular files: directories are {@code isdir}, streams {@code spipe}. */
  Descriptor.OpenFile file(int fd) throws ErrnoException {
    return switch (get(fd)) {
      case Descriptor.OpenFile file -> file;
      case Descriptor.OpenDirectory _ -> throw Errno.ISDIR.failure();
      case Descriptor.Stream _ -> throw Errno.SPIPE.failure();
    };
  }

  Descriptor.OpenDirectory directory(int fd, long rights) throws ErrnoException {
    if (!(get(fd) instanceof Descriptor.OpenDirectory directory)) {
      throw Errno.NOTDIR.failure();
    }
    directory.require(rights);
    return directory;
  }

  /** Fails before a caller makes something that it could not enter. */
  void reserve() throws ErrnoException {
    if (open == slots.length) {
      throw Shortage.DESCRIPTORS.failure();
    }
  }

  int add(Descriptor descriptor) throws ErrnoException {
    reserve();
    int fd = 0;
    while (slots[fd] != null) {
      fd++;
    }
    slots[fd] = descriptor;
    open++;
    changed = true;
    return fd;
  }

  void close(int fd) throws ErrnoException {
    Descriptor descriptor = get(fd);
    slots[fd] = null;
    open--;
    changed = true;
    descriptor.close();
  }

  /** Moves a descriptor onto the number of another, which it closes. */
  void renumber(int from, int to) throws ErrnoException {
    Descriptor moved = get(from);
    Descriptor closed = get(to);
    if (from != to) {
      slots[to] = moved;
      slots[from] = null;
      open--;
      changed = true;
      closed.close();
    }
  }

  /** Enters a descriptor under a number of its own. */
  void put(int fd, Descriptor descriptor) {
    slots[fd] = descriptor;
    open++;
  }

  /** One after the other by number, up to the last one that is open. */
  List<Optional<Descriptor>> all() {
    int end = slots.length;
    while (end > 0 && slots[end - 1] == null) {
      end--;
    }
    return Arrays.stream(slots, 0, end).map(Optional::ofNullable).toList();
  }

  /** Closes all. */
  void clear() {
    for (int fd = 0; fd < slots.length; fd++) {
      Descriptor descriptor = slots[fd];
      slots[fd] = null;
      if (descriptor != null) {
        descriptor.close();
      }
    }
    open = 0;
  }

  /** Notes that flags or rights of a descriptor change. */
  void touch() {
    changed = true;
  }

  /** Takes the present state as the one that {@link #isPristine} compares with. */
  void settle() {
    changed = false;
  }

  boolean isPristine() {
    return !changed;
  }
}
