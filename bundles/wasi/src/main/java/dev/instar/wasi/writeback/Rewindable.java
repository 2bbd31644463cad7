package dev.instar.wasi.writeback;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * A module whose instances are as they began once their memory has its first bytes again, and its first size, and {@link #globals} has been called: their
 * tables and segments cannot change. What a start function does is a part of how they begin.
 *
 * @param module does what it did; indices stay as they were
 * @param globals an exported function that sets all mutable globals to what they begin with; nothing where there are none
 */
public record Rewindable(byte[] module, Optional<String> globals) {
  private static final int FUNC = 0;
  private static final int MEMORY_KIND = 2;
  /** To set more takes longer than to make an instance. */
  private static final int MOST_GLOBALS = 1000;

  /**
   * @param module is valid
   * @return nothing when its instances can have another state, or one that is not to be seen from outside
   */
  public static Optional<Rewindable> of(byte[] module) {
    try {
      ModuleBytes parts = ModuleBytes.read(ByteBuffer.wrap(module));
      List<Integer> mutable = IntStream.range(0, parts.globals.size()).filter(i -> parts.globals.get(i).mutable()).boxed().toList();
      boolean seen = parts.memory.isEmpty() || parts.exports.stream().anyMatch(export -> export.kind() == MEMORY_KIND && export.name().equals("memory"));
      Optional<ModuleBytes.Section> code = parts.sections.stream().filter(section -> section.id() == ModuleBytes.CODE).findFirst();
      if (!seen || mutable.size() > MOST_GLOBALS || code.isPresent() && !Bodies.leaveTables(module, code.get().content())) {
        return Optional.empty();
      }
      return Optional.of(mutable.isEmpty() || code.isEmpty() ? new Rewindable(module, Optional.empty()) : setting(module, parts, mutable));
    } catch (ModuleBytes.Refused e) {
      return Optional.empty();
    }
  }

  /** The expression of a first value is one for a body, too: it refers to functions that are declared by it, and to globals that do not change. */
  private static Rewindable setting(byte[] module, ModuleBytes parts, List<Integer> mutable) {
    String name = "$rewind";
    while (taken(parts, name)) {
      name = "$" + name;
    }
    Encoded body = new Encoded().u8(0);
    for (int i : mutable) {
      ModuleBytes.Range initial = parts.globals.get(i).initial();
      body.copy(module, new ModuleBytes.Range(initial.from(), initial.to() - 1)).u8(0x24).u32(i);
    }
    body.u8(0x0b);
    byte[] bytes = name.getBytes(StandardCharsets.UTF_8);
    Encoded export = new Encoded().u32(bytes.length);
    export.writeBytes(bytes);
    Map<Integer, Encoded> changed = new HashMap<>();
    changed.put(ModuleBytes.TYPE, Sections.appended(module, parts, ModuleBytes.TYPE, new Encoded().u8(0x60, 0, 0), 1));
    changed.put(ModuleBytes.FUNCTION, Sections.appended(module, parts, ModuleBytes.FUNCTION, new Encoded().u32(parts.types()), 1));
    changed.put(ModuleBytes.EXPORT, Sections.appended(module, parts, ModuleBytes.EXPORT, export.u8(FUNC).u32(parts.functions), 1));
    changed.put(ModuleBytes.CODE, Sections.appended(module, parts, ModuleBytes.CODE, new Encoded().u32(body.size()).all(body), 1));
    return new Rewindable(Sections.rewritten(module, parts, changed), Optional.of(name));
  }

  private static boolean taken(ModuleBytes parts, String name) {
    return parts.exports.stream().anyMatch(export -> export.name().equals(name));
  }
}
