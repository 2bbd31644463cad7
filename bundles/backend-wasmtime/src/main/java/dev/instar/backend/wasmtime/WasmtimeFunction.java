package dev.instar.backend.wasmtime;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.sandbox.Checkpointable;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.api.sandbox.StartContext;
import dev.instar.wasi.guest.GuestFailures;
import dev.instar.wasi.guest.StoredState;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;

/** A module that is compiled and, where it can be, initialised. */
final class WasmtimeFunction implements PreparedFunction, Checkpointable {
  private final Program program;
  private final Map<String, String> description;
  private final StoredState stored;
  private final Optional<StoredState.Source> state;
  private final Consumer<WasmtimeFunction> whenClosed;
  private final Set<WasmtimeSandbox> open = ConcurrentHashMap.newKeySet();
  private volatile boolean closed;

  /** @param state what there is to be stored; nothing where nothing was run */
  WasmtimeFunction(Program program, Map<String, String> description, StoredState stored, Optional<StoredState.Source> state,
      Consumer<WasmtimeFunction> whenClosed) {
    this.program = program;
    this.description = description;
    this.stored = stored;
    this.state = state;
    this.whenClosed = whenClosed;
  }

  @Override
  public Map<String, String> describe() {
    Map<String, String> now = new LinkedHashMap<>(description);
    now.computeIfAbsent("snapshot", key -> stored.describe());
    return Collections.unmodifiableMap(now);
  }

  @Override
  public void checkpoint() throws InterruptedException {
    if (state.isPresent()) {
      stored.store(state.get());
    }
  }

  @Override
  public boolean isPending() {
    return state.isPresent() && stored.isPending();
  }

  void storeChanged() {
    stored.storeChanged();
  }

  @Override
  public Sandbox start(StartContext context) {
    program.enter();
    try {
      WasmtimeSandbox sandbox = new WasmtimeSandbox(program, context.room(), open::remove);
      open.add(sandbox);
      // Closed meanwhile: then close() may not have seen it.
      if (closed) {
        sandbox.close();
        throw new InstarException(ErrorCode.INTERNAL, "The prepared function was closed.");
      }
      return sandbox;
    } catch (RuntimeException | OutOfMemoryError e) {
      throw Trapped.failure(e, GuestFailures.FUNCTION);
    } finally {
      program.leave();
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
    stored.close();
    open.forEach(WasmtimeSandbox::close);
    program.close();
    whenClosed.accept(this);
  }
}
