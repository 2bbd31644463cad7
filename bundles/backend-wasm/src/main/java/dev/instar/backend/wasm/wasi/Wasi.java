package dev.instar.backend.wasm.wasi;

import com.dylibso.chicory.runtime.ChicoryInterruptedException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * WASI preview 1 for one instance: its arguments, environment, streams, descriptors and files. The calls themselves are listed by
 * {@link WasiCalls}; semantics are those of the witx files of the WASI repository, snapshot preview 1.
 *
 * <p>Pointers and lengths come from a hostile guest: every range is checked by the memory (a trap) before anything is allocated, and no call
 * allocates more than {@value #BUFFER} bytes for a length that the guest names.
 *
 * <p>Used by one thread at a time.
 */
public final class Wasi {
  static final int BUFFER = 64 << 10;
  static final long RIGHT_READ = 1 << 1;
  static final long RIGHT_WRITE = 1 << 6;
  /** Every right that the specification knows: bits 0 to 29. */
  static final long RIGHTS_ALL = (1L << 30) - 1;
  /** Those that make no sense for a file: the path calls and readdir. */
  private static final long RIGHTS_DIRECTORY = 0xfffL << 9 | 7L << 24;
  private static final long RIGHTS_FILE = RIGHTS_ALL & ~RIGHTS_DIRECTORY & ~(1L << 28 | 1L << 29);
  private static final int MAX_DESCRIPTORS = 1024;
  /** IOV_MAX of Linux. */
  private static final int MAX_VECTORS = 1024;
  private static final int MAX_SUBSCRIPTIONS = 4096;
  private static final int FLAG_APPEND = 1;
  private static final SecureRandom RANDOM = new SecureRandom();
  /** The monotonic clock starts with the node, so that it says nothing of the machine. */
  private static final long EPOCH = System.nanoTime();

  private final List<byte[]> arguments;
  private final List<byte[]> environment;
  private final Optional<FileView> files;
  private final List<Descriptor> descriptors = new ArrayList<>();
  private final long started = System.nanoTime();
  private Streams streams = Streams.NONE;
  private byte[] buffer;

  /**
   * @param image the files and descriptors to start with
   * @param arguments {@code argv}, made by {@link #texts}
   * @param environment {@code NAME=value}, made by {@link #texts}
   * @param budget what the files that the guest writes are charged to
   * @param fileBytes what these files may use at most
   */
  public Wasi(WasiImage image, List<byte[]> arguments, List<byte[]> environment, ByteBudget budget, long fileBytes) {
    this.arguments = arguments;
    this.environment = environment;
    this.files = image.files().map(f -> new FileView(f, new Quota(budget, fileBytes)));
    for (Optional<WasiImage.Slot> slot : image.descriptors()) {
      descriptors.add(slot.map(this::restored).orElse(null));
    }
  }

  /** Texts as a guest gets them, each with a NUL at its end. Made once for all instances. */
  public static List<byte[]> texts(List<String> texts) {
    return texts.stream().map(text -> (text + '\0').getBytes(StandardCharsets.UTF_8)).toList();
  }

  private Descriptor restored(WasiImage.Slot slot) {
    return switch (slot) {
      case WasiImage.Slot.Input i -> new Descriptor.Input();
      case WasiImage.Slot.Output o -> new Descriptor.Output(o.log());
      case WasiImage.Slot.Directory d ->
          new Descriptor.OpenDirectory((FileView.Directory) files.orElseThrow().thaw(d.folder()), d.preopened());
      case WasiImage.Slot.File f -> {
        var file = new Descriptor.OpenFile((FileView.RegularFile) files.orElseThrow().thaw(f.file()), f.rights(), f.flags());
        file.position = f.position();
        yield file;
      }
    };
  }

  /** The limit of one sandbox within the budget of the node. */
  private static final class Quota implements ByteBudget {
    private final ByteBudget node;
    private long left;

    Quota(ByteBudget node, long limit) {
      this.node = node;
      this.left = limit;
    }

    @Override
    public boolean take(long bytes) {
      if (bytes > left || !node.take(bytes)) {
        return false;
      }
      left -= bytes;
      return true;
    }

    @Override
    public void give(long bytes) {
      left += bytes;
      node.give(bytes);
    }
  }

  /** Sets what stands behind the descriptors 0, 1 and 2 from now on. */
  public void connect(Streams to) {
    streams = to;
  }

  /** The present files and descriptors, for other instances to start with. This object is of no use afterwards. */
  public WasiImage freeze() {
    Map<FileView.Node, FileImage.Entry> frozen = new IdentityHashMap<>();
    List<Optional<WasiImage.Slot>> slots = new ArrayList<>();
    for (Descriptor d : descriptors) {
      slots.add(switch (d) {
        case null -> Optional.empty();
        case Descriptor.Input i -> Optional.of(new WasiImage.Slot.Input());
        case Descriptor.Output o -> Optional.of(new WasiImage.Slot.Output(o.log));
        case Descriptor.OpenDirectory o ->
            Optional.of(new WasiImage.Slot.Directory((FileImage.Folder) files.orElseThrow().freeze(o.directory, frozen), o.preopened));
        case Descriptor.OpenFile o ->
            Optional.of(new WasiImage.Slot.File((FileImage.Regular) files.orElseThrow().freeze(o.file, frozen), o.rights, o.flags, o.position));
      });
    }
    return new WasiImage(files.map(f -> f.freeze(frozen)), Collections.unmodifiableList(slots));
  }

  /** Closes everything. */
  public void close() {
    files.ifPresent(FileView::close);
    descriptors.clear();
  }

  // ---- arguments, environment, clocks, random ----

  int argsSizes(GuestMemory memory, int count, int bytes) {
    return sizes(memory, arguments, count, bytes);
  }

  int args(GuestMemory memory, int pointers, int bytes) {
    return strings(memory, arguments, pointers, bytes);
  }

  int environSizes(GuestMemory memory, int count, int bytes) {
    return sizes(memory, environment, count, bytes);
  }

  int environ(GuestMemory memory, int pointers, int bytes) {
    return strings(memory, environment, pointers, bytes);
  }

  private static int sizes(GuestMemory memory, List<byte[]> texts, int count, int bytes) {
    memory.writeI32(count, texts.size());
    memory.writeI32(bytes, texts.stream().mapToInt(t -> t.length).sum());
    return 0;
  }

  private static int strings(GuestMemory memory, List<byte[]> texts, int pointers, int bytes) {
    int pointer = pointers;
    int at = bytes;
    for (byte[] text : texts) {
      memory.writeI32(pointer, at);
      memory.write(at, text, 0, text.length);
      pointer += 4;
      at += text.length;
    }
    return 0;
  }

  int clockResolution(GuestMemory memory, int clock, int result) {
    time(clock);
    memory.writeLong(result, 1);
    return 0;
  }

  int clockTime(GuestMemory memory, int clock, int result) {
    memory.writeLong(result, time(clock));
    return 0;
  }

  private long time(int clock) {
    return switch (clock) {
      case 0 -> FileView.now();
      case 1 -> System.nanoTime() - EPOCH;
      // The CPU time of a call is its time here: an instance has a thread to itself while it runs.
      case 2, 3 -> System.nanoTime() - started;
      default -> throw Errno.INVAL.failure();
    };
  }

  int random(GuestMemory memory, int pointer, int length) {
    memory.check(pointer, length);
    int at = 0;
    while (at < length) {
      checkInterrupt();
      byte[] bytes = new byte[Math.min(length - at, 4096)];
      RANDOM.nextBytes(bytes);
      memory.write(pointer + at, bytes, 0, bytes.length);
      at += bytes.length;
    }
    return 0;
  }

  int exit(int code) {
    throw new GuestExit(code);
  }

  /** A signal to itself ends a guest with the status that a shell gives for one. */
  int raise(int signal) {
    throw new GuestExit(128 + (signal & 127));
  }

  // ---- descriptors ----

  private Descriptor descriptor(int fd) {
    Descriptor d = fd >= 0 && fd < descriptors.size() ? descriptors.get(fd) : null;
    if (d == null) {
      throw Errno.BADF.failure();
    }
    return d;
  }

  /** For calls that only make sense for a file. */
  private Descriptor.OpenFile file(int fd) {
    return switch (descriptor(fd)) {
      case Descriptor.OpenFile f -> f;
      case Descriptor.OpenDirectory d -> throw Errno.ISDIR.failure();
      case Descriptor.Input i -> throw Errno.SPIPE.failure();
      case Descriptor.Output o -> throw Errno.SPIPE.failure();
    };
  }

  private Descriptor.OpenDirectory directory(int fd) {
    if (descriptor(fd) instanceof Descriptor.OpenDirectory d) {
      return d;
    }
    throw Errno.NOTDIR.failure();
  }

  private int allocate(Descriptor d) {
    int free = descriptors.indexOf(null);
    if (free >= 0) {
      descriptors.set(free, d);
      return free;
    }
    descriptors.add(d);
    return descriptors.size() - 1;
  }

  int close(int fd) {
    release(descriptor(fd));
    descriptors.set(fd, null);
    return 0;
  }

  private static void release(Descriptor d) {
    if (d instanceof Descriptor.OpenFile f) {
      f.file.close();
    }
  }

  int renumber(int from, int to) {
    Descriptor moved = descriptor(from);
    Descriptor replaced = descriptor(to);
    if (from != to) {
      release(replaced);
      descriptors.set(to, moved);
      descriptors.set(from, null);
    }
    return 0;
  }

  int advise(int fd, long offset, long length) {
    file(fd);
    return offset < 0 || length < 0 ? Errno.INVAL.number() : 0;
  }

  int allocateSpace(int fd, long offset, long length) {
    Descriptor.OpenFile f = writable(fd);
    long end = offset + length;
    if (offset < 0 || length <= 0 || end < 0) {
      throw Errno.INVAL.failure();
    }
    if (end > f.file.size()) {
      f.file.resize(end);
    }
    return 0;
  }

  private Descriptor.OpenFile writable(int fd) {
    Descriptor.OpenFile f = file(fd);
    if ((f.rights & RIGHT_WRITE) == 0) {
      throw Errno.BADF.failure();
    }
    return f;
  }

  private Descriptor.OpenFile readable(int fd) {
    Descriptor.OpenFile f = file(fd);
    if ((f.rights & RIGHT_READ) == 0) {
      throw Errno.BADF.failure();
    }
    return f;
  }

  int sync(int fd) {
    file(fd);
    return 0;
  }

  int descriptorStatus(GuestMemory memory, int fd, int result) {
    Descriptor d = descriptor(fd);
    long base;
    long inheriting = 0;
    int flags = 0;
    switch (d) {
      case Descriptor.Input i -> base = RIGHT_READ | 1L << 27;
      case Descriptor.Output o -> base = RIGHT_WRITE | 1L << 27;
      case Descriptor.OpenDirectory o -> {
        base = RIGHTS_DIRECTORY | 1L << 21 | 1L << 27;
        inheriting = base | RIGHTS_FILE;
      }
      case Descriptor.OpenFile f -> {
        base = f.rights;
        flags = f.flags;
      }
    }
    memory.write(result, new byte[24], 0, 24);
    memory.writeByte(result, type(d));
    memory.writeShort(result + 2, (short) flags);
    memory.writeLong(result + 8, base);
    memory.writeLong(result + 16, inheriting);
    return 0;
  }

  private static byte type(Descriptor d) {
    return switch (d) {
      case Descriptor.OpenDirectory o -> 3;
      case Descriptor.OpenFile f -> 4;
      // A pipe has no number of its own; "unknown" also keeps a C library from taking it for a terminal.
      case Descriptor.Input i -> 0;
      case Descriptor.Output o -> 0;
    };
  }

  int setFlags(int fd, int flags) {
    Descriptor d = descriptor(fd);
    if ((flags & ~31) != 0) {
      throw Errno.INVAL.failure();
    }
    if (d instanceof Descriptor.OpenFile f) {
      f.flags = flags;
    }
    return 0;
  }

  int setRights(int fd, long base) {
    if (descriptor(fd) instanceof Descriptor.OpenFile f) {
      if ((base & ~f.rights) != 0) {
        throw Errno.PERM.failure();
      }
      f.rights = base;
    }
    return 0;
  }

  int fileStatus(GuestMemory memory, int fd, int result) {
    Descriptor d = descriptor(fd);
    switch (d) {
      case Descriptor.OpenFile f -> status(memory, f.file, result);
      case Descriptor.OpenDirectory o -> status(memory, o.directory, result);
      default -> {
        memory.write(result, new byte[64], 0, 64);
        memory.writeByte(result + 16, type(d));
        memory.writeLong(result + 24, 1);
      }
    }
    return 0;
  }

  private static void status(GuestMemory memory, FileView.Node node, int result) {
    memory.write(result, new byte[64], 0, 64);
    memory.writeLong(result, 1);
    memory.writeLong(result + 8, node.inode);
    memory.writeByte(result + 16, type(node));
    memory.writeLong(result + 24, node.links);
    memory.writeLong(result + 32, node instanceof FileView.RegularFile f ? f.size() : node instanceof FileView.SymbolicLink l
        ? l.target.getBytes(StandardCharsets.UTF_8).length : 0);
    memory.writeLong(result + 40, node.accessed);
    memory.writeLong(result + 48, node.modified);
    memory.writeLong(result + 56, node.changed);
  }

  private static byte type(FileView.Node node) {
    return switch (node) {
      case FileView.Directory d -> 3;
      case FileView.RegularFile f -> 4;
      case FileView.SymbolicLink l -> 7;
    };
  }

  int setSize(int fd, long size) {
    Descriptor.OpenFile f = writable(fd);
    if (size < 0) {
      throw Errno.INVAL.failure();
    }
    f.file.resize(size);
    return 0;
  }

  int setTimes(int fd, long accessed, long modified, int flags) {
    switch (descriptor(fd)) {
      case Descriptor.OpenFile f -> setTimes(f.file, accessed, modified, flags);
      case Descriptor.OpenDirectory d -> setTimes(d.directory, accessed, modified, flags);
      default -> throw Errno.INVAL.failure();
    }
    return 0;
  }

  private static void setTimes(FileView.Node node, long accessed, long modified, int flags) {
    if ((flags & 3) == 3 || (flags & 12) == 12 || (flags & ~15) != 0) {
      throw Errno.INVAL.failure();
    }
    long now = FileView.now();
    if ((flags & 3) != 0) {
      node.accessed = (flags & 1) != 0 ? accessed : now;
    }
    if ((flags & 12) != 0) {
      node.modified = (flags & 4) != 0 ? modified : now;
    }
    node.changed = now;
  }

  int seek(GuestMemory memory, int fd, long offset, int whence, int result) {
    Descriptor.OpenFile f = file(fd);
    long from = switch (whence) {
      case 0 -> 0;
      case 1 -> f.position;
      case 2 -> f.file.size();
      default -> throw Errno.INVAL.failure();
    };
    long position = from + offset;
    if (position < 0) {
      throw Errno.INVAL.failure();
    }
    f.position = position;
    memory.writeLong(result, position);
    return 0;
  }

  int tell(GuestMemory memory, int fd, int result) {
    memory.writeLong(result, file(fd).position);
    return 0;
  }

  // ---- reading and writing ----

  private byte[] buffer() {
    if (buffer == null) {
      buffer = new byte[BUFFER];
    }
    return buffer;
  }

  private static void checkVectors(GuestMemory memory, int vectors, int count) {
    if (count < 0 || count > MAX_VECTORS) {
      throw Errno.INVAL.failure();
    }
    memory.check(vectors, count * 8);
    for (int i = 0; i < count; i++) {
      memory.check(memory.readInt(vectors + i * 8), memory.readInt(vectors + i * 8 + 4));
    }
  }

  int read(GuestMemory memory, int fd, int vectors, int count, int result) {
    memory.check(result, 4);
    checkVectors(memory, vectors, count);
    Descriptor d = descriptor(fd);
    if (d instanceof Descriptor.Output) {
      throw Errno.BADF.failure();
    }
    int total;
    if (d instanceof Descriptor.Input) {
      total = readInput(memory, vectors, count);
    } else {
      Descriptor.OpenFile f = readable(fd);
      total = readFile(memory, f, f.position, vectors, count);
      f.position += total;
    }
    memory.writeI32(result, total);
    return 0;
  }

  int readAt(GuestMemory memory, int fd, int vectors, int count, long offset, int result) {
    memory.check(result, 4);
    checkVectors(memory, vectors, count);
    Descriptor.OpenFile f = readable(fd);
    if (offset < 0) {
      throw Errno.INVAL.failure();
    }
    memory.writeI32(result, readFile(memory, f, offset, vectors, count));
    return 0;
  }

  /** Waits for the first bytes only: what has arrived is given to the guest before more is waited for. */
  private int readInput(GuestMemory memory, int vectors, int count) {
    int total = 0;
    try {
      for (int i = 0; i < count; i++) {
        int address = memory.readInt(vectors + i * 8);
        int left = memory.readInt(vectors + i * 8 + 4);
        while (left > 0) {
          if (total > 0 && streams.input().available() <= 0) {
            return total;
          }
          int n = streams.input().read(buffer(), 0, Math.min(left, BUFFER));
          if (n < 0) {
            return total;
          }
          memory.write(address, buffer, 0, n);
          address += n;
          left -= n;
          total += n;
        }
      }
      return total;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private int readFile(GuestMemory memory, Descriptor.OpenFile f, long from, int vectors, int count) {
    long position = from;
    int total = 0;
    for (int i = 0; i < count; i++) {
      int address = memory.readInt(vectors + i * 8);
      int left = memory.readInt(vectors + i * 8 + 4);
      while (left > 0) {
        int n = f.file.read(position, buffer(), 0, Math.min(left, BUFFER));
        if (n == 0) {
          return total;
        }
        memory.write(address, buffer, 0, n);
        address += n;
        left -= n;
        position += n;
        total += n;
      }
    }
    return total;
  }

  int write(GuestMemory memory, int fd, int vectors, int count, int result) {
    memory.check(result, 4);
    checkVectors(memory, vectors, count);
    int total;
    switch (descriptor(fd)) {
      case Descriptor.Output o -> total = writeOutput(memory, o, vectors, count);
      case Descriptor.Input i -> throw Errno.BADF.failure();
      default -> {
        Descriptor.OpenFile f = writable(fd);
        long position = (f.flags & FLAG_APPEND) != 0 ? f.file.size() : f.position;
        total = writeFile(memory, f, position, vectors, count);
        f.position = position + total;
      }
    }
    memory.writeI32(result, total);
    return 0;
  }

  int writeAt(GuestMemory memory, int fd, int vectors, int count, long offset, int result) {
    memory.check(result, 4);
    checkVectors(memory, vectors, count);
    Descriptor.OpenFile f = writable(fd);
    if (offset < 0) {
      throw Errno.INVAL.failure();
    }
    memory.writeI32(result, writeFile(memory, f, offset, vectors, count));
    return 0;
  }

  private int writeOutput(GuestMemory memory, Descriptor.Output output, int vectors, int count) {
    int total = 0;
    try {
      for (int i = 0; i < count; i++) {
        int address = memory.readInt(vectors + i * 8);
        int left = memory.readInt(vectors + i * 8 + 4);
        // The sum is what a signed result can say; the rest is for the guest's next call.
        left = Math.min(left, Integer.MAX_VALUE - total);
        while (left > 0) {
          checkInterrupt();
          int n = Math.min(left, BUFFER);
          memory.read(address, buffer(), 0, n);
          if (output.log) {
            streams.log().write(buffer, 0, n);
          } else {
            streams.output().write(buffer, 0, n);
          }
          address += n;
          left -= n;
          total += n;
        }
      }
      return total;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private int writeFile(GuestMemory memory, Descriptor.OpenFile f, long from, int vectors, int count) {
    long position = from;
    int total = 0;
    for (int i = 0; i < count; i++) {
      int address = memory.readInt(vectors + i * 8);
      int left = Math.min(memory.readInt(vectors + i * 8 + 4), Integer.MAX_VALUE - total);
      while (left > 0) {
        checkInterrupt();
        int n = Math.min(left, BUFFER);
        memory.read(address, buffer(), 0, n);
        try {
          f.file.write(position, buffer, 0, n);
        } catch (Errno.Failure e) {
          if (total > 0) {
            return total;
          }
          throw e;
        }
        address += n;
        left -= n;
        position += n;
        total += n;
      }
    }
    return total;
  }

  private static void checkInterrupt() {
    if (Thread.currentThread().isInterrupted()) {
      throw new ChicoryInterruptedException("interrupted");
    }
  }

  // ---- directories and paths ----

  int preopened(GuestMemory memory, int fd, int result) {
    if (!(descriptor(fd) instanceof Descriptor.OpenDirectory d) || !d.preopened) {
      throw Errno.BADF.failure();
    }
    memory.writeI32(result, 0);
    memory.writeI32(result + 4, 1);
    return 0;
  }

  int preopenedName(GuestMemory memory, int fd, int pointer, int length) {
    if (!(descriptor(fd) instanceof Descriptor.OpenDirectory d) || !d.preopened) {
      throw Errno.BADF.failure();
    }
    if (length < 1) {
      throw Errno.NAMETOOLONG.failure();
    }
    memory.writeByte(pointer, (byte) '/');
    return 0;
  }

  int list(GuestMemory memory, int fd, int pointer, int length, long cookie, int result) {
    memory.check(pointer, length);
    Descriptor.OpenDirectory d = directory(fd);
    if (cookie < 0) {
      throw Errno.INVAL.failure();
    }
    List<Map.Entry<String, FileView.Node>> listing = d.directory.listing(cookie == 0);
    int used = 0;
    for (long i = cookie; i < listing.size() + 2 && used < length; i++) {
      Map.Entry<String, FileView.Node> entry = i == 0 ? Map.entry(".", d.directory)
          : i == 1 ? Map.entry("..", d.directory.parent == null ? d.directory : d.directory.parent) : listing.get((int) i - 2);
      byte[] name = entry.getKey().getBytes(StandardCharsets.UTF_8);
      byte[] record = ByteBuffer.allocate(24 + name.length).order(ByteOrder.LITTLE_ENDIAN)
          .putLong(i + 1).putLong(entry.getValue().inode).putInt(name.length).put(type(entry.getValue())).position(24).put(name).array();
      int n = Math.min(record.length, length - used);
      memory.write(pointer + used, record, 0, n);
      used += n;
    }
    memory.writeI32(result, used);
    return 0;
  }

  private static String path(GuestMemory memory, int pointer, int length) {
    memory.check(pointer, length);
    if (length > BUFFER) {
      throw Errno.NAMETOOLONG.failure();
    }
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(memory.readBytes(pointer, length))).toString();
    } catch (CharacterCodingException e) {
      throw Errno.ILSEQ.failure();
    }
  }

  private FileView.Place place(GuestMemory memory, int fd, int pointer, int length, boolean follow) {
    String path = path(memory, pointer, length);
    FileView.Directory start = directory(fd).directory;
    return view().resolve(start, path, follow);
  }

  private FileView view() {
    return files.orElseThrow(Errno.BADF::failure);
  }

  private static boolean follow(int lookup) {
    return (lookup & 1) != 0;
  }

  int createDirectory(GuestMemory memory, int fd, int path, int length) {
    FileView.Place at = place(memory, fd, path, length, false);
    view().createDirectory(at);
    return 0;
  }

  int removeDirectory(GuestMemory memory, int fd, int path, int length) {
    FileView.Place at = place(memory, fd, path, length, false);
    view().removeDirectory(at);
    return 0;
  }

  int unlink(GuestMemory memory, int fd, int path, int length) {
    FileView.Place at = place(memory, fd, path, length, false);
    view().unlink(at);
    return 0;
  }

  int pathStatus(GuestMemory memory, int fd, int lookup, int path, int length, int result) {
    status(memory, place(memory, fd, path, length, follow(lookup)).existing(), result);
    return 0;
  }

  int setPathTimes(GuestMemory memory, int fd, int lookup, int path, int length, long accessed, long modified, int flags) {
    setTimes(place(memory, fd, path, length, follow(lookup)).existing(), accessed, modified, flags);
    return 0;
  }

  int hardLink(GuestMemory memory, int fromFd, int lookup, int from, int fromLength, int toFd, int to, int toLength) {
    FileView.Node node = place(memory, fromFd, from, fromLength, follow(lookup)).existing();
    FileView.Place at = place(memory, toFd, to, toLength, false);
    view().hardLink(node, at);
    return 0;
  }

  int rename(GuestMemory memory, int fromFd, int from, int fromLength, int toFd, int to, int toLength) {
    FileView.Place old = place(memory, fromFd, from, fromLength, false);
    FileView.Place at = place(memory, toFd, to, toLength, false);
    view().rename(old, at);
    return 0;
  }

  int createLink(GuestMemory memory, int target, int targetLength, int fd, int path, int length) {
    String text = path(memory, target, targetLength);
    FileView.Place at = place(memory, fd, path, length, false);
    view().createLink(at, text);
    return 0;
  }

  int readLink(GuestMemory memory, int fd, int path, int length, int pointer, int capacity, int result) {
    memory.check(pointer, capacity);
    if (!(place(memory, fd, path, length, false).existing() instanceof FileView.SymbolicLink link)) {
      throw Errno.INVAL.failure();
    }
    byte[] target = link.target.getBytes(StandardCharsets.UTF_8);
    int n = Math.min(target.length, capacity);
    memory.write(pointer, target, 0, n);
    memory.writeI32(result, n);
    return 0;
  }

  int open(GuestMemory memory, int fd, int lookup, int path, int length, int openFlags, long rights, int flags, int result) {
    memory.check(result, 4);
    boolean create = (openFlags & 1) != 0;
    boolean directoryWanted = (openFlags & 2) != 0;
    boolean exclusive = (openFlags & 4) != 0;
    boolean truncate = (openFlags & 8) != 0;
    if (create && directoryWanted) {
      throw Errno.INVAL.failure();
    }
    FileView.Place at = place(memory, fd, path, length, follow(lookup) && !(create && exclusive));
    if (descriptors.size() - Collections.frequency(descriptors, null) >= MAX_DESCRIPTORS) {
      throw Errno.MFILE.failure();
    }
    if (create && exclusive && at.node() != null) {
      throw Errno.EXIST.failure();
    }
    FileView.Node node = at.node() == null && create ? view().createFile(at) : at.existing();
    Descriptor opened = switch (node) {
      case FileView.SymbolicLink l -> throw (directoryWanted ? Errno.NOTDIR : Errno.LOOP).failure();
      case FileView.Directory d -> {
        if ((rights & RIGHT_WRITE) != 0 || create) {
          throw Errno.ISDIR.failure();
        }
        yield new Descriptor.OpenDirectory(d, false);
      }
      case FileView.RegularFile f -> {
        if (directoryWanted) {
          throw Errno.NOTDIR.failure();
        }
        if (truncate) {
          f.resize(0);
        }
        yield new Descriptor.OpenFile(f, rights & RIGHTS_FILE, flags & 31);
      }
    };
    memory.writeI32(result, allocate(opened));
    return 0;
  }

  // ---- waiting ----

  /**
   * Files and streams are ready always: a read of standard input waits by itself, and can be interrupted while it does. So only clocks are
   * waited for, and only when nothing else was asked for.
   */
  int poll(GuestMemory memory, int subscriptions, int events, int count, int result) {
    memory.check(result, 4);
    if (count <= 0 || count > MAX_SUBSCRIPTIONS) {
      throw Errno.INVAL.failure();
    }
    memory.check(subscriptions, count * 48);
    memory.check(events, count * 32);
    // In and out may overlap: read everything first.
    byte[] in = memory.readBytes(subscriptions, count * 48);
    ByteBuffer subs = ByteBuffer.wrap(in).order(ByteOrder.LITTLE_ENDIAN);
    long[] waits = new long[count];
    Errno[] outcomes = new Errno[count];
    boolean ready = false;
    long shortest = Long.MAX_VALUE;
    for (int i = 0; i < count; i++) {
      int at = i * 48;
      int kind = in[at + 8];
      switch (kind) {
        case 0 -> {
          int clock = subs.getInt(at + 16);
          if (clock < 0 || clock > 1) {
            outcomes[i] = Errno.NOTSUP;
          } else {
            waits[i] = delay(clock, subs.getLong(at + 24), (subs.getShort(at + 40) & 1) != 0);
            shortest = Math.min(shortest, waits[i]);
          }
        }
        case 1, 2 -> {
          int fd = subs.getInt(at + 16);
          Descriptor d = fd >= 0 && fd < descriptors.size() ? descriptors.get(fd) : null;
          outcomes[i] = d == null ? Errno.BADF : Errno.SUCCESS;
        }
        default -> throw Errno.INVAL.failure();
      }
      ready |= outcomes[i] != null;
    }
    long began = System.nanoTime();
    if (!ready) {
      try {
        TimeUnit.NANOSECONDS.sleep(shortest);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new ChicoryInterruptedException("interrupted");
      }
    }
    // A sleep may end a moment early; the clock that was slept for has rung all the same.
    long elapsed = ready ? System.nanoTime() - began : Math.max(shortest, System.nanoTime() - began);
    int n = 0;
    for (int i = 0; i < count; i++) {
      int at = i * 48;
      boolean clock = in[at + 8] == 0;
      if (outcomes[i] == null && waits[i] > elapsed) {
        continue;
      }
      Errno outcome = outcomes[i] == null ? Errno.SUCCESS : outcomes[i];
      byte[] event = new byte[32];
      ByteBuffer.wrap(event).order(ByteOrder.LITTLE_ENDIAN).putLong(subs.getLong(at)).putShort((short) outcome.number())
          .put(in[at + 8]).putLong(16, clock || outcome != Errno.SUCCESS ? 0 : available(subs.getInt(at + 16), in[at + 8]));
      memory.write(events + n * 32, event, 0, 32);
      n++;
    }
    memory.writeI32(result, n);
    return 0;
  }

  private long delay(int clock, long timeout, boolean absolute) {
    // Unsigned; what is over 292 years is for ever.
    long limit = timeout < 0 ? Long.MAX_VALUE : timeout;
    return absolute ? Math.max(0, limit - time(clock)) : limit;
  }

  private long available(int fd, int kind) {
    return switch (descriptors.get(fd)) {
      case Descriptor.OpenFile f when kind == 1 -> Math.max(0, f.file.size() - f.position);
      default -> 1;
    };
  }

  int noSocket(int fd) {
    descriptor(fd);
    throw Errno.NOTSOCK.failure();
  }
}
