package dev.instar.backend.wasmtime;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.sandbox.GuestLog;
import dev.instar.api.sandbox.StartContext.Room;
import dev.instar.api.wasmtime.WasmtimeInstance;
import dev.instar.api.wasmtime.WasmtimeModule;
import dev.instar.api.wasmtime.WasmtimeTrap;
import dev.instar.wasi.ProcExit;
import dev.instar.wasi.Wasi;
import dev.instar.wasi.WasiSettings;
import dev.instar.wasi.WasiState;
import dev.instar.wasi.guest.UseCount;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;

/** A compiled module, and what its instances are made of. It is unmapped when it is closed and the last of its users has left: not before, since they run in it. */
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

  private final WasmtimeModule module;
  private final Form form;
  private final Runnable ticker;
  private final List<Runnable> whenFree = new CopyOnWriteArrayList<>();
  private final UseCount uses = new UseCount();

  /** @param ticker has running instances look whether they are to end */
  Program(WasmtimeModule module, Form form, Runnable ticker) {
    this.module = module;
    this.form = form;
    this.ticker = ticker;
  }

  /** Tells somebody, once, when nothing of it is in use any more; while it is open. */
  void whenFree(Runnable told) {
    whenFree.add(told);
  }

  Form form() {
    return form;
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
    module.close();
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
    WasmtimeInstance instance;
    try {
      instance = module.instantiate(guest, form.allowance().memoryBytes(), form.allowance().tableElements());
    } catch (WasmtimeTrap e) {
      throw Trapped.of(e);
    }
    try {
      guest.begin(instance, form.room());
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
    try {
      return module.instantiate(guest, form.allowance().memoryBytes(), form.allowance().tableElements());
    } catch (WasmtimeTrap e) {
      throw Trapped.of(e);
    }
  }

  /** Ends those of its instances soon whose threads were interrupted. */
  void tick() {
    ticker.run();
  }

  @Override
  public void close() {
    if (uses.close()) {
      free();
    }
  }
}
