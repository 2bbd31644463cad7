package dev.instar.wasi.writeback;

import static dev.instar.wasi.writeback.ModuleBytes.DATA;
import static dev.instar.wasi.writeback.ModuleBytes.DATA_COUNT;

import java.io.Serial;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Optional;

/**
 * A module that begins in a state, memory included: what {@link Writeback} has written, with the memory's contents as active segments. It is for engines
 * that have no other way to begin with a memory. Any engine can run it.
 *
 * <p>The active segments take the indices of empty ones, which are those that had been dropped: after the instantiation they are dropped again. So what
 * is written back of the whole module and made whole again is the same.
 */
public final class WholeModule {
  /** Parts of the memory that are all zeros are left out. */
  private static final int GRAIN = 4096;
  private static final byte[] ZEROS = new byte[GRAIN];
  /** An active segment's kind, its constant expression with five digits at most, and its length likewise. */
  private static final int MOST_HEAD = 13;

  /** A part of the memory, up to {@code to} exclusively. */
  private record Run(int from, int to) {
    Encoded head() {
      return new Encoded().u8(0, 0x41).signed(from).u8(0x0b).u32(to - from);
    }

    int length() {
      return to - from;
    }
  }

  /** A state that is whole, and too much for the engine that asks. */
  public static final class TooLarge extends RuntimeException {
    @Serial
    private static final long serialVersionUID = 1L;

    TooLarge(String message) {
      super(message, null, false, false);
    }
  }

  private WholeModule() {}

  /**
   * @param written by {@link Writeback}
   * @param memory what it is to begin with; the module's memory has so many pages or more
   * @param segments the most data segments that it may have: where there would be more, zeros between them are written, too
   * @param bytes the most that it may have
   * @throws IllegalArgumentException when it was not written back, or is of another memory
   * @throws TooLarge when it would have more
   */
  public static byte[] of(byte[] written, Optional<ModuleState.Linear> memory, int segments, long bytes) {
    ModuleBytes module;
    try {
      module = ModuleBytes.read(ByteBuffer.wrap(written));
    } catch (ModuleBytes.Refused e) {
      throw new IllegalArgumentException(e.getMessage());
    }
    long pages = module.memory.map(ModuleBytes.MemoryType::minimum).orElse(0L);
    int there = memory.map(ModuleState.Linear::pages).orElse(0);
    if (there > Integer.MAX_VALUE / ModuleState.PAGE) {
      throw new TooLarge("its memory has " + there + " pages, which are 2 GiB or more");
    }
    if (there > pages) {
      throw new IllegalArgumentException("its memory begins with " + pages + " pages, and there is more");
    }
    if (module.data.stream().anyMatch(segment -> !segment.passive())) {
      throw new IllegalArgumentException("it has a segment that writes its memory");
    }
    int kept = (int) module.data.stream().filter(segment -> segment.length() > 0).count();
    List<Run> runs = memory.map(linear -> runs(linear, Math.max(1, segments - kept))).orElse(List.of());
    long size = written.length + runs.stream().mapToLong(run -> MOST_HEAD + run.length()).sum();
    if (kept + runs.size() > segments || size > bytes) {
      throw new TooLarge("with its memory it would have up to " + size + " bytes in " + (kept + runs.size()) + " data segments; " + bytes
          + " and " + segments + " are allowed");
    }
    return runs.isEmpty() ? written : write(written, module, memory.get(), new ArrayDeque<>(runs));
  }

  private static byte[] write(byte[] written, ModuleBytes module, ModuleState.Linear memory, Deque<Run> runs) {
    int empty = (int) module.data.stream().filter(segment -> segment.length() == 0).count();
    int count = module.data.size() + Math.max(0, runs.size() - empty);
    long size = new Encoded().u32(count).size() + runs.stream().mapToLong(run -> run.head().size() + run.length()).sum();
    int free = runs.size();
    for (ModuleBytes.Data segment : module.data) {
      if (segment.length() > 0 || free-- <= 0) {
        size += segment.whole().to() - segment.whole().from();
      }
    }
    Encoded counted = new Encoded().section(DATA_COUNT, new Encoded().u32(count));
    long total = 8 + new Encoded().u8(DATA).u32(size).size() + size;
    for (ModuleBytes.Section section : module.sections) {
      total += switch (section.id()) {
        case DATA -> 0;
        case DATA_COUNT -> counted.size();
        default -> section.whole().to() - section.whole().from();
      };
    }
    // It may be a good part of the heap, and is there once.
    Encoded out = new Encoded((int) total);
    out.write(written, 0, 8);
    for (ModuleBytes.Section section : module.sections) {
      switch (section.id()) {
        case DATA -> data(out, written, module, memory, runs, count, size);
        case DATA_COUNT -> out.all(counted);
        default -> out.copy(written, section.whole());
      }
    }
    if (module.sections.stream().noneMatch(section -> section.id() == DATA)) {
      data(out, written, module, memory, runs, count, size);
    }
    return out.whole();
  }

  private static void data(Encoded out, byte[] written, ModuleBytes module, ModuleState.Linear memory, Deque<Run> runs, int count, long size) {
    out.u8(DATA).u32(size).u32(count);
    for (ModuleBytes.Data segment : module.data) {
      if (segment.length() > 0 || runs.isEmpty()) {
        out.copy(written, segment.whole());
      } else {
        segment(out, memory, runs.poll());
      }
    }
    runs.forEach(run -> segment(out, memory, run));
  }

  private static void segment(Encoded out, ModuleState.Linear memory, Run run) {
    out.all(run.head());
    for (int at = run.from; at < run.to; at += ModuleState.PAGE) {
      out.writeBytes(memory.read(at, Math.min(ModuleState.PAGE, run.to - at)));
    }
  }

  /** What is not zero, in at most so many parts: where there would be more, larger gaps are bridged. */
  private static List<Run> runs(ModuleState.Linear memory, int most) {
    List<Run> runs = new ArrayList<>();
    int from = -1;
    for (int page = 0; page < memory.pages(); page++) {
      byte[] content = memory.read(page * ModuleState.PAGE, ModuleState.PAGE);
      for (int at = 0; at < content.length; at += GRAIN) {
        boolean zero = Arrays.equals(content, at, at + GRAIN, ZEROS, 0, GRAIN);
        int address = page * ModuleState.PAGE + at;
        if (zero && from >= 0) {
          runs.add(new Run(from, address));
          from = -1;
        } else if (!zero && from < 0) {
          from = address;
        }
      }
    }
    if (from >= 0) {
      runs.add(new Run(from, memory.pages() * ModuleState.PAGE));
    }
    for (long gap = 2 * GRAIN; runs.size() > most; gap *= 2) {
      runs = bridged(runs, gap);
    }
    return runs;
  }

  private static List<Run> bridged(List<Run> runs, long gap) {
    List<Run> fewer = new ArrayList<>();
    for (Run run : runs) {
      if (!fewer.isEmpty() && run.from - fewer.getLast().to <= gap) {
        fewer.add(new Run(fewer.removeLast().from, run.to));
      } else {
        fewer.add(run);
      }
    }
    return fewer;
  }
}
