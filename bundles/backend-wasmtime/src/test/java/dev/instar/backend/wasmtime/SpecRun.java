package dev.instar.backend.wasmtime;

import com.fasterxml.jackson.databind.JsonNode;
import dev.instar.api.wasmtime.HostFunction;
import dev.instar.api.wasmtime.WasmtimeEngine;
import dev.instar.api.wasmtime.WasmtimeException;
import dev.instar.api.wasmtime.WasmtimeInstance;
import dev.instar.api.wasmtime.WasmtimeModule;
import dev.instar.api.wasmtime.WasmtimeTrap;
import dev.instar.wasi.guest.MemoryBudget;
import dev.instar.wasi.writeback.Rewindable;
import dev.instar.wasi.writeback.Sections;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * Runs one file of the core specification tests, as wast2json gives it, through what the calls of a function go through: the compiler, the pool of instances and,
 * {@linkplain Way#REWOUND after a reset}, the module that can be reset and its {@link Rewinder}. Each of its instances has run all its commands once before, its
 * memory has been written over, and it has been brought back; then its memory is compared with that of a new one, byte by byte, and its commands run again.
 *
 * <p>Left out are modules that import something else than functions of whole numbers, which no function of this node can, and calls with vectors, references, or
 * several results, which the host never makes, and what comes after such a call in the same instance.
 */
final class SpecRun implements AutoCloseable {
  private static final byte CANARY = (byte) 0xa5;
  private static final List<HostFunction> PRINTS =
      List.of(print("print", ""), print("print_i32", "i"), print("print_i64", "I"));
  private static final List<String> NUMBERS = List.of("i32", "i64", "f32", "f64");

  /** What a module's commands are run on. */
  enum Way {
    NEW,
    REWOUND
  }

  /** Takes a module. */
  interface Compiling {
    /** Nothing when it is refused. */
    Optional<byte[]> compile(byte[] module);
  }

  /**
   * What was done.
   *
   * @param modules that were made
   * @param calls whose outcome was looked at
   * @param refused modules that are invalid, or do not begin
   * @param rewound modules whose commands ran on an instance that was brought back
   * @param anew modules, of those that ran after a reset, that cannot be brought back
   * @param left commands that were left out
   */
  record Figures(int modules, int calls, int refused, int rewound, int anew, int left) {
    static final Figures NONE = new Figures(0, 0, 0, 0, 0, 0);

    Figures plus(Figures more) {
      return new Figures(modules + more.modules, calls + more.calls, refused + more.refused, rewound + more.rewound, anew + more.anew, left + more.left);
    }
  }

  private static final class Made {
    private Optional<WasmtimeModule> module = Optional.empty();
    private Optional<WasmtimeInstance> instance = Optional.empty();
    private Optional<Rewinder> rewinder = Optional.empty();
    private byte[] original = {};
    private boolean registered;
    private final List<JsonNode> commands = new ArrayList<>();
  }

  private final Path directory;
  private final Way way;
  private final Compiling compiler;
  private final WasmtimeEngine engine;
  private final MemoryBudget heap = MemoryBudget.ofHeap(1L << 30);
  private final Map<String, Made> named = new HashMap<>();
  private final List<Made> made = new ArrayList<>();
  private final Map<Integer, String> failures = new TreeMap<>();
  private int modules;
  private int calls;
  private int refused;
  private int rewound;
  private int anew;
  private int left;

  /** @param directory of the file's modules, and for what they are compiled to */
  SpecRun(Path directory, Way way, Compiling compiler, WasmtimeEngine engine) {
    this.directory = directory;
    this.way = way;
    this.compiler = compiler;
    this.engine = engine;
  }

  private static HostFunction print(String name, String parameters) {
    return new HostFunction("spectest", name, parameters, "", (instance, host, arguments) -> 0);
  }

  Figures figures() {
    return new Figures(modules, calls, refused, rewound, anew, left);
  }

  /** By line. */
  Map<Integer, String> failures() {
    return failures;
  }

  void run(JsonNode commands) throws IOException {
    // First which commands are whose, since an instance runs them once before they count.
    for (JsonNode command : commands) {
      collect(command);
    }
    named.clear();
    int next = 0;
    Made latest = new Made();
    for (JsonNode command : commands) {
      try {
        if (command.get("type").textValue().equals("module")) {
          latest = made.get(next++);
          name(command, latest);
          make(latest, Files.readAllBytes(directory.resolve(command.get("filename").textValue())));
        } else {
          run(command, latest);
        }
      } catch (AssertionError | RuntimeException | WasmtimeTrap e) {
        failures.merge(command.get("line").intValue(), e.toString(), (one, other) -> one);
      }
    }
  }

  private void name(JsonNode command, Made one) {
    if (command.has("name")) {
      named.put(command.get("name").textValue(), one);
    }
  }

  private void collect(JsonNode command) {
    if (command.get("type").textValue().equals("module")) {
      Made one = new Made();
      made.add(one);
      name(command, one);
    } else if (command.has("action") && !made.isEmpty()) {
      of(command, made.getLast()).commands.add(command);
    }
  }

  private Made of(JsonNode command, Made latest) {
    JsonNode name = command.get("action").get("module");
    return name == null ? latest : named.getOrDefault(name.textValue(), new Made());
  }

  private void make(Made one, byte[] module) throws IOException, WasmtimeTrap {
    Optional<WasmtimeModule> loaded = load(module);
    if (loaded.isEmpty()) {
      leave();
      return;
    }
    modules++;
    one.original = module;
    Optional<Rewindable> form = way == Way.NEW ? Optional.empty() : Rewindable.of(Sections.ready(module, 0).orElse(module));
    if (form.isPresent() && !Outline.of(module).starts()) {
      loaded.get().close();
      one.module = load(form.get().module());
      one.rewinder = Optional.of(new Rewinder(form.get().globals(), heap));
      one.instance = Optional.of(instance(one.module.orElseThrow()));
      rewind(one);
    } else {
      anew += way == Way.REWOUND ? 1 : 0;
      one.module = loaded;
      one.instance = Optional.of(instance(loaded.get()));
    }
  }

  /** A module that is left out would have changed what it imports. */
  private void leave() {
    left++;
    made.stream().filter(one -> one.registered).forEach(SpecRun::forget);
  }

  /** What would have been done to its instance is not known from here on. */
  private static void forget(Made one) {
    one.instance.ifPresent(WasmtimeInstance::close);
    one.instance = Optional.empty();
  }

  private Optional<WasmtimeModule> load(byte[] module) throws IOException {
    Optional<byte[]> code = compiler.compile(module);
    if (code.isEmpty()) {
      return Optional.empty();
    }
    Path file = Files.write(Files.createTempFile(directory, "module", ".code"), code.get());
    try {
      return Optional.of(engine.load(file, PRINTS));
    } catch (WasmtimeException e) {
      return Optional.empty();
    } finally {
      Files.delete(file);
    }
  }

  private static WasmtimeInstance instance(WasmtimeModule module) throws WasmtimeTrap {
    return module.instantiate(new WasmtimeModule.Host() {}, 4L << 30, 10_000_000);
  }

  /** Runs all its commands on it, writes over its memory and brings it back; where that cannot be, it gets a new instance, as a function would. */
  private void rewind(Made one) throws IOException, WasmtimeTrap {
    WasmtimeInstance instance = one.instance.orElseThrow();
    if (!one.rewinder.orElseThrow().begin(instance)) {
      throw new AssertionError("it cannot be brought back");
    }
    long bytes = instance.memoryBytes();
    for (JsonNode command : one.commands) {
      try {
        call(instance, command);
      } catch (WasmtimeTrap | IllegalArgumentException e) {
        // What it comes to is looked at later.
      }
    }
    if (instance.memoryBytes() != bytes) {
      anew++;
      instance.close();
      one.instance = Optional.of(instance(one.module.orElseThrow()));
      return;
    }
    rewound++;
    if (bytes > 0) {
      instance.memory().asSlice(0, bytes).fill(CANARY);
    }
    if (!one.rewinder.orElseThrow().rewind(instance, rewound % 2 == 0)) {
      throw new AssertionError("it was not brought back");
    }
    try (WasmtimeModule beside = load(one.original).orElseThrow(); WasmtimeInstance fresh = instance(beside)) {
      if (fresh.memoryBytes() != bytes || bytes > 0 && MemorySegment.mismatch(fresh.memory(), 0, bytes, instance.memory(), 0, bytes) >= 0) {
        throw new AssertionError("its memory is not that of a new instance");
      }
    }
  }

  private static boolean numbers(JsonNode values) {
    for (JsonNode value : values) {
      if (!NUMBERS.contains(value.get("type").textValue())) {
        return false;
      }
    }
    return true;
  }

  private static boolean callable(JsonNode command) {
    JsonNode action = command.get("action");
    return action.get("type").textValue().equals("invoke") && numbers(action.get("args")) && numbers(command.path("expected")) && command.path("expected").size() < 2;
  }

  private static long call(WasmtimeInstance instance, JsonNode command) throws WasmtimeTrap {
    if (!callable(command)) {
      return 0;
    }
    JsonNode arguments = command.get("action").get("args");
    long[] bits = new long[arguments.size()];
    for (int i = 0; i < bits.length; i++) {
      bits[i] = Long.parseUnsignedLong(arguments.get(i).get("value").textValue());
    }
    return instance.call(command.get("action").get("field").textValue(), bits);
  }

  private void run(JsonNode command, Made latest) throws IOException {
    switch (command.get("type").textValue()) {
      case "assert_return", "action", "assert_trap", "assert_exhaustion" -> {
        Optional<WasmtimeInstance> instance = of(command, latest).instance;
        if (instance.isEmpty() || !callable(command)) {
          forget(of(command, latest));
          left++;
          return;
        }
        calls++;
        outcome(instance.get(), command);
      }
      case "assert_invalid", "assert_malformed" -> {
        if (command.get("module_type").textValue().equals("text")) {
          left++;
          return;
        }
        refused++;
        if (compiler.compile(Files.readAllBytes(directory.resolve(command.get("filename").textValue()))).isPresent()) {
          throw new AssertionError("it was taken: " + command.get("text").textValue());
        }
      }
      case "assert_uninstantiable" -> {
        try (WasmtimeModule module = load(Files.readAllBytes(directory.resolve(command.get("filename").textValue()))).orElse(null)) {
          if (module == null) {
            leave();
            return;
          }
          refused++;
          try (WasmtimeInstance begun = instance(module)) {
            throw new AssertionError("it begins, with " + begun.memoryBytes() + " bytes: " + command.get("text").textValue());
          } catch (WasmtimeTrap e) {
            // As it is to be.
          }
        }
      }
      case "register" -> (command.has("name") ? named.getOrDefault(command.get("name").textValue(), new Made()) : latest).registered = true;
      default -> left++;
    }
  }

  private static void outcome(WasmtimeInstance instance, JsonNode command) {
    boolean traps = command.get("type").textValue().equals("assert_trap") || command.get("type").textValue().equals("assert_exhaustion");
    long result;
    try {
      result = call(instance, command);
    } catch (WasmtimeTrap e) {
      boolean exhausted = e.reason() == WasmtimeTrap.Reason.STACK;
      if (!traps || exhausted != command.get("type").textValue().equals("assert_exhaustion")) {
        throw new AssertionError("it trapped: " + e.getMessage());
      }
      return;
    }
    if (traps) {
      throw new AssertionError("it returned " + result + " and did not trap");
    }
    if (command.path("expected").size() == 1) {
      JsonNode expected = command.get("expected").get(0);
      if (!matches(expected.get("type").textValue(), expected.get("value").textValue(), result)) {
        throw new AssertionError("it returned " + Long.toUnsignedString(result) + " instead of " + expected);
      }
    }
  }

  private static boolean matches(String type, String value, long actual) {
    boolean half = type.endsWith("32");
    long bits = half ? actual & 0xffff_ffffL : actual;
    long quiet = half ? 0x7fc0_0000L : 0x7ff8_0000_0000_0000L;
    return switch (value) {
      // A NaN's sign is open; of an arithmetic one all but the highest bit of its fraction, too.
      case "nan:canonical" -> (bits & (half ? 0x7fff_ffffL : Long.MAX_VALUE)) == quiet;
      case "nan:arithmetic" -> (bits & quiet) == quiet;
      default -> bits == Long.parseUnsignedLong(value);
    };
  }

  @Override
  public void close() {
    for (Made one : made) {
      one.instance.ifPresent(WasmtimeInstance::close);
      one.module.ifPresent(WasmtimeModule::close);
      one.rewinder.ifPresent(Rewinder::close);
    }
    if (heap.used() != 0) {
      throw new AssertionError(heap.used() + " bytes of pages that nobody gave back");
    }
  }
}
