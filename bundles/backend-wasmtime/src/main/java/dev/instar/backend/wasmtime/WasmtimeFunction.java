package dev.instar.backend.wasmtime;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.sandbox.GuestLog;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.api.sandbox.StartContext;
import dev.instar.api.sandbox.StartContext.Room;
import dev.instar.api.wasmtime.WasmtimeInstance;
import dev.instar.api.wasmtime.WasmtimeModule;
import dev.instar.api.wasmtime.WasmtimeTrap;
import dev.instar.wasi.ProcExit;
import dev.instar.wasi.Wasi;
import dev.instar.wasi.WasiSettings;
import dev.instar.wasi.guest.GuestFailures;
import dev.instar.wasi.guest.UseCount;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;

/** A compiled module. It is unmapped when it is closed and the last of its calls has ended: not before, since they run in it. */
final class WasmtimeFunction implements PreparedFunction {
  /** What its instances are made of. */
  record Form(Convention convention, List<String> initialisers, boolean starts, WasiSettings wasi, Guest.Allowance allowance) {}

  private final WasmtimeModule module;
  private final Form form;
  private final Map<String, String> description;
  private final Runnable ticker;
  private final Runnable whenFree;
  private final UseCount uses = new UseCount();
  private final Set<WasmtimeSandbox> open = ConcurrentHashMap.newKeySet();

  /**
   * @param ticker has running instances look whether they are to end
   * @param whenFree told once, when nothing is in use any more
   */
  WasmtimeFunction(WasmtimeModule module, Form form, Map<String, String> description, Runnable ticker, Runnable whenFree) {
    this.module = module;
    this.form = form;
    this.description = description;
    this.ticker = ticker;
    this.whenFree = whenFree;
  }

  Form form() {
    return form;
  }

  @Override
  public Map<String, String> describe() {
    return description;
  }

  /** Keeps it until {@link #leave}. @throws InstarException when it is closed */
  void enter() {
    if (!uses.acquire()) {
      throw closed();
    }
  }

  void leave() {
    if (uses.release()) {
      free();
    }
  }

  private void free() {
    module.close();
    whenFree.run();
  }

  private static InstarException closed() {
    return new InstarException(ErrorCode.INTERNAL, "The prepared function was closed.");
  }

  Guest guest(Wasi wasi, Room room) {
    return new Guest(wasi, form.allowance(), room);
  }

  Wasi wasi() {
    return new Wasi(form.wasi());
  }

  /**
   * Makes an instance and runs what is to be run before a call.
   *
   * @param running is told what runs
   * @throws RuntimeException that of {@link Trapped#of}, and what a status says
   */
  WasmtimeInstance begin(Guest guest, GuestLog log, Consumer<String> running) {
    guest.connect(log);
    running.accept(form.starts() ? "the start function" : "the instantiation");
    WasmtimeInstance instance;
    try {
      instance = module.instantiate(guest, form.allowance().memoryBytes(), form.allowance().tableElements());
    } catch (WasmtimeTrap e) {
      throw Trapped.of(e);
    }
    try {
      guest.begin(instance);
      for (String one : form.initialisers()) {
        running.accept(one);
        long status = instance.call(one);
        if (one.equals(Convention.ZYGOTE) && (int) status != 0 && form.convention() == Convention.FAASM) {
          throw new ProcExit((int) status);
        }
      }
      guest.initialised();
      return instance;
    } catch (WasmtimeTrap e) {
      instance.close();
      throw Trapped.of(e);
    } catch (Throwable e) {
      instance.close();
      throw e;
    }
  }

  /** Ends those of its instances soon whose threads were interrupted. */
  void tick() {
    ticker.run();
  }

  @Override
  public Sandbox start(StartContext context) {
    enter();
    try {
      WasmtimeSandbox sandbox = new WasmtimeSandbox(this, context.room(), open::remove);
      open.add(sandbox);
      return sandbox;
    } catch (RuntimeException | OutOfMemoryError e) {
      throw Trapped.failure(e, GuestFailures.FUNCTION);
    } finally {
      leave();
    }
  }

  @Override
  public void close() {
    if (uses.closed()) {
      return;
    }
    boolean free = uses.close();
    open.forEach(WasmtimeSandbox::close);
    if (free) {
      free();
    }
  }
}
