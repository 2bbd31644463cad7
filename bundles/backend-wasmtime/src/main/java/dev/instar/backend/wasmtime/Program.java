package dev.instar.backend.wasmtime;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.sandbox.GuestLog;
import dev.instar.api.sandbox.StartContext.Room;
import dev.instar.api.wasmtime.WasmtimeException;
import dev.instar.api.wasmtime.WasmtimeInstance;
import dev.instar.api.wasmtime.WasmtimeModule;
import dev.instar.api.wasmtime.WasmtimeTrap;
import dev.instar.wasi.ProcExit;
import dev.instar.wasi.Wasi;
import dev.instar.wasi.WasiSettings;
import dev.instar.wasi.WasiState;
import dev.instar.wasi.guest.UseCount;
import java.util.ArrayDeque;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;

/**
 * A compiled module, and what its instances are made of. It is unmapped when it is closed and the last of its users has left: not before, since they run in it.
 *
 * <p>Where an instance can be brought back to how it began ({@link Rewinder}), it serves one call after the other; else each call has one that is new. An instance
 * that has served waits here, first to be brought back and then for its next call, and is closed when somebody needs its place.
 */
final class Program implements AutoCloseable {
  /**
   * What its instances begin with.
   *
   * @param initialisers exported functions that each runs before its call
   * @param starts whether there is a start function
   * @param files what an initialisation has left of them
   * @param room bytes at the end of the memory that are for calls, and not the module's own
   */
  record Form(Convention convention, List<String> initialisers, boolean starts, WasiSettings wasi, Optional<WasiState> files, int room,
      Guest.Allowance allowance) {
    /** Whether each instance is initialised for itself; what only makes it unique does not count. */
    boolean anew() {
      return starts || initialisers.stream().anyMatch(one -> !one.equals(Convention.RESEED));
    }
  }

  /** As many calls as may run at one time on a machine of some processors; more wait in host calls. */
  private static final int MOST_IDLE = 32;

  private static final WasmtimeModule.Host NOBODY = new WasmtimeModule.Host() {};

  private final WasmtimeModule module;
  private final Form form;
  private final SharedEngine engine;
  private final Optional<Rewinder> rewinder;
  private final List<Runnable> whenFree = new CopyOnWriteArrayList<>();
  /** Instances that can begin a call, the last used at the end; and those that a call has left, and whether it was their first. Guarded by {@link #idle}. */
  private final ArrayDeque<WasmtimeInstance> idle = new ArrayDeque<>();
  private final Map<WasmtimeInstance, Boolean> left = new IdentityHashMap<>();
  private final UseCount uses = new UseCount();

  /**
   * @param rewinder of its instances, where they can be brought back
   * @param engine has been acquired for it
   */
  Program(WasmtimeModule module, Form form, Optional<Rewinder> rewinder, SharedEngine engine) {
    this.module = module;
    this.form = form;
    this.rewinder = rewinder;
    this.engine = engine;
    engine.add(this);
  }

  /** Tells somebody, once, when nothing of it is in use any more; while it is open. */
  void whenFree(Runnable told) {
    whenFree.add(told);
  }

  Form form() {
    return form;
  }

  /** Whether its instances are brought back, and not made anew. */
  boolean rewinds() {
    return rewinder.isPresent();
  }

  /** Keeps it until {@link #leave}. False when it is closed. */
  boolean acquire() {
    return uses.acquire();
  }

  /** The same. @throws InstarException when it is closed */
  void enter() {
    if (!acquire()) {
      throw new InstarException(ErrorCode.INTERNAL, "The prepared function was closed.");
    }
  }

  void leave() {
    if (uses.release()) {
      free();
    }
  }

  private void free() {
    engine.remove(this);
    while (makeRoom()) {
      // One after the other.
    }
    module.close();
    rewinder.ifPresent(Rewinder::close);
    engine.release();
    whenFree.forEach(Runnable::run);
  }

  Guest guest(Wasi wasi, Room room) {
    return new Guest(wasi, form.allowance(), room);
  }

  Wasi wasi() {
    return form.files().map(files -> new Wasi(form.wasi(), files)).orElseGet(() -> new Wasi(form.wasi()));
  }

  /**
   * Makes an instance and runs what is to be run before a call.
   *
   * @param running is told what runs
   * @throws RuntimeException that of {@link Trapped#of}, and what a status says
   */
  WasmtimeInstance begin(Guest guest, GuestLog log, Consumer<String> running) {
    return begin(guest, log, running, form.initialisers());
  }

  /** The same with other initialisers. */
  WasmtimeInstance begin(Guest guest, GuestLog log, Consumer<String> running, List<String> initialisers) {
    guest.connect(log);
    running.accept(form.starts() ? Convention.START : Convention.INSTANTIATION);
    Optional<WasmtimeInstance> waiting = waiting(guest);
    WasmtimeInstance instance = waiting.orElseGet(() -> blank(guest));
    try {
      boolean rewinds = waiting.isPresent() || rewinder.isPresent() && rewinder.get().begin(instance);
      guest.begin(instance, form.room(), rewinds, waiting.isEmpty());
      for (String one : initialisers) {
        running.accept(one);
        long status = instance.call(one);
        if (one.equals(Convention.ZYGOTE) && (int) status != 0 && form.convention() == Convention.FAASM) {
          throw new ProcExit((int) status);
        }
        guest.initialised();
      }
      return instance;
    } catch (WasmtimeTrap e) {
      instance.close();
      throw Trapped.of(e);
    } catch (Throwable e) {
      instance.close();
      throw e;
    }
  }

  /** Makes an instance that nothing is run in. */
  WasmtimeInstance blank(Guest guest) {
    while (true) {
      try {
        return module.instantiate(guest, form.allowance().memoryBytes(), form.allowance().tableElements());
      } catch (WasmtimeTrap e) {
        throw Trapped.of(e);
      } catch (WasmtimeException e) {
        if (!e.full() || !engine.makeRoom()) {
          throw e;
        }
      }
    }
  }

  private Optional<WasmtimeInstance> waiting(Guest guest) {
    WasmtimeInstance instance;
    synchronized (idle) {
      // The last one has the warmest caches.
      instance = idle.pollLast();
    }
    if (instance != null) {
      instance.serve(guest);
    }
    return Optional.ofNullable(instance);
  }

  /** Takes an instance back from a call that has ended by itself. Whether it waits for {@link #rewind}. */
  boolean served(WasmtimeInstance instance, Guest guest) {
    if (!guest.rewinds()) {
      instance.close();
      return false;
    }
    // Nothing is charged, and nobody asked, for what is run from here to its next call.
    instance.serve(NOBODY);
    synchronized (idle) {
      left.put(instance, guest.first());
    }
    return true;
  }

  /** Brings an instance back that was left to it, unless it was closed meanwhile. Between {@link #enter} and {@link #leave}. */
  void rewind(WasmtimeInstance instance) {
    Boolean first;
    synchronized (idle) {
      first = left.remove(instance);
    }
    if (first == null) {
      return;
    }
    boolean kept = false;
    try {
      if (rewinder.orElseThrow().rewind(instance, first)) {
        synchronized (idle) {
          kept = idle.size() < MOST_IDLE;
          if (kept) {
            idle.addLast(instance);
          }
        }
      }
    } finally {
      if (!kept) {
        instance.close();
      }
    }
  }

  /** Closes an instance that was left to it, unless that was done. */
  void drop(WasmtimeInstance instance) {
    if (acquire()) {
      try {
        boolean mine;
        synchronized (idle) {
          mine = left.remove(instance) != null;
        }
        if (mine) {
          instance.close();
        }
      } finally {
        leave();
      }
    }
  }

  /** Closes an instance that waits. False when none does. Between {@link #enter} and {@link #leave}. */
  boolean makeRoom() {
    WasmtimeInstance instance;
    synchronized (idle) {
      instance = idle.pollFirst();
      if (instance == null) {
        var all = left.keySet().iterator();
        if (!all.hasNext()) {
          return false;
        }
        instance = all.next();
        all.remove();
      }
    }
    instance.close();
    return true;
  }

  /** Ends those of its instances soon whose threads were interrupted. */
  void tick() {
    engine.tick();
  }

  @Override
  public void close() {
    if (uses.close()) {
      free();
    }
  }
}
