package dev.instar.backend.wasm.memory;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import com.dylibso.chicory.runtime.ByteArrayMemory;
import com.dylibso.chicory.runtime.ChicoryInterruptedException;
import com.dylibso.chicory.runtime.Memory;
import com.dylibso.chicory.runtime.WasmRuntimeException;
import com.dylibso.chicory.wasm.ChicoryException;
import com.dylibso.chicory.wasm.InvalidException;
import com.dylibso.chicory.wasm.types.DataSegment;
import com.dylibso.chicory.wasm.types.MemoryLimits;
import com.dylibso.chicory.wasm.types.PassiveDataSegment;
import dev.instar.wasi.pages.WrittenPages;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class CowMemoryTest {
  private static final byte[] DATA = randomImage(3, 99);

  @TempDir
  Path scratch;

  private static CowMemory open(Host host, int initial, int maximum) {
    try (var image = MemoryImage.zeros(new MemoryLimits(initial, maximum), host)) {
      return image.open();
    }
  }

  /** A memory whose image holds {@code pages} pages of random bytes, with a hole and zeros at its end. */
  private CowMemory filled(Host host, int pages, int maximum, long seed) {
    try (CowMemory memory = open(host, pages, maximum)) {
      byte[] bytes = randomImage(pages, seed);
      memory.write(0, bytes, 0, bytes.length);
      try (var image = MemoryImage.capture(memory, scratch, host)) {
        return image.open();
      }
    }
  }

  private static byte[] randomImage(int pages, long seed) {
    var bytes = new byte[pages * Memory.PAGE_SIZE];
    new Random(seed).nextBytes(bytes);
    Arrays.fill(bytes, 8192, 20_000, (byte) 0);
    Arrays.fill(bytes, bytes.length - 30_000, bytes.length, (byte) 0);
    return bytes;
  }

  /** What an operation gives or throws, so that two memories can be compared. */
  private static String outcome(Memory memory, Random random) {
    int kind = random.nextInt(50);
    int size = memory.pages() * Memory.PAGE_SIZE;
    int address = switch (random.nextInt(8)) {
      case 0 -> size - random.nextInt(10);
      case 1 -> size + random.nextInt(20);
      case 2 -> random.nextInt();
      case 3 -> random.nextInt(memory.pages() + 1) * Memory.PAGE_SIZE - random.nextInt(9);
      default -> random.nextInt(size + 1);
    };
    int other = random.nextInt(size + 1);
    int length = random.nextInt(4) == 0 ? random.nextInt(200_000) - 100 : random.nextInt(300);
    long value = random.nextLong();
    byte[] data = DATA;
    // Chicory's shared memories take unaligned atomics in their stride, generated code never makes one.
    int word = address & ~3;
    int wide = address & ~7;
    int half = address & ~1;
    try {
      return switch (kind) {
        case 0 -> "" + memory.read(address);
        case 1 -> "" + memory.readShort(address);
        case 2 -> "" + memory.readInt(address);
        case 3 -> "" + memory.readLong(address);
        case 4 -> "" + Float.floatToRawIntBits(memory.readFloat(address));
        case 5 -> "" + Double.doubleToRawLongBits(memory.readDouble(address));
        case 6 -> "" + memory.readU16(address) + memory.readI16(address);
        case 7 -> "" + memory.readU8(address) + memory.readI8(address);
        case 8 -> "" + memory.readF32(address);
        case 9 -> "" + memory.readF64(address);
        case 10 -> "" + memory.readU32(address) + memory.readI32(address) + memory.readI64(address);
        case 11 -> { memory.writeByte(address, (byte) value); yield "done"; }
        case 12 -> { memory.writeShort(address, (short) value); yield "done"; }
        case 13 -> { memory.writeI32(address, (int) value); yield "done"; }
        case 14 -> { memory.writeLong(address, value); yield "done"; }
        case 15 -> { memory.writeF32(address, Float.intBitsToFloat((int) value)); yield "done"; }
        case 16 -> { memory.writeF64(address, Double.longBitsToDouble(value)); yield "done"; }
        case 17 -> { memory.write(address, data, 0, Math.max(0, Math.min(length, data.length))); yield "done"; }
        case 18 -> { memory.write(address, data, length, length); yield "done"; }
        case 19 -> "" + Arrays.hashCode(memory.readBytes(address, length));
        case 20 -> { memory.fill((byte) value, address, address + length); yield "done"; }
        case 21 -> { memory.copy(address, other, length); yield "done"; }
        case 22 -> { memory.copy(address, address + random.nextInt(50) - 25, length); yield "done"; }
        case 23 -> { memory.writeString(address, "grüße"); yield "done"; }
        case 24 -> { memory.writeCString(address, "grüße"); yield memory.readCString(address); }
        case 25 -> "" + memory.readString(address, length).hashCode();
        case 26 -> "" + memory.grow(random.nextInt(40) == 0 ? 1 : 0) + memory.grow(1000) + memory.grow(-1) + memory.grow(Integer.MAX_VALUE);
        case 27 -> { memory.initPassiveSegment(random.nextInt(2), address, random.nextInt(40) - 2, random.nextInt(40) - 2); yield "done"; }
        case 28 -> "" + memory.atomicReadInt(word) + memory.atomicReadLong(wide) + memory.atomicReadShort(half) + memory.atomicReadByte(address);
        case 29 -> { memory.atomicWriteInt(word, (int) value); yield "done"; }
        case 30 -> { memory.atomicWriteLong(wide, value); yield "done"; }
        case 31 -> { memory.atomicWriteShort(half, (short) value); yield "done"; }
        case 32 -> { memory.atomicWriteByte(address, (byte) value); yield "done"; }
        case 33 -> "" + memory.atomicAddInt(word, (int) value) + memory.atomicAndInt(word, (int) (value >> 7));
        case 34 -> "" + memory.atomicOrInt(word, (int) value) + memory.atomicXorInt(word, (int) (value >> 7)) + memory.atomicXchgInt(word, (int) value);
        case 35 -> "" + memory.atomicAddLong(wide, value) + memory.atomicAndLong(wide, value >> 7);
        case 36 -> "" + memory.atomicOrLong(wide, value) + memory.atomicXorLong(wide, value >> 7) + memory.atomicXchgLong(wide, value);
        case 37 -> "" + memory.atomicAddShort(half, (short) value) + memory.atomicAndShort(half, (short) (value >> 7));
        case 38 -> "" + memory.atomicOrShort(half, (short) value) + memory.atomicXorShort(half, (short) 9) + memory.atomicXchgShort(half, (short) value);
        case 39 -> "" + memory.atomicAddByte(address, (byte) value) + memory.atomicAndByte(address, (byte) (value >> 7));
        case 40 -> "" + memory.atomicOrByte(address, (byte) value) + memory.atomicXorByte(address, (byte) 9) + memory.atomicXchgByte(address, (byte) value);
        case 41 -> "" + memory.atomicCmpxchgInt(word, memory.readInt(word), (int) value) + memory.atomicCmpxchgInt(word, 1, 2);
        case 42 -> "" + memory.atomicCmpxchgLong(wide, memory.readLong(wide), value) + memory.atomicCmpxchgLong(wide, 1, 2);
        case 43 -> "" + memory.atomicCmpxchgShort(half, memory.readShort(half), (short) value) + memory.atomicCmpxchgShort(half, (short) 1, (short) 2);
        case 44 -> "" + memory.atomicCmpxchgByte(address, memory.read(address), (byte) value) + memory.atomicCmpxchgByte(address, (byte) 1, (byte) 2);
        case 45 -> "" + memory.pages() + memory.maximumPages();
        case 46 -> { memory.atomicFence(); yield "done"; }
        case 47 -> { memory.drop(random.nextInt(500) == 0 ? 0 : 1); yield "done"; }
        case 48 -> {
          if (random.nextInt(100) == 0) {
            memory.zero();
          }
          yield "done";
        }
        default -> "" + memory.initialPages();
      };
    } catch (RuntimeException e) {
      // A load across a page of Chicory's ends in the address of its first byte that isn't there.
      boolean acrossPages = kind >= 1 && kind <= 10;
      return e.getClass() + ": " + (acrossPages ? e.getMessage().replaceAll("address: .*", "") : e.getMessage());
    }
  }

  @ParameterizedTest
  @EnumSource(Host.class)
  void doesWhatChicorysMemoryDoes(Host host) {
    for (long seed = 1; seed <= 6; seed++) {
      // Its atomics work only where it is shared.
      var expected = new ByteArrayMemory(new MemoryLimits(3, 6, true));
      try (CowMemory actual = filled(host, 3, 6, seed)) {
        expected.write(0, randomImage(3, seed));
        expected.initialize(null, segments());
        actual.initialize(null, segments());
        var random = new Random(seed);
        for (int step = 0; step < 6_000; step++) {
          long of = random.nextLong();
          String want = outcome(expected, new Random(of));
          String got = outcome(actual, new Random(of));
          assertEquals(want, got, "step " + step + " of seed " + seed);
        }
        assertArrayEquals(expected.readBytes(0, expected.pages() * Memory.PAGE_SIZE), actual.readBytes(0, actual.pages() * Memory.PAGE_SIZE));
      }
    }
  }

  private static DataSegment[] segments() {
    return new DataSegment[] {new PassiveDataSegment("the first segment, of 32 bytes...".getBytes()), new PassiveDataSegment(new byte[20])};
  }

  @ParameterizedTest
  @EnumSource(Host.class)
  void refusesLengthsThatOverflow(Host host) {
    try (CowMemory memory = open(host, 1, 1)) {
      int huge = Integer.MAX_VALUE;
      assertThrows(WasmRuntimeException.class, () -> memory.readBytes(1, huge));
      assertThrows(WasmRuntimeException.class, () -> memory.copy(1, 0, huge));
      assertThrows(WasmRuntimeException.class, () -> memory.copy(0, 1, huge));
      assertThrows(WasmRuntimeException.class, () -> memory.fill((byte) 1, 8, huge));
      assertThrows(WasmRuntimeException.class, () -> memory.fill((byte) 1, 8, Integer.MIN_VALUE + 4));
      assertThrows(WasmRuntimeException.class, () -> memory.write(2, new byte[4], 3, huge));
      assertThrows(WasmRuntimeException.class, () -> memory.read(2, new byte[4], 3, huge));
      assertThrows(WasmRuntimeException.class, () -> memory.readInt(huge));
      assertThrows(WasmRuntimeException.class, () -> memory.writeLong(-8, 1));
      assertThrows(WasmRuntimeException.class, () -> memory.atomicAddInt(-4, 1));
      assertArrayEquals(new byte[Memory.PAGE_SIZE], memory.readBytes(0, Memory.PAGE_SIZE));
    }
  }

  @ParameterizedTest
  @EnumSource(Host.class)
  void growsToItsMaximumWithZerosAndNoFurther(Host host) {
    try (CowMemory memory = filled(host, 1, 4, 5)) {
      assertEquals(-1, memory.grow(4));
      assertEquals(1, memory.grow(2));
      assertEquals(3, memory.grow(0));
      assertEquals(3, memory.grow(1));
      assertEquals(-1, memory.grow(1));
      assertEquals(4, memory.pages());
      assertArrayEquals(new byte[3 * Memory.PAGE_SIZE], memory.readBytes(Memory.PAGE_SIZE, 3 * Memory.PAGE_SIZE));
      memory.writeLong(4 * Memory.PAGE_SIZE - 8, -1);
      assertThrows(WasmRuntimeException.class, () -> memory.writeLong(4 * Memory.PAGE_SIZE - 7, -1));
    }
  }

  @ParameterizedTest
  @EnumSource(Host.class)
  void takesAnEmptyMemory(Host host) {
    try (CowMemory memory = open(host, 0, 0)) {
      assertEquals(0, memory.pages());
      assertEquals(-1, memory.grow(1));
      memory.copy(0, 0, 0);
      memory.reset();
      assertThrows(WasmRuntimeException.class, () -> memory.read(0));
    }
  }

  @ParameterizedTest
  @EnumSource(Host.class)
  void resetBringsBackEveryByteAndTheSize(Host host) {
    byte[] image = randomImage(2, 7);
    try (CowMemory memory = filled(host, 2, 5, 7)) {
      for (int round = 0; round < 3; round++) {
        assertArrayEquals(image, memory.readBytes(0, image.length));
        memory.fill((byte) 0x5a, 0, image.length);
        memory.grow(round);
        memory.fill((byte) 0xa5, image.length, memory.pages() * Memory.PAGE_SIZE);
        memory.reset();
        assertEquals(2, memory.pages());
        assertThrows(WasmRuntimeException.class, () -> memory.read(image.length));
      }
      assertArrayEquals(image, memory.readBytes(0, image.length));
      memory.grow(3);
      assertArrayEquals(new byte[3 * Memory.PAGE_SIZE], memory.readBytes(image.length, 3 * Memory.PAGE_SIZE));
    }
  }

  /** Around the number of pages up to which a reset writes back instead of giving up. */
  @Test
  void resetBringsBackFewPagesAndMany() {
    int pages = 40;
    byte[] image = randomImage(pages, 3);
    try (CowMemory memory = filled(Host.OF_PROCESS, pages, pages, 3)) {
      for (int written : new int[] {0, 1, 64, WrittenPages.MOST_PAGES - 1, WrittenPages.MOST_PAGES, WrittenPages.MOST_PAGES + 1, pages * 16}) {
        for (int stride = 1; stride <= 5 && (written - 1) * stride < pages * 16; stride += 2) {
          for (int page = 0; page < written; page++) {
            memory.fill((byte) 0x77, page * stride * 4096, page * stride * 4096 + 4096);
          }
          memory.reset();
          assertArrayEquals(image, memory.readBytes(0, image.length), written + " pages, every " + stride);
        }
      }
    }
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void trimLeavesNoPageOfItsOwn() {
    byte[] image = randomImage(4, 3);
    try (var zeros = MemoryImage.zeros(new MemoryLimits(4, 4)); CowMemory source = zeros.open()) {
      source.write(0, image, 0, image.length);
      try (var captured = MemoryImage.capture(source, scratch)) {
        Region region = captured.region(MappingBudget.OF_PROCESS);
        try (var memory = new CowMemory(captured, region, Region::free)) {
          memory.fill((byte) 1, 0, 100_000);
          memory.trim();
          assertArrayEquals(image, memory.readBytes(0, image.length));
          WrittenPages.forEach(region.base(), region.base() + image.length, (start, end) -> fail("written from " + start + " to " + end));
        }
      }
    }
  }

  /** Compiled code does not call {@code drop}: it writes to the array that the instance shares with its memory. */
  @Test
  void aSegmentThatTheInstanceDropsIsGone() {
    try (CowMemory memory = open(Host.OF_PROCESS, 1, 1)) {
      DataSegment[] shared = segments();
      memory.initialize(null, shared);
      memory.initPassiveSegment(0, 0, 0, 3);
      shared[0] = PassiveDataSegment.EMPTY;
      assertThrows(WasmRuntimeException.class, () -> memory.initPassiveSegment(0, 0, 0, 3));
      memory.initPassiveSegment(0, 0, 0, 0);
      memory.reset();
      memory.initPassiveSegment(0, 0, 0, 3);
    }
  }

  @Test
  void resetBringsBackDroppedSegments() {
    try (CowMemory memory = open(Host.OF_PROCESS, 1, 1)) {
      memory.initialize(null, segments());
      memory.drop(0);
      assertThrows(WasmRuntimeException.class, () -> memory.initPassiveSegment(0, 0, 0, 3));
      memory.reset();
      memory.initPassiveSegment(0, 0, 4, 5);
      assertEquals("first", memory.readString(0, 5));
      memory.drop(1);
      try (var image = MemoryImage.capture(memory, scratch); CowMemory restored = image.open()) {
        restored.initialize(null, segments());
        restored.initPassiveSegment(0, 8, 4, 5);
        assertEquals("first", restored.readString(8, 5));
        assertThrows(WasmRuntimeException.class, () -> restored.initPassiveSegment(1, 0, 0, 1));
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Host.class)
  void twoOfOneImageDoNotSeeEachOther(Host host) {
    try (CowMemory source = open(host, 1, 2)) {
      source.writeI32(100, 1);
      try (var image = MemoryImage.capture(source, scratch, host); CowMemory one = image.open(); CowMemory two = image.open()) {
        source.writeI32(100, 2);
        one.writeI32(100, 3);
        one.writeI32(5000, 4);
        assertEquals(1, two.readInt(100));
        assertEquals(0, two.readInt(5000));
        two.reset();
        assertEquals(3, one.readInt(100));
        try (CowMemory three = image.open()) {
          assertEquals(1, three.readInt(100));
          assertEquals(0, three.readInt(5000));
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Host.class)
  void everyUseAfterCloseThrows(Host host) {
    CowMemory memory = open(host, 1, 2);
    memory.close();
    memory.close();
    assertThrows(IllegalStateException.class, () -> memory.read(0));
    assertThrows(IllegalStateException.class, () -> memory.writeLong(0, 1));
    assertThrows(IllegalStateException.class, () -> memory.readBytes(0, 0));
    assertThrows(IllegalStateException.class, () -> memory.fill((byte) 0, 0, 0));
    assertThrows(IllegalStateException.class, () -> memory.copy(0, 0, 0));
    assertThrows(IllegalStateException.class, () -> memory.atomicAddByte(0, (byte) 1));
    assertThrows(IllegalStateException.class, () -> memory.grow(0));
    assertThrows(IllegalStateException.class, memory::reset);
    assertThrows(IllegalStateException.class, memory::enter);
    assertThrows(IllegalStateException.class, () -> MemoryImage.capture(memory, scratch, host));
  }

  @ParameterizedTest
  @EnumSource(Host.class)
  void aCloseWhileAGuestRunsFreesWhenItHasLeft(Host host) {
    var freed = new AtomicInteger();
    try (var image = MemoryImage.zeros(new MemoryLimits(1, 1), host)) {
      Region region = image.region(MappingBudget.OF_PROCESS);
      var memory = new CowMemory(image, region, given -> {
        freed.incrementAndGet();
        given.free();
      });
      memory.enter();
      assertThrows(IllegalStateException.class, memory::reset);
      memory.close();
      assertEquals(0, freed.get());
      assertThrows(IllegalStateException.class, () -> memory.read(0));
      memory.leave();
      memory.close();
      assertEquals(1, freed.get());
    }
  }

  /** The guest's thread has passed its checks when the close comes: its bytes must still be there, or the JVM dies of it. */
  @Test
  void closesUnderARunningGuest() throws Exception {
    for (int round = 0; round < 50; round++) {
      CowMemory memory = open(Host.OF_PROCESS, 16, 16);
      var running = new CountDownLatch(1);
      var thrown = new AtomicInteger();
      Thread guest = Thread.ofPlatform().start(() -> {
        memory.enter();
        try {
          for (int address = 0; ; address = address + 64 & 0xf_ffff) {
            memory.writeI32(address, memory.readInt(address) + 1);
            running.countDown();
          }
        } catch (IllegalStateException closed) {
          thrown.incrementAndGet();
        } finally {
          memory.leave();
        }
      });
      running.await();
      memory.close();
      guest.join();
      assertEquals(1, thrown.get());
    }
  }

  @Test
  void waitsForNobodyAndRefusesUnalignedAtomics() {
    try (CowMemory memory = open(Host.OF_PROCESS, 1, 1)) {
      assertThrows(ChicoryException.class, () -> memory.atomicWait(0, 0, 0));
      assertThrows(ChicoryException.class, () -> memory.atomicWait(0, 0L, 0));
      assertEquals(0, memory.atomicNotify(0, 1));
      assertThrows(InvalidException.class, () -> memory.atomicAddInt(2, 1));
      assertThrows(InvalidException.class, () -> memory.atomicReadShort(1));
    }
  }

  @Test
  void longCopiesMayOverlap() {
    int pages = 50;
    byte[] expected = randomImage(pages, 11);
    int length = expected.length - 1_000_003;
    try (CowMemory memory = open(Host.OF_PROCESS, pages, pages)) {
      memory.write(0, expected, 0, expected.length);
      memory.copy(1_000_003, 0, length);
      System.arraycopy(expected, 0, expected, 1_000_003, length);
      assertArrayEquals(expected, memory.readBytes(0, expected.length));
      memory.copy(3, 70_000, length);
      System.arraycopy(expected, 70_000, expected, 3, length);
      assertArrayEquals(expected, memory.readBytes(0, expected.length));
      memory.fill((byte) 7, 5, expected.length - 5);
      Arrays.fill(expected, 5, expected.length - 5, (byte) 7);
      assertArrayEquals(expected, memory.readBytes(0, expected.length));
    }
  }

  @Test
  void longCopiesAndFillsCanBeInterrupted() {
    try (CowMemory memory = open(Host.OF_PROCESS, 50, 50)) {
      Thread.currentThread().interrupt();
      assertThrows(ChicoryInterruptedException.class, () -> memory.fill((byte) 1, 0, 3_000_000));
      assertEquals(0, memory.readBytes(2_999_999, 1)[0], "it did not go on");
      assertThrows(ChicoryInterruptedException.class, () -> memory.copy(0, 100, 3_000_000));
    } finally {
      assertTrue(Thread.interrupted());
    }
  }

  @Test
  void refusesWhatHasNoImage() {
    assertThrows(IllegalArgumentException.class, () -> MemoryImage.zeros(new MemoryLimits(1, 2, true)));
    assertThrows(IllegalArgumentException.class, () -> MemoryImage.zeros(new MemoryLimits(40_000, 50_000)));
    try (var image = MemoryImage.zeros(new MemoryLimits(1))) {
      assertEquals(Memory.RUNTIME_MAX_PAGES, image.maximumPages());
      try (CowMemory memory = image.open()) {
        assertEquals(1, memory.grow(1));
      }
    }
  }
}
