package dev.instar.backend.wasmtime;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.wasmtime.WasmtimeException;
import dev.instar.api.wasmtime.WasmtimeTrap;
import dev.instar.wasi.CallStopped;
import dev.instar.wasi.GuestTrap;
import dev.instar.wasi.guest.GuestFailures;
import dev.instar.wasi.guest.MemoryBudget;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** A trap on its way through code that knows nothing of the engine; and what those who asked are told. */
final class Trapped extends RuntimeException {
  private static final long serialVersionUID = 1;
  private static final Logger LOG = LoggerFactory.getLogger(Trapped.class);
  private static final String STACK = "call stack exhausted";

  private Trapped(WasmtimeTrap trap) {
    super(trap.getMessage(), trap, false, false);
  }

  /** The trap without the engine around it: what a host function has thrown is thrown on. */
  static RuntimeException of(WasmtimeTrap trap) {
    return switch (trap.getCause()) {
      case RuntimeException e -> e;
      case StackOverflowError e -> new Trapped(new WasmtimeTrap(WasmtimeTrap.Reason.STACK, STACK, null));
      case Error e -> throw e;
      case null -> new Trapped(trap);
      default -> new IllegalStateException(trap.getCause());
    };
  }

  /** Whether its thread's interrupt ended it. */
  static boolean interrupted(Throwable thrown) {
    return thrown instanceof Trapped trapped && ((WasmtimeTrap) trapped.getCause()).reason() == WasmtimeTrap.Reason.INTERRUPTED;
  }

  /** The failure that a call ends with. @param subject what has ended, as the beginning of a sentence */
  static InstarException failure(Throwable thrown, String subject) {
    return GuestFailures.of(thrown, subject).orElseGet(() -> problem(thrown instanceof CallStopped e ? e.getCause() : thrown, subject));
  }

  private static InstarException problem(Throwable thrown, String subject) {
    return switch (thrown) {
      case Trapped e -> trapped(e, ((WasmtimeTrap) e.getCause()).reason() == WasmtimeTrap.Reason.STACK ? STACK : e.getMessage(), subject);
      case GuestTrap e -> trapped(e, e.getMessage().startsWith("out of bounds memory access") ? "out of bounds memory access" : "the engine stopped it", subject);
      case WasmtimeException e when e.full() -> new InstarException(Problem.of(ErrorCode.NODE_BUSY,
          "All places for calls on wasmtime are taken; try again later, or raise instances of dev.instar.backend.wasmtime.").retryAfter(MemoryBudget.SOON));
      case OutOfMemoryError e -> new InstarException(Problem.of(ErrorCode.OUT_OF_MEMORY,
          "The node's Java heap had no room left for the function; give the node more (-Xmx)."), e);
      default -> {
        LOG.error("A fault of the engine ended a function", thrown);
        yield new InstarException(Problem.of(ErrorCode.INTERNAL, "The WebAssembly engine of this node failed; its log says more."), thrown);
      }
    };
  }

  private static InstarException trapped(Throwable thrown, String trap, String subject) {
    return new InstarException(Problem.of(trap.equals(STACK) ? ErrorCode.STACK_OVERFLOW : ErrorCode.FUNCTION_TRAPPED, subject + " trapped: " + trap + ".",
        Map.of("trap", trap)), thrown);
  }
}
