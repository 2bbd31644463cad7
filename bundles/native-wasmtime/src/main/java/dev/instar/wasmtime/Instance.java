package dev.instar.wasmtime;

import static dev.instar.wasmtime.CApi.ALL;
import static dev.instar.wasmtime.CApi.EXTERN_OF;
import static dev.instar.wasmtime.CApi.INT;
import static dev.instar.wasmtime.CApi.LONG;
import static dev.instar.wasmtime.CApi.VALUE_BYTES;

import dev.instar.api.wasmtime.WasmtimeInstance;
import dev.instar.api.wasmtime.WasmtimeModule;
import dev.instar.api.wasmtime.WasmtimeTrap;
import dev.instar.api.wasmtime.WasmtimeTrap.Reason;
import dev.instar.wasmtime.CApi.Functions;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.OptionalInt;

/** A store with one instance in it. */
final class Instance implements WasmtimeInstance {
  /** In the order of their codes, in the words of the specification; the first is told apart. */
  private static final String[] TRAPS = {"call stack exhausted", "out of bounds memory access", "unaligned atomic", "out of bounds table access",
      "uninitialized element", "indirect call type mismatch", "integer overflow", "integer divide by zero", "invalid conversion to integer", "unreachable",
      "interrupt", "out of fuel", "expected shared memory", "null reference"};
  private static final int STACK = 0;
  /** Above what any has: the one number of instances, tables and memories of a store that says something is that of tables, which the engine bounds. */
  private static final long MANY = 1000;

  private final Module module;
  private WasmtimeModule.Host host;
  private final long store;
  private final long context;
  // wasmtime_instance_t, and its memory's wasmtime_memory_t: by value, as the library hands them about.
  private long instance0;
  private long instance1;
  private boolean memoryKnown;
  private long memory0;
  private long memory1;
  private long memory2;
  private MemorySegment memory = MemorySegment.NULL;
  private boolean closed;
  /** What a host function has thrown, or null. */
  private Throwable thrown;
  private boolean interrupted;

  Instance(Module module, WasmtimeModule.Host host, long memoryBytes, long tableElements) {
    this.module = module;
    try {
      store = (long) Functions.STORE_NEW.invokeExact(module.engine.handle, 0L, 0L);
      context = (long) Functions.STORE_CONTEXT.invokeExact(store);
      Functions.STORE_LIMITER.invokeExact(store, memoryBytes, tableElements, MANY, MANY, MANY);
      Functions.STORE_EPOCH_CALLBACK.invokeExact(store, HostCalls.EPOCH, 0L, 0L);
    } catch (Throwable e) {
      throw CApi.unexpected(e);
    }
    serve(host);
  }

  @Override
  public void serve(WasmtimeModule.Host next) {
    host = next;
    interrupted = false;
    try {
      Functions.SET_EPOCH_DEADLINE.invokeExact(context, 1L);
    } catch (Throwable e) {
      throw CApi.unexpected(e);
    }
  }

  void start() throws WasmtimeTrap {
    Scratch scratch = Scratch.ofThread();
    Instance before = scratch.running;
    scratch.running = this;
    long error;
    try {
      ALL.set(LONG, scratch.pointer, 0);
      error = (long) Functions.PRE_INSTANTIATE.invokeExact(module.pre, context, scratch.handle, scratch.pointer);
    } catch (Throwable e) {
      throw CApi.unexpected(e);
    } finally {
      scratch.running = before;
    }
    long trap = ALL.get(LONG, scratch.pointer);
    if (error != 0 && thrown == null && !interrupted) {
      throw Engine.refused(CApi.message(error));
    }
    if (error != 0 || trap != 0 || thrown != null) {
      throw ended(scratch, error, trap);
    }
    instance0 = ALL.get(LONG, scratch.handle);
    instance1 = ALL.get(LONG, scratch.handle + 8);
  }

  @Override
  public long call(String export, long... arguments) throws WasmtimeTrap {
    Scratch scratch = Scratch.ofThread();
    if (arguments.length > Scratch.MOST_VALUES || !find(export, CApi.EXTERN_FUNC, scratch)) {
      throw new IllegalArgumentException("no function of this kind is exported: " + export);
    }
    Instance before = scratch.running;
    scratch.running = this;
    long error;
    try {
      for (int i = 0; i < arguments.length; i++) {
        ALL.set(LONG, scratch.values + i * VALUE_BYTES, arguments[i]);
      }
      ALL.set(LONG, scratch.handle, ALL.get(LONG, scratch.extern + EXTERN_OF));
      ALL.set(LONG, scratch.handle + 8, ALL.get(LONG, scratch.extern + EXTERN_OF + 8));
      ALL.set(LONG, scratch.pointer, 0);
      error = (long) Functions.FUNC_CALL.invokeExact(context, scratch.handle, scratch.values, (long) Scratch.MOST_VALUES, scratch.pointer);
    } catch (Throwable e) {
      throw CApi.unexpected(e);
    } finally {
      scratch.running = before;
    }
    long trap = ALL.get(LONG, scratch.pointer);
    if (error != 0 || trap != 0 || thrown != null) {
      throw ended(scratch, error, trap);
    }
    return ALL.get(LONG, scratch.values);
  }

  @Override
  public boolean hasFunction(String export) {
    return find(export, CApi.EXTERN_FUNC, Scratch.ofThread());
  }

  /** Whether there is an export of this kind; it is in the scratch memory then. */
  private boolean find(String export, int kind, Scratch scratch) {
    Module.Name name = module.name(export);
    ALL.set(LONG, scratch.handle, instance0);
    ALL.set(LONG, scratch.handle + 8, instance1);
    try {
      return (boolean) Functions.EXPORT_GET.invokeExact(context, scratch.handle, name.address(), name.length(), scratch.extern)
          && ALL.get(ValueLayout.JAVA_BYTE, scratch.extern) == kind;
    } catch (Throwable e) {
      throw CApi.unexpected(e);
    }
  }

  /** Takes the error or the trap. */
  private WasmtimeTrap ended(Scratch scratch, long error, long trap) {
    Throwable cause = thrown;
    thrown = null;
    if (error != 0) {
      String message = CApi.message(error);
      return cause != null ? new WasmtimeTrap(Reason.HOST, "a host function failed", cause)
          : new WasmtimeTrap(interrupted ? Reason.INTERRUPTED : Reason.TRAP, message, null);
    }
    if (trap == 0) {
      return new WasmtimeTrap(Reason.HOST, "a host function failed", cause);
    }
    try {
      if (cause != null) {
        return new WasmtimeTrap(Reason.HOST, "a host function failed", cause);
      }
      if (interrupted) {
        return new WasmtimeTrap(Reason.INTERRUPTED, "interrupted", null);
      }
      if (!(boolean) Functions.TRAP_CODE.invokeExact(trap, scratch.pointer)) {
        return new WasmtimeTrap(Reason.TRAP, CApi.trapMessage(trap), null);
      }
      int code = Byte.toUnsignedInt(ALL.get(ValueLayout.JAVA_BYTE, scratch.pointer));
      return new WasmtimeTrap(code == STACK ? Reason.STACK : Reason.TRAP, code < TRAPS.length ? TRAPS[code] : "the engine stopped it", null);
    } catch (Throwable e) {
      throw CApi.unexpected(e);
    } finally {
      CApi.call(Functions.TRAP_DELETE, trap);
    }
  }

  /** Calls the function of that number. What it throws is kept. Whether the guest may go on. */
  boolean host(int function, long caller, long values, long count) {
    try {
      var called = module.functions[function];
      long[] arguments = new long[called.parameters().length()];
      for (int i = 0; i < arguments.length; i++) {
        long at = values + (long) i * VALUE_BYTES;
        // The upper half of an i32 is whatever was there.
        arguments[i] = called.parameters().charAt(i) == 'i' ? ALL.get(INT, at) : ALL.get(LONG, at);
      }
      if (!memoryKnown) {
        findMemory(caller);
      }
      long result = called.body().call(this, host, arguments);
      if (!called.result().isEmpty()) {
        ALL.set(LONG, values, called.result().equals("i") ? Integer.toUnsignedLong((int) result) : result);
      }
      return true;
    } catch (Throwable e) {
      thrown = e;
      return false;
    }
  }

  /** While it is instantiated, there is no other way to it. */
  private void findMemory(long caller) throws Throwable {
    Scratch scratch = Scratch.ofThread();
    Module.Name name = module.memory;
    if ((boolean) Functions.CALLER_EXPORT_GET.invokeExact(caller, name.address(), name.length(), scratch.extern)) {
      known(scratch);
    }
  }

  private void known(Scratch scratch) {
    if (ALL.get(ValueLayout.JAVA_BYTE, scratch.extern) == CApi.EXTERN_MEMORY) {
      memory0 = ALL.get(LONG, scratch.extern + EXTERN_OF);
      memory1 = ALL.get(LONG, scratch.extern + EXTERN_OF + 8);
      memory2 = ALL.get(LONG, scratch.extern + EXTERN_OF + 16);
      memoryKnown = true;
    }
  }

  /** Lays out its memory's handle. False when it exports none. */
  private boolean memory(Scratch scratch) {
    if (!memoryKnown) {
      if (instance0 == 0 || !find(Module.MEMORY, CApi.EXTERN_MEMORY, scratch)) {
        return false;
      }
      known(scratch);
    }
    ALL.set(LONG, scratch.memory, memory0);
    ALL.set(LONG, scratch.memory + 8, memory1);
    ALL.set(LONG, scratch.memory + 16, memory2);
    return true;
  }

  @Override
  public long function(String export) {
    Scratch scratch = Scratch.ofThread();
    demand(export, CApi.EXTERN_FUNC, scratch);
    return ALL.get(LONG, scratch.extern + EXTERN_OF + 8);
  }

  @Override
  public long[] global(String export) {
    Scratch scratch = Scratch.ofThread();
    demand(export, CApi.EXTERN_GLOBAL, scratch);
    try {
      Functions.GLOBAL_GET.invokeExact(context, scratch.extern + EXTERN_OF, scratch.values);
    } catch (Throwable e) {
      throw CApi.unexpected(e);
    }
    long of = scratch.values + CApi.VALUE_OF;
    return switch (ALL.get(ValueLayout.JAVA_BYTE, scratch.values)) {
      case CApi.I32, CApi.F32 -> new long[] {ALL.get(INT, of), 0};
      case CApi.I64, CApi.F64 -> new long[] {ALL.get(LONG, of), 0};
      case CApi.V128 -> new long[] {ALL.get(LONG, of), ALL.get(LONG, of + 8)};
      default -> new long[] {reference(scratch.values), 0};
    };
  }

  @Override
  public long[] table(String export) {
    Scratch scratch = Scratch.ofThread();
    demand(export, CApi.EXTERN_TABLE, scratch);
    long table = scratch.extern + EXTERN_OF;
    try {
      long[] elements = new long[(int) (long) Functions.TABLE_SIZE.invokeExact(context, table)];
      for (int i = 0; i < elements.length; i++) {
        if (!(boolean) Functions.TABLE_GET.invokeExact(context, table, (long) i, scratch.values)) {
          throw new IllegalStateException("a table is shorter than it says");
        }
        elements[i] = reference(scratch.values);
      }
      return elements;
    } catch (Throwable e) {
      throw CApi.unexpected(e);
    }
  }

  /** Of a {@code wasmtime_val_t}. Whatever its kind, a null one has 0 for its store. */
  private static long reference(long value) {
    if (ALL.get(LONG, value + CApi.VALUE_OF) == 0) {
      return 0;
    }
    return ALL.get(ValueLayout.JAVA_BYTE, value) == CApi.FUNCREF ? ALL.get(LONG, value + CApi.VALUE_OF + 8) : FOREIGN;
  }

  private void demand(String export, int kind, Scratch scratch) {
    if (!find(export, kind, scratch)) {
      throw new IllegalArgumentException("nothing of this kind is exported: " + export);
    }
  }

  @Override
  public long memoryBytes() {
    Scratch scratch = Scratch.ofThread();
    try {
      return memory(scratch) ? (long) Functions.MEMORY_DATA_SIZE.invokeExact(context, scratch.memory) : 0;
    } catch (Throwable e) {
      throw CApi.unexpected(e);
    }
  }

  @Override
  public MemorySegment memory() {
    if (memory.address() == 0) {
      Scratch scratch = Scratch.ofThread();
      try {
        if (memory(scratch)) {
          memory = ALL.asSlice((long) Functions.MEMORY_DATA.invokeExact(context, scratch.memory));
        }
      } catch (Throwable e) {
        throw CApi.unexpected(e);
      }
    }
    return memory;
  }

  @Override
  public OptionalInt grow(int pages) {
    Scratch scratch = Scratch.ofThread();
    try {
      if (!memory(scratch)) {
        return OptionalInt.empty();
      }
      long error = (long) Functions.MEMORY_GROW.invokeExact(context, scratch.memory, (long) pages, scratch.pointer);
      if (error != 0) {
        CApi.message(error);
        return OptionalInt.empty();
      }
      return OptionalInt.of((int) ALL.get(LONG, scratch.pointer));
    } catch (Throwable e) {
      throw CApi.unexpected(e);
    }
  }

  /** After a tick. Whether it is to end: because its thread was interrupted, or its host says so. */
  boolean ends() {
    interrupted = Thread.currentThread().isInterrupted();
    if (!interrupted) {
      try {
        host.tick(this);
      } catch (Throwable e) {
        thrown = e;
      }
    }
    return interrupted || thrown != null;
  }

  @Override
  public void close() {
    if (!closed) {
      closed = true;
      try {
        Functions.STORE_DELETE.invokeExact(store);
      } catch (Throwable e) {
        throw CApi.unexpected(e);
      }
    }
  }
}
