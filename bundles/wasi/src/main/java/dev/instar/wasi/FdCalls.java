package dev.instar.wasi;

import java.nio.charset.StandardCharsets;
import java.util.Optional;

/** The {@code fd_*} and {@code sock_*} calls. Parameters are in the order of the specification; results go to the trailing pointers. */
final class FdCalls {
  /** The device of all files of the view; streams are on device 0. */
  private static final long DEVICE = 1;
  private static final int DIRENT = 24;

  private final Wasi wasi;
  private final Vectors vectors = new Vectors();

  FdCalls(Wasi wasi) {
    this.wasi = wasi;
  }

  void advise(int fd, long offset, long length, int advice) throws ErrnoException {
    Descriptor.OpenFile file = wasi.table().file(fd);
    file.require(Rights.FD_ADVISE);
    if (advice < 0 || advice > Flags.ADVICE_LAST || offset < 0 || length < 0 || offset + length < 0) {
      throw Errno.INVAL.failure();
    }
  }

  void allocate(int fd, long offset, long length) throws ErrnoException {
    Descriptor.OpenFile file = wasi.table().file(fd);
    file.require(Rights.FD_ALLOCATE);
    if (offset < 0 || length <= 0) {
      throw Errno.INVAL.failure();
    }
    if (offset + length < 0) {
      throw Errno.FBIG.failure();
    }
    long now = wasi.files().stamp();
    file.file.allocate(offset, offset + length);
    file.file.modifiedAt(now);
  }

  void close(int fd) throws ErrnoException {
    wasi.table().close(fd);
  }

  /** There is nothing to wait for: what a guest writes need not survive the call. */
  void sync(int fd, long right) throws ErrnoException {
    Descriptor descriptor = wasi.table().get(fd);
    if (descriptor instanceof Descriptor.Stream) {
      throw Errno.INVAL.failure();
    }
    descriptor.require(right);
  }

  void fdstatGet(GuestMemory memory, int fd, int result) throws ErrnoException {
    Descriptor descriptor = wasi.table().get(fd);
    memory.check(result, 24);
    memory.writeLong(result, descriptor.type().value() | descriptor.flags << 16);
    memory.writeLong(result + 8, descriptor.base);
    memory.writeLong(result + 16, descriptor.inheriting);
  }

  void fdstatSetFlags(int fd, int flags) throws ErrnoException {
    Descriptor descriptor = wasi.table().get(fd);
    descriptor.require(Rights.FD_FDSTAT_SET_FLAGS);
    Flags.check(flags, Flags.FDFLAGS_ALL);
    descriptor.flags = flags;
    wasi.table().touch();
  }

  void fdstatSetRights(int fd, long base, long inheriting) throws ErrnoException {
    Descriptor descriptor = wasi.table().get(fd);
    if ((base & ~descriptor.base) != 0 || (inheriting & ~descriptor.inheriting) != 0) {
      throw Errno.NOTCAPABLE.failure();
    }
    descriptor.base = base;
    descriptor.inheriting = inheriting;
    wasi.table().touch();
  }

  void filestatGet(GuestMemory memory, int fd, int result) throws ErrnoException {
    Descriptor descriptor = wasi.table().get(fd);
    descriptor.require(Rights.FD_FILESTAT_GET);
    switch (descriptor) {
      case Descriptor.OpenFile file -> filestat(wasi, memory, result, file.file);
      case Descriptor.OpenDirectory directory -> filestat(wasi, memory, result, directory.directory);
      case Descriptor.Stream stream -> {
        memory.write(result, new byte[64], 0, 64);
        memory.writeByte(result + 16, stream.type().value());
        memory.writeLong(result + 24, 1);
      }
    }
  }

  static void filestat(Wasi wasi, GuestMemory memory, int result, Inode inode) {
    memory.check(result, 64);
    if (wasi.files().tellsTheTime(inode)) {
      wasi.noteClock();
    }
    memory.writeLong(result, DEVICE);
    memory.writeLong(result + 8, inode.number);
    memory.writeLong(result + 16, inode.type().value());
    memory.writeLong(result + 24, inode.links);
    memory.writeLong(result + 32, inode.size());
    memory.writeLong(result + 40, inode.accessed);
    memory.writeLong(result + 48, inode.modified);
    memory.writeLong(result + 56, inode.changed);
  }

  void filestatSetSize(int fd, long size) throws ErrnoException {
    Descriptor.OpenFile file = notStream(wasi.table().get(fd));
    file.require(Rights.FD_FILESTAT_SET_SIZE);
    if (size < 0) {
      throw Errno.INVAL.failure();
    }
    long now = wasi.files().stamp();
    file.file.resize(size);
    file.file.modifiedAt(now);
  }

  void filestatSetTimes(int fd, long accessed, long modified, int flags) throws ErrnoException {
    Descriptor descriptor = wasi.table().get(fd);
    descriptor.require(Rights.FD_FILESTAT_SET_TIMES);
    Inode inode = switch (descriptor) {
      case Descriptor.OpenFile file -> file.file;
      case Descriptor.OpenDirectory directory -> directory.directory;
      // Streams never have the right.
      case Descriptor.Stream _ -> throw Errno.NOTCAPABLE.failure();
    };
    setTimes(wasi.files(), inode, accessed, modified, flags);
  }

  static void setTimes(FileView files, Inode inode, long accessed, long modified, int flags) throws ErrnoException {
    Flags.check(flags, Flags.FSTFLAGS_ALL);
    int atim = flags & (Flags.FSTFLAGS_ATIM | Flags.FSTFLAGS_ATIM_NOW);
    int mtim = flags & (Flags.FSTFLAGS_MTIM | Flags.FSTFLAGS_MTIM_NOW);
    if (Integer.bitCount(atim) > 1 || Integer.bitCount(mtim) > 1) {
      throw Errno.INVAL.failure();
    }
    long now = files.stamp();
    if (atim != 0) {
      inode.accessed = atim == Flags.FSTFLAGS_ATIM ? accessed : now;
    }
    if (mtim != 0) {
      inode.modified = mtim == Flags.FSTFLAGS_MTIM ? modified : now;
    }
    if (flags != 0) {
      inode.changed = now;
    }
  }

  void read(GuestMemory memory, int fd, int array, int length, int result) throws ErrnoException {
    Descriptor descriptor = wasi.table().get(fd);
    switch (descriptor) {
      case Descriptor.Stream stream -> {
        stream.require(Rights.FD_READ);
        vectors.load(memory, array, length);
        memory.check(result, 4);
        memory.writeInt(result, readStream(memory));
      }
      case Descriptor.OpenFile file -> {
        file.require(Rights.FD_READ);
        vectors.load(memory, array, length);
        memory.check(result, 4);
        int n = readFile(memory, file.file, file.offset);
        file.offset += n;
        memory.writeInt(result, n);
      }
      case Descriptor.OpenDirectory _ -> throw Errno.ISDIR.failure();
    }
  }

  void pread(GuestMemory memory, int fd, int array, int length, long offset, int result) throws ErrnoException {
    Descriptor.OpenFile file = wasi.table().file(fd);
    file.require(Rights.FD_READ | Rights.FD_SEEK);
    if (offset < 0) {
      throw Errno.INVAL.failure();
    }
    vectors.load(memory, array, length);
    memory.check(result, 4);
    memory.writeInt(result, readFile(memory, file.file, offset));
  }

  /** Blocks for the first bytes only, and goes on as long as more are there. */
  private int readStream(GuestMemory memory) {
    int done = 0;
    for (int i = 0; i < vectors.count(); i++) {
      for (int at = 0; at < vectors.length(i); ) {
        if (done > 0 && wasi.availableInput() == 0) {
          return done;
        }
        CallStopped.ifInterrupted();
        int chunk = Math.min(vectors.length(i) - at, Wasi.BUFFER);
        byte[] buffer = wasi.buffer(chunk);
        int n = wasi.readInput(buffer, chunk);
        if (n <= 0) {
          return done;
        }
        memory.write(vectors.address(i) + at, buffer, 0, n);
        at += n;
        done += n;
      }
    }
    return done;
  }

  private int readFile(GuestMemory memory, RegularFile file, long offset) throws ErrnoException {
    int done = 0;
    for (int i = 0; i < vectors.count(); i++) {
      for (int at = 0; at < vectors.length(i); ) {
        CallStopped.ifInterrupted();
        int chunk = Math.min(vectors.length(i) - at, Wasi.BUFFER);
        byte[] buffer = wasi.buffer(chunk);
        int n;
        try {
          n = file.read(offset + done, buffer, 0, chunk);
        } catch (ErrnoException e) {
          if (done == 0) {
            throw e;
          }
          return done;
        }
        memory.write(vectors.address(i) + at, buffer, 0, n);
        at += n;
        done += n;
        if (n < chunk) {
          return done;
        }
      }
    }
    return done;
  }

  void write(GuestMemory memory, int fd, int array, int length, int result) throws ErrnoException {
    Descriptor descriptor = wasi.table().get(fd);
    switch (descriptor) {
      case Descriptor.Stream stream -> {
        stream.require(Rights.FD_WRITE);
        vectors.load(memory, array, length);
        memory.check(result, 4);
        memory.writeInt(result, writeStream(memory, stream.standard));
      }
      case Descriptor.OpenFile file -> {
        file.require(Rights.FD_WRITE);
        vectors.load(memory, array, length);
        memory.check(result, 4);
        if ((file.flags & Flags.FDFLAGS_APPEND) != 0) {
          file.offset = file.file.size();
        }
        int n = writeFile(memory, file.file, file.offset);
        file.offset += n;
        memory.writeInt(result, n);
      }
      case Descriptor.OpenDirectory _ -> throw Errno.ISDIR.failure();
    }
  }

  /** The offset holds even in append mode, as POSIX says and Linux does not. */
  void pwrite(GuestMemory memory, int fd, int array, int length, long offset, int result) throws ErrnoException {
    Descriptor.OpenFile file = wasi.table().file(fd);
    file.require(Rights.FD_WRITE | Rights.FD_SEEK);
    if (offset < 0) {
      throw Errno.INVAL.failure();
    }
    vectors.load(memory, array, length);
    memory.check(result, 4);
    memory.writeInt(result, writeFile(memory, file.file, offset));
  }

  private int writeStream(GuestMemory memory, Descriptor.Standard to) {
    int done = 0;
    for (int i = 0; i < vectors.count(); i++) {
      for (int at = 0; at < vectors.length(i); ) {
        CallStopped.ifInterrupted();
        int chunk = Math.min(vectors.length(i) - at, Wasi.BUFFER);
        byte[] buffer = wasi.buffer(chunk);
        memory.read(vectors.address(i) + at, buffer, 0, chunk);
        wasi.writeOutput(to, buffer, chunk);
        at += chunk;
        done += chunk;
      }
    }
    return done;
  }

  private int writeFile(GuestMemory memory, RegularFile file, long offset) throws ErrnoException {
    int done = 0;
    for (int i = 0; i < vectors.count(); i++) {
      for (int at = 0; at < vectors.length(i); ) {
        CallStopped.ifInterrupted();
        int chunk = Math.min(vectors.length(i) - at, Wasi.BUFFER);
        byte[] buffer = wasi.buffer(chunk);
        memory.read(vectors.address(i) + at, buffer, 0, chunk);
        long now = wasi.files().stamp();
        int n;
        try {
          n = file.write(offset + done, buffer, 0, chunk);
        } catch (ErrnoException e) {
          if (done == 0) {
            throw e;
          }
          return done;
        }
        file.modifiedAt(now);
        at += n;
        done += n;
        if (n < chunk) {
          return done;
        }
      }
    }
    return done;
  }

  void prestatGet(GuestMemory memory, int fd, int result) throws ErrnoException {
    int length = preopen(fd).length;
    memory.check(result, 8);
    memory.writeInt(result, Flags.PREOPENTYPE_DIR);
    memory.writeInt(result + 4, length);
  }

  void prestatDirName(GuestMemory memory, int fd, int path, int length) throws ErrnoException {
    byte[] name = preopen(fd);
    if (Integer.compareUnsigned(length, name.length) < 0) {
      throw Errno.NAMETOOLONG.failure();
    }
    memory.write(path, name, 0, name.length);
  }

  private byte[] preopen(int fd) throws ErrnoException {
    Optional<String> name = wasi.table().get(fd) instanceof Descriptor.OpenDirectory directory ? directory.preopen : Optional.empty();
    return name.orElseThrow(Errno.BADF::failure).getBytes(StandardCharsets.UTF_8);
  }

  void readdir(GuestMemory memory, int fd, int buffer, int length, long cookie, int result) throws ErrnoException {
    Descriptor.OpenDirectory directory = wasi.table().directory(fd, Rights.FD_READDIR);
    long room = Integer.toUnsignedLong(length);
    memory.check(buffer, room);
    memory.check(result, 4);
    byte[] entry = wasi.buffer(DIRENT + 4 * 255);
    long done = 0;
    long next = cookie;
    while (done < room) {
      CallStopped.ifInterrupted();
      Optional<Directory.Listing> found = directory.directory.list(next);
      if (found.isEmpty()) {
        break;
      }
      int n = (int) Math.min(room - done, dirent(entry, found.get()));
      memory.write(buffer + (int) done, entry, 0, n);
      done += n;
      next = found.get().next();
    }
    memory.writeInt(result, (int) done);
  }

  /** Lays out a {@code dirent} with its name and returns its length. */
  private static int dirent(byte[] entry, Directory.Listing listing) {
    byte[] name = listing.name().getBytes(StandardCharsets.UTF_8);
    for (int i = 0; i < 8; i++) {
      entry[i] = (byte) (listing.next() >>> 8 * i);
      entry[8 + i] = (byte) (listing.number() >>> 8 * i);
    }
    for (int i = 0; i < 4; i++) {
      entry[16 + i] = (byte) (name.length >>> 8 * i);
      entry[20 + i] = 0;
    }
    entry[20] = listing.type().value();
    System.arraycopy(name, 0, entry, DIRENT, name.length);
    return DIRENT + name.length;
  }

  void renumber(int from, int to) throws ErrnoException {
    wasi.table().renumber(from, to);
  }

  void seek(GuestMemory memory, int fd, long delta, int whence, int result) throws ErrnoException {
    Descriptor.OpenFile file = wasi.table().file(fd);
    file.require(whence == Flags.WHENCE_CUR && delta == 0 && (file.base & Rights.FD_SEEK) == 0 ? Rights.FD_TELL : Rights.FD_SEEK);
    long from = switch (whence) {
      case Flags.WHENCE_SET -> 0;
      case Flags.WHENCE_CUR -> file.offset;
      case Flags.WHENCE_END -> file.file.size();
      default -> throw Errno.INVAL.failure();
    };
    long to = from + delta;
    if (delta > 0 && to < 0) {
      throw Errno.OVERFLOW.failure();
    }
    if (to < 0) {
      throw Errno.INVAL.failure();
    }
    memory.check(result, 8);
    file.offset = to;
    memory.writeLong(result, to);
  }

  void tell(GuestMemory memory, int fd, int result) throws ErrnoException {
    Descriptor.OpenFile file = wasi.table().file(fd);
    if ((file.base & Rights.FD_SEEK) == 0) {
      file.require(Rights.FD_TELL);
    }
    memory.writeLong(result, file.offset);
  }

  /** The {@code sock_*} calls: no descriptor of ours is a socket. */
  void notSocket(int fd) throws ErrnoException {
    wasi.table().get(fd);
    throw Errno.NOTSOCK.failure();
  }

  private static Descriptor.OpenFile notStream(Descriptor descriptor) throws ErrnoException {
    return switch (descriptor) {
      case Descriptor.OpenFile file -> file;
      case Descriptor.OpenDirectory _ -> throw Errno.ISDIR.failure();
      case Descriptor.Stream _ -> throw Errno.INVAL.failure();
    };
  }
}
