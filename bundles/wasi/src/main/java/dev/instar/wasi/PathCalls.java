package dev.instar.wasi;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/** The {@code path_*} calls. Strings come as pointer and length, in UTF-8. */
final class PathCalls {
  private final Wasi wasi;

  PathCalls(Wasi wasi) {
    this.wasi = wasi;
  }

  void createDirectory(GuestMemory memory, int fd, int path, int length) throws ErrnoException {
    Directory start = directory(fd, Rights.PATH_CREATE_DIRECTORY);
    wasi.files().createDirectory(start, text(memory, path, length));
  }

  void filestatGet(GuestMemory memory, int fd, int lookup, int path, int length, int result) throws ErrnoException {
    Directory start = directory(fd, Rights.PATH_FILESTAT_GET);
    FileView.Last last = last(lookup);
    FdCalls.filestat(wasi, memory, result, wasi.files().resolve(start, text(memory, path, length), last).existing());
  }

  void filestatSetTimes(GuestMemory memory, int fd, int lookup, int path, int length, long accessed, long modified, int flags) throws ErrnoException {
    Directory start = directory(fd, Rights.PATH_FILESTAT_SET_TIMES);
    FileView.Last last = last(lookup);
    Inode inode = wasi.files().resolve(start, text(memory, path, length), last).existing();
    FdCalls.setTimes(wasi.files(), inode, accessed, modified, flags);
  }

  void link(GuestMemory memory, int oldFd, int lookup, int oldPath, int oldLength, int newFd, int newPath, int newLength) throws ErrnoException {
    Directory from = directory(oldFd, Rights.PATH_LINK_SOURCE);
    Directory to = directory(newFd, Rights.PATH_LINK_TARGET);
    boolean follow = last(lookup) == FileView.Last.FOLLOW;
    wasi.files().link(from, text(memory, oldPath, oldLength), follow, to, text(memory, newPath, newLength));
  }

  void open(GuestMemory memory, int fd, int lookup, int path, int length, int oflags, long base, long inheriting, int fdflags, int result)
      throws ErrnoException {
    Descriptor.OpenDirectory start = wasi.table().directory(fd, Rights.PATH_OPEN);
    FileView.Last last = last(lookup);
    Flags.check(oflags, Flags.OFLAGS_ALL);
    Flags.check(fdflags, Flags.FDFLAGS_ALL);
    boolean create = (oflags & Flags.OFLAGS_CREAT) != 0;
    boolean exclusive = create && (oflags & Flags.OFLAGS_EXCL) != 0;
    boolean directory = (oflags & Flags.OFLAGS_DIRECTORY) != 0;
    boolean truncate = (oflags & Flags.OFLAGS_TRUNC) != 0;
    if (create && directory) {
      throw Errno.INVAL.failure();
    }
    start.require((create ? Rights.PATH_CREATE_FILE : 0) | (truncate ? Rights.PATH_FILESTAT_SET_SIZE : 0));
    // Bits that are no rights of files or directories are ignored: some toolchains ask for all.
    long wanted = (base | inheriting) & Rights.ALL;
    wanted |= (fdflags & Flags.FDFLAGS_DSYNC) != 0 ? Rights.FD_DATASYNC : 0;
    wanted |= (fdflags & (Flags.FDFLAGS_SYNC | Flags.FDFLAGS_RSYNC)) != 0 ? Rights.FD_SYNC : 0;
    if ((wanted & ~start.inheriting) != 0) {
      throw Errno.NOTCAPABLE.failure();
    }
    String name = text(memory, path, length);
    memory.check(result, 4);
    wasi.table().reserve();
    FileView.Place place = wasi.files().resolve(start.directory, name, exclusive && last == FileView.Last.FOLLOW ? FileView.Last.NAME : last);
    if (exclusive && place.inode().isPresent()) {
      throw Errno.EXIST.failure();
    }
    if (create && place.inode().isEmpty()) {
      RegularFile file = wasi.files().createFile(place);
      memory.writeInt(result, wasi.table().add(new Descriptor.OpenFile(file, base, fdflags)));
      return;
    }
    Descriptor opened = switch (place.existing()) {
      case Symlink _ -> throw (directory ? Errno.NOTDIR : Errno.LOOP).failure();
      case Directory found -> {
        if (create || truncate || (base & Rights.FD_WRITE) != 0) {
          throw Errno.ISDIR.failure();
        }
        yield new Descriptor.OpenDirectory(found, Optional.empty(), base, inheriting, fdflags);
      }
      case RegularFile found -> {
        if (directory) {
          throw Errno.NOTDIR.failure();
        }
        if (truncate) {
          long now = wasi.files().stamp();
          found.resize(0);
          found.modifiedAt(now);
        }
        yield new Descriptor.OpenFile(found, base, fdflags);
      }
    };
    memory.writeInt(result, wasi.table().add(opened));
  }

  /** What does not fit is cut off, as by {@code readlink} of POSIX. */
  void readlink(GuestMemory memory, int fd, int path, int length, int buffer, int room, int result) throws ErrnoException {
    Directory start = directory(fd, Rights.PATH_READLINK);
    memory.check(buffer, Integer.toUnsignedLong(room));
    memory.check(result, 4);
    if (!(wasi.files().resolve(start, text(memory, path, length), FileView.Last.NOFOLLOW).existing() instanceof Symlink link)) {
      throw Errno.INVAL.failure();
    }
    byte[] target = link.target.getBytes(StandardCharsets.UTF_8);
    int n = (int) Math.min(target.length, Integer.toUnsignedLong(room));
    memory.write(buffer, target, 0, n);
    memory.writeInt(result, n);
  }

  void removeDirectory(GuestMemory memory, int fd, int path, int length) throws ErrnoException {
    Directory start = directory(fd, Rights.PATH_REMOVE_DIRECTORY);
    wasi.files().removeDirectory(start, text(memory, path, length));
  }

  void rename(GuestMemory memory, int oldFd, int oldPath, int oldLength, int newFd, int newPath, int newLength) throws ErrnoException {
    Directory from = directory(oldFd, Rights.PATH_RENAME_SOURCE);
    Directory to = directory(newFd, Rights.PATH_RENAME_TARGET);
    wasi.files().rename(from, text(memory, oldPath, oldLength), to, text(memory, newPath, newLength));
  }

  void symlink(GuestMemory memory, int oldPath, int oldLength, int fd, int newPath, int newLength) throws ErrnoException {
    Directory start = directory(fd, Rights.PATH_SYMLINK);
    wasi.files().symlink(text(memory, oldPath, oldLength), start, text(memory, newPath, newLength));
  }

  void unlinkFile(GuestMemory memory, int fd, int path, int length) throws ErrnoException {
    Directory start = directory(fd, Rights.PATH_UNLINK_FILE);
    wasi.files().unlink(start, text(memory, path, length));
  }

  private Directory directory(int fd, long rights) throws ErrnoException {
    return wasi.table().directory(fd, rights).directory;
  }

  private static FileView.Last last(int lookup) throws ErrnoException {
    Flags.check(lookup, Flags.LOOKUP_SYMLINK_FOLLOW);
    return lookup == Flags.LOOKUP_SYMLINK_FOLLOW ? FileView.Last.FOLLOW : FileView.Last.NOFOLLOW;
  }

  private String text(GuestMemory memory, int address, int length) throws ErrnoException {
    memory.check(address, Integer.toUnsignedLong(length));
    if (Integer.compareUnsigned(length, FileView.PATH_MAX) > 0) {
      throw Errno.NAMETOOLONG.failure();
    }
    byte[] buffer = wasi.buffer(length);
    memory.read(address, buffer, 0, length);
    boolean ascii = true;
    for (int i = 0; i < length; i++) {
      if (buffer[i] == 0) {
        throw Errno.INVAL.failure();
      }
      ascii &= buffer[i] > 0;
    }
    if (ascii) {
      return new String(buffer, 0, length, StandardCharsets.ISO_8859_1);
    }
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(buffer, 0, length)).toString();
    } catch (CharacterCodingException e) {
      throw Errno.ILSEQ.failure();
    }
  }
}
