package dev.instar.backend.wasm;

import com.dylibso.chicory.runtime.Memory;
import dev.instar.wasi.guest.Refusal;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Walks a module's bytes before the parser sees them, and refuses what is over the {@link Bounds}, what Chicory would trip over, and what is
 * not offered, with the section's name.
 *
 * <p>It allocates only in proportion to what is really there: a count is believed when so many bytes follow. It does not validate: whether
 * types fit is the parser's business. But it decodes every instruction, for three reasons: instructions of proposals that are not offered are
 * named here; the parser has no limits of its own on nesting or operands; and both parser and compiler have places that take the square of
 * a function's size in time or memory, which a few hundred kilobytes of well-chosen code turn into hours or gigabytes. The walk
 * counts those steps and refuses beforehand.
 */
final class ModuleScan {
  private static final String[] SECTIONS = {
      "custom", "type", "import", "function", "table", "memory", "global", "export", "start", "element", "code", "data", "data count", "tag"};

  private final byte[] bytes;
  private final Bounds bounds;
  private int at;
  private int end;
  private String section = "module";

  private int[] parameters = {};
  private int[] results = {};
  private int[] functionTypes = {};
  private int imported;
  private int elementItems;
  private long locals;
  private long steps;

  private int functions;
  private int codeBytes;

  private ModuleScan(byte[] bytes, Bounds bounds) {
    this.bytes = bytes;
    this.bounds = bounds;
  }

  /**
   * What was found.
   *
   * @param functions bodies in the code section
   * @param codeBytes size of the code section
   */
  record Figures(int functions, int codeBytes) {}

  /** @throws dev.instar.api.InstarException MODULE_REFUSED */
  static Figures scan(byte[] bytes, Bounds bounds) {
    return new ModuleScan(bytes, bounds).module();
  }

  private Figures module() {
    end = bytes.length;
    if (bytes.length < 8 || bytes[0] != 0 || bytes[1] != 'a' || bytes[2] != 's' || bytes[3] != 'm') {
      throw refuse("This is no WebAssembly module: it does not begin with \\0asm and a version.");
    }
    if (bytes[6] == 1) {
      throw refuse("This is a WebAssembly component; give a core module (version 1) that imports WASI preview 1.");
    }
    if (bytes[4] != 1 || bytes[5] != 0 || bytes[6] != 0 || bytes[7] != 0) {
      throw refuse("The module has the binary version " + Integer.toUnsignedString(bytes[4] & 0xff | (bytes[5] & 0xff) << 8 | (bytes[6] & 0xff) << 16
          | bytes[7] << 24) + "; version 1 is accepted.");
    }
    at = 8;
    while (at < bytes.length) {
      section = "module";
      end = bytes.length;
      int id = u8();
      if (id >= SECTIONS.length) {
        throw refuse("There is a section of the unknown kind " + id + " at byte " + (at - 1) + ".");
      }
      section = SECTIONS[id];
      long size = u32();
      if (size > bytes.length - at) {
        throw refuse("it claims " + size + " bytes, but the module ends after " + (bytes.length - at) + ".");
      }
      end = at + (int) size;
      section(id);
      if (id == 0) {
        // What follows its name is not read by anybody.
        at = end;
      } else if (at != end) {
        throw refuse("its contents end at byte " + at + ", its size says " + end + ".");
      }
    }
    return new Figures(functions, codeBytes);
  }

  private void section(int id) {
    switch (id) {
      case 0 -> name();
      case 1 -> types();
      case 2 -> imports();
      case 3 -> {
        int n = count("functions", bounds.functions(), 1);
        functionTypes = Arrays.copyOf(functionTypes, imported + n);
        for (int i = 0; i < n; i++) {
          functionTypes[imported + i] = index();
        }
      }
      case 4 -> tables();
      case 5 -> memories();
      case 6 -> {
        for (int n = count("globals", Bounds.GLOBALS, 3); n > 0; n--) {
          valueType();
          u8();
          expression();
        }
      }
      case 7 -> {
        for (int n = count("exports", Bounds.EXPORTS, 3); n > 0; n--) {
          name();
          u8();
          u32();
        }
      }
      case 8 -> u32();
      case 9 -> {
        for (int n = count("segments", Bounds.SEGMENTS, 2); n > 0; n--) {
          element();
        }
      }
      case 10 -> code();
      case 11 -> {
        for (int n = count("segments", Bounds.SEGMENTS, 2); n > 0; n--) {
          data();
        }
      }
      case 12 -> u32();
      case 13 -> {
        for (int n = count("tags", Bounds.TAGS, 2); n > 0; n--) {
          u8();
          u32();
        }
      }
      default -> throw new AssertionError(id);
    }
  }

  private void types() {
    int n = count("types", Bounds.TYPES, 3);
    parameters = new int[n];
    results = new int[n];
    for (int i = 0; i < n; i++) {
      int form = u8();
      if (form != 0x60) {
        throw refuse("type " + i + " is no function type (form 0x" + Integer.toHexString(form) + "); garbage-collected types are not offered.");
      }
      parameters[i] = valueTypes("parameters");
      results[i] = valueTypes("results");
    }
  }

  private int valueTypes(String what) {
    int n = count(what, Bounds.PARAMETERS, 1);
    for (int i = 0; i < n; i++) {
      valueType();
    }
    return n;
  }

  private void valueType() {
    int type = u8();
    switch (type) {
      case 0x7f, 0x7e, 0x7d, 0x7c, 0x70, 0x6f, 0x69 -> {
        // i32, i64, f32, f64, funcref, externref, exnref
      }
      case 0x7b -> throw simd();
      default -> throw refuse("the value type 0x" + Integer.toHexString(type) + " at byte " + (at - 1)
          + " is not offered; i32, i64, f32, f64, funcref, externref and exnref are.");
    }
  }

  private RuntimeException simd() {
    return refuse("vector instructions (SIMD, v128) are not offered; compile without them, e.g. with clang -mno-simd128.");
  }

  private void imports() {
    int n = count("imports", Bounds.IMPORTS, 4);
    functionTypes = new int[n];
    for (int i = 0; i < n; i++) {
      String module = name();
      String name = name();
      int kind = u8();
      String what = switch (kind) {
        case 0 -> "function";
        case 1 -> "table";
        case 2 -> "memory";
        case 3 -> "global";
        case 4 -> "tag";
        default -> throw refuse("import " + i + " is of the unknown kind " + kind + ".");
      };
      if (kind != 0) {
        throw refuse("the " + what + " " + Refusal.shown(module) + "." + Refusal.shown(name)
            + " cannot be imported; only functions can, so define the " + what + " in the module.");
      }
      functionTypes[i] = index();
    }
    imported = n;
  }

  private void tables() {
    long elements = 0;
    int n = count("tables", Bounds.TABLES, 3);
    for (int i = 0; i < n; i++) {
      boolean initialised = bytes[Math.min(at, bytes.length - 1)] == 0x40;
      if (initialised) {
        u8();
        u8();
      }
      valueType();
      int flags = u8();
      if (flags > 1) {
        throw refuse("table " + i + " has the limits 0x" + Integer.toHexString(flags) + "; tables are 32-bit and not shared.");
      }
      elements += u32();
      if (flags == 1) {
        u32();
      }
      if (initialised) {
        expression();
      }
    }
    if (elements > bounds.tableElements()) {
      throw refuse("the tables begin with " + elements + " elements; " + bounds.tableElements() + " are allowed (table-elements).");
    }
  }

  private void memories() {
    int n = count("memories", 1, 2);
    for (int i = 0; i < n; i++) {
      int flags = u8();
      if (flags > 1) {
        throw refuse((flags & 4) != 0 ? "the memory has 64-bit addresses, which are not offered; compile for wasm32."
            : "the memory is shared; threads are not offered.");
      }
      long initial = u32();
      long maximum = flags == 1 ? u32() : 65536;
      if (initial > 65536 || maximum > 65536 || initial > maximum) {
        throw refuse("the memory has " + initial + " pages and may grow to " + maximum
            + "; at most 65536 exist, and the first is not over the second.");
      }
      if (initial > Memory.RUNTIME_MAX_PAGES) {
        throw refuse("the memory begins with " + initial + " pages; " + Memory.RUNTIME_MAX_PAGES + " (2 GiB) are offered.");
      }
    }
  }

  private void element() {
    long flags = u32();
    if (flags > 7) {
      throw refuse("a segment has the unknown form " + flags + ".");
    }
    boolean active = (flags & 1) == 0;
    boolean explicit = (flags & 2) != 0;
    boolean expressions = (flags & 4) != 0;
    if (active) {
      if (explicit) {
        u32();
      }
      expression();
    }
    if (!active || explicit) {
      if (expressions) {
        valueType();
      } else {
        u8();
      }
    }
    int n = count("items", Bounds.ELEMENT_ITEMS, 1);
    elementItems += n;
    if (elementItems > Bounds.ELEMENT_ITEMS) {
      throw refuse("the segments have over " + Bounds.ELEMENT_ITEMS + " items in all.");
    }
    for (int i = 0; i < n; i++) {
      if (expressions) {
        expression();
      } else {
        u32();
      }
    }
  }

  private void data() {
    long mode = u32();
    if (mode > 2) {
      throw refuse("a segment has the unknown form " + mode + ".");
    }
    if (mode == 2) {
      u32();
    }
    if (mode != 1) {
      expression();
    }
    skip(u32());
  }

  private void code() {
    codeBytes = end - at;
    if (codeBytes > bounds.codeBytes()) {
      throw refuse("it has " + codeBytes + " bytes; this node compiles up to " + bounds.codeBytes()
          + " (code-bytes).");
    }
    functions = count("functions", bounds.functions(), 3);
    int sectionEnd = end;
    for (int i = 0; i < functions; i++) {
      long size = u32();
      if (size > bounds.functionBytes()) {
        throw refuse("function " + (imported + i) + " has " + size + " bytes; " + bounds.functionBytes() + " are allowed (function-bytes).");
      }
      if (size > sectionEnd - at) {
        throw refuse("function " + (imported + i) + " claims " + size + " bytes, but only " + (sectionEnd - at) + " follow.");
      }
      end = at + (int) size;
      body(imported + i);
      if (at != end) {
        throw refuse("function " + (imported + i) + " ends at byte " + at + ", its size says " + end + ".");
      }
      end = sectionEnd;
    }
  }

  private void body(int function) {
    long own = 0;
    for (int n = count("kinds of locals", Bounds.LOCALS, 2); n > 0; n--) {
      own += u32();
      valueType();
      if (own > Bounds.LOCALS) {
        throw refuse("function " + function + " has " + own + " locals or more; " + Bounds.LOCALS + " are allowed.");
      }
    }
    locals += own;
    if (locals > Bounds.ALL_LOCALS) {
      throw refuse("the functions have over " + Bounds.ALL_LOCALS + " locals in all.");
    }
    new Body(function, own).walk();
  }

  /** A constant expression. */
  private void expression() {
    new Body(-1, 0).walk();
  }

  /** The instructions of one function, or of a constant expression. */
  private final class Body {
    private final int function;
    private final long locals;
    /** For each open block: the operand stack's height at its beginning, how many values it leaves, how many blocks began in it, what it is. */
    private int[] heights = new int[16];
    private int[] leaves = new int[16];
    private int[] children = new int[16];
    private boolean[] loops = new boolean[16];
    private int depth;
    private int height;
    private long branches;
    private long held;

    Body(int function, long locals) {
      this.function = function;
      int type = function >= 0 && function < functionTypes.length ? functionTypes[function] : -1;
      this.locals = locals + (type >= 0 && type < parameters.length ? parameters[type] : 0);
    }

    void walk() {
      enter(0, 0, false);
      do {
        if (at >= end) {
          throw refuse((function < 0 ? "a constant expression" : "function " + function) + " has no end.");
        }
        instruction();
      } while (depth > 0);
    }

    private void enter(int takes, int gives, boolean loop) {
      height = Math.max(height - takes, depth == 0 ? 0 : heights[depth - 1]);
      if (depth > 0) {
        children[depth - 1]++;
      }
      if (depth == heights.length) {
        heights = Arrays.copyOf(heights, depth * 2);
        leaves = Arrays.copyOf(leaves, depth * 2);
        children = Arrays.copyOf(children, depth * 2);
        loops = Arrays.copyOf(loops, depth * 2);
      }
      heights[depth] = height;
      leaves[depth] = gives;
      children[depth] = 0;
      loops[depth] = loop;
      height += takes;
      depth++;
      held += height;
      step(height);
      branch(1);
      if (depth > Bounds.DEPTH) {
        throw refuse("function " + function + " nests blocks more than " + Bounds.DEPTH + " deep.");
      }
      if (held > Bounds.HELD) {
        throw refuse("function " + function + " opens blocks over so many operands that compiling it would take too much memory.");
      }
    }

    private void leave() {
      depth--;
      held -= heights[depth];
      // The parser looks through the siblings of each loop.
      if (loops[depth] && depth > 0) {
        step(children[depth - 1]);
      }
      height = heights[depth] + leaves[depth];
    }

    private void step(long n) {
      steps += n;
      if (steps > Bounds.STEPS) {
        throw refuse("its blocks and branches (function " + function + " and those before it) would take too long to compile.");
      }
    }

    private void branch(int targets) {
      branches += targets;
      if (branches * (locals + 1) > Bounds.HELD) {
        throw refuse("function " + function + " has so many branches (" + branches + ") and locals (" + locals
            + ") that compiling it would take too much memory.");
      }
    }

    private void effect(int change) {
      height = Math.max(height + change, heights[depth - 1]);
    }

    /** What follows cannot be reached: the stack is as the block found it. */
    private void unreachable() {
      height = heights[depth - 1];
    }

    private void label() {
      step(Math.min(u32(), depth));
    }

    private void block(boolean loop, int condition) {
      effect(-condition);
      int before = at;
      int form = u8();
      if (form == 0x40) {
        enter(0, 0, loop);
      } else if (form > 0x40 && form < 0x80) {
        at = before;
        valueType();
        enter(0, 1, loop);
      } else {
        at = before;
        int type = index();
        boolean known = type < parameters.length;
        enter(known ? parameters[type] : 0, known ? results[type] : 0, loop);
      }
    }

    private void call(int type, int extra) {
      effect(-extra);
      if (type < parameters.length) {
        effect(-parameters[type]);
        effect(results[type]);
      }
    }

    private void instruction() {
      int where = at;
      int op = u8();
      switch (op) {
        case 0x00, 0x0f -> unreachable();
        case 0x01 -> {
          // nop
        }
        case 0x02 -> block(false, 0);
        case 0x03 -> block(true, 0);
        case 0x04 -> block(false, 1);
        case 0x05 -> {
          height = heights[depth - 1];
          branch(1);
        }
        case 0x06, 0x07, 0x09, 0x18, 0x19 -> throw refuse("function " + function
            + " uses the legacy exception instructions, which are not offered; try_table is (binaryen translates: wasm-opt --translate-to-exnref).");
        case 0x08 -> {
          u32();
          unreachable();
        }
        case 0x0a -> unreachable();
        case 0x0b -> leave();
        case 0x0c -> {
          label();
          branch(1);
          unreachable();
        }
        case 0x0d -> {
          label();
          branch(1);
          effect(-1);
        }
        case 0x0e -> {
          int n = count("targets of a br_table", bounds.functionBytes(), 1);
          for (int i = 0; i <= n; i++) {
            label();
          }
          branch(1);
          unreachable();
        }
        case 0x10, 0x12 -> {
          int callee = index();
          call(callee < functionTypes.length ? functionTypes[callee] : Integer.MAX_VALUE, 0);
        }
        case 0x11, 0x13 -> {
          int type = index();
          u32();
          call(type, 1);
        }
        case 0x1a -> effect(-1);
        case 0x1b -> effect(-2);
        case 0x1c -> {
          valueTypes("types of a select");
          effect(-2);
        }
        case 0x1f -> tryTable();
        case 0x20, 0x23, 0xd2 -> {
          u32();
          effect(1);
        }
        case 0x21, 0x24 -> {
          u32();
          effect(-1);
        }
        case 0x22, 0x25 -> u32();
        case 0x26 -> {
          u32();
          effect(-2);
        }
        case 0x3f -> {
          u32();
          effect(1);
        }
        case 0x40 -> u32();
        case 0x41 -> {
          signed(5);
          effect(1);
        }
        case 0x42 -> {
          signed(10);
          effect(1);
        }
        case 0x43 -> {
          skip(4);
          effect(1);
        }
        case 0x44 -> {
          skip(8);
          effect(1);
        }
        case 0xd0 -> {
          heapType();
          effect(1);
        }
        case 0xd1 -> {
          // ref.is_null
        }
        case 0xfb -> throw refuse("function " + function + " uses garbage-collected types, which are not offered.");
        case 0xfc -> bulk();
        case 0xfd -> throw simd();
        case 0xfe -> throw refuse("function " + function + " uses atomic instructions; threads are not offered.");
        default -> {
          if (op >= 0x28 && op <= 0x3e) {
            memoryArgument();
            effect(op >= 0x36 ? -2 : 0);
          } else if (op >= 0x45 && op <= 0xc4) {
            effect(numeric(op));
          } else {
            throw refuse((function < 0 ? "a constant expression" : "function " + function) + " has the unknown or unsupported instruction 0x"
                + Integer.toHexString(op) + " at byte " + where + ".");
          }
        }
      }
    }

    /** The change of the stack's height by a numeric instruction: one operand is replaced, or two by one. */
    private int numeric(int op) {
      boolean unary = op == 0x45 || op == 0x50 || op >= 0x67 && op <= 0x69 || op >= 0x79 && op <= 0x7b || op >= 0x8b && op <= 0x91
          || op >= 0x99 && op <= 0x9f || op >= 0xa7;
      return unary ? 0 : -1;
    }

    private void memoryArgument() {
      long alignment = u32();
      if (alignment >= 64) {
        throw refuse("function " + function + " names a second memory; one is offered.");
      }
      u32();
    }

    private void heapType() {
      int type = u8();
      if (type != 0x70 && type != 0x6f && type != 0x69) {
        throw refuse("the reference type 0x" + Integer.toHexString(type) + " is not offered; funcref, externref and exnref are.");
      }
    }

    private void tryTable() {
      block(false, 0);
      int n = count("clauses of a try_table", Bounds.PARAMETERS, 2);
      for (int i = 0; i < n; i++) {
        int kind = u8();
        if (kind > 3) {
          throw refuse("function " + function + " has a catch clause of the unknown kind " + kind + ".");
        }
        if (kind < 2) {
          u32();
        }
        label();
        branch(1);
      }
    }

    private void bulk() {
      long op = u32();
      switch ((int) Math.min(op, 255)) {
        case 0, 1, 2, 3, 4, 5, 6, 7 -> {
          // saturating conversions
        }
        case 8, 10, 12, 14 -> {
          u32();
          u32();
          effect(-3);
        }
        case 9, 13 -> u32();
        case 11, 17 -> {
          u32();
          effect(-3);
        }
        case 15 -> {
          u32();
          effect(-1);
        }
        case 16 -> {
          u32();
          effect(1);
        }
        default -> throw refuse("function " + function + " has the unknown instruction 0xfc " + op + ".");
      }
    }
  }

  // ---- primitives ----

  private RuntimeException refuse(String detail) {
    return Refusal.of(section, detail);
  }

  private RuntimeException truncated() {
    return refuse("it ends in the middle of something at byte " + Math.min(at, end) + ".");
  }

  private int u8() {
    if (at >= end) {
      throw truncated();
    }
    return bytes[at++] & 0xff;
  }

  /** An unsigned LEB128 number of at most 32 bits. */
  private long u32() {
    long value = 0;
    for (int shift = 0; shift < 35; shift += 7) {
      int b = u8();
      value |= (long) (b & 0x7f) << shift;
      if (b < 0x80) {
        if (value > 0xffffffffL) {
          break;
        }
        return value;
      }
    }
    throw refuse("there is a number of more than 32 bits at byte " + at + ".");
  }

  /** A number that is used as an index; what is over the range of an int is as unknown as any other. */
  private int index() {
    return (int) Math.min(u32(), Integer.MAX_VALUE);
  }

  private void signed(int maximum) {
    for (int i = 0; i < maximum; i++) {
      if (u8() < 0x80) {
        return;
      }
    }
    throw refuse("there is a number with too many digits at byte " + at + ".");
  }

  private void skip(long n) {
    if (n > end - at) {
      throw refuse("it claims " + n + " bytes at byte " + at + ", but only " + (end - at) + " follow.");
    }
    at += (int) n;
  }

  private String name() {
    long n = u32();
    if (n > Bounds.NAME) {
      throw refuse("a name has " + n + " bytes; " + Bounds.NAME + " are allowed.");
    }
    int from = at;
    skip(n);
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes, from, (int) n)).toString();
    } catch (CharacterCodingException e) {
      throw refuse("the name at byte " + from + " is not in UTF-8.");
    }
  }

  /** @param smallest how many bytes one of what is counted has at least */
  private int count(String what, int limit, int smallest) {
    long n = u32();
    if (n > limit) {
      throw refuse("there are " + n + " " + what + "; " + limit + " are allowed.");
    }
    if (n * smallest > end - at) {
      throw refuse("it claims " + n + " " + what + ", but only " + (end - at) + " bytes follow.");
    }
    return (int) n;
  }
}
