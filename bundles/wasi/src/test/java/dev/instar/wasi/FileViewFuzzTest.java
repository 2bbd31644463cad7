package dev.instar.wasi;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.instar.api.data.DurableFiles;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The same random operations on the view and on a directory of the host: both must agree on success and on every file, link and directory after it.
 * The image's files are the host directory's first state. Which error it was is for the tables of the other tests, because java.nio hides it.
 */
class FileViewFuzzTest {
  private static final String[] NAMES = {"a", "b", "c", "d", "ä"};
  /** Blocks of the store are 16 KiB: sizes around their borders. */
  private static final int[] SIZES = {0, 1, 100, 16383, 16384, 16385, 40000};
  private static final int MAX_SIZE = 60_000;

  @TempDir
  Path temp;

  private final List<String> history = new ArrayList<>();

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20})
  void theViewBehavesLikeADirectoryOfTheHost(long seed) throws IOException {
    agree(new Random(seed), temp, 15, 3, 200);
  }

  /** The same with operations that coverage leads to. */
  @FuzzTest
  void theViewBehavesLikeADirectoryOfTheHostWhateverIsDone(byte[] input) throws IOException {
    history.clear();
    Path directory = Files.createTempDirectory("fuzz-view");
    try {
      Drawn drawn = new Drawn(input);
      agree(drawn, directory, drawn.nextInt(6), 2, 40);
    } finally {
      DurableFiles.deleteTree(directory);
    }
  }

  /** Draws from an input instead of from chance, few bytes for each choice; all is zero after its end. */
  private static final class Drawn extends Random {
    private static final long serialVersionUID = 1;
    private final byte[] input;
    private int at;

    Drawn(byte[] input) {
      this.input = input;
    }

    private int draw() {
      return at < input.length ? input[at++] & 0xff : 0;
    }

    @Override
    public int nextInt(int bound) {
      return (bound <= 256 ? draw() : draw() << 8 | draw()) % bound;
    }

    @Override
    public long nextLong() {
      return draw();
    }

    @Override
    public void nextBytes(byte[] bytes) {
      Arrays.fill(bytes, (byte) draw());
    }
  }

  private void agree(Random random, Path temp, int prepared, int parts, int steps) throws IOException {
    Path image = Files.createDirectory(temp.resolve("image"));
    Path host = Files.createDirectory(temp.resolve("host"));
    for (int i = 0; i < prepared; i++) {
      // The same for both, so what one makes the other makes, too.
      long step = random.nextLong();
      assertEquals(prepare(image, new Random(step)), prepare(host, new Random(step)));
    }
    // Little of it on the heap, so that most blocks go through the file.
    FileQuota quota = new FileQuota(16, 10_000, 64L << 20, 2L * BlockStore.BLOCK);
    AtomicLong charged = new AtomicLong();
    ByteBudget budget = new ByteBudget() {
      @Override
      public boolean take(long bytes) {
        charged.addAndGet(bytes);
        return true;
      }

      @Override
      public void give(long bytes) {
        charged.addAndGet(-bytes);
      }
    };
    WasiSettings settings = new WasiSettings(List.of(), Map.of(), Optional.of(LowerTree.scan(image, 1000)), temp.resolve("scratch"), quota, budget,
        Clocks.system(), new SecureRandom());
    Wasi wasi = new Wasi(settings);
    // Each part goes on where the one before was frozen.
    for (int part = 0; part < parts; part++) {
      try (Guest guest = new Guest(wasi)) {
        TreeMap<String, String> start = tree(guest);
        assertEquals(tree(host, host, new TreeMap<>()), start, "at the start of part " + part);
        for (int i = 0; i < steps; i++) {
          step(guest, host, random);
          if (i % 20 == 19) {
            compare(guest, host);
          }
        }
        wasi = new Wasi(settings, guest.wasi.freeze(64 << 20).orElseThrow());
        compare(guest, host);
        guest.wasi.reset();
        assertEquals(start, tree(guest), "after the reset");
        assertEquals(0, charged.get(), "the budget has all back");
      }
    }
    wasi.close();
    if (Files.exists(temp.resolve("scratch"))) {
      try (var left = Files.list(temp.resolve("scratch"))) {
        assertEquals(List.of(), left.toList(), "nothing stays in the scratch directory");
      }
    }
  }

  private static boolean prepare(Path root, Random random) {
    Path path = root.resolve(path(random));
    try {
      switch (random.nextInt(3)) {
        case 0 -> Files.createDirectory(path);
        case 1 -> Files.createSymbolicLink(path, Path.of(path(random)));
        default -> Files.write(path, bytes(random), StandardOpenOption.CREATE_NEW);
      }
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  private static String path(Random random) {
    StringBuilder path = new StringBuilder(NAMES[random.nextInt(NAMES.length)]);
    for (int depth = random.nextInt(3); depth > 0; depth--) {
      path.append('/').append(NAMES[random.nextInt(NAMES.length)]);
    }
    return path.toString();
  }

  private static byte[] bytes(Random random) {
    byte[] bytes = new byte[SIZES[random.nextInt(SIZES.length)]];
    random.nextBytes(bytes);
    return bytes;
  }

  private void step(Guest guest, Path root, Random random) {
    String name = path(random);
    String other = path(random);
    Path path = root.resolve(name);
    long offset = random.nextInt(MAX_SIZE);
    byte[] bytes = bytes(random);
    int operation = random.nextInt(11);
    String told = operation + " " + name + " " + other + " " + offset + " " + bytes.length;
    boolean host = succeeds(() -> {
      switch (operation) {
        case 0 -> Files.createDirectory(path);
        case 1 -> removeDirectory(path);
        case 2 -> unlink(path);
        case 3 -> Files.createSymbolicLink(path, Path.of(other));
        case 4 -> link(path, root.resolve(other));
        case 5, 6 -> move(path, root.resolve(other));
        case 7 -> Files.write(path, bytes, StandardOpenOption.CREATE_NEW);
        case 8 -> writeAt(path, bytes, offset, StandardOpenOption.WRITE, StandardOpenOption.CREATE);
        case 9 -> truncate(path, offset);
        default -> Files.readSymbolicLink(path);
      }
    });
    Errno errno = switch (operation) {
      case 0 -> guest.mkdir(name);
      case 1 -> guest.rmdir(name);
      case 2 -> guest.unlink(name);
      case 3 -> guest.symlink(other, name);
      case 4 -> guest.link(0, name, other);
      case 5, 6 -> guest.rename(name, other);
      case 7 -> writeNew(guest, name, bytes);
      case 8 -> writeAt(guest, name, bytes, offset);
      case 9 -> truncate(guest, name, offset);
      default -> guest.readlink(name, 100);
    };
    history.add(told + " → " + errno + ", host " + host);
    assertEquals(host, errno == Errno.SUCCESS, () -> String.join("\n", history));
  }

  private interface Operation {
    void run() throws IOException;
  }

  private static boolean succeeds(Operation operation) {
    try {
      operation.run();
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  private static void removeDirectory(Path path) throws IOException {
    if (!Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS)) {
      throw new NotDirectoryException(path.toString());
    }
    Files.delete(path);
  }

  private static void unlink(Path path) throws IOException {
    if (Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS)) {
      throw new FileSystemException(path.toString());
    }
    Files.delete(path);
  }

  /** On Linux, java.nio's hard link does not follow a link, like {@code path_link} without the flag. */
  private static void link(Path existing, Path link) throws IOException {
    Files.createLink(link, existing);
  }

  /** {@code ATOMIC_MOVE} is rename(2). */
  private static void move(Path from, Path to) throws IOException {
    Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
  }

  private static void writeAt(Path path, byte[] bytes, long offset, StandardOpenOption... options) throws IOException {
    try (FileChannel channel = FileChannel.open(path, options)) {
      channel.write(ByteBuffer.wrap(bytes), offset);
    }
  }

  private static void truncate(Path path, long size) throws IOException {
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.WRITE)) {
      if (size < channel.size()) {
        channel.truncate(size);
      } else if (size > channel.size()) {
        channel.write(ByteBuffer.wrap(new byte[1]), size - 1);
      }
    }
  }

  private static Errno writeNew(Guest guest, String name, byte[] bytes) {
    Errno errno = guest.open(Guest.ROOT, name, Flags.OFLAGS_CREAT | Flags.OFLAGS_EXCL);
    if (errno == Errno.SUCCESS) {
      int fd = guest.result();
      assertEquals(Errno.SUCCESS, guest.write(fd, bytes));
      assertEquals(bytes.length, guest.result());
      guest.ok("fd_close", fd);
    }
    return errno;
  }

  private static Errno writeAt(Guest guest, String name, byte[] bytes, long offset) {
    Errno errno = guest.open(Guest.ROOT, name, Flags.OFLAGS_CREAT);
    if (errno == Errno.SUCCESS) {
      int fd = guest.result();
      guest.ok("fd_seek", fd, offset, Flags.WHENCE_SET, Guest.RESULT);
      assertEquals(Errno.SUCCESS, guest.write(fd, bytes));
      guest.ok("fd_close", fd);
    }
    return errno;
  }

  private static Errno truncate(Guest guest, String name, long size) {
    Errno errno = guest.open(Guest.ROOT, name, 0);
    if (errno == Errno.SUCCESS) {
      int fd = guest.result();
      errno = guest.call("fd_filestat_set_size", fd, size);
      if (errno == Errno.ISDIR) {
        guest.ok("fd_close", fd);
        return errno;
      }
      guest.ok("fd_close", fd);
    }
    return errno;
  }

  private void compare(Guest guest, Path host) throws IOException {
    assertEquals(tree(host, host, new TreeMap<>()), tree(guest), () -> String.join("\n", history));
  }

  /** Path → what it is. */
  private static TreeMap<String, String> tree(Path root, Path directory, TreeMap<String, String> into) throws IOException {
    try (DirectoryStream<Path> children = Files.newDirectoryStream(directory)) {
      for (Path child : children) {
        String name = root.relativize(child).toString();
        if (Files.isSymbolicLink(child)) {
          into.put(name, "→ " + Files.readSymbolicLink(child));
        } else if (Files.isDirectory(child)) {
          into.put(name, "directory");
          tree(root, child, into);
        } else {
          into.put(name, describe(Files.readAllBytes(child), (Integer) Files.getAttribute(child, "unix:nlink")));
        }
      }
    }
    return into;
  }

  private static TreeMap<String, String> tree(Guest guest) {
    TreeMap<String, String> into = new TreeMap<>();
    tree(guest, ".", into);
    return into;
  }

  private static void tree(Guest guest, String directory, TreeMap<String, String> into) {
    for (String child : guest.list(directory)) {
      String name = directory.equals(".") ? child : directory + "/" + child;
      Guest.Stat stat = guest.stat(name);
      switch (stat.type()) {
        case SYMBOLIC_LINK -> into.put(name, "→ " + guest.readlink(name));
        case DIRECTORY -> {
          into.put(name, "directory");
          tree(guest, name, into);
        }
        default -> {
          int fd = guest.opened(name, 0);
          byte[] bytes = guest.bytes(fd, 1 << 20);
          guest.ok("fd_close", fd);
          assertEquals(stat.size(), bytes.length, name);
          into.put(name, describe(bytes, (int) stat.nlink()));
        }
      }
    }
  }

  private static String describe(byte[] bytes, int links) {
    return bytes.length + " bytes " + Arrays.hashCode(bytes) + ", " + links + " links";
  }
}
