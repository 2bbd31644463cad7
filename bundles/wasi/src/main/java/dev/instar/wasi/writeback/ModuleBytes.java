package dev.instar.wasi.writeback;

import java.io.Serial;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.TreeSet;
import java.util.function.Supplier;

/**
 * Where the parts of a module lie in its bytes. It looks only at what is written anew: bodies, types and most custom sections are a range to be
 * copied, and whether they are valid is not found out here.
 */
final class ModuleBytes {
  static final int CUSTOM = 0;
  static final int TYPE = 1;
  static final int IMPORT = 2;
  static final int FUNCTION = 3;
  static final int TABLE = 4;
  static final int MEMORY = 5;
  static final int GLOBAL = 6;
  static final int EXPORT = 7;
  static final int START = 8;
  static final int ELEMENT = 9;
  static final int CODE = 10;
  static final int DATA = 11;
  static final int DATA_COUNT = 12;
  static final int TAG = 13;
  /** As they must follow each other, which is not the order of their numbers. */
  static final List<Integer> ORDER = List.of(TYPE, IMPORT, FUNCTION, TABLE, MEMORY, TAG, GLOBAL, EXPORT, START, ELEMENT, DATA_COUNT, CODE, DATA);

  static final int I32 = 0x7f;
  static final int I64 = 0x7e;
  static final int F32 = 0x7d;
  static final int F64 = 0x7c;
  static final int V128 = 0x7b;
  static final int FUNCREF = 0x70;
  static final int EXTERNREF = 0x6f;
  static final int EXNREF = 0x69;

  /** What wasm-ld calls the function that it puts before an exported one when nobody else calls the constructors. */
  private static final String CONSTRUCTING = ".command_export";

  /** A part of the bytes, up to {@code to} exclusively. */
  record Range(int from, int to) {}

  /** @param name of a custom section */
  record Section(int id, String name, Range whole, Range content) {}

  record TableType(int type, long minimum, OptionalLong maximum) {}

  record MemoryType(long minimum, OptionalLong maximum) {}

  /** @param initial the expression of its first value */
  record Global(int type, boolean mutable, Range initial) {}

  record Export(String name, int kind, int index, Range whole) {}

  /**
   * @param type of the elements
   * @param items how many
   */
  record Elements(int type, boolean passive, int items, Range whole) {}

  /**
   * @param place the expression of where an active one goes
   * @param length of its contents, which are at the end
   */
  record Data(boolean passive, Optional<Range> place, int length, Range whole) {}

  private final ByteBuffer bytes;
  private int at;
  private int end;
  private int types;
  private int imported;
  private int bodies;

  final List<Section> sections = new ArrayList<>();
  final List<TableType> tables = new ArrayList<>();
  final List<Global> globals = new ArrayList<>();
  final List<Export> exports = new ArrayList<>();
  final List<Elements> elements = new ArrayList<>();
  final List<Data> data = new ArrayList<>();
  Optional<MemoryType> memory = Optional.empty();
  OptionalInt start = OptionalInt.empty();
  int functions;
  boolean dataCount;
  boolean constructingExports;
  /** Functions that are named outside of bodies and exports: only these may have their reference taken in a body. */
  final TreeSet<Integer> declared = new TreeSet<>();

  /** There is no state for a module like that. */
  static final class Refused extends RuntimeException {
    @Serial
    private static final long serialVersionUID = 1L;
    private final transient Outcome.Inexpressible why;

    Refused(Outcome.Reason reason, String detail) {
      super(detail, null, false, false);
      why = new Outcome.Inexpressible(reason, detail);
    }

    Outcome.Inexpressible why() {
      return why;
    }
  }

  private ModuleBytes(ByteBuffer bytes) {
    this.bytes = bytes;
    this.end = bytes.limit();
  }

  /**
   * @param bytes from 0 to its limit
   * @throws Refused when it has no module that could be written back
   */
  static ModuleBytes read(ByteBuffer bytes) {
    ModuleBytes module = new ModuleBytes(bytes);
    module.module();
    return module;
  }

  private void module() {
    // "\0asm" and the version, 1.
    if (bytes.limit() < 8 || bytes.order(ByteOrder.BIG_ENDIAN).getLong(0) != 0x0061_736d_0100_0000L) {
      throw unreadable("it is no module of version 1");
    }
    at = 8;
    int latest = -1;
    while (at < bytes.limit()) {
      end = bytes.limit();
      int from = at;
      int id = u8();
      int size = size();
      Range content = new Range(at, at + size);
      Range whole = new Range(from, content.to);
      end = content.to;
      if (id == CUSTOM) {
        String name = name();
        sections.add(new Section(id, name, whole, content));
        if (name.equals("name")) {
          names();
        }
      } else {
        int place = ORDER.indexOf(id);
        if (place < 0) {
          throw unreadable("it has a section of the unknown kind " + id);
        }
        if (place <= latest) {
          throw unreadable("its section of the kind " + id + " is out of order");
        }
        latest = place;
        sections.add(new Section(id, "", whole, content));
        if (read(id) && at != end) {
          throw unreadable("the contents of its section of the kind " + id + " do not end where it does");
        }
      }
      at = content.to;
    }
    // Chicory overlooks these in some places, but not in what is written.
    if (functions != imported + bodies) {
      throw unreadable("it has " + functions + " functions and " + bodies + " bodies");
    }
    int highest = Math.max(declared.isEmpty() ? -1 : declared.last(),
        exports.stream().filter(export -> export.kind() == 0).mapToInt(Export::index).max().orElse(-1));
    if (highest >= functions) {
      throw unreadable("it names the function " + highest + " and has " + functions);
    }
  }

  /** Whether the section was read up to its end. */
  private boolean read(int id) {
    switch (id) {
      case TYPE -> {
        types = number();
        return false;
      }
      case CODE -> {
        bodies = number();
        return false;
      }
      case IMPORT -> each(this::importOf);
      case FUNCTION -> each(this::function);
      case TABLE -> each(this::table);
      case MEMORY -> each(this::memory);
      case GLOBAL -> each(() -> {
        int type = valueType();
        int mutable = u8();
        int from = at;
        expression();
        globals.add(new Global(type, mutable == 1, new Range(from, at)));
      });
      case EXPORT -> each(() -> {
        int from = at;
        String name = name();
        int kind = u8();
        exports.add(new Export(name, kind, number(), new Range(from, at)));
      });
      case START -> start = OptionalInt.of(number());
      case ELEMENT -> each(this::element);
      case DATA -> each(this::data);
      case DATA_COUNT -> {
        number();
        dataCount = true;
      }
      default -> {
        return false;
      }
    }
    return true;
  }

  /** How many types there are. */
  int types() {
    return types;
  }

  private int each(Runnable one) {
    int n = number();
    // Each takes a byte at least, so that a count is believed only when so much follows.
    if (n > end - at) {
      throw unreadable("it claims " + n + " entries where " + (end - at) + " bytes follow");
    }
    for (int i = 0; i < n; i++) {
      one.run();
    }
    return n;
  }

  private void importOf() {
    name();
    name();
    int kind = u8();
    if (kind != 0) {
      throw new Refused(Outcome.Reason.IMPORTED_STATE, "it imports something that is no function, and what that holds is not its own");
    }
    function();
    imported++;
  }

  private void function() {
    int type = number();
    if (type >= types) {
      throw unreadable("it names the type " + type + " and has " + types);
    }
    functions++;
  }

  private void table() {
    boolean initialised = at < end && bytes.get(at) == 0x40;
    if (initialised) {
      at += 2;
    }
    int type = u8();
    int flags = u8();
    if (type != FUNCREF && type != EXTERNREF && type != EXNREF || flags > 1) {
      throw new Refused(Outcome.Reason.TABLE_KIND, "a table has 64-bit indices, or elements of the unknown type " + type);
    }
    tables.add(new TableType(type, unsigned(), flags == 1 ? OptionalLong.of(unsigned()) : OptionalLong.empty()));
    if (initialised) {
      expression();
    }
  }

  private void memory() {
    int flags = u8();
    if (flags > 1 || memory.isPresent()) {
      throw new Refused(Outcome.Reason.MEMORY_KIND, "its memory is shared, has 64-bit addresses, or is one of several");
    }
    long minimum = unsigned();
    memory = Optional.of(new MemoryType(minimum, flags == 1 ? OptionalLong.of(unsigned()) : OptionalLong.empty()));
  }

  private void element() {
    int from = at;
    int flags = number();
    if (flags > 7) {
      throw unreadable("an element segment has the unknown form " + flags);
    }
    boolean active = (flags & 1) == 0;
    boolean explicit = (flags & 2) != 0;
    boolean expressions = (flags & 4) != 0;
    if (active) {
      if (explicit) {
        number();
      }
      expression();
    }
    int type = FUNCREF;
    if (!active || explicit) {
      type = u8();
      if (!expressions) {
        if (type != 0) {
          throw unreadable("an element segment is of the unknown kind " + type);
        }
        type = FUNCREF;
      } else if (type != FUNCREF && type != EXTERNREF && type != EXNREF) {
        throw unreadable("an element segment has the unknown type " + type);
      }
    }
    int items = each(expressions ? this::expression : () -> declared.add(number()));
    elements.add(new Elements(type, !active && !explicit, items, new Range(from, at)));
  }

  private void data() {
    int from = at;
    int mode = number();
    if (mode > 2) {
      throw unreadable("a data segment has the unknown form " + mode);
    }
    if (mode == 2) {
      number();
    }
    int place = at;
    if (mode != 1) {
      expression();
    }
    Optional<Range> where = mode == 1 ? Optional.empty() : Optional.of(new Range(place, at));
    int length = number();
    skip(length);
    data.add(new Data(mode == 1, where, length, new Range(from, at)));
  }

  /** A constant expression. */
  private void expression() {
    while (true) {
      int op = u8();
      switch (op) {
        case 0x0b -> {
          return;
        }
        case 0x41 -> signed(5);
        case 0x42 -> signed(10);
        case 0x43 -> skip(4);
        case 0x44 -> skip(8);
        case 0x23 -> number();
        case 0xd0 -> u8();
        case 0xd2 -> declared.add(number());
        case 0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e -> {
          // Sums, differences and products of the two types of integers.
        }
        case 0xfd -> {
          if (number() != 12) {
            throw unreadable("a constant expression has a vector instruction that is no constant");
          }
          skip(16);
        }
        default -> throw unreadable("a constant expression has the unknown instruction " + op);
      }
    }
  }

  /** What tools have called functions. Nobody has to get this section right, so what is wrong in it only ends the search. */
  private void names() {
    try {
      while (at < end) {
        int id = u8();
        int next = size();
        next += at;
        if (id == 1) {
          each(() -> {
            number();
            constructingExports |= name().endsWith(CONSTRUCTING);
          });
        }
        at = next;
      }
    } catch (Refused e) {
      // What was found so far counts.
    }
  }

  // ---- what Writeback has written ----

  /** The value that a global begins with; {@link Writeback} writes nothing but constants. */
  ModuleState.Bits constant(Range expression) {
    return within(expression, () -> switch (u8()) {
      case 0x41 -> new ModuleState.Bits((int) signed(5), 0);
      case 0x42 -> new ModuleState.Bits(signed(10), 0);
      case 0x43 -> new ModuleState.Bits((int) little(4), 0);
      case 0x44 -> new ModuleState.Bits(little(8), 0);
      case 0xfd -> {
        number();
        yield new ModuleState.Bits(little(8), little(8));
      }
      case 0xd0 -> {
        u8();
        yield new ModuleState.Bits(ModuleState.NULL, 0);
      }
      case 0xd2 -> new ModuleState.Bits(number(), 0);
      default -> throw unreadable("a global begins with what is no constant");
    });
  }

  /** Where an active segment goes, if that is said by a constant. */
  OptionalLong address(Data segment) {
    Range place = segment.place().orElseThrow();
    return within(place, () -> {
      if (u8() != 0x41) {
        at = end;
        return OptionalLong.empty();
      }
      OptionalLong address = OptionalLong.of(signed(5) & 0xffff_ffffL);
      boolean alone = u8() == 0x0b;
      at = end;
      return alone ? address : OptionalLong.empty();
    });
  }

  /** Writes an active segment, of the forms 2 and 6, into its table; does nothing for one that is not active. */
  void place(Range segment, List<int[]> into) {
    within(segment, () -> {
      int form = u8();
      if ((form & 1) == 1) {
        at = end;
        return null;
      }
      if (form != 2 && form != 6) {
        throw unreadable("an active element segment does not name its table");
      }
      int table = number();
      if (table >= into.size() || u8() != 0x41) {
        throw unreadable("an element segment is for no table, or not for a constant place in it");
      }
      long from = signed(5);
      u8();
      u8();
      int[] references = into.get(table);
      int n = number();
      if (from < 0 || n > references.length - from) {
        throw unreadable("an element segment goes past the end of its table");
      }
      for (int i = 0; i < n; i++) {
        references[(int) from + i] = form == 2 ? number() : reference();
      }
      return null;
    });
  }

  private int reference() {
    int op = u8();
    int reference = op == 0xd2 ? number() : ModuleState.NULL;
    if (op == 0xd0) {
      u8();
    }
    u8();
    return reference;
  }

  private <T> T within(Range range, Supplier<T> read) {
    at = range.from();
    end = range.to();
    T value = read.get();
    // The end of the expression, of which the first pass has found that it is one.
    if (end - at > 1) {
      throw unreadable("an expression has more than one instruction");
    }
    return value;
  }

  private long little(int size) {
    long value = 0;
    for (int i = 0; i < size; i++) {
      value |= (long) u8() << 8 * i;
    }
    return value;
  }

  // ---- primitives ----

  private static Refused unreadable(String detail) {
    return new Refused(Outcome.Reason.UNREADABLE, detail);
  }

  private int u8() {
    if (at >= end) {
      throw unreadable("it ends in the middle of something at byte " + at);
    }
    return bytes.get(at++) & 0xff;
  }

  /** An unsigned number of at most 32 bits. */
  private long unsigned() {
    long value = 0;
    for (int shift = 0; shift < 35; shift += 7) {
      int b = u8();
      value |= (long) (b & 0x7f) << shift;
      if (b < 0x80) {
        if (value > 0xffff_ffffL) {
          break;
        }
        return value;
      }
    }
    throw unreadable("there is a number of more than 32 bits at byte " + at);
  }

  /** An index or a count; over the range of an int there is nothing. */
  private int number() {
    long value = unsigned();
    if (value > Integer.MAX_VALUE) {
      throw unreadable("the index or count at byte " + at + " is " + value);
    }
    return (int) value;
  }

  /** How many bytes follow, which are there. */
  private int size() {
    int size = number();
    if (size > end - at) {
      throw unreadable("it claims " + size + " bytes at byte " + at + " where " + (end - at) + " follow");
    }
    return size;
  }

  private long signed(int most) {
    long value = 0;
    for (int i = 0; i < most; i++) {
      int b = u8();
      value |= (long) (b & 0x7f) << 7 * i;
      if (b < 0x80) {
        int unused = 64 - 7 * (i + 1);
        return unused > 0 ? value << unused >> unused : value;
      }
    }
    throw unreadable("there is a number with too many digits at byte " + at);
  }

  private void skip(int n) {
    if (n > end - at) {
      throw unreadable("it ends in the middle of something at byte " + at);
    }
    at += n;
  }

  private int valueType() {
    int type = u8();
    return switch (type) {
      case I32, I64, F32, F64, V128, FUNCREF, EXTERNREF, EXNREF -> type;
      default -> throw unreadable("a global has the unknown type " + type);
    };
  }

  private String name() {
    int size = size();
    byte[] name = new byte[size];
    bytes.get(at, name);
    at += size;
    return new String(name, StandardCharsets.UTF_8);
  }
}
