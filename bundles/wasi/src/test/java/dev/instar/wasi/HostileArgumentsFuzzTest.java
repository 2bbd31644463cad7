package dev.instar.wasi;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Calls every function with random and with deliberately bad arguments, over random memory: an errno or an end of the guest, nothing else. */
class HostileArgumentsFuzzTest {
  private static final long[] BAD = {0, 1, 2, 3, 4, 5, 7, 8, 63, 64, 255, 256, 1000, 4095, 4096, 65535, 65536, (1 << 20) - 8, (1 << 20) - 1, 1 << 20,
      Integer.MAX_VALUE, Integer.MIN_VALUE, -1, -2, -8, -16, -4096, 0xffffffffL, 1L << 32, Long.MAX_VALUE, Long.MIN_VALUE, Long.MAX_VALUE - 1,
          1L << 40};
  private static final String[] PATHS = {"file", "dir", "dir/nested", "link", "dir/../file", "..", ".", "/etc/passwd", "../../etc/passwd", "dir/", "",
      "loop", "a\0b", "new", "x/y/z", "abs", "up"};

  @TempDir
  Path temp;

  /** Time that passes only by waiting for it, so that waiting costs nothing. */
  private static final class FakeClocks implements Clocks {
    private long now = 1_000_000_000_000L;

    @Override
    public long realtime() {
      return now;
    }

    @Override
    public long monotonic() {
      return now++;
    }

    @Override
    public long cpu() {
      return now;
    }

    @Override
    public void sleep(long nanos) throws InterruptedException {
      // What a deadline does to a wait of centuries.
      if (nanos > 2_000_000_000_000L - now) {
        now = 1_000_000_000_000L;
        throw new InterruptedException();
      }
      now += nanos;
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {11, 12, 13, 14})
  void everyCallEndsInAnErrnoOrEndsTheGuest(long seed) throws IOException {
    Path outside = Files.writeString(temp.resolve("outside"), "secret");
    Path root = Files.createDirectory(temp.resolve("root"));
    Files.createDirectories(root.resolve("dir/nested"));
    Files.writeString(root.resolve("file"), "some text");
    Files.createSymbolicLink(root.resolve("link"), Path.of("file"));
    Files.createSymbolicLink(root.resolve("loop"), Path.of("loop"));
    Files.createSymbolicLink(root.resolve("abs"), outside);
    Files.createSymbolicLink(root.resolve("up"), Path.of("../outside"));
    FileQuota quota = new FileQuota(12, 50, 1 << 20, 1 << 18);
    Random random = new Random(seed);
    ArrayMemory memory = new ArrayMemory(1 << 20);
    Map<String, Set<Errno>> errors = WasiGuide.errors();
    int[] counts = new int[Errno.values().length];
    try (Wasi wasi = new Wasi(new WasiSettings(List.of("guest", "x"), Map.of("A", "b"), Optional.of(LowerTree.scan(root, 100)),
        temp.resolve("scratch"),
        quota, ByteBudget.UNLIMITED, new FakeClocks(), new SecureRandom()))) {
      for (int i = 0; i < 40_000; i++) {
        if (i % 200 == 0) {
          wasi.reset();
          wasi.connect(new ByteArrayInputStream(new byte[100]), OutputStream.nullOutputStream(), (b, o, l) -> {});
          scribble(memory, random);
        }
        Preview1.Function function = Preview1.functions().get(random.nextInt(Preview1.functions().size()));
        long[] args = arguments(function, memory, random);
        try {
          Errno errno = function.call(wasi, memory, args);
          assertTrue(errno == Errno.SUCCESS || errors.get(function.name()).contains(errno),
              () -> function.name() + Arrays.toString(args) + " gave " + errno + ", which docs/wasi.md does not name");
          counts[errno.code()]++;
        } catch (GuestEnd e) {
          counts[0]++;
        } catch (RuntimeException | Error e) {
          throw new AssertionError(function.name() + Arrays.toString(args) + " in call " + i, e);
        }
      }
    }
    assertTrue(counts[Errno.BADF.code()] > 0 && counts[Errno.NOENT.code()] > 0 && counts[Errno.INVAL.code()] > 0 && counts[0] > 1000,
        "the arguments get past the first checks: " + Arrays.toString(counts));
    assertTrue(Files.readString(outside).equals("secret"));
    assertTrue(Files.readString(root.resolve("file")).equals("some text"), "the image is as it was");
    // So that nobody who cleans the directory up meets them.
    Files.delete(root.resolve("abs"));
    Files.delete(root.resolve("up"));
  }

  /** Random bytes, and at known places paths and vectors that have something right about them. */
  private static void scribble(ArrayMemory memory, Random random) {
    random.nextBytes(memory.bytes.array());
    for (int i = 0; i < PATHS.length; i++) {
      memory.write(4096 + 64 * i, PATHS[i].getBytes(StandardCharsets.UTF_8), 0, PATHS[i].getBytes(StandardCharsets.UTF_8).length);
    }
    for (int i = 0; i < 64; i++) {
      memory.writeInt(8192 + 8 * i, random.nextInt(1 << 20));
      memory.writeInt(8192 + 8 * i + 4, random.nextInt(3) == 0 ? random.nextInt() : random.nextInt(5000));
    }
    for (int i = 0; i < 8; i++) {
      memory.writeByte(16384 + 48 * i + 8, (byte) random.nextInt(3));
      memory.writeInt(16384 + 48 * i + 16, random.nextInt(5));
    }
  }

  private static long[] arguments(Preview1.Function function, ArrayMemory memory, Random random) {
    String types = function.parameters();
    long[] args = new long[types.length()];
    for (int i = 0; i < args.length; i++) {
      args[i] = switch (random.nextInt(8)) {
        case 0 -> BAD[random.nextInt(BAD.length)];
        case 1 -> random.nextLong();
        case 2 -> random.nextInt(1 << 20);
        case 3 -> 8192 + 8 * random.nextInt(64);
        default -> random.nextInt(6);
      };
    }
    // Mostly a likely descriptor, and a path where one goes.
    if (args.length > 0 && random.nextInt(4) > 0) {
      args[0] = random.nextInt(8);
    }
    if (function.name().equals("poll_oneoff") && random.nextInt(3) > 0) {
      args[0] = 16384;
      args[2] = random.nextInt(9);
    }
    if (function.name().startsWith("path_") && random.nextInt(5) > 0) {
      int first = types.startsWith("iiii") && !function.name().matches("path_(rename|readlink|symlink)") ? 2
          : function.name().equals("path_symlink") ? 0 : 1;
      int path = random.nextInt(PATHS.length);
      args[0] = function.name().equals("path_symlink") ? 0 : 3;
      args[first] = 4096 + 64 * path;
      args[first + 1] = PATHS[path].length();
      if (args.length > first + 4) {
        path = random.nextInt(PATHS.length);
        int second = first + 3;
        args[second - 1] = 3;
        args[second] = 4096 + 64 * path;
        args[second + 1] = PATHS[path].length();
      }
      if (function.name().equals("path_open")) {
        args[4] = random.nextInt(16);
        args[5] = random.nextBoolean() ? Rights.ALL : random.nextLong();
        args[6] = Rights.ALL;
        args[7] = random.nextInt(3);
        args[8] = 65536;
      }
    }
    return args;
  }
}
