package dev.instar.wasmtime;

import dev.instar.api.wasmtime.HostFunction;
import dev.instar.api.wasmtime.WasmtimeInstance;
import dev.instar.api.wasmtime.WasmtimeModule;
import dev.instar.api.wasmtime.WasmtimeTrap;
import dev.instar.wasmtime.CApi.Functions;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

final class Module implements WasmtimeModule {
  /** The name under which a module exports its memory, by WASI. */
  static final String MEMORY = "memory";

  /** Native, and found by its Java form: names that its instances are asked for. */
  record Name(long address, long length) {}

  private final long handle;
  private final Arena arena = Arena.ofShared();
  private final Map<String, Name> names = new ConcurrentHashMap<>();
  final long pre;
  final Engine engine;
  final HostFunction[] functions;
  final Name memory;
  private boolean closed;

  Module(long handle, long pre, Engine engine, HostFunction[] functions) {
    this.handle = handle;
    this.pre = pre;
    this.engine = engine;
    this.functions = functions;
    this.memory = name(MEMORY);
  }

  Name name(String text) {
    Name known = names.get(text);
    return known != null ? known : names.computeIfAbsent(text, t -> {
      MemorySegment segment = CApi.utf8(arena, t);
      return new Name(segment.address(), segment.byteSize() - 1);
    });
  }

  @Override
  public WasmtimeInstance instantiate(Host host, long memoryBytes, long tableElements) throws WasmtimeTrap {
    Instance instance = new Instance(this, host, memoryBytes, tableElements);
    try {
      instance.start();
      return instance;
    } catch (Throwable e) {
      instance.close();
      throw e;
    }
  }

  @Override
  public synchronized void close() {
    if (!closed) {
      closed = true;
      CApi.call(Functions.PRE_DELETE, pre);
      CApi.call(Functions.MODULE_DELETE, handle);
      arena.close();
    }
  }
}
