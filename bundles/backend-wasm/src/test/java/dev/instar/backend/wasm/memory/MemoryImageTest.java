package dev.instar.backend.wasm.memory;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.dylibso.chicory.runtime.Memory;
import com.dylibso.chicory.wasm.types.MemoryLimits;
import dev.instar.api.Digest;
import java.io.EOFException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class MemoryImageTest {
  @TempDir
  Path scratch;

  @ParameterizedTest
  @EnumSource(Host.class)
  void storesUpToTheLastPageThatIsNotZero(Host host) throws IOException {
    try (var zeros = MemoryImage.zeros(new MemoryLimits(10, 20), host); CowMemory memory = zeros.open()) {
      try (var empty = MemoryImage.capture(memory, scratch, host)) {
        assertEquals(0, empty.storedBytes());
      }
      memory.grow(2);
      memory.writeByte(100_000, (byte) 1);
      try (var image = MemoryImage.capture(memory, scratch, host); CowMemory copy = image.open()) {
        assertEquals(100_000 / 4096 * 4096 + 4096, image.storedBytes());
        assertEquals(12, image.pages());
        assertEquals(20, image.maximumPages());
        assertArrayEquals(memory.readBytes(0, 12 * Memory.PAGE_SIZE), copy.readBytes(0, 12 * Memory.PAGE_SIZE));
      }
    }
    try (var left = Files.list(scratch)) {
      assertEquals(0, left.count(), "a file with a name was left behind");
    }
  }

  @ParameterizedTest
  @EnumSource(Host.class)
  void isKnownByWhatItHoldsUpToTheLastByte(Host host) {
    try (var zeros = MemoryImage.zeros(new MemoryLimits(3, 3), host); CowMemory memory = zeros.open()) {
      assertEquals(Digest.of(new byte[0]), zeros.digest());
      memory.writeByte(70_000, (byte) 5);
      MemoryImage image = MemoryImage.capture(memory, scratch, host);
      byte[] held = new byte[70_001];
      held[70_000] = 5;
      assertEquals(Digest.of(held), image.digest());
      image.close();
      assertThrows(IllegalStateException.class, image::digest);
    }
  }

  /** 5000 bytes are no whole page, so that zeros must follow in the last one. */
  @ParameterizedTest
  @EnumSource(Host.class)
  void bytesOfASourceAreAnImage(Host host) throws IOException {
    byte[] bytes = new byte[5000];
    Arrays.fill(bytes, (byte) 7);
    byte[] whole = Arrays.copyOf(bytes, 2 * Memory.PAGE_SIZE);
    MemoryImage image = MemoryImage.of(source(bytes), 5000, 2, 4, scratch, host);
    Arrays.fill(bytes, (byte) 8);
    try (CowMemory one = image.open(); CowMemory other = image.open(); MemoryImage.Content content = image.content()) {
      assertArrayEquals(whole, one.readBytes(0, 2 * Memory.PAGE_SIZE));
      one.fill((byte) 1, 0, 2 * Memory.PAGE_SIZE);
      assertEquals(2, one.grow(2));
      assertEquals(-1, one.grow(1));
      assertArrayEquals(whole, other.readBytes(0, 2 * Memory.PAGE_SIZE));
      one.reset();
      image.close();
      assertArrayEquals(whole, one.readBytes(0, 2 * Memory.PAGE_SIZE));
      assertEquals(7, content.bytes().get(4999));
      assertTrue(content.bytes().limit() < 2 * Memory.PAGE_SIZE);
    }
    assertThrows(IllegalStateException.class, image::content);
  }

  @ParameterizedTest
  @EnumSource(Host.class)
  void itTellsWhereItHasNothing(Host host) {
    try (MemoryImage zeros = MemoryImage.zeros(new MemoryLimits(64, 64), host); CowMemory memory = zeros.open()) {
      memory.writeByte(70_000, (byte) 1);
      memory.writeByte(3 << 20, (byte) 1);
      try (MemoryImage image = MemoryImage.capture(memory, scratch, host); MemoryImage.Content content = image.content()) {
        assertTrue(content.data(0) <= 70_000);
        assertEquals(70_000, content.data(70_000));
        assertEquals(host == Host.COPYING ? 1 << 20 : 3 << 20, content.data(1 << 20));
        assertEquals(content.bytes().limit(), content.data(content.bytes().limit()));
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Host.class)
  void aSourceThatFailsLeavesNothing(Host host) throws IOException {
    MemoryImage.Source broken = (offset, into) -> {
      throw new EOFException("too short");
    };
    assertThrows(EOFException.class, () -> MemoryImage.of(broken, 1, 2, 4, scratch, host));
    long before = descriptors();
    for (int i = 0; i < 50; i++) {
      assertThrows(EOFException.class, () -> MemoryImage.of(broken, 4097, 2, 4, scratch, host));
    }
    assertTrue(descriptors() < before + 40, "descriptors are left open");
    assertThrows(IllegalArgumentException.class, () -> MemoryImage.of(broken, 4096, 5, 4, scratch, host));
    assertThrows(IllegalArgumentException.class, () -> MemoryImage.of(broken, Memory.PAGE_SIZE + 1, 1, 4, scratch, host));
    try (MemoryImage zeros = MemoryImage.of(broken, 0, 1, 1, scratch, host); CowMemory memory = zeros.open()) {
      assertArrayEquals(new byte[Memory.PAGE_SIZE], memory.readBytes(0, Memory.PAGE_SIZE));
    }
  }

  private static long descriptors() throws IOException {
    try (var open = Files.list(Path.of("/proc/self/fd"))) {
      return open.count();
    }
  }

  private static MemoryImage.Source source(byte[] bytes) {
    return (offset, into) -> into.put(bytes, (int) offset, into.remaining());
  }

  /** More than is read in one go, with a page of zeros between. */
  @ParameterizedTest
  @EnumSource(Host.class)
  void anImageIsReadInPieces(Host host) throws IOException {
    byte[] bytes = new byte[(3 << 20) + 5];
    Arrays.fill(bytes, (byte) 3);
    Arrays.fill(bytes, 1 << 20, (1 << 20) + 70_000, (byte) 0);
    int pages = 49;
    try (MemoryImage image = MemoryImage.of(source(bytes), bytes.length, pages, pages, scratch, host); CowMemory memory = image.open()) {
      assertArrayEquals(Arrays.copyOf(bytes, pages * Memory.PAGE_SIZE), memory.readBytes(0, pages * Memory.PAGE_SIZE));
    }
  }

  @Test
  void aClosedImageOpensNothingAndKeepsWhatIsOpen() {
    try (var zeros = MemoryImage.zeros(new MemoryLimits(1, 1)); CowMemory source = zeros.open()) {
      source.writeI32(8, 42);
      var image = MemoryImage.capture(source, scratch);
      try (CowMemory memory = image.open()) {
        image.close();
        image.close();
        assertThrows(IllegalStateException.class, image::open);
        assertEquals(42, memory.readInt(8));
        memory.writeI32(8, 1);
        memory.reset();
        assertEquals(42, memory.readInt(8));
      }
    }
  }

  /** A thousand memories of an image of 1 MiB, each with one page written: the image's pages are there once. */
  @Test
  @EnabledOnOs(OS.LINUX)
  void aThousandShareTheImage() throws IOException {
    int count = 1000;
    int pages = 16;
    try (var zeros = MemoryImage.zeros(new MemoryLimits(pages, 32)); CowMemory source = zeros.open()) {
      source.fill((byte) 1, 0, pages * Memory.PAGE_SIZE);
      try (var image = MemoryImage.capture(source, scratch)) {
        var memories = new ArrayList<CowMemory>();
        try {
          long before = kib("Private_Dirty:");
          long proportionalBefore = kib("Pss:");
          long sum = 0;
          for (int i = 0; i < count; i++) {
            CowMemory memory = image.open();
            memories.add(memory);
            memory.writeI32(4096, i);
            for (int address = 0; address < pages * Memory.PAGE_SIZE; address += 4096) {
              sum += memory.read(address);
            }
          }
          assertEquals((pages * 16 - 1L) * count + sumOfLowBytes(count), sum);
          long written = kib("Private_Dirty:") - before;
          System.out.println("PSS of " + count + " memories of 1 MiB: " + (kib("Pss:") - proportionalBefore) + " KiB, privately written " + written);
          assertTrue(written < count * 64L, "1000 memories with a page written each have " + written + " KiB of their own");
        } finally {
          memories.forEach(CowMemory::close);
        }
      }
    }
  }

  private static long sumOfLowBytes(int count) {
    long sum = 0;
    for (int i = 0; i < count; i++) {
      sum += (byte) i;
    }
    return sum;
  }

  private static long kib(String field) throws IOException {
    return Files.readAllLines(Path.of("/proc/self/smaps_rollup")).stream().filter(line -> line.startsWith(field))
        .mapToLong(line -> Long.parseLong(line.replaceAll("\\D+", ""))).findFirst().orElseThrow();
  }
}
