package dev.instar.wasi;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/** What a program would do to call WASI by hand: lays strings and structures out in a memory and calls functions by name. */
final class Guest implements AutoCloseable {
  static final int ROOT = 3;
  /** Where results go; strings are from 4096 on, data from 65536 on. */
  static final int RESULT = 1024;
  static final int DATA = 64 << 10;
  private static final Map<String, Preview1.Function> FUNCTIONS = Preview1.functions().stream().collect(Collectors.toMap(f -> f.name(), f -> f));

  final Wasi wasi;
  final ArrayMemory memory = new ArrayMemory(4 << 20);
  final ByteArrayOutputStream stdout = new ByteArrayOutputStream();
  final ByteArrayOutputStream stderr = new ByteArrayOutputStream();

  Guest(WasiSettings settings) {
    this(new Wasi(settings));
  }

  Guest(Wasi wasi) {
    this.wasi = wasi;
    connect("");
  }

  static Guest over(LowerTree files, Path scratch) {
    return over(files, scratch, FileQuota.DEFAULT);
  }

  static Guest over(LowerTree files, Path scratch, FileQuota quota) {
    return new Guest(settings(Optional.of(files), scratch, quota));
  }

  static WasiSettings settings(Optional<LowerTree> files, Path scratch, FileQuota quota) {
    return new WasiSettings(List.of("guest"), Map.of(), files, scratch, quota, ByteBudget.UNLIMITED, Clocks.system(), new SecureRandom());
  }

  void connect(String input) {
    connect(new ByteArrayInputStream(input.getBytes(StandardCharsets.UTF_8)), stdout);
  }

  void connect(InputStream input, OutputStream output) {
    wasi.connect(input, output, stderr::write);
  }

  Errno call(String name, long... args) {
    Preview1.Function function = FUNCTIONS.get(name);
    assertEquals(function.parameters().length(), args.length, name);
    return function.call(wasi, memory, args);
  }

  void ok(String name, long... args) {
    assertEquals(Errno.SUCCESS, call(name, args), name);
  }

  /** A string's address and length, at one of four places for strings. */
  private long[] text(int place, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    int address = 4096 + place * 8192;
    memory.write(address, bytes, 0, bytes.length);
    return new long[] {address, bytes.length};
  }

  Errno open(int fd, String path, int lookup, int oflags, long base, long inheriting, int fdflags) {
    long[] p = text(0, path);
    return call("path_open", fd, lookup, p[0], p[1], oflags, base, inheriting, fdflags, RESULT);
  }

  /** With all rights that the type has, following links. */
  Errno open(int fd, String path, int oflags) {
    long base = (oflags & Flags.OFLAGS_DIRECTORY) != 0 ? Rights.DIRECTORY : Rights.FILE;
    return open(fd, path, Flags.LOOKUP_SYMLINK_FOLLOW, oflags, base, Rights.ALL, 0);
  }

  int opened(String path, int oflags) {
    assertEquals(Errno.SUCCESS, open(ROOT, path, oflags), path);
    return result();
  }

  int openedDirectory(int fd, String path) {
    assertEquals(Errno.SUCCESS, open(fd, path, Flags.OFLAGS_DIRECTORY), path);
    return result();
  }

  int result() {
    return memory.readInt(RESULT);
  }

  Errno path(String name, int fd, String path) {
    long[] p = text(0, path);
    return call(name, fd, p[0], p[1]);
  }

  Errno mkdir(String path) {
    return path("path_create_directory", ROOT, path);
  }

  Errno rmdir(String path) {
    return path("path_remove_directory", ROOT, path);
  }

  Errno unlink(String path) {
    return path("path_unlink_file", ROOT, path);
  }

  Errno rename(int from, String oldPath, int to, String newPath) {
    long[] p = text(0, oldPath);
    long[] q = text(1, newPath);
    return call("path_rename", from, p[0], p[1], to, q[0], q[1]);
  }

  Errno rename(String oldPath, String newPath) {
    return rename(ROOT, oldPath, ROOT, newPath);
  }

  Errno symlink(String target, int fd, String path) {
    long[] p = text(0, target);
    long[] q = text(1, path);
    return call("path_symlink", p[0], p[1], fd, q[0], q[1]);
  }

  Errno symlink(String target, String path) {
    return symlink(target, ROOT, path);
  }

  Errno link(int lookup, String oldPath, String newPath) {
    long[] p = text(0, oldPath);
    long[] q = text(1, newPath);
    return call("path_link", ROOT, lookup, p[0], p[1], ROOT, q[0], q[1]);
  }

  Errno readlink(String path, int room) {
    long[] p = text(0, path);
    return call("path_readlink", ROOT, p[0], p[1], DATA, room, RESULT);
  }

  String readlink(String path) {
    assertEquals(Errno.SUCCESS, readlink(path, 8192), path);
    return string(DATA, result());
  }

  /** {@code filestat}; leaves it at {@link #RESULT}. */
  Errno stat(int fd, int lookup, String path) {
    long[] p = text(0, path);
    return call("path_filestat_get", fd, lookup, p[0], p[1], RESULT);
  }

  Stat stat(String path) {
    assertEquals(Errno.SUCCESS, stat(ROOT, 0, path), path);
    return stat();
  }

  Stat fstat(int fd) {
    ok("fd_filestat_get", fd, RESULT);
    return stat();
  }

  private Stat stat() {
    return new Stat(memory.readLong(RESULT), memory.readLong(RESULT + 8), Filetype.values()[memory.readByte(RESULT + 16)],
        memory.readLong(RESULT + 24),
        memory.readLong(RESULT + 32), memory.readLong(RESULT + 40), memory.readLong(RESULT + 48), memory.readLong(RESULT + 56));
  }

  record Stat(long dev, long ino, Filetype type, long nlink, long size, long atim, long mtim, long ctim) {}

  /** One iovec over {@link #DATA}. */
  int vector(int length) {
    memory.writeInt(RESULT + 64, DATA);
    memory.writeInt(RESULT + 68, length);
    return RESULT + 64;
  }

  Errno write(int fd, byte[] bytes) {
    memory.write(DATA, bytes, 0, bytes.length);
    return call("fd_write", fd, vector(bytes.length), 1, RESULT);
  }

  Errno write(int fd, String text) {
    return write(fd, text.getBytes(StandardCharsets.UTF_8));
  }

  Errno pwrite(int fd, String text, long offset) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    memory.write(DATA, bytes, 0, bytes.length);
    return call("fd_pwrite", fd, vector(bytes.length), 1, offset, RESULT);
  }

  Errno read(int fd, int length) {
    return call("fd_read", fd, vector(length), 1, RESULT);
  }

  byte[] bytes(int fd, int length) {
    assertEquals(Errno.SUCCESS, read(fd, length));
    byte[] bytes = new byte[result()];
    memory.read(DATA, bytes, 0, bytes.length);
    return bytes;
  }

  String string(int fd, int length, long offset) {
    ok("fd_pread", fd, vector(length), 1, offset, RESULT);
    return string(DATA, result());
  }

  String string(int address, int length) {
    byte[] bytes = new byte[length];
    memory.read(address, bytes, 0, length);
    return new String(bytes, StandardCharsets.UTF_8);
  }

  /** A file's whole contents. */
  String contents(String path) {
    int fd = opened(path, 0);
    String text = new String(bytes(fd, 1 << 20), StandardCharsets.UTF_8);
    ok("fd_close", fd);
    return text;
  }

  void create(String path, String text) {
    int fd = opened(path, Flags.OFLAGS_CREAT | Flags.OFLAGS_TRUNC);
    assertEquals(Errno.SUCCESS, write(fd, text));
    ok("fd_close", fd);
  }

  record Dirent(long next, long ino, String name, Filetype type) {}

  /** One call of {@code fd_readdir}; the entries that fit whole. */
  List<Dirent> readdir(int fd, int room, long cookie) {
    ok("fd_readdir", fd, DATA, room, cookie, RESULT);
    int used = result();
    List<Dirent> entries = new ArrayList<>();
    int at = DATA;
    while (at + 24 <= DATA + used) {
      int length = memory.readInt(at + 16);
      if (at + 24 + length > DATA + used) {
        break;
      }
      entries.add(new Dirent(memory.readLong(at), memory.readLong(at + 8), string(at + 24, length), Filetype.values()[memory.readByte(at + 20)]));
      at += 24 + length;
    }
    return entries;
  }

  List<String> list(String path) {
    int fd = openedDirectory(ROOT, path);
    List<String> names = readdir(fd, 1 << 20, 0).stream().map(Dirent::name).filter(n -> !n.equals(".") && !n.equals("..")).sorted().toList();
    ok("fd_close", fd);
    return names;
  }

  @Override
  public void close() {
    wasi.close();
  }
}
