package dev.instar.backend.wasm.memory;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.dylibso.chicory.runtime.ByteArrayMemory;
import com.dylibso.chicory.runtime.Instance;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The example functions, compiled, on memories of an image that was taken after their initialisation. */
class ExamplesIT {
  @TempDir
  Path scratch;

  @Test
  void echoAnswersAndForgets() {
    Example echo = Example.named("echo");
    try (MemoryImage image = echo.image(scratch); CowMemory memory = image.open(); CowMemory untouched = image.open()) {
      Instance instance = echo.builder(limits -> memory).build();
      byte[] initial = untouched.readBytes(0, (int) untouched.bytes());
      var random = new Random(4);
      for (int i = 0; i < 50; i++) {
        byte[] canary = new byte[random.nextInt(65_000)];
        random.nextBytes(canary);
        assertArrayEquals(canary, echo.call(instance, canary));
        memory.reset();
        assertArrayEquals(initial, memory.readBytes(0, (int) memory.bytes()));
      }
    }
  }

  @Test
  void sha256IsRightOnEveryInstance() throws Exception {
    Example sha256 = Example.named("sha256");
    Instance reference = sha256.initialized(ByteArrayMemory::new);
    var random = new Random(5);
    try (MemoryImage image = sha256.image(scratch); var pool = new MemoryPool(2, 2)) {
      for (int i = 0; i < 30; i++) {
        byte[] input = new byte[random.nextInt(20_000)];
        random.nextBytes(input);
        try (CowMemory memory = pool.take(image)) {
          byte[] answer = sha256.call(sha256.builder(limits -> memory).build(), input);
          assertArrayEquals(sha256.call(reference, input), answer);
          String expected = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(input));
          assertEquals(expected, new String(answer).strip());
        }
      }
    }
  }

  /** Its table of 16 MiB is in the image: no instance builds it again. */
  @Test
  void primesAnswersFromTheImage() {
    Example primes = Example.named("primes");
    try (MemoryImage image = primes.image(scratch)) {
      for (int limit : new int[] {0, 2, 1000, 1_000_000}) {
        try (CowMemory memory = image.open()) {
          Instance instance = primes.builder(limits -> memory).build();
          String answer = new String(primes.call(instance, Integer.toString(limit).getBytes())).strip();
          int expected = switch (limit) {
            case 2 -> 1;
            case 1000 -> 168;
            case 1_000_000 -> 78_498;
            default -> 0;
          };
          assertEquals("pi(" + limit + ")=" + expected, answer);
        }
      }
      byte[] table;
      try (CowMemory memory = image.open()) {
        table = memory.readBytes(0, (int) memory.bytes());
      }
      Instance reference = primes.initialized(ByteArrayMemory::new);
      assertEquals(Arrays.hashCode(reference.memory().readBytes(0, table.length)), Arrays.hashCode(table));
    }
  }
}
