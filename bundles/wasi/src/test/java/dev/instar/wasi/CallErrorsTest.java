package dev.instar.wasi;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Call by call, every error that docs/wasi.md names, in a view of its own. */
class CallErrorsTest extends FilesTest {
  private static final int CREAT = Flags.OFLAGS_CREAT;
  private static final int CLOSED = 77;
  /** Where the two paths of a call are. */
  private static final int FIRST = 4096;
  private static final int SECOND = 16 << 10;
  private static final long LARGEST = FileQuota.DEFAULT.bytes();

  /** @param act does the call in a new view, after what has to be done before it */
  record Case(String call, Errno expected, String what, Function<Guest, Errno> act) {
    @Override
    public String toString() {
      return call + ": " + what + " is " + expected;
    }
  }

  private static final List<Case> CASES = new ArrayList<>();

  private static void add(String call, Errno expected, String what, Function<Guest, Errno> act) {
    CASES.add(new Case(call, expected, what, act));
  }

  private static int file(Guest guest) {
    return guest.opened("file", 0);
  }

  private static int rightless(Guest guest) {
    assertErrno(Errno.SUCCESS, guest.open(Guest.ROOT, "file", 0, 0, 0, 0, 0));
    return guest.result();
  }

  private static void rightlessRoot(Guest guest) {
    guest.ok("fd_fdstat_set_rights", Guest.ROOT, 0, 0);
  }

  /** Takes all names that it may make. */
  private static void fillNames(Guest guest) {
    for (int i = 0; i < FileQuota.DEFAULT.inodes(); i++) {
      assertErrno(Errno.SUCCESS, guest.mkdir("full" + i));
    }
  }

  /** A new file, where another has taken all bytes. */
  private static int fillBytes(Guest guest) {
    guest.ok("fd_allocate", guest.opened("large", CREAT), 0, LARGEST);
    return guest.opened("small", CREAT);
  }

  /** The same errors of what works on files that are open. */
  private static void onFile(String call, Function<Integer, Function<Guest, Errno>> of, Errno directory, Errno stream) {
    add(call, Errno.BADF, "a closed descriptor", of.apply(CLOSED));
    add(call, Errno.BADF, "a negative descriptor", of.apply(-1));
    add(call, directory, "a directory", of.apply(Guest.ROOT));
    add(call, stream, "a stream", of.apply(1));
    add(call, Errno.NOTCAPABLE, "a file without rights", guest -> of.apply(rightless(guest)).apply(guest));
  }

  static {
    for (String call : List.of("clock_res_get", "clock_time_get")) {
      for (int clock : new int[] {4, -1}) {
        add(call, Errno.INVAL, "clock " + clock,
            g -> call.endsWith("res_get") ? g.call(call, clock, Guest.RESULT) : g.call(call, clock, 0, Guest.RESULT));
      }
    }

    onFile("fd_advise", fd -> g -> g.call("fd_advise", fd, 0, 1, 0), Errno.ISDIR, Errno.SPIPE);
    add("fd_advise", Errno.INVAL, "an unknown advice", g -> g.call("fd_advise", file(g), 0, 1, 6));
    add("fd_advise", Errno.INVAL, "an end over 2^63", g -> g.call("fd_advise", file(g), Long.MAX_VALUE, 1, 0));
    onFile("fd_allocate", fd -> g -> g.call("fd_allocate", fd, 0, 1), Errno.ISDIR, Errno.SPIPE);
    add("fd_allocate", Errno.INVAL, "no length", g -> g.call("fd_allocate", file(g), 0, 0));
    add("fd_allocate", Errno.INVAL, "an offset over 2^63", g -> g.call("fd_allocate", file(g), -1, 1));
    add("fd_allocate", Errno.FBIG, "an end over 2^63", g -> g.call("fd_allocate", file(g), Long.MAX_VALUE, 1));
    add("fd_allocate", Errno.FBIG, "more than the largest size", g -> g.call("fd_allocate", file(g), 1, LARGEST));
    add("fd_allocate", Errno.NOSPC, "more than is left", g -> g.call("fd_allocate", fillBytes(g), 0, 1));
    onFile("fd_pread", fd -> g -> g.call("fd_pread", fd, g.vector(1), 1, 0, Guest.RESULT), Errno.ISDIR, Errno.SPIPE);
    add("fd_pread", Errno.INVAL, "a negative offset", g -> g.call("fd_pread", file(g), g.vector(1), 1, -1, Guest.RESULT));
    add("fd_pread", Errno.INVAL, "too many vectors", g -> g.call("fd_pread", file(g), Guest.DATA, 1025, 0, Guest.RESULT));
    onFile("fd_pwrite", fd -> g -> g.call("fd_pwrite", fd, g.vector(1), 1, 0, Guest.RESULT), Errno.ISDIR, Errno.SPIPE);
    add("fd_pwrite", Errno.INVAL, "a negative offset", g -> g.pwrite(file(g), "x", -1));
    add("fd_pwrite", Errno.FBIG, "beyond the largest size", g -> g.pwrite(file(g), "x", LARGEST));
    add("fd_pwrite", Errno.NOSPC, "more than is left", g -> g.pwrite(fillBytes(g), "x", 0));
    onFile("fd_seek", fd -> g -> g.call("fd_seek", fd, 0, 0, Guest.RESULT), Errno.ISDIR, Errno.SPIPE);
    add("fd_seek", Errno.INVAL, "before the beginning", g -> g.call("fd_seek", file(g), -1, Flags.WHENCE_SET, Guest.RESULT));
    add("fd_seek", Errno.INVAL, "before the beginning, from the end", g -> g.call("fd_seek", file(g), -13, Flags.WHENCE_END, Guest.RESULT));
    add("fd_seek", Errno.INVAL, "an unknown whence", g -> g.call("fd_seek", file(g), 0, 3, Guest.RESULT));
    add("fd_seek", Errno.OVERFLOW, "over 2^63", g -> g.call("fd_seek", file(g), Long.MAX_VALUE, Flags.WHENCE_END, Guest.RESULT));
    onFile("fd_tell", fd -> g -> g.call("fd_tell", fd, Guest.RESULT), Errno.ISDIR, Errno.SPIPE);
    onFile("fd_filestat_set_size", fd -> g -> g.call("fd_filestat_set_size", fd, 1), Errno.ISDIR, Errno.INVAL);
    add("fd_filestat_set_size", Errno.INVAL, "a size over 2^63", g -> g.call("fd_filestat_set_size", file(g), -1));
    add("fd_filestat_set_size", Errno.FBIG, "more than the largest size", g -> g.call("fd_filestat_set_size", file(g), LARGEST + 1));
    for (String call : List.of("fd_datasync", "fd_sync")) {
      onFile(call, fd -> g -> g.call(call, fd), Errno.SUCCESS, Errno.INVAL);
    }
    onFile("fd_fdstat_set_flags", fd -> g -> g.call("fd_fdstat_set_flags", fd, 1), Errno.SUCCESS, Errno.SUCCESS);
    add("fd_fdstat_set_flags", Errno.INVAL, "an unknown flag", g -> g.call("fd_fdstat_set_flags", file(g), 32));
    add("fd_fdstat_set_rights", Errno.BADF, "a closed descriptor", g -> g.call("fd_fdstat_set_rights", CLOSED, 0, 0));
    add("fd_fdstat_set_rights", Errno.NOTCAPABLE, "a right more", g -> g.call("fd_fdstat_set_rights", rightless(g), Rights.FD_READ, 0));
    add("fd_fdstat_set_rights", Errno.NOTCAPABLE, "a right to inherit more", g -> g.call("fd_fdstat_set_rights", file(g), 0, Rights.FD_READ));
    onFile("fd_filestat_get", fd -> g -> g.call("fd_filestat_get", fd, Guest.RESULT), Errno.SUCCESS, Errno.SUCCESS);
    onFile("fd_filestat_set_times", fd -> g -> g.call("fd_filestat_set_times", fd, 0, 0, 0), Errno.SUCCESS, Errno.NOTCAPABLE);
    for (int flags : new int[] {3, 12, 16}) {
      add("fd_filestat_set_times", Errno.INVAL, "the flags " + flags, g -> g.call("fd_filestat_set_times", file(g), 0, 0, flags));
    }
    onFile("fd_read", fd -> g -> g.call("fd_read", fd, g.vector(1), 1, Guest.RESULT), Errno.ISDIR, Errno.NOTCAPABLE);
    add("fd_read", Errno.INVAL, "too many vectors", g -> g.call("fd_read", 0, Guest.DATA, 1025, Guest.RESULT));
    onFile("fd_write", fd -> g -> g.call("fd_write", fd, g.vector(1), 1, Guest.RESULT), Errno.ISDIR, Errno.SUCCESS);
    add("fd_write", Errno.NOTCAPABLE, "standard input", g -> g.write(0, "x"));
    add("fd_write", Errno.INVAL, "too many vectors", g -> g.call("fd_write", 1, Guest.DATA, 1025, Guest.RESULT));
    add("fd_write", Errno.FBIG, "beyond the largest size", g -> {
      int fd = file(g);
      g.ok("fd_seek", fd, LARGEST, Flags.WHENCE_SET, Guest.RESULT);
      return g.write(fd, "x");
    });
    add("fd_write", Errno.NOSPC, "more than is left", g -> g.write(fillBytes(g), "x"));
    for (String call : List.of("fd_close", "fd_fdstat_get", "fd_prestat_get")) {
      add(call, Errno.BADF, "a closed descriptor", g -> call.equals("fd_close") ? g.call(call, CLOSED) : g.call(call, CLOSED, Guest.RESULT));
    }
    add("fd_close", Errno.BADF, "closed twice", g -> {
      g.ok("fd_close", 1);
      return g.call("fd_close", 1);
    });
    add("fd_prestat_get", Errno.BADF, "a directory that was not preopened", g -> g.call("fd_prestat_get", g.openedDirectory(3, "dir"), Guest.RESULT));
    add("fd_prestat_dir_name", Errno.BADF, "a stream", g -> g.call("fd_prestat_dir_name", 1, Guest.DATA, 10));
    add("fd_prestat_dir_name", Errno.NAMETOOLONG, "no room", g -> g.call("fd_prestat_dir_name", 3, Guest.DATA, 0));
    add("fd_readdir", Errno.BADF, "a closed descriptor", g -> g.call("fd_readdir", CLOSED, Guest.DATA, 100, 0, Guest.RESULT));
    add("fd_readdir", Errno.NOTDIR, "a file", g -> g.call("fd_readdir", file(g), Guest.DATA, 100, 0, Guest.RESULT));
    add("fd_readdir", Errno.NOTDIR, "a stream", g -> g.call("fd_readdir", 0, Guest.DATA, 100, 0, Guest.RESULT));
    add("fd_readdir", Errno.NOTCAPABLE, "a directory without rights", g -> {
      rightlessRoot(g);
      return g.call("fd_readdir", Guest.ROOT, Guest.DATA, 100, 0, Guest.RESULT);
    });
    add("fd_renumber", Errno.BADF, "from a closed descriptor", g -> g.call("fd_renumber", CLOSED, 1));
    add("fd_renumber", Errno.BADF, "onto a closed descriptor", g -> g.call("fd_renumber", 1, CLOSED));
    add("fd_renumber", Errno.BADF, "a closed descriptor onto itself", g -> g.call("fd_renumber", CLOSED, CLOSED));

    for (String call : List.of("path_create_directory", "path_filestat_get", "path_filestat_set_times", "path_link", "path_link 2", "path_open",
        "path_readlink", "path_remove_directory", "path_rename", "path_rename 2", "path_symlink", "path_unlink_file")) {
      onPath(call);
    }
    for (String call : List.of("path_filestat_get", "path_filestat_set_times", "path_link", "path_open")) {
      add(call, Errno.INVAL, "an unknown lookup flag", g -> path(g, call, Guest.ROOT, 2, "file"));
    }
    for (String call : List.of("path_create_directory", "path_link 2", "path_symlink")) {
      for (String path : List.of("file", "dir", "link", "dangling", ".")) {
        add(name(call), Errno.EXIST, "a name that is there, " + path, g -> path(g, call, path));
      }
    }
    for (String call : List.of("path_create_directory", "path_link 2", "path_symlink", "path_rename 2")) {
      add(name(call), Errno.NOSPC, "a name more than are allowed", g -> {
        fillNames(g);
        return path(g, call, "fresh");
      });
    }
    for (String call : List.of("path_link 2", "path_symlink")) {
      add(name(call), Errno.NOTDIR, "the name of a file with a slash", g -> path(g, call, "file/"));
      add(name(call), Errno.NOENT, "a new name with a slash", g -> path(g, call, "fresh/"));
    }
    add("path_link", Errno.PERM, "a directory", g -> path(g, "path_link", "dir"));
    add("path_symlink", Errno.NOENT, "an empty target", g -> g.symlink("", "fresh"));
    add("path_filestat_set_times", Errno.INVAL, "both times", g -> g.call("path_filestat_set_times", 3, 0, at(g, FIRST, "file"), 4, 0, 0, 3));
    add("path_open", Errno.EXIST, "exclusive, and there", g -> g.open(3, "file", CREAT | Flags.OFLAGS_EXCL));
    add("path_open", Errno.EXIST, "exclusive, through a dangling link", g -> g.open(3, "dangling", CREAT | Flags.OFLAGS_EXCL));
    add("path_open", Errno.ISDIR, "a directory to create", g -> g.open(3, "dir", CREAT));
    add("path_open", Errno.ISDIR, "a directory to write", g -> g.open(3, "dir", 0, Flags.OFLAGS_DIRECTORY, Rights.FD_WRITE, 0, 0));
    add("path_open", Errno.ISDIR, "a directory to truncate", g -> g.open(3, "dir", 0, Flags.OFLAGS_TRUNC, 0, 0, 0));
    add("path_open", Errno.NOTDIR, "a file as a directory", g -> g.open(3, "file", Flags.OFLAGS_DIRECTORY));
    add("path_open", Errno.NOTDIR, "a link as a directory", g -> g.open(3, "dirlink", 0, Flags.OFLAGS_DIRECTORY, 0, 0, 0));
    add("path_open", Errno.LOOP, "a link that is not followed", g -> g.open(3, "link", 0, 0, 0, 0, 0));
    add("path_open", Errno.INVAL, "a directory to create as one", g -> g.open(3, "fresh", CREAT | Flags.OFLAGS_DIRECTORY));
    add("path_open", Errno.INVAL, "an unknown open flag", g -> g.open(3, "file", 16));
    add("path_open", Errno.INVAL, "an unknown descriptor flag", g -> g.open(3, "file", 0, 0, 0, 0, 32));
    add("path_open", Errno.NOTCAPABLE, "a right that is not inherited", g -> {
      g.ok("fd_fdstat_set_rights", 3, Rights.DIRECTORY, Rights.FD_READ);
      return g.open(3, "file", 0, 0, Rights.FD_WRITE, 0, 0);
    });
    add("path_open", Errno.NOSPC, "a name more than are allowed", g -> {
      fillNames(g);
      return g.open(3, "fresh", CREAT);
    });
    add("path_open", Errno.MFILE, "a descriptor more than are allowed", g -> {
      for (int i = 4; i < FileQuota.DEFAULT.descriptors(); i++) {
        file(g);
      }
      return g.open(3, "file", 0);
    });
    add("path_readlink", Errno.INVAL, "a file", g -> g.readlink("file", 10));
    add("path_remove_directory", Errno.NOTEMPTY, "a directory with a name in it", g -> g.rmdir("dir"));
    add("path_remove_directory", Errno.NOTEMPTY, "what a path goes back to", g -> g.rmdir("dir/nested/.."));
    add("path_remove_directory", Errno.INVAL, "the directory itself", g -> g.rmdir("."));
    add("path_remove_directory", Errno.NOTDIR, "a link to a directory", g -> g.rmdir("dirlink"));
    add("path_rename", Errno.NOTEMPTY, "onto a directory with a name in it", g -> g.rename("empty", "dir"));
    add("path_rename", Errno.NOTEMPTY, "onto a directory above", g -> g.rename("dir/nested", "dir"));
    add("path_rename", Errno.ISDIR, "a file onto a directory", g -> g.rename("file", "empty"));
    add("path_rename", Errno.NOTDIR, "a directory onto a file", g -> g.rename("empty", "file"));
    add("path_rename", Errno.NOTDIR, "a file to a name with a slash", g -> g.rename("file", "fresh/"));
    add("path_rename", Errno.INVAL, "a directory into itself", g -> g.rename("dir", "dir/nested/x"));
    add("path_rename", Errno.BUSY, "the directory itself", g -> g.rename(".", "fresh"));
    add("path_rename", Errno.BUSY, "onto the directory itself", g -> g.rename("dir", "."));
    add("path_unlink_file", Errno.ISDIR, "a directory", g -> g.unlink("empty"));
    add("path_unlink_file", Errno.ISDIR, "a directory with a slash", g -> g.unlink("empty/"));

    add("poll_oneoff", Errno.INVAL, "no subscription", g -> g.call("poll_oneoff", Guest.DATA, Guest.DATA, 0, Guest.RESULT));
    add("poll_oneoff", Errno.INVAL, "too many subscriptions", g -> g.call("poll_oneoff", Guest.DATA, Guest.DATA, 4097, Guest.RESULT));
    add("poll_oneoff", Errno.INVAL, "an unknown kind", g -> {
      g.memory.writeByte(Guest.DATA + 8, (byte) 3);
      return g.call("poll_oneoff", Guest.DATA, Guest.DATA, 1, Guest.RESULT);
    });
    add("proc_raise", Errno.NOSYS, "a signal", g -> g.call("proc_raise", 9));
    add("proc_raise", Errno.INVAL, "an unknown signal", g -> g.call("proc_raise", 31));
    for (String call : List.of("sock_accept", "sock_recv", "sock_send", "sock_shutdown")) {
      add(call, Errno.BADF, "a closed descriptor", g -> socket(g, call, CLOSED));
      add(call, Errno.NOTSOCK, "a stream", g -> socket(g, call, 0));
      add(call, Errno.NOTSOCK, "a file", g -> socket(g, call, file(g)));
    }
  }

  private static Errno socket(Guest guest, String call, int fd) {
    return switch (call) {
      case "sock_accept" -> guest.call(call, fd, 0, Guest.RESULT);
      case "sock_recv" -> guest.call(call, fd, guest.vector(1), 1, 0, Guest.RESULT, Guest.RESULT + 4);
      case "sock_send" -> guest.call(call, fd, guest.vector(1), 1, 0, Guest.RESULT);
      default -> guest.call(call, fd, 1);
    };
  }

  /** What every call with a path says of it. */
  private static void onPath(String call) {
    String name = name(call);
    String second = call.equals(name) ? "" : ", as the second path";
    add(name, Errno.BADF, "a closed descriptor" + second, g -> path(g, call, CLOSED, 0, "file"));
    add(name, Errno.NOTDIR, "a stream for a directory" + second, g -> path(g, call, 1, 0, "file"));
    add(name, Errno.NOTDIR, "a file for a directory" + second, g -> path(g, call, file(g), 0, "file"));
    add(name, Errno.NOTCAPABLE, "a directory without rights" + second, g -> {
      int directory = g.openedDirectory(Guest.ROOT, "dir");
      g.ok("fd_fdstat_set_rights", directory, 0, 0);
      return path(g, call, directory, 0, "inner");
    });
    add(name, Errno.NOENT, "an empty path" + second, g -> path(g, call, ""));
    add(name, Errno.NOENT, "a directory that is not there" + second, g -> path(g, call, "none/x"));
    add(name, Errno.NOENT, "a directory that was removed" + second, g -> {
      int directory = g.openedDirectory(Guest.ROOT, "empty");
      g.rmdir("empty");
      return path(g, call, directory, 0, "x");
    });
    add(name, Errno.NOTDIR, "a file as a directory" + second, g -> path(g, call, "file/x"));
    for (String out : List.of("/file", "../file", "dir/../../file", "..")) {
      add(name, Errno.PERM, "a way out, " + out + second, g -> path(g, call, out));
    }
    add(name, Errno.PERM, "an absolute link below another directory" + second, g -> {
      int directory = g.openedDirectory(Guest.ROOT, "dir");
      g.symlink("/", directory, "out");
      return path(g, call, directory, 0, "out/x");
    });
    add(name, Errno.LOOP, "a loop of links" + second, g -> path(g, call, "loop/x"));
    add(name, Errno.NAMETOOLONG, "a name of 256 bytes" + second, g -> path(g, call, "n".repeat(256)));
    add(name, Errno.NAMETOOLONG, "a path of 4097 bytes" + second, g -> path(g, call, "./".repeat(2048) + "x"));
    add(name, Errno.INVAL, "a NUL" + second, g -> path(g, call, "file\0"));
    add(name, Errno.ILSEQ, "what is not UTF-8" + second, g -> path(g, call, "\u00ff"));
  }

  private static String name(String call) {
    return call.replace(" 2", "");
  }

  private static Errno path(Guest guest, String call, String path) {
    return path(guest, call, Guest.ROOT, 0, path);
  }

  /** Writes a path, each character a byte. */
  private static long at(Guest guest, int address, String path) {
    byte[] bytes = path.getBytes(StandardCharsets.ISO_8859_1);
    guest.memory.write(address, bytes, 0, bytes.length);
    return address;
  }

  /** With this path, and otherwise with what would do: {@code file} as the other old path, {@code fresh} as the other new one. */
  private static Errno path(Guest guest, String call, int fd, int lookup, String path) {
    long p = at(guest, FIRST, path);
    int n = path.length();
    int r = Guest.ROOT;
    String name = name(call);
    return switch (call) {
      case "path_filestat_get" -> guest.call(name, fd, lookup, p, n, Guest.RESULT);
      case "path_filestat_set_times" -> guest.call(name, fd, lookup, p, n, 0, 0, 0);
      case "path_link" -> guest.call(name, fd, lookup, p, n, r, at(guest, SECOND, "fresh"), 5);
      case "path_link 2" -> guest.call(name, r, lookup, at(guest, SECOND, "file"), 4, fd, p, n);
      case "path_open" -> guest.call(name, fd, lookup, p, n, 0, 0, 0, 0, Guest.RESULT);
      case "path_readlink" -> guest.call(name, fd, p, n, Guest.DATA, 100, Guest.RESULT);
      case "path_rename" -> guest.call(name, fd, p, n, r, at(guest, SECOND, "fresh"), 5);
      case "path_rename 2" -> guest.call(name, r, at(guest, SECOND, "file"), 4, fd, p, n);
      case "path_symlink" -> guest.call(name, at(guest, SECOND, "file"), 4, fd, p, n);
      default -> guest.call(name, fd, p, n);
    };
  }

  static Stream<String> calls() {
    return CASES.stream().map(Case::call).distinct();
  }

  @ParameterizedTest
  @MethodSource("calls")
  void everyError(String call) {
    assertAll(CASES.stream().filter(c -> c.call.equals(call)).map(c -> () -> {
      try (Guest own = guest(FileQuota.DEFAULT)) {
        assertEquals(c.expected, c.act.apply(own), c.toString());
      }
    }));
  }

  @Test
  void theGuideNamesTheseErrorsAndNoOther() throws IOException {
    Map<String, Set<Errno>> tried = new TreeMap<>();
    Preview1.functions().forEach(function -> tried.put(function.name(), EnumSet.noneOf(Errno.class)));
    CASES.stream().filter(c -> c.expected != Errno.SUCCESS).forEach(c -> tried.get(c.call).add(c.expected));
    assertEquals(tried, new TreeMap<>(WasiGuide.errors()));
  }

  /** What only the host can do wrong. */
  @Test
  void aFileOfTheImageThatCannotBeReadIsAnIoError() throws IOException {
    int fd = guest.opened("dir/inner", 0);
    Files.delete(image.resolve("dir/inner"));
    Files.createSymbolicLink(image.resolve("dir/inner"), Path.of("../file"));
    assertErrno(Errno.IO, guest.read(fd, 1));
    assertErrno(Errno.IO, guest.call("fd_pread", fd, guest.vector(1), 1, 0, Guest.RESULT));
    // A part of a block: the rest of it would have to be read.
    assertErrno(Errno.IO, guest.write(fd, "x"));
    assertErrno(Errno.IO, guest.pwrite(fd, "x", 1));
    assertErrno(Errno.IO, guest.call("fd_allocate", fd, 0, 1));
  }
}
