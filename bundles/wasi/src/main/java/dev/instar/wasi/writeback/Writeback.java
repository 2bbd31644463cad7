package dev.instar.wasi.writeback;

import static dev.instar.wasi.writeback.ModuleBytes.CUSTOM;
import static dev.instar.wasi.writeback.ModuleBytes.DATA;
import static dev.instar.wasi.writeback.ModuleBytes.ELEMENT;
import static dev.instar.wasi.writeback.ModuleBytes.EXPORT;
import static dev.instar.wasi.writeback.ModuleBytes.FUNCREF;
import static dev.instar.wasi.writeback.ModuleBytes.GLOBAL;
import static dev.instar.wasi.writeback.ModuleBytes.MEMORY;
import static dev.instar.wasi.writeback.ModuleBytes.ORDER;
import static dev.instar.wasi.writeback.ModuleBytes.START;
import static dev.instar.wasi.writeback.ModuleBytes.TABLE;

import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * Writes a state into its module. What changes:
 *
 * <ul>
 * <li>the memory begins with the size that it has, and zeros: what it holds lies beside the module, and {@link WholeModule} puts the two together;
 * <li>the module's own globals begin with constants; tables with the size they have, and active segments write their references;
 * <li>the start section is left out, and of the exports those that initialise, so that nobody can initialise twice. Their bodies stay, since the
 * module may call them by itself: to make them do nothing would change what it does;
 * <li>segments that the instance has not dropped are as they were, at their indices. The indices of dropped element segments are taken by the new
 * active ones, which are dropped by the instantiation, too; what is left of the indices gets empty segments. Functions that only a segment, a
 * global or an export named are named by a segment that does nothing, because bodies may refer to no others.
 * </ul>
 *
 * <p>All other sections are copied byte for byte. So are custom sections, at their places, but for those that are about the parts that have changed
 * or about places in the file: {@code linking}, {@code reloc.*}, {@code dylink*}, {@code sourceMappingURL}. Names and debugging information count
 * functions, segments and bytes of the code section, which stay.
 */
public final class Writeback {
  private static final int NULLS = 4;

  private final byte[] original;
  private final ModuleBytes module;
  private final ModuleState state;
  private final Set<String> initialisers;
  private final Bounds bounds;

  /**
   * What the module may have.
   *
   * @param bytes of the module
   * @param segments of elements
   * @param elements of all element segments together
   */
  public record Bounds(long bytes, int segments, int elements) {}

  private Writeback(byte[] original, ModuleBytes module, ModuleState state, Set<String> initialisers, Bounds bounds) {
    this.original = original;
    this.module = module;
    this.state = state;
    this.initialisers = initialisers;
    this.bounds = bounds;
  }

  /**
   * @param module what the instance is of; it is valid
   * @param state that of the instance
   * @param initialisers exported functions that have made the state, and are not to be called again
   * @throws IllegalArgumentException when the state is not one of the module
   */
  public static Outcome write(byte[] module, ModuleState state, Set<String> initialisers, Bounds bounds) {
    try {
      return new Outcome.Written(new Writeback(module, ModuleBytes.read(ByteBuffer.wrap(module)), state, initialisers, bounds).module());
    } catch (ModuleBytes.Refused e) {
      return e.why();
    }
  }

  private byte[] module() {
    demand(module.memory.isPresent() == state.memory().isPresent(), "memories");
    demand(module.globals.size() == state.globals().size(), "globals");
    demand(module.tables.size() == state.tables().size(), "tables");
    demand(module.elements.size() >= state.leftElements().length() && module.data.size() >= state.leftData().length(), "segments");
    if (module.constructingExports && module.exports.stream().anyMatch(this::initialises)) {
      throw new ModuleBytes.Refused(Outcome.Reason.CONSTRUCTING_EXPORTS, "each of its exported functions constructs all static objects first; "
          + "link it with -mexec-model=reactor, so that only _initialize does");
    }
    Map<Integer, Encoded> changed = new HashMap<>();
    changed.put(TABLE, tables());
    changed.put(MEMORY, memory());
    changed.put(GLOBAL, globals());
    changed.put(EXPORT, exports());
    changed.put(START, new Encoded());
    changed.put(ELEMENT, elements());
    changed.put(DATA, data());
    return assemble(changed);
  }

  private static void demand(boolean holds, String what) {
    if (!holds) {
      throw new IllegalArgumentException("The state has other " + what + " than the module");
    }
  }

  /** New sections come to their places, after those custom sections that follow the one before. */
  private byte[] assemble(Map<Integer, Encoded> changed) {
    Encoded out = new Encoded();
    out.write(original, 0, 8);
    int next = 0;
    for (ModuleBytes.Section section : module.sections) {
      if (section.id() == CUSTOM) {
        if (!stale(section.name())) {
          out.copy(original, section.whole());
        }
        continue;
      }
      for (; ORDER.get(next) != section.id(); next++) {
        put(out, ORDER.get(next), changed);
      }
      next++;
      if (changed.containsKey(section.id())) {
        put(out, section.id(), changed);
      } else {
        out.copy(original, section.whole());
      }
    }
    for (; next < ORDER.size(); next++) {
      put(out, ORDER.get(next), changed);
    }
    fits(out.size(), bounds.bytes(), "bytes");
    return out.toByteArray();
  }

  private static void put(Encoded out, int id, Map<Integer, Encoded> changed) {
    Encoded content = changed.getOrDefault(id, new Encoded());
    if (content.size() > 0) {
      out.section(id, content);
    }
  }

  private static boolean stale(String custom) {
    return custom.equals("linking") || custom.startsWith("reloc.") || custom.startsWith("dylink") || custom.equals("sourceMappingURL");
  }

  private static void fits(long number, long most, String what) {
    if (number > most) {
      throw new ModuleBytes.Refused(Outcome.Reason.TOO_LARGE, "with its state it would have " + number + " " + what + "; " + most + " are allowed");
    }
  }

  private Encoded memory() {
    Encoded out = new Encoded();
    module.memory.ifPresent(type -> Sections.limits(out.u32(1), state.memory().orElseThrow().pages(), type.maximum()));
    return out;
  }

  private Encoded globals() {
    Encoded out = new Encoded();
    if (module.globals.isEmpty()) {
      return out;
    }
    out.u32(module.globals.size());
    for (int i = 0; i < module.globals.size(); i++) {
      int type = module.globals.get(i).type();
      ModuleState.Bits bits = state.globals().get(i);
      out.u8(type, module.globals.get(i).mutable() ? 1 : 0);
      switch (type) {
        case ModuleBytes.I32 -> out.u8(0x41).signed((int) bits.low()).u8(0x0b);
        case ModuleBytes.I64 -> out.u8(0x42).signed(bits.low()).u8(0x0b);
        case ModuleBytes.F32 -> out.u8(0x43).little(bits.low(), 4).u8(0x0b);
        case ModuleBytes.F64 -> out.u8(0x44).little(bits.low(), 8).u8(0x0b);
        case ModuleBytes.V128 -> out.u8(0xfd, 12).little(bits.low(), 8).little(bits.high(), 8).u8(0x0b);
        default -> {
          // Chicory has references in the lower half of a word, and is not of one mind about the upper.
          int reference = (int) bits.low();
          expressible(type, reference, "global " + i);
          out.reference(type, reference);
        }
      }
    }
    return out;
  }

  private void expressible(int type, int reference, String where) {
    if (reference == ModuleState.NULL) {
      return;
    }
    if (type != FUNCREF || reference == ModuleState.FOREIGN) {
      throw new ModuleBytes.Refused(Outcome.Reason.HOST_REFERENCE, where + " holds a reference to something outside of the instance");
    }
    demand(reference >= 0 && reference < module.functions, "functions");
  }

  private Encoded tables() {
    Encoded out = new Encoded();
    if (module.tables.isEmpty()) {
      return out;
    }
    out.u32(module.tables.size());
    for (int i = 0; i < module.tables.size(); i++) {
      ModuleBytes.TableType type = module.tables.get(i);
      Sections.limits(out.u8(type.type()), state.tables().get(i).length, type.maximum());
    }
    return out;
  }

  private boolean initialises(ModuleBytes.Export export) {
    return export.kind() == 0 && initialisers.contains(export.name());
  }

  private Encoded exports() {
    List<ModuleBytes.Export> kept = module.exports.stream().filter(e -> !initialises(e)).toList();
    Encoded out = new Encoded();
    if (!kept.isEmpty()) {
      out.u32(kept.size());
      kept.forEach(e -> out.copy(original, e.whole()));
    }
    return out;
  }

  // ---- element segments ----

  private Encoded elements() {
    Deque<Encoded> active = new ArrayDeque<>();
    Set<Integer> named = new HashSet<>();
    long items = 0;
    for (int i = 0; i < module.tables.size(); i++) {
      items += references(i, active);
      if (module.tables.get(i).type() == FUNCREF) {
        Arrays.stream(state.tables().get(i)).forEach(named::add);
      }
    }
    for (int i = 0; i < module.globals.size(); i++) {
      if (module.globals.get(i).type() == FUNCREF) {
        named.add((int) state.globals().get(i).low());
      }
    }
    items += declare(named, active);
    List<Encoded> all = new ArrayList<>();
    for (int i = 0; i < module.elements.size(); i++) {
      ModuleBytes.Elements segment = module.elements.get(i);
      if (segment.passive() && state.leftElements().get(i)) {
        all.add(new Encoded().copy(original, segment.whole()));
      } else if (segment.type() == FUNCREF && !active.isEmpty()) {
        all.add(active.poll());
      } else {
        // Passive and empty, as a dropped one is.
        all.add(new Encoded().u8(5, segment.type(), 0));
      }
    }
    all.addAll(active);
    fits(items, bounds.elements(), "elements in segments");
    return listed(all, "element segments");
  }

  private Encoded listed(List<Encoded> all, String what) {
    fits(all.size(), bounds.segments(), what);
    Encoded out = new Encoded();
    if (!all.isEmpty()) {
      out.u32(all.size());
      all.forEach(out::all);
    }
    return out;
  }

  /**
   * Keeps functions known of which a body may take the reference. Those of tables and globals are known by that, but Chicory believes only a
   * segment that declares; and with them the segment stays as it is when it is written back again.
   *
   * @param named those of tables and globals
   * @return how many there are
   */
  private int declare(Set<Integer> named, Deque<Encoded> active) {
    Set<Integer> declared = new TreeSet<>(module.declared);
    module.exports.stream().filter(this::initialises).forEach(e -> declared.add(e.index()));
    declared.addAll(named);
    declared.remove(ModuleState.NULL);
    if (!declared.isEmpty()) {
      Encoded segment = new Encoded().u8(3, 0).u32(declared.size());
      declared.forEach(segment::u32);
      active.addFirst(segment);
    }
    return declared.size();
  }

  /** The segments that write a table; few nulls between references are written with them. Returns how many elements they have. */
  private long references(int table, Deque<Encoded> active) {
    int[] references = state.tables().get(table);
    long items = 0;
    int at = 0;
    while (at < references.length) {
      if (references[at] == ModuleState.NULL) {
        at++;
        continue;
      }
      int from = at;
      int to = at;
      boolean nulls = false;
      for (int nullsHere = 0; at < references.length && nullsHere <= NULLS; at++) {
        expressible(module.tables.get(table).type(), references[at], "table " + table);
        if (references[at] == ModuleState.NULL) {
          nullsHere++;
        } else {
          nulls |= nullsHere > 0;
          nullsHere = 0;
          to = at + 1;
        }
      }
      active.add(segment(table, from, to, nulls));
      items += to - from;
    }
    return items;
  }

  private Encoded segment(int table, int from, int to, boolean nulls) {
    int[] references = state.tables().get(table);
    Encoded out = new Encoded().u8(nulls ? 6 : 2).u32(table).u8(0x41).signed(from).u8(0x0b, nulls ? FUNCREF : 0).u32(to - from);
    for (int i = from; i < to; i++) {
      if (nulls) {
        out.reference(FUNCREF, references[i]);
      } else {
        out.u32(references[i]);
      }
    }
    return out;
  }

  // ---- data segments ----

  private Encoded data() {
    Encoded out = new Encoded();
    if (!module.data.isEmpty()) {
      out.u32(module.data.size());
      for (int i = 0; i < module.data.size(); i++) {
        if (module.data.get(i).passive() && state.leftData().get(i)) {
          out.copy(original, module.data.get(i).whole());
        } else {
          out.u8(1, 0);
        }
      }
    }
    return out;
  }
}
