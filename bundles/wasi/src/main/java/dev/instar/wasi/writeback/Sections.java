package dev.instar.wasi.writeback;

import java.nio.ByteBuffer;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

/** Changes modules a little. */
public final class Sections {
  private Sections() {}

  /**
   * A module whose memory begins with more pages of zeros at its end.
   *
   * @param module has a memory that may have so many
   * @return nothing when it has a form that is not understood
   */
  public static Optional<byte[]> grown(byte[] module, int pages) {
    ModuleBytes parts;
    try {
      parts = ModuleBytes.read(ByteBuffer.wrap(module));
    } catch (ModuleBytes.Refused e) {
      return Optional.empty();
    }
    ModuleBytes.MemoryType memory = parts.memory.orElseThrow();
    Encoded content = limits(new Encoded().u32(1), memory.minimum() + pages, memory.maximum());
    Encoded out = new Encoded();
    out.write(module, 0, 8);
    for (ModuleBytes.Section section : parts.sections) {
      if (section.id() == ModuleBytes.MEMORY) {
        out.section(section.id(), content);
      } else {
        out.copy(module, section.whole());
      }
    }
    return Optional.of(out.toByteArray());
  }

  /** The limits of a memory or a table. */
  static Encoded limits(Encoded out, long minimum, OptionalLong maximum) {
    out.u8(maximum.isPresent() ? 1 : 0).u32(minimum);
    maximum.ifPresent(out::u32);
    return out;
  }

  /**
   * A module with more entries at the ends of its sections; where there is no such section, it gets none but that of exports.
   *
   * @param numbers how many entries are added
   */
  static byte[] append(byte[] module, ModuleBytes parts, Map<Integer, Encoded> added, Map<Integer, Integer> numbers) {
    Encoded out = new Encoded();
    out.write(module, 0, 8);
    boolean exported = parts.sections.stream().anyMatch(section -> section.id() == ModuleBytes.EXPORT);
    for (ModuleBytes.Section section : parts.sections) {
      if (!exported && added.containsKey(ModuleBytes.EXPORT) && ModuleBytes.ORDER.indexOf(section.id()) > ModuleBytes.ORDER.indexOf(ModuleBytes.EXPORT)) {
        exported = true;
        out.section(ModuleBytes.EXPORT, new Encoded().u32(numbers.get(ModuleBytes.EXPORT)).all(added.get(ModuleBytes.EXPORT)));
      }
      if (section.id() == ModuleBytes.CUSTOM || !added.containsKey(section.id())) {
        out.copy(module, section.whole());
        continue;
      }
      int at = section.content().from();
      long count = 0;
      for (int shift = 0; ; shift += 7) {
        byte b = module[at++];
        count |= (long) (b & 0x7f) << shift;
        if (b >= 0) {
          break;
        }
      }
      Encoded content = new Encoded().u32(count + numbers.get(section.id()));
      content.write(module, at, section.content().to() - at);
      out.section(section.id(), content.all(added.get(section.id())));
    }
    if (!exported && added.containsKey(ModuleBytes.EXPORT)) {
      out.section(ModuleBytes.EXPORT, new Encoded().u32(numbers.get(ModuleBytes.EXPORT)).all(added.get(ModuleBytes.EXPORT)));
    }
    return out.toByteArray();
  }
}
