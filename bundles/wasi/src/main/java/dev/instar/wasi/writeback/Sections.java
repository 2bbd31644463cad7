package dev.instar.wasi.writeback;

import static dev.instar.wasi.writeback.ModuleBytes.CODE;
import static dev.instar.wasi.writeback.ModuleBytes.CUSTOM;
import static dev.instar.wasi.writeback.ModuleBytes.DATA;
import static dev.instar.wasi.writeback.ModuleBytes.DATA_COUNT;
import static dev.instar.wasi.writeback.ModuleBytes.FUNCTION;
import static dev.instar.wasi.writeback.ModuleBytes.MEMORY;
import static dev.instar.wasi.writeback.ModuleBytes.ORDER;
import static dev.instar.wasi.writeback.ModuleBytes.START;
import static dev.instar.wasi.writeback.ModuleBytes.TYPE;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

/** Changes modules a little, without a change of what they do. */
public final class Sections {
  /** More is mapped by the engine faster than it is copied. */
  private static final int MOST_COPIED = 64 << 10;
  private static final int MOST_COPIES = 32;
  /** Zeros up to here are copied, too. */
  private static final int GAP = 1 << 10;
  private static final int PAGE_EXPONENT = 16;

  private Sections() {}

  /**
   * A module whose instances are made and cleared without a call of the operating system where they are small:
   *
   * <ul>
   * <li>its memory begins with more pages of zeros at its end, so that nobody has to grow it;
   * <li>its active data segments, where they are few and short, are copied into the memory by its start function. An engine that maps active segments has to
   * take back what was written to such a mapping after each call, and each first write to a page costs a fault.
   * </ul>
   *
   * @param pages so many more; the memory may have them
   * @return nothing when nothing is to be changed, or the module has a form that is not understood
   */
  public static Optional<byte[]> ready(byte[] module, int pages) {
    try {
      ModuleBytes parts = ModuleBytes.read(ByteBuffer.wrap(module));
      Map<Integer, Encoded> changed = new HashMap<>();
      if (pages > 0 && parts.memory.isPresent()) {
        ModuleBytes.MemoryType memory = parts.memory.get();
        changed.put(MEMORY, limits(new Encoded().u32(1), memory.minimum() + pages, memory.maximum()));
      }
      copies(module, parts).ifPresent(copies -> copy(module, parts, copies, changed));
      return changed.isEmpty() ? Optional.empty() : Optional.of(rewritten(module, parts, changed));
    } catch (ModuleBytes.Refused e) {
      return Optional.empty();
    }
  }

  /** What is copied to an address. */
  private record Copy(long address, byte[] bytes) {}

  private record Active(long address, ModuleBytes.Data segment) {
    long end() {
      return address + segment.length();
    }
  }

  private static Optional<List<Copy>> copies(byte[] module, ModuleBytes parts) {
    List<Active> active = new ArrayList<>();
    for (ModuleBytes.Data segment : parts.data) {
      if (!segment.passive()) {
        OptionalLong address = parts.address(segment);
        if (address.isEmpty() || address.getAsLong() + segment.length() > parts.memory.map(ModuleBytes.MemoryType::minimum).orElse(0L) << PAGE_EXPONENT) {
          return Optional.empty();
        }
        active.add(new Active(address.getAsLong(), segment));
      }
    }
    if (active.isEmpty() || parts.sections.stream().noneMatch(section -> section.id() == CODE)) {
      return Optional.empty();
    }
    List<long[]> ranges = new ArrayList<>();
    for (Active one : active.stream().sorted(Comparator.comparingLong(Active::address)).toList()) {
      if (!ranges.isEmpty() && one.address() - ranges.getLast()[1] <= GAP) {
        ranges.getLast()[1] = Math.max(ranges.getLast()[1], one.end());
      } else {
        ranges.add(new long[] {one.address(), one.end()});
      }
    }
    if (ranges.size() > MOST_COPIES || ranges.stream().mapToLong(range -> range[1] - range[0]).sum() > MOST_COPIED) {
      return Optional.empty();
    }
    List<Copy> copies = ranges.stream().map(range -> new Copy(range[0], new byte[(int) (range[1] - range[0])])).toList();
    // In their order: a later one may lie over an earlier one.
    for (Active one : active) {
      Copy into = copies.stream().filter(copy -> copy.address() <= one.address() && one.end() <= copy.address() + copy.bytes().length).findFirst().orElseThrow();
      System.arraycopy(module, one.segment().whole().to() - one.segment().length(), into.bytes(), (int) (one.address() - into.address()), one.segment().length());
    }
    return Optional.of(copies);
  }

  /** The segments of the copies come behind the others, whose indices stay; an active one is to the module as if it were empty. */
  private static void copy(byte[] module, ModuleBytes parts, List<Copy> copies, Map<Integer, Encoded> changed) {
    int segments = parts.data.size() + copies.size();
    Encoded data = new Encoded().u32(segments);
    for (ModuleBytes.Data segment : parts.data) {
      if (segment.passive()) {
        data.copy(module, segment.whole());
      } else {
        data.u8(1, 0);
      }
    }
    Encoded body = new Encoded().u8(0);
    for (int i = 0; i < copies.size(); i++) {
      byte[] bytes = copies.get(i).bytes();
      data.u8(1).u32(bytes.length).writeBytes(bytes);
      body.u8(0x41).signed((int) copies.get(i).address()).u8(0x41, 0, 0x41).signed(bytes.length).u8(0xfc, 8).u32(parts.data.size() + i).u8(0);
    }
    parts.start.ifPresent(start -> body.u8(0x10).u32(start));
    body.u8(0x0b);
    changed.put(TYPE, appended(module, parts, TYPE, new Encoded().u8(0x60, 0, 0), 1));
    changed.put(FUNCTION, appended(module, parts, FUNCTION, new Encoded().u32(parts.types()), 1));
    changed.put(START, new Encoded().u32(parts.functions));
    changed.put(DATA_COUNT, new Encoded().u32(segments));
    changed.put(CODE, appended(module, parts, CODE, new Encoded().u32(body.size()).all(body), 1));
    changed.put(DATA, data);
  }

  /** The limits of a memory or a table. */
  static Encoded limits(Encoded out, long minimum, OptionalLong maximum) {
    out.u8(maximum.isPresent() ? 1 : 0).u32(minimum);
    maximum.ifPresent(out::u32);
    return out;
  }

  /** The content of a section, which may be missing, with more entries at its end. */
  static Encoded appended(byte[] module, ModuleBytes parts, int id, Encoded entries, int number) {
    Optional<ModuleBytes.Section> before = parts.sections.stream().filter(section -> section.id() == id).findFirst();
    if (before.isEmpty()) {
      return new Encoded().u32(number).all(entries);
    }
    int at = before.get().content().from();
    long count = 0;
    for (int shift = 0; ; shift += 7) {
      byte b = module[at++];
      count |= (long) (b & 0x7f) << shift;
      if (b >= 0) {
        break;
      }
    }
    Encoded content = new Encoded().u32(count + number);
    content.write(module, at, before.get().content().to() - at);
    return content.all(entries);
  }

  /** The module with other sections, which come to their places where it had none. */
  static byte[] rewritten(byte[] module, ModuleBytes parts, Map<Integer, Encoded> changed) {
    Encoded out = new Encoded();
    out.writeBytes(Arrays.copyOf(module, 8));
    int next = 0;
    for (ModuleBytes.Section section : parts.sections) {
      if (section.id() != CUSTOM) {
        for (; ORDER.get(next) != section.id(); next++) {
          put(out, ORDER.get(next), changed);
        }
        next++;
        if (changed.containsKey(section.id())) {
          put(out, section.id(), changed);
          continue;
        }
      }
      out.copy(module, section.whole());
    }
    for (; next < ORDER.size(); next++) {
      put(out, ORDER.get(next), changed);
    }
    return out.toByteArray();
  }

  private static void put(Encoded out, int id, Map<Integer, Encoded> changed) {
    if (changed.containsKey(id)) {
      out.section(id, changed.get(id));
    }
  }
}
