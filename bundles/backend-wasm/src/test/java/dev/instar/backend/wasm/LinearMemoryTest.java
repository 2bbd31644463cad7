package dev.instar.backend.wasm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.dylibso.chicory.runtime.WasmRuntimeException;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

class LinearMemoryTest {
  private static final int PAGE = 65536;
  private final MemoryBudget budget = new MemoryBudget(1L << 30);

  /** Every operation against the same on a plain array, with addresses that like the edges of chunks. */
  @Test
  void behavesAsAPlainArray() {
    Random random = new Random(42);
    LinearMemory start = new LinearMemory(3, 3, budget);
    byte[] first = new byte[100_000];
    random.nextBytes(first);
    start.write(1000, first, 0, first.length);
    MemoryImage image = start.freeze();
    byte[] plain = new byte[3 * PAGE];
    System.arraycopy(first, 0, plain, 1000, first.length);
    ByteBuffer model = ByteBuffer.wrap(plain).order(ByteOrder.LITTLE_ENDIAN);
    LinearMemory memory = new LinearMemory(image, 3, budget);
    for (int i = 0; i < 200_000; i++) {
      int edge = random.nextInt(1, 12) * LinearMemory.CHUNK;
      int at = random.nextBoolean() ? random.nextInt(plain.length - 8) : Math.min(edge - 9 + random.nextInt(18), plain.length - 8);
      long value = random.nextLong();
      switch (random.nextInt(12)) {
        case 0 -> {
          memory.writeByte(at, (byte) value);
          model.put(at, (byte) value);
        }
        case 1 -> {
          memory.writeShort(at, (short) value);
          model.putShort(at, (short) value);
        }
        case 2 -> {
          memory.writeI32(at, (int) value);
          model.putInt(at, (int) value);
        }
        case 3 -> {
          memory.writeLong(at, value);
          model.putLong(at, value);
        }
        case 4 -> {
          memory.writeF32(at, (int) value);
          model.putFloat(at, (int) value);
        }
        case 5 -> {
          memory.writeF64(at, value);
          model.putDouble(at, value);
        }
        case 6 -> {
          assertEquals(model.get(at), memory.read(at));
          assertEquals(model.getShort(at), memory.readShort(at));
          assertEquals(model.getShort(at) & 0xffffL, memory.readU16(at));
          assertEquals(model.getInt(at), memory.readInt(at));
          assertEquals(model.getLong(at), memory.readLong(at));
        }
        case 7 -> {
          assertEquals(Float.floatToRawIntBits(model.getFloat(at)), Float.floatToRawIntBits(memory.readFloat(at)));
          assertEquals(Double.doubleToRawLongBits(model.getDouble(at)), Double.doubleToRawLongBits(memory.readDouble(at)));
        }
        case 8 -> {
          int to = random.nextInt(plain.length);
          int n = random.nextInt(Math.min(plain.length - to, plain.length - at));
          memory.copy(to, at, n);
          System.arraycopy(plain, at, plain, to, n);
        }
        case 9 -> {
          int n = random.nextInt(plain.length - at);
          byte with = random.nextBoolean() ? 0 : (byte) value;
          memory.fill(with, at, at + n);
          Arrays.fill(plain, at, at + n, with);
        }
        case 10 -> {
          byte[] some = new byte[random.nextInt(Math.min(40_000, plain.length - at))];
          random.nextBytes(some);
          memory.write(at, some, 0, some.length);
          System.arraycopy(some, 0, plain, at, some.length);
        }
        default -> {
          if (i % 50 == 0) {
            assertArrayEquals(plain, memory.readBytes(0, plain.length));
          }
        }
      }
    }
    assertArrayEquals(plain, memory.readBytes(0, plain.length));
    byte[] again = new byte[first.length];
    new LinearMemory(image, 3, budget).read(1000, again, 0, again.length);
    assertArrayEquals(first, again, "the image has changed");
  }

  @Test
  void accessesBeyondTheEndTrap() {
    LinearMemory memory = new LinearMemory(1, 4, budget);
    memory.grow(1);
    int end = 2 * PAGE;
    for (int at : new int[] {end, end - 1, end - 3, end - 7, end + LinearMemory.CHUNK, Integer.MAX_VALUE, Integer.MIN_VALUE, -1, -8}) {
      traps(() -> memory.readLong(at));
      traps(() -> memory.writeLong(at, 1));
      traps(() -> memory.writeF64(at, 1));
      traps(() -> memory.readDouble(at));
      traps(() -> memory.write(at, new byte[8], 0, 8));
      traps(() -> memory.readBytes(at, 8));
      traps(() -> memory.fill((byte) 1, at, at + 8));
      traps(() -> memory.copy(at, 0, 8));
      traps(() -> memory.copy(0, at, 8));
      traps(() -> memory.check(at, 8));
      if (at < 0 || at > end - 3) {
        traps(() -> memory.readInt(at));
        traps(() -> memory.writeI32(at, 1));
        traps(() -> memory.readFloat(at));
        traps(() -> memory.writeF32(at, 1));
      }
      if (at < 0 || at >= end - 1) {
        traps(() -> memory.readShort(at));
        traps(() -> memory.writeShort(at, (short) 1));
      }
      if (at < 0 || at >= end) {
        traps(() -> memory.read(at));
        traps(() -> memory.writeByte(at, (byte) 1));
      }
    }
    traps(() -> memory.check(0, -1));
    traps(() -> memory.check(-1, -1));
    traps(() -> memory.readBytes(0, Integer.MAX_VALUE));
    memory.check(end, 0);
    assertArrayEquals(new byte[end], memory.readBytes(0, end), "a trap has written something");
  }

  private static void traps(Executable access) {
    assertEquals("out of bounds memory access", assertThrows(WasmRuntimeException.class, access).getMessage());
  }

  @Test
  void growsToItsMaximumAndNoFurther() {
    LinearMemory memory = new LinearMemory(1, 5, budget);
    assertEquals(1, memory.grow(0));
    assertEquals(1, memory.grow(2));
    assertEquals(-1, memory.grow(3));
    assertEquals(-1, memory.grow(-1));
    assertEquals(-1, memory.grow(Integer.MIN_VALUE));
    assertEquals(3, memory.grow(2));
    assertEquals(5, memory.pages());
    memory.writeLong(5 * PAGE - 8, -1);
    assertEquals(-1, memory.readLong(5 * PAGE - 8));
  }

  @Test
  void memoryIsChargedAsItIsTouched() {
    LinearMemory memory = new LinearMemory(1000, 30_000, budget);
    assertEquals(0, budget.used());
    memory.grow(20_000);
    memory.fill((byte) 0, 0, 1 << 30);
    assertEquals(0, budget.used(), "zeros over zeros take no room");
    memory.writeByte(5, (byte) 1);
    memory.writeByte(6, (byte) 1);
    assertEquals(LinearMemory.CHUNK, budget.used());
    memory.writeLong(LinearMemory.CHUNK - 4, -1);
    assertEquals(2 * LinearMemory.CHUNK, budget.used());
    memory.writeByte(5 * LinearMemory.CHUNK, (byte) 0);
    MemoryImage image = memory.freeze();
    assertEquals(2 * LinearMemory.CHUNK, budget.used(), "a chunk that is zero again is let go of");
    LinearMemory next = new LinearMemory(image, 30_000, budget);
    assertEquals(2 * LinearMemory.CHUNK, budget.used());
    next.writeByte(0, (byte) 9);
    assertEquals(3 * LinearMemory.CHUNK, budget.used());
    next.release();
    next.release();
    assertEquals(2 * LinearMemory.CHUNK, budget.used());
    traps(() -> next.read(0));
  }

  @Test
  void theBudgetEndsAGuest() {
    MemoryBudget small = new MemoryBudget(3 * LinearMemory.CHUNK);
    LinearMemory memory = new LinearMemory(10, 10, small);
    InstarException e = assertThrows(InstarException.class, () -> memory.write(0, new byte[10 * LinearMemory.CHUNK], 0, 10 * LinearMemory.CHUNK));
    assertEquals(ErrorCode.OUT_OF_MEMORY, e.code());
    memory.release();
    assertEquals(0, small.used());
  }
}
