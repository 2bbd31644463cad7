package dev.instar.wasi.writeback;

import static dev.instar.wasi.writeback.ModuleBytes.CODE;
import static dev.instar.wasi.writeback.ModuleBytes.EXPORT;
import static dev.instar.wasi.writeback.ModuleBytes.FUNCTION;
import static dev.instar.wasi.writeback.ModuleBytes.TYPE;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/**
 * A module that does what it did, and exports besides what a state is made of, for engines that show nothing else of an instance: its globals, its tables, the
 * functions that these may refer to, and for each segment that may have been dropped a function that traps if it was. Indices stay as they were.
 */
public final class Exposed {
  private static final int FUNC = 0;
  private static final int TABLE_KIND = 1;
  private static final int MEMORY_KIND = 2;
  private static final int GLOBAL_KIND = 3;
  private static final String MEMORY = "memory";
  /** Each gets an export. */
  private static final int MOST_FUNCTIONS = 100_000;

  private final ModuleBytes parts;
  private final byte[] module;
  /** What the names of all that is exported besides begin with. */
  private final String prefix;
  private final Set<Integer> functions = new TreeSet<>();
  private final List<Integer> data = new ArrayList<>();
  private final List<Integer> elements = new ArrayList<>();

  /** An instance of it that does not run. References are numbers that tell functions apart; 0 is null. */
  public interface Shown {
    /** Its memory; asked only where it has one. */
    ModuleState.Linear memory();

    /** The bits of an exported global, lower and upper; of a reference its number. */
    long[] global(String export);

    long[] table(String export);

    long function(String export);

    /** Whether a call of an exported function without parameters and results traps. */
    boolean traps(String export);
  }

  private Exposed(byte[] original, ModuleBytes parts) {
    this.parts = parts;
    this.prefix = prefix(parts);
    functions.addAll(parts.declared);
    parts.exports.stream().filter(export -> export.kind() == FUNC).forEach(export -> functions.add(export.index()));
    boolean bodies = parts.sections.stream().anyMatch(section -> section.id() == CODE);
    for (int i = 0; bodies && parts.dataCount && parts.memory.isPresent() && i < parts.data.size(); i++) {
      if (parts.data.get(i).passive() && parts.data.get(i).length() > 0) {
        data.add(i);
      }
    }
    for (int i = 0; bodies && i < parts.elements.size(); i++) {
      if (parts.elements.get(i).passive() && parts.elements.get(i).items() > 0 && tableFor(parts.elements.get(i).type()).isPresent()) {
        elements.add(i);
      }
    }
    this.module = write(original);
  }

  /**
   * @param module is valid
   * @return nothing when no state of it could be written back
   */
  public static Optional<Exposed> of(byte[] module) {
    try {
      ModuleBytes parts = ModuleBytes.read(ByteBuffer.wrap(module));
      boolean taken = parts.exports.stream().anyMatch(export -> export.name().equals(MEMORY) && export.kind() != MEMORY_KIND);
      return taken && parts.memory.isPresent() || parts.declared.size() + parts.exports.size() > MOST_FUNCTIONS ? Optional.empty()
          : Optional.of(new Exposed(module, parts));
    } catch (ModuleBytes.Refused e) {
      return Optional.empty();
    }
  }

  /** Its bytes. */
  public byte[] module() {
    return module;
  }

  private static String prefix(ModuleBytes parts) {
    String prefix = "$";
    while (startsOne(parts, prefix)) {
      prefix += "$";
    }
    return prefix;
  }

  private static boolean startsOne(ModuleBytes parts, String prefix) {
    return parts.exports.stream().anyMatch(export -> export.name().startsWith(prefix));
  }

  /** Where segments are only dropped and never copied, it is all the same whether they were. */
  private Optional<Integer> tableFor(int type) {
    for (int i = 0; i < parts.tables.size(); i++) {
      if (parts.tables.get(i).type() == type) {
        return Optional.of(i);
      }
    }
    return Optional.empty();
  }

  private byte[] write(byte[] original) {
    int probes = data.size() + elements.size();
    Map<Integer, Encoded> changed = new HashMap<>();
    if (probes > 0) {
      Encoded types = new Encoded();
      Encoded bodies = new Encoded();
      for (int i = 0; i < probes; i++) {
        types.u32(parts.types());
        Encoded body = i < data.size() ? ofData(data.get(i)) : ofElements(elements.get(i - data.size()));
        bodies.u32(body.size()).all(body);
      }
      changed.put(TYPE, Sections.appended(original, parts, TYPE, new Encoded().u8(0x60, 0, 0), 1));
      changed.put(FUNCTION, Sections.appended(original, parts, FUNCTION, types, probes));
      changed.put(CODE, Sections.appended(original, parts, CODE, bodies, probes));
    }
    List<Encoded> exports = exports();
    Encoded all = new Encoded();
    exports.forEach(all::all);
    changed.put(EXPORT, Sections.appended(original, parts, EXPORT, all, exports.size()));
    return Sections.rewritten(original, parts, changed);
  }

  private List<Encoded> exports() {
    List<Encoded> exports = new ArrayList<>();
    if (parts.memory.isPresent() && parts.exports.stream().noneMatch(export -> export.name().equals(MEMORY))) {
      exports.add(export(MEMORY, MEMORY_KIND, 0));
    }
    for (int i = 0; i < parts.globals.size(); i++) {
      exports.add(export(global(i), GLOBAL_KIND, i));
    }
    for (int i = 0; i < parts.tables.size(); i++) {
      exports.add(export(table(i), TABLE_KIND, i));
    }
    functions.forEach(i -> exports.add(export(function(i), FUNC, i)));
    for (int i = 0; i < data.size(); i++) {
      exports.add(export(data(data.get(i)), FUNC, parts.functions + i));
    }
    for (int i = 0; i < elements.size(); i++) {
      exports.add(export(elements(elements.get(i)), FUNC, parts.functions + data.size() + i));
    }
    return exports;
  }

  private static Encoded export(String name, int kind, int index) {
    byte[] bytes = name.getBytes(StandardCharsets.UTF_8);
    Encoded out = new Encoded().u32(bytes.length);
    out.writeBytes(bytes);
    return out.u8(kind).u32(index);
  }

  private String global(int i) {
    return prefix + "g" + i;
  }

  private String table(int i) {
    return prefix + "t" + i;
  }

  private String function(int i) {
    return prefix + "f" + i;
  }

  private String data(int i) {
    return prefix + "d" + i;
  }

  private String elements(int i) {
    return prefix + "e" + i;
  }

  /** Copies nothing from the end of the segment, which a dropped one, being empty, does not reach to. */
  private Encoded ofData(int segment) {
    return new Encoded().u8(0, 0x41, 0, 0x41).signed(parts.data.get(segment).length()).u8(0x41, 0, 0xfc, 8).u32(segment).u8(0, 0x0b);
  }

  private Encoded ofElements(int segment) {
    ModuleBytes.Elements of = parts.elements.get(segment);
    return new Encoded().u8(0, 0x41, 0, 0x41).signed(of.items()).u8(0x41, 0, 0xfc, 12).u32(segment).u32(tableFor(of.type()).orElseThrow()).u8(0x0b);
  }

  /** The state of an instance of it; its memory is read where that is. */
  public ModuleState state(Shown instance) {
    Map<Long, Integer> known = new HashMap<>();
    functions.forEach(i -> known.putIfAbsent(instance.function(function(i)), i));
    List<ModuleState.Bits> globals = new ArrayList<>();
    for (int i = 0; i < parts.globals.size(); i++) {
      long[] bits = instance.global(global(i));
      boolean reference = switch (parts.globals.get(i).type()) {
        case ModuleBytes.I32, ModuleBytes.I64, ModuleBytes.F32, ModuleBytes.F64, ModuleBytes.V128 -> false;
        default -> true;
      };
      globals.add(reference ? new ModuleState.Bits(index(known, bits[0]), 0) : new ModuleState.Bits(bits[0], bits[1]));
    }
    List<int[]> tables = new ArrayList<>();
    for (int i = 0; i < parts.tables.size(); i++) {
      long[] references = instance.table(table(i));
      int[] indices = new int[references.length];
      for (int j = 0; j < indices.length; j++) {
        indices[j] = index(known, references[j]);
      }
      tables.add(indices);
    }
    BitSet leftData = new BitSet();
    for (int i = 0; i < parts.data.size(); i++) {
      leftData.set(i, parts.data.get(i).passive() && !(Collections.binarySearch(data, i) >= 0 && instance.traps(data(i))));
    }
    BitSet leftElements = new BitSet();
    for (int i = 0; i < parts.elements.size(); i++) {
      leftElements.set(i, parts.elements.get(i).passive() && !(Collections.binarySearch(elements, i) >= 0 && instance.traps(elements(i))));
    }
    return new ModuleState(parts.memory.map(type -> instance.memory()), globals, tables, leftData, leftElements);
  }

  private static int index(Map<Long, Integer> known, long reference) {
    return reference == 0 ? ModuleState.NULL : known.getOrDefault(reference, ModuleState.FOREIGN);
  }
}
