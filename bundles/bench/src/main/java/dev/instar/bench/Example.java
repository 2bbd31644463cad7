package dev.instar.bench;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.SplittableRandom;

/** An example function whose answer to any input is known here, so that each request has an input of its own. */
enum Example {
  /** Over the dialect of Faasm. */
  ECHO("echo", "/f/demo/echo") {
    @Override
    byte[] input(SplittableRandom random) {
      byte[] bytes = new byte[64];
      random.nextBytes(bytes);
      return bytes;
    }

    @Override
    byte[] output(byte[] input) {
      return input;
    }
  },
  /** Over Instar's own API. */
  SHA256("sha256", "/v1/functions/demo/sha256/invoke") {
    @Override
    byte[] input(SplittableRandom random) {
      byte[] bytes = new byte[random.nextInt(1, 200)];
      random.nextBytes(bytes);
      return bytes;
    }

    @Override
    byte[] output(byte[] input) {
      return (sha256(input) + "\n").getBytes(StandardCharsets.US_ASCII);
    }
  },
  /** With 16 MiB of initialised memory. */
  PRIMES("primes", "/f/demo/primes") {
    @Override
    byte[] input(SplittableRandom random) {
      return Integer.toString(random.nextInt(1, Primes.LIMIT)).getBytes(StandardCharsets.US_ASCII);
    }

    @Override
    byte[] output(byte[] input) {
      int n = Integer.parseInt(new String(input, StandardCharsets.US_ASCII));
      return ("pi(" + n + ")=" + Primes.COUNTS[n] + "\n").getBytes(StandardCharsets.US_ASCII);
    }
  },
  /** A process for each call, in a container. */
  SUMS("sums", "/v1/functions/demo/sums/invoke") {
    @Override
    byte[] input(SplittableRandom random) {
      return SHA256.input(random);
    }

    @Override
    byte[] output(byte[] input) {
      return sum(input);
    }
  };

  /** Those that are WebAssembly. */
  static final List<Example> MODULES = List.of(ECHO, SHA256, PRIMES);

  private static final class Primes {
    static final int LIMIT = 100_000;
    /** How many primes there are up to each number. */
    static final int[] COUNTS = new int[LIMIT];

    static {
      boolean[] composite = new boolean[LIMIT];
      for (int n = 2; n < LIMIT; n++) {
        COUNTS[n] = COUNTS[n - 1] + (composite[n] ? 0 : 1);
        for (long multiple = (long) n * n; !composite[n] && multiple < LIMIT; multiple += n) {
          composite[(int) multiple] = true;
        }
      }
    }
  }

  private final String title;
  private final String path;

  Example(String title, String path) {
    this.title = title;
    this.path = path;
  }

  String title() {
    return title;
  }

  String path() {
    return path;
  }

  /** Whether versions of it come and go, so that the version that answered is looked at. */
  boolean published() {
    return this == ECHO || this == SUMS;
  }

  /** What the command {@code sha256sum} says of its standard input. */
  static byte[] sum(byte[] input) {
    return (sha256(input) + "  -\n").getBytes(StandardCharsets.US_ASCII);
  }

  private static String sha256(byte[] input) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(input));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  abstract byte[] input(SplittableRandom random);

  abstract byte[] output(byte[] input);

  /** The same module as another image: with an empty custom section of this name, of 126 bytes at most. */
  static byte[] marked(byte[] module, String mark) {
    byte[] name = mark.getBytes(StandardCharsets.US_ASCII);
    byte[] other = Arrays.copyOf(module, module.length + name.length + 3);
    other[module.length + 1] = (byte) (name.length + 1);
    other[module.length + 2] = (byte) name.length;
    System.arraycopy(name, 0, other, module.length + 3, name.length);
    return other;
  }

  /** The answer of the function {@code paced} to this body: the body, so many times. */
  static byte[] repeated(byte[] body, int times) {
    ByteBuffer all = ByteBuffer.allocate(body.length * times);
    for (int i = 0; i < times; i++) {
      all.put(body);
    }
    return all.array();
  }
}
