package dev.instar.wasi.guest;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.invocation.CallInput;

import dev.instar.wasi.GuestMemory;
import dev.instar.wasi.ProcExit;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Map;

/**
 * One call by Faasm's first-generation convention: the host has grown the guest's memory at its end, lays there
 *
 * <pre>
 *   struct FaasmMemory   32 bytes: input, output, chainFunctions, chainInputs, chainCount, inputSize, outputSize, outputCapacity
 *   chainFunctions       50 names of 32 bytes
 *   chainInputs          50 inputs of 1024 bytes
 *   input                the body, and a NUL that is not counted
 *   output               65536 bytes, or as many as the input has when these are more
 * </pre>
 *
 * and calls {@code exec} with the address of the struct. All numbers are 32-bit little endian. A snapshot has room for inputs of up to 64 KiB
 * already; the memory grows for larger ones.
 */
public final class FaasmCall {
  private static final int PAGE = 64 << 10;
  /** An address is an int here. */
  private static final int MOST_PAGES = 32767;
  private static final int STRUCT = 32;
  private static final int CHAIN_FUNCTIONS = 50 * 32;
  private static final int CHAIN_INPUTS = 50 * 1024;
  private static final int FIXED = STRUCT + CHAIN_FUNCTIONS + CHAIN_INPUTS;
  private static final int LEAST_OUTPUT = 65536;
  private static final int FIRST_BUFFER = 4 << 10;
  private static final int LARGE_BUFFER = 64 << 10;
  /** Of WebAssembly. Pages that nobody writes take no room. */
  private static final int ROOM_PAGES = 3;

  private final Callee guest;
  private final GuestMemory memory;

  /** The instance that is called. */
  public interface Callee {
    GuestMemory memory();

    /** Adds pages to the memory; whether it may have them. */
    boolean grow(int pages);

    /** What the memory may grow to. */
    long maximumBytes();

    /** Where the module's own memory ends, and the room for calls begins. */
    int end();

    /** Tells it where the input is. */
    void input(int address, int size);

    /** Calls {@code exec}. */
    int exec(int struct);

    /** Whether it has given its answer itself. */
    boolean answered();

    /** Copies from the memory to the answer. */
    void send(int address, int length);
  }

  private FaasmCall(Callee guest) {
    this.guest = guest;
    this.memory = guest.memory();
  }

  /** How many pages make room for calls in a memory of so many, as far as it may grow; where it may not, the call is told. */
  public static int roomPages(int pages, int maximumPages) {
    return Math.min(ROOM_PAGES, maximumPages - pages);
  }

  /** Makes the call. */
  public static void make(Callee guest, CallInput input) {
    new FaasmCall(guest).make(input);
  }

  private void make(CallInput body) {
    int base = guest.end();
    int input = base + FIXED;
    reserve(base, FIXED + 1);
    int size = place(body, base, input);
    // The output begins at a multiple of 16, for guests that write words.
    int output = input + size + 1 + 15 & ~15;
    int capacity = Math.max(LEAST_OUTPUT, size + LEAST_OUTPUT - 1 & -LEAST_OUTPUT);
    if (capacity < 0 || output < 0) {
      throw outOfMemory();
    }
    reserve(base, (long) output - base + capacity);
    memory.writeInt(base, input);
    memory.writeInt(base + 4, output);
    memory.writeInt(base + 8, base + STRUCT);
    memory.writeInt(base + 12, base + STRUCT + CHAIN_FUNCTIONS);
    memory.writeInt(base + 20, size);
    memory.writeInt(base + 24, -1);
    memory.writeInt(base + 28, capacity);
    guest.input(input, size);

    int status;
    try {
      status = guest.exec(base);
    } catch (ProcExit e) {
      status = e.code();
    }
    if (status != 0) {
      throw GuestFailures.failed(GuestFailures.FUNCTION, status);
    }
    if (memory.readInt(base + 16) != 0) {
      throw new InstarException(ErrorCode.CHAINING_UNAVAILABLE, "The function asked for " + Integer.toUnsignedString(memory.readInt(base + 16))
          + " chained calls, which this node does not offer; its answer was dropped.");
    }
    if (!guest.answered()) {
      answer(memory.readInt(base + 4), memory.readInt(base + 24), capacity);
    }
  }

  /** Makes sure that so many bytes from {@code base} are within the memory. */
  private void reserve(int base, long bytes) {
    long missing = base + bytes - memory.size();
    if (missing > 0) {
      long pages = (missing + PAGE - 1) / PAGE;
      if (pages > MOST_PAGES || !guest.grow((int) pages)) {
        throw outOfMemory();
      }
    }
  }

  private InstarException outOfMemory() {
    return new InstarException(ErrorCode.OUT_OF_MEMORY, "The call's input and output do not fit into the function's memory, which has "
        + memory.size() + " bytes and may grow to " + guest.maximumBytes()
        + ": the lower of the function's limit and of what its module declares.");
  }

  /** Lays the body into the memory as it comes; how many bytes it has. */
  private int place(CallInput given, int base, int input) {
    InputStream body = given.stream();
    // Most bodies are small, and to make a large buffer for each takes longer than the rest of a short call.
    byte[] buffer = new byte[(int) Math.clamp(given.length().orElse(FIRST_BUFFER), 1, FIRST_BUFFER)];
    int size = 0;
    try {
      for (int n = body.read(buffer); n >= 0; n = body.read(buffer)) {
        reserve(base, (long) FIXED + size + n + 1);
        memory.write(input + size, buffer, 0, n);
        size += n;
        if (n == FIRST_BUFFER) {
          buffer = new byte[LARGE_BUFFER];
        }
      }
      return size;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void answer(int output, int size, int capacity) {
    if (size == -1) {
      guest.send(output, terminated(output));
    } else if (size < 0 || size > capacity) {
      throw trapped("it set outputSize to " + size + ", outside of 0 to the outputCapacity of " + capacity
          + "; longer answers go through __faasm_write_output");
    } else if (Integer.toUnsignedLong(output) + size > memory.size()) {
      throw trapped("its output of " + size + " bytes at " + Integer.toUnsignedString(output) + " is not within its memory");
    } else {
      guest.send(output, size);
    }
  }

  /** The length of a text that ends with a NUL. */
  private int terminated(int address) {
    long end = memory.size();
    long start = Integer.toUnsignedLong(address);
    for (long at = start; at < end; at++) {
      if (memory.readByte((int) at) == 0) {
        return (int) (at - start);
      }
    }
    throw trapped("it set no outputSize, and its output at " + Integer.toUnsignedString(address) + " has no NUL up to the end of its memory");
  }

  private static InstarException trapped(String detail) {
    return new InstarException(ErrorCode.FUNCTION_TRAPPED, "The function gave no usable answer: " + detail + ".", Map.of("trap", "unusable answer"));
  }
}
