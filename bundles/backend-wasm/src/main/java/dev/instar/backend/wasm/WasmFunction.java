package dev.instar.backend.wasm;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.api.sandbox.StartContext;
import java.util.Collections;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;

/** A module that is compiled and initialised. */
final class WasmFunction implements PreparedFunction {
  private final Snapshot snapshot;
  private final Entry entry;
  private final Map<String, String> description;
  private final Consumer<WasmFunction> whenClosed;
  private final Set<WasmSandbox> open = ConcurrentHashMap.newKeySet();
  private volatile boolean closed;

  WasmFunction(Snapshot snapshot, Entry entry, Map<String, String> description, Consumer<WasmFunction> whenClosed) {
    this.snapshot = snapshot;
    this.entry = entry;
    this.description = Collections.unmodifiableMap(description);
    this.whenClosed = whenClosed;
  }

  @Override
  public Map<String, String> describe() {
    return description;
  }

  @Override
  public Sandbox start(StartContext context) {
    if (closed) {
      throw new InstarException(ErrorCode.INTERNAL, "The prepared function was closed.");
    }
    try {
      WasmSandbox sandbox = new WasmSandbox(snapshot, entry, context.room(), open::remove);
      open.add(sandbox);
      // Closed meanwhile: then close() may not have seen it.
      if (closed) {
        sandbox.close();
        throw new InstarException(ErrorCode.INTERNAL, "The prepared function was closed.");
      }
      return sandbox;
    } catch (RuntimeException | OutOfMemoryError | StackOverflowError e) {
      if (closed) {
        throw new InstarException(ErrorCode.INTERNAL, "The prepared function was closed.");
      }
      throw Failures.of(e);
    }
  }

  @Override
  public void close() {
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
    }
    open.forEach(WasmSandbox::close);
    snapshot.release();
    whenClosed.accept(this);
  }
}
