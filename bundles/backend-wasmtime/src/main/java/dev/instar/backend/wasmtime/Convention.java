package dev.instar.backend.wasmtime;

import dev.instar.wasi.guest.Refusal;
import dev.instar.wasi.guest.Uniqueness;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** How a function is called: found by what its module exports. The same conventions as those of backend-wasm. */
enum Convention {
  /** A WASI command: runs once, reads the body from standard input, writes the answer to standard output. */
  COMMAND("_start", ">", "WASI command: _start, body on standard input, answer on standard output"),
  /** A reactor of Faasm's first generation. */
  FAASM("exec", "i>i", "Faasm reactor: exec(struct FaasmMemory *)");

  /** Makes a new instance differ from others of the same snapshot. */
  static final String RESEED = Uniqueness.RESEED;
  static final String ZYGOTE = "_faasm_zygote";
  /** What runs when an instance is made, for people. */
  static final String START = "the start function";
  static final String INSTANTIATION = "the instantiation";
  private static final List<String> CONSTRUCTORS = List.of("_initialize", "__wasm_call_ctors");

  private final String export;
  private final String type;
  private final String description;

  Convention(String export, String type, String description) {
    this.export = export;
    this.type = type;
    this.description = description;
  }

  String export() {
    return export;
  }

  String description() {
    return description;
  }

  /** @throws dev.instar.api.InstarException MODULE_REFUSED when no convention fits */
  static Convention of(Outline module) {
    for (Convention one : values()) {
      String type = module.functions().get(one.export);
      if (type != null) {
        if (!type.equals(one.type)) {
          throw Refusal.of("export", one.export + " has the type " + shown(type) + "; it must be " + shown(one.type) + ".");
        }
        if (module.memory().isEmpty() && one == FAASM) {
          throw Refusal.of("memory", "exec takes a pointer, so the module needs a memory.");
        }
        return one;
      }
    }
    throw Refusal.of("export", "there is no entry. Export _start (a WASI command: build a program with main), or exec, taking a pointer to struct "
        + "FaasmMemory and returning an int (a reactor: see faasm.h in the examples).");
  }

  /**
   * What a module exports to be initialised by, in order, after its start function; then what makes an instance unique.
   *
   * @throws dev.instar.api.InstarException MODULE_REFUSED when one has parameters
   */
  List<String> initialisers(Outline module) {
    List<String> found = new ArrayList<>();
    if (this == FAASM) {
      CONSTRUCTORS.stream().filter(module.functions()::containsKey).findFirst().ifPresent(found::add);
      Stream.of(ZYGOTE).filter(module.functions()::containsKey).forEach(found::add);
    }
    for (String one : found) {
      if (!module.functions().get(one).startsWith(">")) {
        throw Refusal.of("export", one + " has parameters; it must have none.");
      }
    }
    if (module.functions().containsKey(RESEED)) {
      if (!module.functions().get(RESEED).equals(">")) {
        throw Refusal.of("export", RESEED + " has the type " + shown(module.functions().get(RESEED)) + "; it must be a function " + shown(">") + ".");
      }
      found.add(RESEED);
    }
    return found;
  }

  /** A type as the text format writes it. */
  static String shown(String type) {
    String[] parts = type.split(">", -1);
    return "(" + listed(parts[0]) + ") -> (" + listed(parts[1]) + ")";
  }

  private static String listed(String letters) {
    return String.join(", ", letters.chars().mapToObj(c -> switch (c) {
      case 'i' -> "i32";
      case 'I' -> "i64";
      case 'f' -> "f32";
      case 'F' -> "f64";
      case 'v' -> "v128";
      default -> "reference";
    }).toList());
  }
}
