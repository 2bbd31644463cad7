package dev.instar.backend.wasmtime;

import dev.instar.api.wasmtime.WasmtimeInstance;
import dev.instar.api.wasmtime.WasmtimeTrap;
import dev.instar.wasi.guest.MemoryBudget;
import dev.instar.wasi.pages.LibC;
import dev.instar.wasi.pages.WrittenPages;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Brings instances of one program back to how they began, in place: an instance of its own for each call costs more, since its whole beginning is cleared and not
 * only what was written.
 *
 * <p>What the pages of a memory begin with is not kept: the engine's mapping of it has that. A page that was given up shows it again. So what a page that
 * is written often has to hold is read there, once, and copied back from then on. A mapping alone does not make a beginning where the module's start function
 * has copied something into it; these pages are found in the first instance, and always kept.
 *
 * <p>Tables, segments and globals: see {@link dev.instar.wasi.writeback.Rewindable}.
 */
final class Rewinder implements AutoCloseable {
  /** Pages of a new memory that may be its own: those that the engine has cleared or filled in place, up to 512 KiB of each, and no more ranges than WrittenPages has. */
  private static final int MOST_AT_FIRST = 4 * WrittenPages.MOST_PAGES;
  /** That a start function may have written: 64 KiB in 32 places. */
  private static final int MOST_STARTED = 64;
  /** Whose beginning is kept. Others are given up each time. */
  private static final int MOST_KEPT = 2 * WrittenPages.MOST_PAGES;
  private static final byte[] ZEROS = new byte[LibC.PAGE_SIZE];

  private final Optional<String> globals;
  private final MemoryBudget heap;
  private final Map<Integer, byte[]> beginnings = new ConcurrentHashMap<>();
  private final AtomicInteger kept = new AtomicInteger();
  /** Those that a mapping does not begin with. Guarded by this object's lock until it is there; then it stays. */
  private volatile Map<Integer, byte[]> started;
  private volatile boolean never;

  /**
   * @param globals the exported function that sets them
   * @param heap is charged what is kept of pages
   */
  Rewinder(Optional<String> globals, MemoryBudget heap) {
    this.globals = globals;
    this.heap = heap;
  }

  /** Whether this host shows what it takes. */
  static boolean possible() {
    return WrittenPages.known();
  }

  /** Whether a new instance, in which nothing has run, can be brought back. */
  boolean begin(WasmtimeInstance instance) {
    try {
      return !never && (started != null || learn(instance));
    } catch (LibC.Failure e) {
      // Then nothing of it was changed.
      return false;
    }
  }

  /** Finds out in what a new memory differs from its mapping. */
  private synchronized boolean learn(WasmtimeInstance instance) {
    if (never || started != null) {
      return !never;
    }
    MemorySegment memory = instance.memory();
    long base = memory.address();
    long size = instance.memoryBytes();
    Map<Integer, byte[]> own = new HashMap<>();
    boolean few = WrittenPages.forEach(base, base + size, MOST_AT_FIRST, (start, end) -> {
      for (long at = start - base; at < end - base; at += LibC.PAGE_SIZE) {
        own.put(page(at), copy(memory, at));
      }
    });
    if (!few) {
      never = true;
      return false;
    }
    if (size > 0) {
      LibC.discard(base, size);
    }
    Map<Integer, byte[]> others = new HashMap<>();
    own.forEach((page, before) -> {
      if (!Arrays.equals(before, copy(memory, at(page)))) {
        others.put(page, before);
        write(memory, at(page), before);
      }
    });
    if (others.size() > MOST_STARTED) {
      never = true;
      return false;
    }
    if (!heap.takeToWait((long) others.size() * LibC.PAGE_SIZE)) {
      return false;
    }
    kept.addAndGet(others.size());
    beginnings.putAll(others);
    started = others;
    return true;
  }

  private static int page(long at) {
    return (int) (at / LibC.PAGE_SIZE);
  }

  private static long at(int page) {
    return (long) page * LibC.PAGE_SIZE;
  }

  private static byte[] copy(MemorySegment memory, long at) {
    byte[] page = new byte[LibC.PAGE_SIZE];
    MemorySegment.copy(memory, ValueLayout.JAVA_BYTE, at, page, 0, page.length);
    return page;
  }

  private static void write(MemorySegment memory, long at, byte[] page) {
    MemorySegment.copy(page, 0, memory, ValueLayout.JAVA_BYTE, at, page.length);
  }

  private void discard(WasmtimeInstance instance) {
    MemorySegment memory = instance.memory();
    long size = instance.memoryBytes();
    if (size > 0) {
      LibC.discard(memory.address(), size);
      started.forEach((page, beginning) -> write(memory, at(page), beginning));
    }
  }

  /**
   * After a call that has ended by itself, in a memory as large as it began.
   *
   * @param first whether it was not brought back before: then all is given up, what the engine keeps of the memory's earlier users, too. A call that makes its
   *     memory grow, and so loses its instance, is spared that.
   * @return false when it could not; the instance is of no use any more
   */
  boolean rewind(WasmtimeInstance instance, boolean first) {
    MemorySegment memory = instance.memory();
    long base = memory.address();
    try {
      boolean[] unknown = {false};
      boolean few = !first && WrittenPages.forEach(base, base + instance.memoryBytes(), (start, end) -> unknown[0] |= !writeBack(memory, start - base, end - base));
      if (!few || unknown[0]) {
        discard(instance);
      }
      if (globals.isPresent()) {
        instance.call(globals.get());
      }
      return true;
    } catch (LibC.Failure | WasmtimeTrap e) {
      return false;
    }
  }

  /** False when the beginning of one of these pages is not known. */
  private boolean writeBack(MemorySegment memory, long from, long to) {
    boolean known = true;
    for (long at = from; at < to; at += LibC.PAGE_SIZE) {
      byte[] beginning = beginnings.get(page(at));
      if (beginning == null) {
        known &= keep(memory, at);
      } else if (beginning == ZEROS) {
        memory.asSlice(at, LibC.PAGE_SIZE).fill((byte) 0);
      } else {
        write(memory, at, beginning);
      }
    }
    return known;
  }

  /** Gives up a page, and remembers what it begins with. False when there is no room for that; then it is as it was. */
  private boolean keep(MemorySegment memory, long at) {
    if (kept.incrementAndGet() > MOST_KEPT || !heap.takeToWait(LibC.PAGE_SIZE)) {
      kept.decrementAndGet();
      return false;
    }
    LibC.discard(memory.address() + at, LibC.PAGE_SIZE);
    byte[] beginning = copy(memory, at);
    if (beginnings.putIfAbsent(page(at), Arrays.equals(beginning, ZEROS) ? ZEROS : beginning) != null) {
      heap.give(LibC.PAGE_SIZE);
      kept.decrementAndGet();
    }
    return true;
  }

  /** When no instance is left. */
  @Override
  public void close() {
    heap.give((long) kept.get() * LibC.PAGE_SIZE);
  }
}
