package dev.instar.backend.wasm.wasi;

/** What a number of the descriptor table stands for. */
abstract sealed class Descriptor {
  /** Standard input. */
  static final class Input extends Descriptor {}

  /** Standard output and standard error. */
  static final class Output extends Descriptor {
    final boolean log;

    Output(boolean log) {
      this.log = log;
    }
  }

  /** A directory; the one that a guest finds open at {@code /} is preopened. */
  static final class OpenDirectory extends Descriptor {
    final FileView.Directory directory;
    final boolean preopened;

    OpenDirectory(FileView.Directory directory, boolean preopened) {
      this.directory = directory;
      this.preopened = preopened;
    }
  }

  /** A regular file. */
  static final class OpenFile extends Descriptor {
    final FileView.RegularFile file;
    long rights;
    int flags;
    long position;

    OpenFile(FileView.RegularFile file, long rights, int flags) {
      this.file = file;
      this.rights = rights;
      this.flags = flags;
      file.open();
    }
  }
}
