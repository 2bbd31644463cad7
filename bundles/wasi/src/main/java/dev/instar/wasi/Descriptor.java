package dev.instar.wasi;

import java.util.Optional;

/** What a file descriptor of the guest stands for, with the rights that it carries. */
abstract sealed class Descriptor {
  /** {@code fs_rights_base}. */
  long base;
  /** {@code fs_rights_inheriting}. */
  long inheriting;
  /** {@code fs_flags}. */
  int flags;

  Descriptor(long base, long inheriting, int flags) {
    this.base = base;
    this.inheriting = inheriting;
    this.flags = flags;
  }

  abstract Filetype type();

  void close() {}

  void require(long rights) throws ErrnoException {
    if ((base & rights) != rights) {
      throw Errno.NOTCAPABLE.failure();
    }
  }

  /** Which of the call's streams. */
  enum Standard {
    INPUT, OUTPUT, LOG
  }

  /**
   * Standard input, output and error. Their type is {@code unknown}, which is what the specification leaves for a pipe: a {@code character_device}
   * without the right to seek is a terminal to wasi-libc, and programs then write line by line.
   */
  static final class Stream extends Descriptor {
    final Standard standard;

    Stream(Standard standard, long base, int flags) {
      super(base, 0, flags);
      this.standard = standard;
    }

    @Override
    Filetype type() {
      return Filetype.UNKNOWN;
    }
  }

  static final class OpenFile extends Descriptor {
    final RegularFile file;
    long offset;

    OpenFile(RegularFile file, long base, int flags) {
      super(base & Rights.FILE, 0, flags);
      this.file = file;
      file.open();
    }

    @Override
    Filetype type() {
      return Filetype.REGULAR_FILE;
    }

    @Override
    void close() {
      file.close();
    }
  }

  static final class OpenDirectory extends Descriptor {
    final Directory directory;
    final Optional<String> preopen;

    OpenDirectory(Directory directory, Optional<String> preopen, long base, long inheriting, int flags) {
      super(base & Rights.DIRECTORY, inheriting & Rights.ALL, flags);
      this.directory = directory;
      this.preopen = preopen;
    }

    @Override
    Filetype type() {
      return Filetype.DIRECTORY;
    }
  }
}
