package dev.instar.backend.wasmtime;

import dev.instar.wasi.guest.Refusal;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What a module imports, exports and begins with: as much of it as the node has to know. Everything else is the compiler's to validate; what is read here is
 * read with every length checked, and memory is taken for what is really there only.
 *
 * @param imports functions, in order
 * @param functions their names and types, by the name that they are exported under
 * @param memory if the module has one
 * @param memoryExported whether it is exported as {@code memory}
 * @param tables how many elements each has to begin with
 * @param starts whether it has a start function
 */
record Outline(List<Import> imports, Map<String, String> functions, Optional<Memory> memory, boolean memoryExported, List<Long> tables, boolean starts) {
  /** @param type as {@link #functions} has it */
  record Import(String module, String name, String type) {}

  /** @param minimum pages @param maximum pages, declared or possible */
  record Memory(long minimum, long maximum) {}

  private static final int MOST_TYPES = 100_000;
  /** As the engine has it. */
  private static final int MOST_FUNCTIONS = 1_000_000;
  /** Globals, exports and segments, each of which becomes an object or two while the module is prepared. */
  private static final int MOST_PARTS = 100_000;
  private static final int MOST_SECTIONS = 10_000;
  /** Pages of a 32-bit memory. */
  private static final long ALL_PAGES = 65536;
  private static final String[] SECTIONS = {
      "custom", "type", "import", "function", "table", "memory", "global", "export", "start", "element", "code", "data", "data count"};

  /** @throws dev.instar.api.InstarException MODULE_REFUSED */
  static Outline of(byte[] module) {
    return new Reader(module).module();
  }

  private static final class Reader {
    private final byte[] bytes;
    private int at;
    private int end;
    private String section = "module";
    private final List<String> types = new ArrayList<>();
    private final List<Import> imports = new ArrayList<>();
    private final List<Integer> functions = new ArrayList<>();
    private final List<Long> tables = new ArrayList<>();
    private final Map<String, int[]> exports = new LinkedHashMap<>();
    private Optional<Memory> memory = Optional.empty();
    private boolean starts;

    Reader(byte[] bytes) {
      this.bytes = bytes;
      this.end = bytes.length;
    }

    Outline module() {
      if (bytes.length < 8 || bytes[0] != 0 || bytes[1] != 'a' || bytes[2] != 's' || bytes[3] != 'm') {
        throw refuse("This is no WebAssembly module: it does not begin with \\0asm and a version.");
      }
      if (bytes[6] == 1) {
        throw refuse("This is a WebAssembly component; give a core module (version 1) that imports WASI preview 1.");
      }
      if (bytes[4] != 1 || bytes[5] != 0 || bytes[6] != 0 || bytes[7] != 0) {
        throw refuse("The module has another binary version than 1.");
      }
      at = 8;
      for (int sections = 0; at < bytes.length; sections++) {
        section = "module";
        end = bytes.length;
        if (sections == MOST_SECTIONS) {
          throw refuse("It has more than " + MOST_SECTIONS + " sections.");
        }
        int id = u8();
        if (id >= SECTIONS.length) {
          throw refuse("There is a section of the kind " + id + ", which is not offered, at byte " + (at - 1) + ".");
        }
        section = SECTIONS[id];
        long size = u32();
        if (size > bytes.length - at) {
          throw refuse("it claims " + size + " bytes, but the module ends after " + (bytes.length - at) + ".");
        }
        end = at + (int) size;
        section(id);
        at = end;
      }
      section = "export";
      Map<String, String> called = new LinkedHashMap<>();
      boolean exported = false;
      for (Map.Entry<String, int[]> export : exports.entrySet()) {
        int index = export.getValue()[1];
        switch (export.getValue()[0]) {
          case 0 -> called.put(export.getKey(), type(index));
          case 2 -> exported |= export.getKey().equals("memory");
          default -> {
            // Nobody asks for tables and globals.
          }
        }
      }
      return new Outline(List.copyOf(imports), called, memory, exported, List.copyOf(tables), starts);
    }

    private String type(int function) {
      if (function < imports.size()) {
        return imports.get(function).type();
      }
      if (function - imports.size() >= functions.size() || functions.get(function - imports.size()) >= types.size()) {
        throw refuse("it names the function " + Integer.toUnsignedString(function) + ", which does not exist.");
      }
      return types.get(functions.get(function - imports.size()));
    }

    private void section(int id) {
      switch (id) {
        case 1 -> {
          for (long n = count(MOST_TYPES); n > 0; n--) {
            if (u8() != 0x60) {
              throw refuse("it has a type that is no function; those of garbage collection are not offered.");
            }
            types.add(letters() + ">" + letters());
          }
        }
        case 2 -> imports();
        case 3 -> {
          for (long n = count(MOST_FUNCTIONS); n > 0; n--) {
            functions.add((int) Math.min(u32(), Integer.MAX_VALUE));
          }
        }
        case 4 -> {
          for (long n = count(1000); n > 0; n--) {
            int type = u8();
            if (type != 0x70 && type != 0x6f) {
              throw refuse("a table has a type or an initialiser that is not offered.");
            }
            int flags = limits();
            tables.add(u32());
            if ((flags & 1) != 0) {
              u32();
            }
          }
        }
        case 5 -> {
          for (long n = count(1000); n > 0; n--) {
            if (memory.isPresent()) {
              throw refuse("there is more than one memory, which is not offered.");
            }
            int flags = limits();
            long minimum = u32();
            memory = Optional.of(new Memory(minimum, (flags & 1) != 0 ? Math.min(ALL_PAGES, u32()) : ALL_PAGES));
          }
        }
        case 7 -> {
          for (long n = count(MOST_PARTS); n > 0; n--) {
            String name = name();
            int kind = u8();
            int index = (int) u32();
            if (exports.put(name, new int[] {kind, index}) != null) {
              throw refuse(Refusal.shown(name) + " is exported twice.");
            }
          }
        }
        case 6, 9, 11 -> count(MOST_PARTS);
        case 8 -> starts = true;
        default -> {
          // The compiler's.
        }
      }
    }

    private void imports() {
      for (long n = count(1000); n > 0; n--) {
        String from = name();
        String name = name();
        int kind = u8();
        if (kind != 0) {
          throw refuse(Refusal.shown(from) + "." + Refusal.shown(name) + " is no function; only functions can be imported.");
        }
        long type = u32();
        if (type >= types.size()) {
          throw refuse("the function " + Refusal.shown(from) + "." + Refusal.shown(name) + " has a type that does not exist.");
        }
        imports.add(new Import(from, name, types.get((int) type)));
      }
    }

    private int limits() {
      int flags = u8();
      if (flags > 1) {
        throw refuse("a memory or table is shared or has 64-bit addresses, which is not offered.");
      }
      return flags;
    }

    private String letters() {
      var text = new StringBuilder();
      for (long n = count(1000); n > 0; n--) {
        int type = u8();
        text.append(switch (type) {
          case 0x7f -> 'i';
          case 0x7e -> 'I';
          case 0x7d -> 'f';
          case 0x7c -> 'F';
          case 0x7b -> 'v';
          case 0x70, 0x6f -> 'r';
          default -> throw refuse("it has the value type 0x" + Integer.toHexString(type) + ", which is not offered.");
        });
      }
      return text.toString();
    }

    private String name() {
      long length = u32();
      if (length > end - at) {
        throw refuse("a name goes beyond its end.");
      }
      String name = new String(bytes, at, (int) length, StandardCharsets.UTF_8);
      at += (int) length;
      return name;
    }

    /** Believed when so many bytes follow. */
    private long count(long most) {
      long count = u32();
      if (count > end - at || count > most) {
        throw refuse("it claims " + count + " entries.");
      }
      return count;
    }

    private int u8() {
      if (at >= end) {
        throw refuse("it ends in the middle of an entry.");
      }
      return bytes[at++] & 0xff;
    }

    private long u32() {
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
      throw refuse("it has a number that is too long.");
    }

    private RuntimeException refuse(String detail) {
      return Refusal.of(section, detail);
    }
  }
}
