package dev.instar.wasmtime;

import dev.instar.wasmtime.CApi.Functions;

/** How engines are configured: what shapes machine code is the same for the one that compiles and the one that runs. */
final class Configuration {
  /**
   * Bytes of stack that a guest may use. A call comes on a thread of at least 1 MiB, which no one here can ask for its size: half of that is for the Java code
   * around and below the guest.
   */
  static final long STACK = 512 << 10;

  /** Address space, never memory: with 4 GiB and a guard behind them no access needs a check of its own. */
  private static final long RESERVED = 4L << 30;
  private static final long GUARD = 32L << 20;
  /**
   * Bytes of a memory or a table that are cleared in place after a call, instead of being given back and faulted in again: all of a module with a stack of
   * 256 KiB and its room for calls. To clear so much takes some 5 us; to give a part of it back stops, in each call, the other threads that run.
   */
  private static final long KEPT = 512 << 10;
  /** What the engine keeps with an instance: about 30 bytes for each function that may be called indirectly. */
  private static final long INSTANCE_BYTES = 8 << 20;

  private Configuration() {}

  /** An engine that only compiles. */
  static long compiling() {
    return engine(config());
  }

  /** An engine with a pool. 0 when the address space that it wants is not there. */
  static long running(int instances, int tables, int tableElements) {
    long config = config();
    long pool = (long) CApi.call(Functions.POOLING_NEW);
    String prefix = "wasmtime_pooling_allocation_config_";
    CApi.set(prefix + "total_core_instances_set", pool, instances);
    CApi.set(prefix + "total_memories_set", pool, instances);
    CApi.set(prefix + "total_tables_set", pool, instances * tables);
    CApi.set(prefix + "total_gc_heaps_set", pool, instances);
    CApi.set(prefix + "total_stacks_set", pool, 0);
    CApi.set(prefix + "total_component_instances_set", pool, 0);
    CApi.set(prefix + "max_memories_per_module_set", pool, 1);
    CApi.set(prefix + "max_tables_per_module_set", pool, tables);
    CApi.set(prefix + "table_elements_set", pool, (long) tableElements);
    CApi.set(prefix + "max_memory_size_set", pool, RESERVED);
    CApi.set(prefix + "max_core_instance_size_set", pool, INSTANCE_BYTES);
    CApi.set(prefix + "linear_memory_keep_resident_set", pool, KEPT);
    CApi.set(prefix + "table_keep_resident_set", pool, KEPT);
    CApi.call(Functions.POOLING_SET, config, pool);
    CApi.call(Functions.POOLING_DELETE, pool);
    return engine(config);
  }

  private static long engine(long config) {
    return (long) CApi.call(Functions.ENGINE_NEW, config);
  }

  private static long config() {
    long config = (long) CApi.call(Functions.CONFIG_NEW);
    String prefix = "wasmtime_config_";
    CApi.set(prefix + "epoch_interruption_set", config, true);
    CApi.set(prefix + "max_wasm_stack_set", config, STACK);
    CApi.set(prefix + "parallel_compilation_set", config, false);
    CApi.set(prefix + "native_unwind_info_set", config, false);
    CApi.set(prefix + "memory_init_cow_set", config, true);
    CApi.set(prefix + "memory_may_move_set", config, false);
    CApi.set(prefix + "memory_reservation_set", config, RESERVED);
    CApi.set(prefix + "memory_guard_size_set", config, GUARD);
    CApi.set(prefix + "wasm_simd_set", config, true);
    CApi.set(prefix + "wasm_relaxed_simd_set", config, true);
    CApi.set(prefix + "wasm_bulk_memory_set", config, true);
    CApi.set(prefix + "wasm_multi_value_set", config, true);
    CApi.set(prefix + "wasm_reference_types_set", config, true);
    CApi.set(prefix + "wasm_tail_call_set", config, true);
    for (String absent : new String[] {"threads", "shared_memory", "function_references", "gc", "exceptions", "multi_memory", "memory64", "stack_switching",
        "component_model", "custom_page_sizes", "wide_arithmetic"}) {
      CApi.set(prefix + (absent.equals("shared_memory") ? "" : "wasm_") + absent + "_set", config, false);
    }
    return config;
  }
}
