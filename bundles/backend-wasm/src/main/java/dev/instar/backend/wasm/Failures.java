package dev.instar.backend.wasm;

import com.dylibso.chicory.runtime.WasmException;
import com.dylibso.chicory.wasm.ChicoryException;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.wasi.CallStopped;
import dev.instar.wasi.GuestTrap;
import dev.instar.wasi.guest.GuestFailures;
import java.util.Map;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Says in the words of the WebAssembly specification how a guest has ended. */
final class Failures {
  private static final Logger LOG = LoggerFactory.getLogger(Failures.class);

  private static final String STACK = "call stack exhausted";

  /** Beginnings of Chicory's messages, and the specification's words for them. The first that fits counts. */
  private static final String[][] TRAPS = {
      {"Trapped on unreachable", "unreachable"},
      {"integer divide by zero", "integer divide by zero"},
      {"integer overflow", "integer overflow"},
      {"invalid conversion to integer", "invalid conversion to integer"},
      {"out of bounds memory access", "out of bounds memory access"},
      {"out of bounds table access", "out of bounds table access"},
      {"undefined element", "undefined element"},
      {"uninitialized element", "uninitialized element"},
      {"indirect call type mismatch", "indirect call type mismatch"},
      {STACK, STACK},
      {"null function reference", "null function reference"},
      {"null reference", "null reference"},
      {"Attempt to wait on a non-shared memory", "expected shared memory"},
      {"unaligned atomic", "unaligned atomic"}};

  private Failures() {}

  /** The failure that a call ends with. An exit with 0 is none and must be dealt with before. */
  static InstarException of(Throwable thrown) {
    return of(thrown, GuestFailures.FUNCTION);
  }

  /** @param subject what has ended, as the beginning of a sentence */
  static InstarException of(Throwable thrown, String subject) {
    return GuestFailures.of(thrown, subject).orElseGet(() -> problem(thrown instanceof CallStopped e ? e.getCause() : thrown, subject));
  }

  private static InstarException problem(Throwable thrown, String subject) {
    Optional<String> trap = trap(thrown);
    if (trap.isPresent()) {
      return new InstarException(Problem.of(code(trap.get()),
          subject + " trapped: " + trap.get() + where(thrown) + ".",
          Map.of("trap", trap.get())), thrown);
    }
    if (thrown instanceof OutOfMemoryError) {
      return new InstarException(Problem.of(ErrorCode.OUT_OF_MEMORY,
          "The node's Java heap had no room left for the function; lower its memory limit or guest-memory-bytes, or give the node more (-Xmx)."),
          thrown);
    }
    LOG.error("A fault of the engine ended a function", thrown);
    return new InstarException(Problem.of(ErrorCode.INTERNAL, "The WebAssembly engine of this node failed; its log says more."), thrown);
  }

  /** What a call that ends with this trap is told. */
  static ErrorCode code(String trap) {
    return trap.equals(STACK) ? ErrorCode.STACK_OVERFLOW : ErrorCode.FUNCTION_TRAPPED;
  }

  /** What a guest did, where it was the guest. */
  static Optional<String> trap(Throwable thrown) {
    return switch (thrown) {
      case StackOverflowError e -> Optional.of(STACK);
      case WasmException e -> Optional.of("uncaught exception");
      case ArithmeticException e -> Optional.of("integer divide by zero");
      case ChicoryException e -> Optional.of(named(e));
      case GuestTrap e -> Optional.of(named(e));
      // Where Chicory relies on Java's own checks, as for the bounds of segments and tables.
      case IndexOutOfBoundsException e -> Optional.of("out of bounds access");
      case NegativeArraySizeException e -> Optional.of("out of bounds access");
      case NullPointerException e -> Optional.of("null reference");
      default -> Optional.empty();
    };
  }

  private static String named(RuntimeException e) {
    String message = String.valueOf(e.getMessage());
    for (String[] known : TRAPS) {
      if (message.startsWith(known[0])) {
        return known[1];
      }
    }
    // Not louder: a guest chooses how often.
    LOG.debug("A trap without a name", e);
    return "the engine stopped it";
  }

  /** The function of the module where it happened, as far as the Java stack tells. */
  private static String where(Throwable thrown) {
    for (StackTraceElement frame : thrown.getStackTrace()) {
      if (frame.getMethodName().startsWith("func_") && frame.getClassName().contains("FuncGroup_")) {
        return " (in function " + frame.getMethodName().substring("func_".length()) + " of the module)";
      }
    }
    return "";
  }
}
