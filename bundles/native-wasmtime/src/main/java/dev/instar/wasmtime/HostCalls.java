package dev.instar.wasmtime;

import static dev.instar.wasmtime.CApi.ALL;
import static dev.instar.wasmtime.CApi.LONG;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.instar.wasmtime.CApi.Functions;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;

/** What native code calls. Nothing may be thrown through it: that would end the process. */
final class HostCalls {
  /** {@code wasmtime_func_unchecked_callback_t}; its first argument is the number of a host function. */
  static final long FUNCTION = CApi.upcall(MethodHandles.lookup(), "function",
      MethodType.methodType(long.class, long.class, long.class, long.class, long.class),
      FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG));
  /** Called on a guest's thread when {@link Engine#tick} came. */
  static final long EPOCH = CApi.upcall(MethodHandles.lookup(), "epoch",
      MethodType.methodType(long.class, long.class, long.class, long.class, long.class),
      FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG));

  private static final byte CONTINUE = 0;
  private static final MemorySegment ENDED = CApi.utf8(Arena.global(), "ended by its host");

  private HostCalls() {}

  /** Returns a trap, or 0. */
  private static long function(long number, long caller, long values, long count) {
    boolean goOn;
    try {
      goOn = Scratch.ofThread().running.host((int) number, caller, values, count);
    } catch (Throwable e) {
      goOn = false;
    }
    if (goOn) {
      return 0;
    }
    try {
      return (long) Functions.TRAP_NEW.invokeExact(ENDED.address(), ENDED.byteSize() - 1);
    } catch (Throwable e) {
      return 0;
    }
  }

  /** Returns an error, or 0: then the guest goes on until the next tick. */
  private static long epoch(long context, long data, long delta, long kind) {
    try {
      if (Scratch.ofThread().running.ends()) {
        return (long) Functions.ERROR_NEW.invokeExact(ENDED.address());
      }
    } catch (Throwable e) {
      // As if nothing had happened: it is asked again with the next tick.
    }
    ALL.set(LONG, delta, 1);
    ALL.set(ValueLayout.JAVA_BYTE, kind, CONTINUE);
    return 0;
  }
}
