package dev.instar.backend.wasmtime;

import dev.instar.api.Threads;
import dev.instar.api.wasmtime.WasmtimeEngine;
import dev.instar.wasi.guest.UseCount;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * An engine that is closed when the backend has ended and the last of its modules is free: a call that outlives both still runs in it.
 *
 * <p>While there are modules, a thread ticks, so that an interrupt of whoever sends it ends a guest soon. A kill ticks at once.
 */
final class SharedEngine implements AutoCloseable {
  /** Measured: a running guest's answer to a tick takes less than a microsecond. */
  private static final long TICK_MILLIS = 10;

  private final WasmtimeEngine engine;
  private final UseCount uses = new UseCount();
  private final AtomicInteger modules = new AtomicInteger();
  private final Object wake = new Object();
  private final Set<Program> programs = ConcurrentHashMap.newKeySet();

  SharedEngine(WasmtimeEngine engine) {
    this.engine = engine;
    Threads.startPlatform("wasmtime-ticker", this::ticks);
  }

  private void ticks() {
    try {
      while (!uses.closed() || uses.inUse()) {
        if (modules.get() == 0) {
          synchronized (wake) {
            while (modules.get() == 0 && !uses.closed()) {
              wake.wait();
            }
          }
        } else {
          Thread.sleep(TICK_MILLIS);
          if (!tick()) {
            return;
          }
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** For a module. False when it is closed. */
  boolean acquire() {
    if (!uses.acquire()) {
      return false;
    }
    if (modules.getAndIncrement() == 0) {
      wake();
    }
    return true;
  }

  /** Ends what {@link #acquire} began. */
  void release() {
    modules.decrementAndGet();
    leave();
  }

  void add(Program program) {
    programs.add(program);
  }

  void remove(Program program) {
    programs.remove(program);
  }

  /** Closes an instance that waits for a call, of whatever program. False when there is none. */
  boolean makeRoom() {
    for (Program program : programs) {
      if (program.acquire()) {
        try {
          if (program.makeRoom()) {
            return true;
          }
        } finally {
          program.leave();
        }
      }
    }
    return false;
  }

  private void leave() {
    if (uses.release()) {
      engine.close();
    }
  }

  private void wake() {
    synchronized (wake) {
      wake.notifyAll();
    }
  }

  WasmtimeEngine engine() {
    return engine;
  }

  /** False when it is closed. */
  boolean tick() {
    if (!uses.acquire()) {
      return false;
    }
    engine.tick();
    leave();
    return true;
  }

  @Override
  public void close() {
    if (uses.close()) {
      engine.close();
    }
    wake();
  }
}
