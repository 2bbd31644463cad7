package dev.instar.wasmtime;

import static java.lang.foreign.ValueLayout.JAVA_BOOLEAN;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/**
 * The functions of wasmtime's C API that are used here, as version {@value #MAJOR} has them. Pointers are longs: a segment for each would cost more than a call.
 *
 * <p>Its structures, in bytes: {@code wasm_byte_vec_t} size 8, data 8 · {@code wasmtime_instance_t} 16 · {@code wasmtime_func_t} 16 · {@code wasmtime_memory_t},
 * {@code wasmtime_global_t} and {@code wasmtime_table_t} 24 · {@code wasmtime_extern_t} and {@code wasmtime_val_t} kind 1 (8), union 24 ·
 * {@code wasmtime_val_raw_t} 16. A reference to a function is a {@code wasmtime_func_t}: the number of its store, which is 0 in a null reference, and a pointer
 * to what its instance keeps of the function.
 */
final class CApi {
  /** The major version whose headers these declarations follow. */
  static final int MAJOR = 50;

  static final int EXTERN_FUNC = 0;
  static final int EXTERN_GLOBAL = 1;
  static final int EXTERN_TABLE = 2;
  static final int EXTERN_MEMORY = 3;
  static final int VALUE_BYTES = 16;
  static final int EXTERN_BYTES = 32;
  /** Where the union of an extern begins. */
  static final int EXTERN_OF = 8;
  static final int I32 = 0;
  static final int I64 = 1;
  static final int F32 = 2;
  static final int F64 = 3;
  static final int V128 = 4;
  /** The first kind of values that is a reference: one to a function. */
  static final int FUNCREF = 5;
  /** Where the union of a value begins. */
  static final int VALUE_OF = 8;

  /** All of the address space: every access is one to an address that was checked, or that the library gave. */
  static final MemorySegment ALL = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);
  static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
  static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED;

  private static final Linker LINKER = Linker.nativeLinker();
  private static SymbolLookup library;

  private CApi() {}

  /** Loads the library; before anything else of this class' handles is used, and once. */
  static synchronized void load(Path file) {
    if (library == null) {
      // For ever: signal handlers of the library stay installed, whatever is closed.
      library = SymbolLookup.libraryLookup(file, Arena.global());
    }
  }

  /** Links when first needed, which is after {@link #load}. */
  static final class Functions {
    static final MethodHandle CONFIG_NEW = of("wasm_config_new", JAVA_LONG);
    static final MethodHandle ENGINE_NEW = of("wasm_engine_new_with_config", JAVA_LONG, JAVA_LONG);
    static final MethodHandle ENGINE_DELETE = ofVoid("wasm_engine_delete", JAVA_LONG);
    static final MethodHandle ENGINE_INCREMENT_EPOCH = ofVoid("wasmtime_engine_increment_epoch", JAVA_LONG);
    static final MethodHandle POOLING_NEW = of("wasmtime_pooling_allocation_config_new", JAVA_LONG);
    static final MethodHandle POOLING_DELETE = ofVoid("wasmtime_pooling_allocation_config_delete", JAVA_LONG);
    static final MethodHandle POOLING_SET = ofVoid("wasmtime_pooling_allocation_strategy_set", JAVA_LONG, JAVA_LONG);
    static final MethodHandle MODULE_NEW = of("wasmtime_module_new", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    static final MethodHandle MODULE_DELETE = ofVoid("wasmtime_module_delete", JAVA_LONG);
    static final MethodHandle MODULE_SERIALIZE = of("wasmtime_module_serialize", JAVA_LONG, JAVA_LONG, JAVA_LONG);
    static final MethodHandle MODULE_DESERIALIZE_FILE = of("wasmtime_module_deserialize_file", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    static final MethodHandle LINKER_NEW = of("wasmtime_linker_new", JAVA_LONG, JAVA_LONG);
    static final MethodHandle LINKER_DELETE = ofVoid("wasmtime_linker_delete", JAVA_LONG);
    static final MethodHandle LINKER_DEFINE = of("wasmtime_linker_define_func_unchecked", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG,
        JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    static final MethodHandle LINKER_INSTANTIATE_PRE = of("wasmtime_linker_instantiate_pre", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    static final MethodHandle PRE_INSTANTIATE = of("wasmtime_instance_pre_instantiate", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    static final MethodHandle PRE_DELETE = ofVoid("wasmtime_instance_pre_delete", JAVA_LONG);
    static final MethodHandle STORE_NEW = of("wasmtime_store_new", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    static final MethodHandle STORE_CONTEXT = quick("wasmtime_store_context", JAVA_LONG, JAVA_LONG);
    static final MethodHandle STORE_LIMITER =
        ofVoid("wasmtime_store_limiter", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    static final MethodHandle STORE_EPOCH_CALLBACK = ofVoid("wasmtime_store_epoch_deadline_callback", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    static final MethodHandle STORE_DELETE = ofVoid("wasmtime_store_delete", JAVA_LONG);
    static final MethodHandle SET_EPOCH_DEADLINE = ofVoid("wasmtime_context_set_epoch_deadline", JAVA_LONG, JAVA_LONG);
    static final MethodHandle EXPORT_GET = quick("wasmtime_instance_export_get", JAVA_BOOLEAN, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    static final MethodHandle CALLER_EXPORT_GET = quick("wasmtime_caller_export_get", JAVA_BOOLEAN, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    static final MethodHandle CALLER_CONTEXT = of("wasmtime_caller_context", JAVA_LONG, JAVA_LONG);
    static final MethodHandle FUNC_CALL = of("wasmtime_func_call_unchecked", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    static final MethodHandle MEMORY_DATA = quick("wasmtime_memory_data", JAVA_LONG, JAVA_LONG, JAVA_LONG);
    static final MethodHandle MEMORY_DATA_SIZE = quick("wasmtime_memory_data_size", JAVA_LONG, JAVA_LONG, JAVA_LONG);
    static final MethodHandle MEMORY_GROW = of("wasmtime_memory_grow", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    static final MethodHandle GLOBAL_GET = ofVoid("wasmtime_global_get", JAVA_LONG, JAVA_LONG, JAVA_LONG);
    static final MethodHandle TABLE_SIZE = of("wasmtime_table_size", JAVA_LONG, JAVA_LONG, JAVA_LONG);
    static final MethodHandle TABLE_GET = of("wasmtime_table_get", JAVA_BOOLEAN, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    static final MethodHandle ERROR_NEW = of("wasmtime_error_new", JAVA_LONG, JAVA_LONG);
    static final MethodHandle ERROR_MESSAGE = ofVoid("wasmtime_error_message", JAVA_LONG, JAVA_LONG);
    static final MethodHandle ERROR_DELETE = ofVoid("wasmtime_error_delete", JAVA_LONG);
    static final MethodHandle TRAP_NEW = of("wasmtime_trap_new", JAVA_LONG, JAVA_LONG, JAVA_LONG);
    static final MethodHandle TRAP_CODE = of("wasmtime_trap_code", JAVA_BOOLEAN, JAVA_LONG, JAVA_LONG);
    static final MethodHandle TRAP_MESSAGE = ofVoid("wasm_trap_message", JAVA_LONG, JAVA_LONG);
    static final MethodHandle TRAP_DELETE = ofVoid("wasm_trap_delete", JAVA_LONG);
    static final MethodHandle BYTES_DELETE = ofVoid("wasm_byte_vec_delete", JAVA_LONG);
    static final MethodHandle VALTYPE_NEW = of("wasm_valtype_new", JAVA_LONG, JAVA_BYTE);
    static final MethodHandle VALTYPES_NEW = ofVoid("wasm_valtype_vec_new", JAVA_LONG, JAVA_LONG, JAVA_LONG);
    static final MethodHandle FUNCTYPE_NEW = of("wasm_functype_new", JAVA_LONG, JAVA_LONG, JAVA_LONG);
    static final MethodHandle FUNCTYPE_DELETE = ofVoid("wasm_functype_delete", JAVA_LONG);

    private Functions() {}
  }

  /** For what returns at once and calls nobody back: the thread stays as it is, in Java, which saves a part of what a call costs. */
  private static MethodHandle quick(String name, MemoryLayout result, MemoryLayout... parameters) {
    return LINKER.downcallHandle(symbol(name), FunctionDescriptor.of(result, parameters), Linker.Option.critical(false));
  }

  private static MethodHandle of(String name, MemoryLayout result, MemoryLayout... parameters) {
    return LINKER.downcallHandle(symbol(name), FunctionDescriptor.of(result, parameters));
  }

  private static MethodHandle ofVoid(String name, MemoryLayout... parameters) {
    return LINKER.downcallHandle(symbol(name), FunctionDescriptor.ofVoid(parameters));
  }

  private static MemorySegment symbol(String name) {
    return library.find(name).orElseThrow(() -> new IllegalStateException("the library has no function " + name));
  }

  /** Sets a property of a configuration, or of one of a pool. */
  static void set(String name, long config, boolean value) {
    call(ofVoid(name, JAVA_LONG, JAVA_BOOLEAN), config, value);
  }

  /** Sets a number of 64 bits. */
  static void set(String name, long config, long value) {
    call(ofVoid(name, JAVA_LONG, JAVA_LONG), config, value);
  }

  /** Sets a number of 32 bits. */
  static void set(String name, long config, int value) {
    call(ofVoid(name, JAVA_LONG, JAVA_INT), config, value);
  }

  /** For what is called seldom. */
  static Object call(MethodHandle function, Object... arguments) {
    try {
      return function.invokeWithArguments(arguments);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  /** What a native call throws is a fault of this bundle. */
  static RuntimeException unexpected(Throwable e) {
    return e instanceof RuntimeException r ? r : new IllegalStateException("a call of the wasmtime library failed", e);
  }

  /** A pointer to a static method that native code may call; for ever. */
  static long upcall(MethodHandles.Lookup lookup, String method, MethodType type, FunctionDescriptor descriptor) {
    try {
      return LINKER.upcallStub(lookup.findStatic(lookup.lookupClass(), method, type), descriptor, Arena.global()).address();
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Takes the message of an error, and the error. */
  static String message(long error) {
    return text(Functions.ERROR_MESSAGE, Functions.ERROR_DELETE, error);
  }

  /** Takes the message of a trap, and leaves the trap. */
  static String trapMessage(long trap) {
    return text(Functions.TRAP_MESSAGE, null, trap);
  }

  private static String text(MethodHandle message, MethodHandle delete, long of) {
    try (Arena arena = Arena.ofConfined()) {
      long bytes = arena.allocate(16, 8).address();
      call(message, of, bytes);
      String text = new String(bytes(bytes), StandardCharsets.UTF_8);
      call(Functions.BYTES_DELETE, bytes);
      if (delete != null) {
        call(delete, of);
      }
      // A trap's message has a NUL at its end.
      return text.replace("\0", "");
    }
  }

  /** A copy of what a {@code wasm_byte_vec_t} holds. */
  static byte[] bytes(long vector) {
    long size = ALL.get(LONG, vector);
    return size == 0 ? new byte[0] : ALL.asSlice(ALL.get(LONG, vector + 8), size).toArray(JAVA_BYTE);
  }

  static MemorySegment utf8(Arena arena, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    MemorySegment segment = arena.allocate(bytes.length + 1);
    MemorySegment.copy(bytes, 0, segment, JAVA_BYTE, 0, bytes.length);
    return segment;
  }
}
