package dev.instar.wasmtime;

import static dev.instar.wasmtime.CApi.ALL;
import static dev.instar.wasmtime.CApi.LONG;

import dev.instar.api.wasmtime.HostFunction;
import dev.instar.api.wasmtime.Wasmtime;
import dev.instar.api.wasmtime.WasmtimeEngine;
import dev.instar.api.wasmtime.WasmtimeException;
import dev.instar.api.wasmtime.WasmtimeModule;
import dev.instar.wasmtime.CApi.Functions;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;

final class Engine implements WasmtimeEngine {
  final long handle;
  private boolean closed;

  Engine(Wasmtime.Settings settings) {
    handle = Configuration.running(settings.instances(), settings.tables(), settings.tableElements());
    if (handle == 0) {
      throw new WasmtimeException("no engine could be made", false);
    }
  }

  @Override
  public WasmtimeModule load(Path compiled, List<HostFunction> imports) {
    HostFunction[] functions = imports.toArray(HostFunction[]::new);
    try (Arena arena = Arena.ofConfined()) {
      long out = arena.allocate(8, 8).address();
      demand((long) CApi.call(Functions.MODULE_DESERIALIZE_FILE, handle, CApi.utf8(arena, compiled.toString()).address(), out));
      long module = ALL.get(LONG, out);
      try {
        return new Module(module, linked(arena, module, functions, out), this, functions);
      } catch (Throwable e) {
        CApi.call(Functions.MODULE_DELETE, module);
        throw e;
      }
    }
  }

  private long linked(Arena arena, long module, HostFunction[] functions, long out) {
    long linker = (long) CApi.call(Functions.LINKER_NEW, handle);
    try {
      for (int i = 0; i < functions.length; i++) {
        MemorySegment from = CApi.utf8(arena, functions[i].module());
        MemorySegment name = CApi.utf8(arena, functions[i].name());
        long type = (long) CApi.call(Functions.FUNCTYPE_NEW, types(arena, functions[i].parameters()), types(arena, functions[i].result()));
        demand((long) CApi.call(Functions.LINKER_DEFINE, linker, from.address(), from.byteSize() - 1, name.address(), name.byteSize() - 1, type,
            HostCalls.FUNCTION, (long) i, 0L));
        CApi.call(Functions.FUNCTYPE_DELETE, type);
      }
      demand((long) CApi.call(Functions.LINKER_INSTANTIATE_PRE, linker, module, out));
      return ALL.get(LONG, out);
    } finally {
      CApi.call(Functions.LINKER_DELETE, linker);
    }
  }

  /** A vector that the type which is made of it takes over. */
  private static long types(Arena arena, String letters) {
    MemorySegment each = arena.allocate(Math.max(8, letters.length() * 8L), 8);
    for (int i = 0; i < letters.length(); i++) {
      byte kind = (byte) (letters.charAt(i) == 'i' ? CApi.I32 : CApi.I64);
      each.set(LONG, i * 8L, (long) CApi.call(Functions.VALTYPE_NEW, kind));
    }
    long vector = arena.allocate(16, 8).address();
    CApi.call(Functions.VALTYPES_NEW, vector, (long) letters.length(), each.address());
    return vector;
  }

  /** @throws WasmtimeException with what the error says, if there is one */
  static void demand(long error) {
    if (error != 0) {
      throw refused(CApi.message(error));
    }
  }

  static WasmtimeException refused(String message) {
    // "maximum concurrent core instance limit of 256 reached", and the same of memories and tables.
    return new WasmtimeException(message, message.contains("maximum concurrent"));
  }

  @Override
  public void tick() {
    try {
      Functions.ENGINE_INCREMENT_EPOCH.invokeExact(handle);
    } catch (Throwable e) {
      throw CApi.unexpected(e);
    }
  }

  @Override
  public synchronized void close() {
    if (!closed) {
      closed = true;
      CApi.call(Functions.ENGINE_DELETE, handle);
    }
  }
}
