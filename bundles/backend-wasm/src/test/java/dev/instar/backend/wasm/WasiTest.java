package dev.instar.backend.wasm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.dylibso.chicory.runtime.ChicoryInterruptedException;
import com.dylibso.chicory.wasm.ChicoryException;
import com.dylibso.chicory.wasm.types.ValType;
import dev.instar.api.InstarException;
import dev.instar.backend.wasm.wasi.FileImage;
import dev.instar.backend.wasm.wasi.GuestExit;
import dev.instar.backend.wasm.wasi.HostCall;
import dev.instar.backend.wasm.wasi.Streams;
import dev.instar.backend.wasm.wasi.Wasi;
import dev.instar.backend.wasm.wasi.WasiCalls;
import dev.instar.backend.wasm.wasi.WasiImage;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.SequenceInputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The host's side of WASI, called as a guest calls it. */
@Timeout(60)
class WasiTest {
  private static final Map<String, HostCall<Wasi>> CALLS = WasiCalls.ALL.stream().collect(Collectors.toMap(HostCall::name, Function.identity()));
  private static final long READ = 1 << 1;
  private static final long WRITE = 1 << 6;
  private static final int CREATE = 1;
  private static final int DIRECTORY = 2;
  private static final int EXCLUSIVE = 4;
  private static final int TRUNCATE = 8;
  private static final int ROOT = 3;
  private static final int SUCCESS = 0;
  private static final int BADF = 8;
  private static final int EXIST = 20;
  private static final int ILSEQ = 25;
  private static final int INVAL = 28;
  private static final int ISDIR = 31;
  private static final int LOOP = 32;
  private static final int MFILE = 33;
  private static final int NAMETOOLONG = 37;
  private static final int NOENT = 44;
  private static final int NOSPC = 51;
  private static final int NOTDIR = 54;
  private static final int NOTEMPTY = 55;
  private static final int PERM = 63;
  private static final int SPIPE = 70;

  @TempDir
  Path host;

  private final MemoryBudget budget = new MemoryBudget(1L << 30);
  private final LinearMemory memory = new LinearMemory(16, 16, budget);
  private Path rootfs;
  private WasiImage image;
  private Wasi wasi;

  @BeforeEach
  void files() throws IOException {
    Files.writeString(host.resolve("secret"), "of the node");
    rootfs = Files.createDirectory(host.resolve("rootfs"));
    Files.writeString(rootfs.resolve("hello.txt"), "hello, file");
    Files.createDirectories(rootfs.resolve("a/b/c"));
    Files.writeString(rootfs.resolve("a/b/deep.txt"), "deep");
    Files.createSymbolicLink(rootfs.resolve("link"), Path.of("hello.txt"));
    Files.createSymbolicLink(rootfs.resolve("a/up"), Path.of("../hello.txt"));
    Files.createSymbolicLink(rootfs.resolve("absolute"), Path.of("/a/b/deep.txt"));
    Files.createSymbolicLink(rootfs.resolve("etc"), Path.of("/etc"));
    Files.createSymbolicLink(rootfs.resolve("out"), Path.of("../secret"));
    Files.createSymbolicLink(rootfs.resolve("far"), host.resolve("secret"));
    Files.createSymbolicLink(rootfs.resolve("parent"), Path.of(".."));
    Files.createSymbolicLink(rootfs.resolve("loop"), Path.of("loop"));
    Files.createSymbolicLink(rootfs.resolve("ping"), Path.of("pong"));
    Files.createSymbolicLink(rootfs.resolve("pong"), Path.of("ping"));
    image = WasiImage.of(Optional.of(FileImage.of(rootfs)));
    wasi = open(image);
  }

  private Wasi open(WasiImage from) {
    return new Wasi(from, Wasi.texts(List.of("name")), Wasi.texts(List.of("A=1", "B=zwei ü")), budget, 1 << 20);
  }

  @AfterEach
  void nothingIsLeft() throws IOException {
    wasi.close();
    memory.release();
    assertEquals(0, budget.used());
    assertEquals("of the node", Files.readString(host.resolve("secret")));
    assertEquals("hello, file", Files.readString(rootfs.resolve("hello.txt")));
    try (var all = Files.walk(host)) {
      assertEquals(18, all.count(), "files of the host have come or gone");
    }
    // JUnit warns of links that leave its directory.
    Files.delete(rootfs.resolve("etc"));
  }

  // ---- as a guest ----

  private int call(String name, long... arguments) {
    HostCall<Wasi> call = CALLS.get(name);
    assertEquals(call.type().params().size(), arguments.length, name);
    return (int) call.body().call(wasi, memory, arguments)[0];
  }

  /** Puts a text at an address; its length. */
  private int put(int at, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    memory.write(at, bytes, 0, bytes.length);
    return bytes.length;
  }

  private int path(String call, String path) {
    return call(call, ROOT, 1000, put(1000, path));
  }

  /** Opens, following links; the error number, or the descriptor as a negative number less one. */
  private int open(int directory, String path, int openFlags, long rights, int flags) {
    int errno = call("path_open", directory, 1, 1000, put(1000, path), openFlags, rights, 0, flags, 500);
    return errno == SUCCESS ? -1 - memory.readInt(500) : errno;
  }

  private int opened(String path, int openFlags, long rights) {
    int result = open(ROOT, path, openFlags, rights, 0);
    assertTrue(result < 0, () -> "opening " + path + " gave " + result);
    return -1 - result;
  }

  private int vector(int at, int length) {
    memory.writeI32(600, at);
    memory.writeI32(604, length);
    return 600;
  }

  private String read(int fd) {
    var all = new ByteArrayOutputStream();
    while (true) {
      assertEquals(SUCCESS, call("fd_read", fd, vector(100_000, 50_000), 1, 700));
      int n = memory.readInt(700);
      if (n == 0) {
        return all.toString(StandardCharsets.UTF_8);
      }
      all.writeBytes(memory.readBytes(100_000, n));
    }
  }

  private int write(int fd, String text) {
    return call("fd_write", fd, vector(200_000, put(200_000, text)), 1, 700);
  }

  private String contents(String path) {
    int fd = opened(path, 0, READ);
    String text = read(fd);
    assertEquals(SUCCESS, call("fd_close", fd));
    return text;
  }

  private void create(String path, String text) {
    int fd = opened(path, CREATE | TRUNCATE, WRITE);
    assertEquals(SUCCESS, write(fd, text));
    assertEquals(SUCCESS, call("fd_close", fd));
  }

  private int symlink(String target, String path) {
    return call("path_symlink", 2000, put(2000, target), ROOT, 1000, put(1000, path));
  }

  private int rename(String from, String to) {
    return call("path_rename", ROOT, 2000, put(2000, from), ROOT, 1000, put(1000, to));
  }

  private int link(String from, String to) {
    return call("path_link", ROOT, 0, 2000, put(2000, from), ROOT, 1000, put(1000, to));
  }

  private List<String> list(int fd) {
    List<String> names = new ArrayList<>();
    long cookie = 0;
    while (true) {
      assertEquals(SUCCESS, call("fd_readdir", fd, 300_000, 64, cookie, 700));
      int used = memory.readInt(700);
      int at = 0;
      while (used - at >= 24 && used - at - 24 >= memory.readInt(300_000 + at + 16)) {
        cookie = memory.readLong(300_000 + at);
        int n = memory.readInt(300_000 + at + 16);
        names.add(new String(memory.readBytes(300_000 + at + 24, n), StandardCharsets.UTF_8));
        at += 24 + n;
      }
      if (used < 64) {
        return names;
      }
    }
  }

  // ---- escapes ----

  @ParameterizedTest
  @ValueSource(strings = {"../secret", "a/../../secret", "a/b/../../../secret", "./../secret", "a/..//../secret", "/etc/passwd", "//etc/passwd",
      "..", "../", "a/../..", "out", "parent/secret", "parent", "a/../out"})
  void pathsThatLeadOutAreRefused(String path) {
    assertEquals(PERM, open(ROOT, path, 0, READ, 0), "path_open");
    assertEquals(PERM, open(ROOT, path, CREATE, READ | WRITE, 0), "path_open to write");
    assertEquals(PERM, call("path_filestat_get", ROOT, 1, 1000, put(1000, path), 700), "path_filestat_get");
    assertEquals(PERM, call("path_filestat_set_times", ROOT, 1, 1000, put(1000, path), 0, 0, 2), "path_filestat_set_times");
    assertEquals(PERM, call("path_link", ROOT, 1, 2000, put(2000, path), ROOT, 1000, put(1000, "stolen")), "path_link");
    if (!path.matches("out|parent|a/../out")) {
      // These follow no link in the last place: they would act on the link itself, which is the guest's.
      assertEquals(PERM, path("path_create_directory", path), "path_create_directory");
      assertEquals(PERM, path("path_unlink_file", path), "path_unlink_file");
      assertEquals(PERM, path("path_remove_directory", path), "path_remove_directory");
      assertEquals(PERM, symlink("x", path), "path_symlink");
      assertEquals(PERM, rename(path, "stolen"), "path_rename from");
      assertEquals(PERM, rename("hello.txt", path), "path_rename to");
      assertEquals(PERM, link("hello.txt", path), "path_link to");
      assertEquals(PERM, call("path_readlink", ROOT, 1000, put(1000, path), 3000, 100, 700), "path_readlink");
    }
  }

  @Test
  void linksWithAbsoluteTargetsLeadIntoTheView() {
    assertEquals("deep", contents("absolute"));
    // The host has these files; in the view, /etc is the link itself.
    assertEquals(LOOP, open(ROOT, "etc/passwd", 0, READ, 0));
    assertEquals(LOOP, open(ROOT, "etc", DIRECTORY, READ, 0));
    assertEquals(NOENT, open(ROOT, "far", 0, READ, 0));
  }

  @Test
  void linksThatAGuestMakesLeadNowhereElse() throws IOException {
    String secret = host.resolve("secret").toString();
    assertEquals(SUCCESS, symlink(secret, "mine"));
    assertEquals(NOENT, open(ROOT, "mine", 0, READ, 0));
    assertEquals(NOENT, open(ROOT, "mine", CREATE, READ | WRITE, 0), "its target's directory does not exist in the view");
    assertEquals(SUCCESS, symlink("../secret", "up"));
    assertEquals(PERM, open(ROOT, "up", CREATE, READ | WRITE, 0));
    assertEquals(SUCCESS, symlink("/", "top"));
    assertEquals("hello, file", contents("top/hello.txt"));
    assertEquals(PERM, open(ROOT, "top/../secret", 0, READ, 0));
    assertEquals(SUCCESS, symlink("a/b", "into"));
    assertEquals(PERM, open(ROOT, "into/../../../secret", 0, READ, 0));
    // A directory replaced by a link between two calls.
    assertEquals(SUCCESS, path("path_create_directory", "d"));
    int d = opened("d", DIRECTORY, 0);
    assertEquals(SUCCESS, path("path_remove_directory", "d"));
    assertEquals(SUCCESS, symlink("..", "d"));
    assertEquals(NOENT, open(d, "secret", 0, READ, 0));
    assertEquals(NOENT, open(d, "secret", CREATE, WRITE, 0), "a directory that was removed takes no files");
    assertEquals(PERM, open(d, "../secret", 0, READ, 0));
  }

  @Test
  void aDirectoryConfinesItsOwnPaths() {
    int b = opened("a/b", DIRECTORY, 0);
    assertEquals(PERM, open(b, "../up", 0, READ, 0));
    assertEquals(PERM, open(b, "c/../../up", 0, READ, 0));
    assertTrue(open(b, "c/../deep.txt", 0, READ, 0) < 0);
    int a = opened("a", DIRECTORY, 0);
    assertEquals(PERM, open(a, "up", 0, READ, 0), "a link that leaves the directory");
    assertEquals(SUCCESS, symlink("/hello.txt", "a/abs"));
    assertEquals(PERM, open(a, "abs", 0, READ, 0), "an absolute link, from below the root");
  }

  @Test
  void endlessLinksEnd() {
    for (String name : List.of("loop", "ping", "loop/x")) {
      assertEquals(LOOP, open(ROOT, name, 0, READ, 0), name);
    }
    assertEquals(LOOP, call("path_open", ROOT, 0, 1000, put(1000, "link"), 0, READ, 0, 0, 500), "not followed");
    // Each link doubles what is to be walked.
    assertEquals(SUCCESS, symlink("./././././././.", "d0"));
    for (int i = 1; i < 30; i++) {
      assertEquals(SUCCESS, symlink(("d" + (i - 1) + "/").repeat(300), "d" + i));
    }
    assertEquals(NAMETOOLONG, open(ROOT, "d29", 0, READ, 0));
  }

  @Test
  void namesAreChecked() {
    assertEquals(NOENT, open(ROOT, "", 0, READ, 0));
    assertEquals(INVAL, open(ROOT, "hello.txt\0", 0, READ, 0));
    assertEquals(INVAL, open(ROOT, "a\0b", CREATE, WRITE, 0));
    assertEquals(NAMETOOLONG, open(ROOT, "x".repeat(256), CREATE, WRITE, 0));
    assertEquals(NAMETOOLONG, open(ROOT, "ü".repeat(128), CREATE, WRITE, 0));
    assertEquals(NAMETOOLONG, open(ROOT, "a/".repeat(3000), 0, READ, 0));
    assertEquals(NAMETOOLONG, call("path_create_directory", ROOT, 0, 100_000));
    assertTrue(open(ROOT, "x".repeat(255), CREATE, WRITE, 0) < 0);
    memory.write(1000, new byte[] {(byte) 0xc3, 0x28}, 0, 2);
    assertEquals(ILSEQ, call("path_create_directory", ROOT, 1000, 2));
    memory.write(1000, new byte[] {(byte) 0xc0, (byte) 0xae, (byte) 0xc0, (byte) 0xae}, 0, 4);
    assertEquals(ILSEQ, call("path_create_directory", ROOT, 1000, 4), "an overlong encoding of ..");
    // To this file system these are names like others.
    create("..\\secret", "fine");
    assertEquals("fine", contents("..\\secret"));
    create("%2e%2e", "fine");
    assertEquals("fine", contents("%2e%2e"));
  }

  // ---- files ----

  @Test
  void filesAreReadThroughLinksAndDirectories() {
    assertEquals("hello, file", contents("hello.txt"));
    assertEquals("hello, file", contents("link"));
    assertEquals("hello, file", contents("./a//up"));
    assertEquals("deep", contents("a/b/c/../deep.txt"));
    assertEquals(NOTDIR, open(ROOT, "hello.txt/", 0, READ, 0));
    assertEquals(NOTDIR, open(ROOT, "hello.txt/x", 0, READ, 0));
    assertEquals(NOTDIR, open(ROOT, "hello.txt", DIRECTORY, READ, 0));
    assertEquals(ISDIR, open(ROOT, "a", 0, READ | WRITE, 0));
    assertEquals(NOENT, open(ROOT, "missing", 0, READ, 0));
    assertEquals(List.of(".", "..", "a", "absolute", "etc", "far", "hello.txt", "link", "loop", "out", "parent", "ping", "pong"), list(ROOT));
    assertEquals(List.of(".", "..", "b", "up"), list(opened("a", DIRECTORY, 0)));
  }

  @Test
  void whatIsWrittenIsReadAndIsGoneInTheNextView() {
    create("new.txt", "first");
    assertEquals("first", contents("new.txt"));
    int fd = opened("hello.txt", 0, READ | WRITE);
    assertEquals(SUCCESS, write(fd, "HELLO"));
    assertEquals(SUCCESS, call("fd_seek", fd, 0, 0, 700));
    assertEquals("HELLO, file", read(fd));
    assertEquals(SUCCESS, call("fd_seek", fd, 5, 2, 700));
    assertEquals(16, memory.readLong(700));
    assertEquals(SUCCESS, write(fd, "!"));
    assertEquals(SUCCESS, call("fd_pread", fd, vector(100_000, 20), 1, 0, 700));
    assertEquals("HELLO, file\0\0\0\0\0!", new String(memory.readBytes(100_000, memory.readInt(700)), StandardCharsets.UTF_8));
    assertEquals(SUCCESS, call("fd_filestat_set_size", fd, 3));
    assertEquals("HEL", contents("hello.txt"));
    assertEquals(SUCCESS, call("fd_pwrite", fd, vector(200_000, put(200_000, "xyz")), 1, 2, 700));
    assertEquals("HExyz", contents("hello.txt"));
    assertEquals(SUCCESS, path("path_unlink_file", "a/b/deep.txt"));
    assertEquals(NOENT, open(ROOT, "a/b/deep.txt", 0, READ, 0));
    wasi.close();
    wasi = open(image);
    assertEquals("hello, file", contents("hello.txt"));
    assertEquals("deep", contents("a/b/deep.txt"));
    assertEquals(NOENT, open(ROOT, "new.txt", 0, READ, 0));
  }

  @Test
  void flagsOfOpenAreHeeded() {
    assertEquals(EXIST, open(ROOT, "hello.txt", CREATE | EXCLUSIVE, WRITE, 0));
    assertEquals(EXIST, open(ROOT, "loop", CREATE | EXCLUSIVE, WRITE, 0));
    assertEquals(INVAL, open(ROOT, "x", CREATE | DIRECTORY, WRITE, 0));
    create("log", "one");
    int append = -1 - open(ROOT, "log", 0, WRITE, 1);
    assertEquals(SUCCESS, write(append, "two"));
    assertEquals("onetwo", contents("log"));
    assertEquals(BADF, call("fd_read", append, vector(0, 1), 1, 700));
    assertEquals(BADF, write(opened("log", 0, READ), "no"));
    create("log", "");
    assertEquals("", contents("log"));
  }

  @Test
  void directoriesAndNamesComeAndGo() {
    assertEquals(SUCCESS, path("path_create_directory", "d"));
    assertEquals(SUCCESS, path("path_create_directory", "d/e/"));
    assertEquals(EXIST, path("path_create_directory", "d"));
    assertEquals(NOENT, path("path_create_directory", "no/where"));
    create("d/f", "text");
    assertEquals(NOTEMPTY, path("path_remove_directory", "d"));
    assertEquals(ISDIR, path("path_unlink_file", "d"));
    assertEquals(NOTDIR, path("path_remove_directory", "d/f"));
    assertEquals(INVAL, path("path_remove_directory", "."));
    assertEquals(INVAL, rename("d", "d/e/inside"), "into itself");
    assertEquals(INVAL, rename("d", "d/x"), "into itself");
    assertEquals(SUCCESS, rename("d/f", "g"));
    assertEquals("text", contents("g"));
    assertEquals(ISDIR, rename("g", "d"));
    assertEquals(NOTDIR, rename("d", "g"));
    assertEquals(SUCCESS, rename("d", "a/moved"));
    assertEquals(SUCCESS, path("path_remove_directory", "a/moved/e"));
    assertEquals(SUCCESS, link("g", "h"));
    assertEquals(SUCCESS, path("path_unlink_file", "g"));
    assertEquals("text", contents("h"));
    assertEquals(PERM, link("a", "a2"), "no second name for a directory");
    int open = opened("h", 0, READ);
    assertEquals(SUCCESS, path("path_unlink_file", "h"));
    assertEquals("text", read(open), "an open file outlives its name");
    assertEquals(SUCCESS, call("fd_close", open));
    assertEquals(SUCCESS, call("path_readlink", ROOT, 1000, put(1000, "a/up"), 3000, 100, 700));
    assertEquals("../hello.txt", new String(memory.readBytes(3000, memory.readInt(700)), StandardCharsets.UTF_8));
  }

  @Test
  void writingIsBounded() {
    int fd = opened("big", CREATE, WRITE | READ);
    assertEquals(NOSPC, call("fd_filestat_set_size", fd, 2 << 20));
    assertEquals(NOSPC, call("fd_allocate", fd, 0, 2 << 20));
    int written = 0;
    while (call("fd_write", fd, vector(0, 300_000), 1, 700) == SUCCESS) {
      written += memory.readInt(700);
      assertTrue(written <= 1 << 20);
    }
    assertTrue(written > 500_000, "written: " + written);
    assertEquals(22, call("fd_pwrite", fd, vector(0, 1), 1, Long.MAX_VALUE - 5, 700), "FBIG");
    assertEquals(NOSPC, call("fd_pwrite", fd, vector(0, 1), 1, 1L << 30, 700));
    assertEquals(SUCCESS, call("fd_close", fd));
    assertEquals(SUCCESS, path("path_unlink_file", "big"));
    int made = 0;
    while (path("path_create_directory", "many" + made) == SUCCESS) {
      made++;
    }
    assertEquals((1 << 20) / 1024, made, 10);
    assertEquals(NOSPC, open(ROOT, "one more", CREATE, WRITE, 0));
  }

  @Test
  void linksAreChargedByTheirTargets() {
    int made = 0;
    while (symlink("x".repeat(4000), "link" + made) == SUCCESS) {
      made++;
    }
    assertEquals((1 << 20) / 9024, made, 5);
  }

  @Test
  void aListingHoldsWhileEntriesComeAndGo() {
    assertEquals(SUCCESS, path("path_create_directory", "d"));
    for (int i = 0; i < 20; i++) {
      create("d/" + (char) ('a' + i), "");
    }
    int d = opened("d", DIRECTORY, 0);
    // Removing what was listed, as rm -r does, skips nothing.
    int removed = 0;
    long cookie = 0;
    do {
      assertEquals(SUCCESS, call("fd_readdir", d, 300_000, 25, cookie, 700));
      cookie = memory.readLong(300_000);
      byte name = memory.read(300_024);
      if (name != '.') {
        assertEquals(SUCCESS, path("path_unlink_file", "d/" + (char) name));
        removed++;
      }
    } while (cookie < 22);
    assertEquals(20, removed);
    assertEquals(List.of(".", ".."), list(d));
    assertEquals(SUCCESS, path("path_remove_directory", "d"));
  }

  @Test
  void descriptorsAreBounded() {
    int last = 0;
    int count = 0;
    while ((last = open(ROOT, "hello.txt", 0, READ, 0)) < 0) {
      count++;
    }
    assertEquals(MFILE, last);
    assertEquals(1020, count);
    assertEquals(SUCCESS, call("fd_close", 77));
    assertEquals(77, opened("hello.txt", 0, READ));
  }

  @Test
  void filesOfAnInitialiserAreKept() {
    create("made", "before the snapshot");
    assertEquals(SUCCESS, path("path_create_directory", "kept"));
    assertEquals(SUCCESS, link("made", "kept/second"));
    int open = opened("made", 0, READ | WRITE);
    int directory = opened("kept", DIRECTORY, 0);
    assertEquals(SUCCESS, call("fd_seek", open, 7, 0, 700));
    assertEquals(SUCCESS, path("path_unlink_file", "a/b/deep.txt"));
    WasiImage after = wasi.freeze();
    assertTrue(after.charged() > 0);
    for (int i = 0; i < 3; i++) {
      wasi.close();
      wasi = open(after);
      assertEquals("the snapshot", read(open));
      assertEquals(SUCCESS, write(open, "!"));
      assertEquals("before the snapshot!", contents("kept/second"), "two names of one file");
      assertEquals(List.of(".", "..", "second"), list(directory));
      assertTrue(open(directory, "in" + i, CREATE, WRITE, 0) < 0);
      assertEquals(NOENT, open(ROOT, "a/b/deep.txt", 0, READ, 0));
      assertEquals("hello, file", contents("hello.txt"));
    }
    budget.give(after.charged());
  }

  @Test
  void withoutFilesThereIsNoDirectory() {
    wasi.close();
    wasi = open(WasiImage.of(Optional.empty()));
    assertEquals(BADF, call("fd_prestat_get", ROOT, 700));
    assertEquals(BADF, open(ROOT, "hello.txt", 0, READ, 0));
    assertEquals(NOTDIR, open(0, "hello.txt", 0, READ, 0));
    assertEquals(BADF, call("fd_close", 3));
  }

  @Test
  void theRootIsPreopened() {
    assertEquals(SUCCESS, call("fd_prestat_get", ROOT, 700));
    assertEquals(0, memory.read(700));
    assertEquals(1, memory.readInt(704));
    assertEquals(SUCCESS, call("fd_prestat_dir_name", ROOT, 700, 1));
    assertEquals('/', memory.read(700));
    assertEquals(BADF, call("fd_prestat_get", 4, 700));
    assertEquals(BADF, call("fd_prestat_get", 0, 700));
  }

  @Test
  void statusTellsWhatAFileIs() {
    assertEquals(SUCCESS, call("path_filestat_get", ROOT, 1, 1000, put(1000, "link"), 5000));
    assertEquals(4, memory.read(5016));
    assertEquals(11, memory.readLong(5032));
    assertEquals(SUCCESS, call("path_filestat_get", ROOT, 0, 1000, put(1000, "link"), 5000));
    assertEquals(7, memory.read(5016));
    assertEquals(SUCCESS, call("path_filestat_get", ROOT, 0, 1000, put(1000, "a/"), 5000));
    assertEquals(3, memory.read(5016));
    int fd = opened("hello.txt", 0, READ);
    assertEquals(SUCCESS, call("path_filestat_set_times", ROOT, 1, 1000, put(1000, "hello.txt"), 111, 222, 5));
    assertEquals(SUCCESS, call("fd_filestat_get", fd, 5000));
    assertEquals(111, memory.readLong(5040));
    assertEquals(222, memory.readLong(5048));
    assertEquals(INVAL, call("fd_filestat_set_times", fd, 0, 0, 3));
    assertEquals(SUCCESS, call("fd_fdstat_get", fd, 5000));
    assertEquals(4, memory.read(5000));
    assertEquals(SUCCESS, call("fd_fdstat_get", 1, 5000));
    assertEquals(0, memory.read(5000), "a C library must not take it for a terminal");
    assertEquals(SPIPE, call("fd_seek", 1, 0, 1, 700));
  }

  @Test
  void renumberingMovesADescriptor() {
    int fd = opened("hello.txt", 0, READ);
    assertEquals(SUCCESS, call("fd_renumber", fd, 0));
    assertEquals("hello, file", read(0));
    assertEquals(BADF, call("fd_close", fd));
    assertEquals(BADF, call("fd_renumber", 0, 99));
    assertEquals(BADF, call("fd_renumber", 99, 0));
  }

  // ---- the rest ----

  @Test
  void standardInputGivesWhatHasComeAndNoMore() {
    wasi.connect(new Streams(new SequenceInputStream(new ByteArrayInputStream("one".getBytes()), new ByteArrayInputStream("two".getBytes())),
        OutputStream.nullOutputStream(), (b, o, l) -> {}));
    memory.writeI32(600, 100_000);
    memory.writeI32(604, 2);
    memory.writeI32(608, 100_010);
    memory.writeI32(612, 100);
    assertEquals(SUCCESS, call("fd_read", 0, 600, 2, 700));
    assertEquals(3, memory.readInt(700), "it must not wait for the second part");
    assertEquals("two", read(0));
  }

  @Test
  void environmentAndArgumentsAreGiven() {
    assertEquals(SUCCESS, call("environ_sizes_get", 0, 4));
    assertEquals(2, memory.readInt(0));
    assertEquals(SUCCESS, call("environ_get", 100, 200));
    assertEquals("A=1\0B=zwei ü\0", new String(memory.readBytes(200, memory.readInt(4)), StandardCharsets.UTF_8));
    assertEquals(204, memory.readInt(104));
    assertEquals(SUCCESS, call("args_sizes_get", 0, 4));
    assertEquals(1, memory.readInt(0));
    assertEquals(5, memory.readInt(4));
  }

  @Test
  void clocksGoOn() {
    long before = System.currentTimeMillis();
    assertEquals(SUCCESS, call("clock_time_get", 0, 0, 0));
    assertTrue(Math.abs(memory.readLong(0) / 1_000_000 - before) < 10_000);
    for (int clock = 1; clock <= 3; clock++) {
      assertEquals(SUCCESS, call("clock_time_get", clock, 0, 0));
      assertEquals(SUCCESS, call("clock_time_get", clock, 0, 8));
      assertTrue(memory.readLong(8) >= memory.readLong(0) && memory.readLong(0) >= 0);
    }
    assertEquals(INVAL, call("clock_time_get", 4, 0, 0));
    assertEquals(INVAL, call("clock_res_get", -1, 0));
  }

  @Test
  void randomBytesDiffer() {
    assertEquals(SUCCESS, call("random_get", 0, 10_000));
    assertEquals(SUCCESS, call("random_get", 10_000, 10_000));
    byte[] one = memory.readBytes(0, 10_000);
    assertFalse(Arrays.equals(one, memory.readBytes(10_000, 10_000)));
    assertFalse(Arrays.equals(Arrays.copyOfRange(one, 9000, 9900), new byte[900]));
  }

  private void clock(int at, long nanos) {
    memory.fill((byte) 0, at, at + 48);
    memory.writeLong(at, at);
    memory.writeI32(at + 16, 1);
    memory.writeLong(at + 24, nanos);
  }

  @Test
  void sleepEndsAtTheFirstClock() {
    clock(0, 3_600_000_000_000L);
    clock(48, 30_000_000);
    long before = System.nanoTime();
    assertEquals(SUCCESS, call("poll_oneoff", 0, 1000, 2, 700));
    assertTrue(System.nanoTime() - before >= 29_000_000);
    assertEquals(1, memory.readInt(700));
    assertEquals(48, memory.readLong(1000), "the user data of the second");
    // With a stream beside it there is nothing to wait for.
    memory.fill((byte) 0, 48, 96);
    memory.writeByte(56, (byte) 2);
    memory.writeI32(64, 1);
    assertEquals(SUCCESS, call("poll_oneoff", 0, 1000, 2, 700));
    assertEquals(1, memory.readInt(700));
    assertEquals(2, memory.read(1010));
    assertEquals(INVAL, call("poll_oneoff", 0, 1000, 0, 700));
    assertEquals(INVAL, call("poll_oneoff", 0, 1000, 5000, 700));
  }

  @Test
  void sleepCanBeInterrupted() throws Exception {
    clock(0, -1);
    Thread here = Thread.currentThread();
    Thread.ofPlatform().start(() -> {
      try {
        Thread.sleep(100);
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
      here.interrupt();
    });
    assertThrows(ChicoryInterruptedException.class, () -> call("poll_oneoff", 0, 1000, 1, 700));
    assertTrue(Thread.interrupted());
  }

  @Test
  void exitCarriesItsCode() {
    assertEquals(3, assertThrows(GuestExit.class, () -> call("proc_exit", 3)).code());
    assertEquals(134, assertThrows(GuestExit.class, () -> call("proc_raise", 6)).code());
  }

  static List<String> names() {
    return CALLS.keySet().stream().sorted().toList();
  }

  /** Any arguments may only lead to an error number, a trap, an exit, or our own refusal. */
  @ParameterizedTest
  @MethodSource("names")
  void noArgumentsDoHarm(String name) {
    HostCall<Wasi> call = CALLS.get(name);
    Random random = new Random(name.hashCode());
    long[] interesting = {0, 1, 2, 3, 4, 8, 48, 600, 65535, 1 << 20, (1 << 20) - 1, (1 << 20) - 8, Integer.MAX_VALUE, Integer.MIN_VALUE, -1, -8,
        Long.MAX_VALUE, Long.MIN_VALUE};
    byte[] noise = new byte[4096];
    for (int i = 0; i < 3000; i++) {
      if (i % 100 == 0) {
        wasi.close();
        wasi = open(image);
        opened("hello.txt", 0, READ | WRITE);
        opened("a", DIRECTORY, 0);
      }
      random.nextBytes(noise);
      memory.write(random.nextInt(500_000), noise, 0, noise.length);
      put(600, "a/b/deep.txt");
      long[] arguments = new long[call.type().params().size()];
      for (int k = 0; k < arguments.length; k++) {
        arguments[k] = random.nextInt(3) > 0 ? interesting[random.nextInt(interesting.length)] : random.nextLong();
        if (call.type().params().get(k).equals(ValType.I32)) {
          arguments[k] = (int) arguments[k];
        }
      }
      // So that no sleep is slept.
      Thread.currentThread().interrupt();
      try {
        long[] result = call.body().call(wasi, memory, arguments);
        assertTrue(result[0] >= 0 && result[0] <= 76, () -> name + " gave " + result[0]);
      } catch (ChicoryException | GuestExit | InstarException e) {
        // A trap, or an end that the guest asked for.
      } finally {
        Thread.interrupted();
      }
    }
  }
}
