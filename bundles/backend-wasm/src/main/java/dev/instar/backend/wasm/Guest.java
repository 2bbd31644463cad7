package dev.instar.backend.wasm;

import com.dylibso.chicory.runtime.ChicoryInterruptedException;
import com.dylibso.chicory.runtime.ExecutionListener;
import com.dylibso.chicory.runtime.Instance;
import dev.instar.api.sandbox.GuestLog;
import dev.instar.backend.wasm.memory.CowMemory;
import dev.instar.backend.wasm.wasi.Wasi;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;

/**
 * One instance and what belongs to it. It serves one call and is thrown away: a new one starts from the snapshot, so nothing that an engine
 * or a host call keeps with an instance can reach the next call.
 */
final class Guest {
  /**
   * Called for each interpreted instruction. Chicory's interpreter looks for an interrupt at calls and at {@code br}, but not at
   * {@code br_if} and {@code br_table}: a loop of these could not be stopped.
   */
  static final ExecutionListener INTERRUPTIBLE = (instruction, stack) -> {
    if (Thread.currentThread().isInterrupted()) {
      throw new ChicoryInterruptedException("interrupted");
    }
  };

  /**
   * What guests are charged to.
   *
   * @param heap tables and what an engine keeps with an instance
   * @param memory linear memories: while a guest runs, all of its own; what a reset has left of it while it waits
   */
  record Budgets(MemoryBudget heap, MemoryBudget memory) {}

  /** Where a call's input lies in the guest's memory. */
  record Input(int address, int size) {
    private static final Input NONE = new Input(0, 0);
  }

  /** What an element of a table takes: a number and a reference, and both again while the table grows. */
  private static final int ELEMENT_COST = 16;

  private final CowMemory memory;
  private final Wasi wasi;
  private final Budgets budgets;
  private final int end;
  private int elementsLeft;
  private long heapCharged;
  private long memoryCharged;
  private Instance instance;
  private Input input = Input.NONE;
  private OutputStream output = OutputStream.nullOutputStream();
  private boolean answered;

  /**
   * @param memory as at the start or after a reset
   * @param end where a module's own memory ends, and the room for calls begins
   * @param elements how many elements its tables may have together
   * @param overhead bytes that the instance takes whatever it does
   */
  Guest(CowMemory memory, Wasi wasi, Budgets budgets, int end, int elements, long overhead) {
    this.memory = memory;
    this.wasi = wasi;
    this.budgets = budgets;
    this.end = end;
    this.elementsLeft = elements;
    budgets.heap().demand(overhead);
    heapCharged = overhead;
    memory.mayGrow(this::charge);
    long kept = memory.kept();
    if (budgets.memory().takeToWait(kept)) {
      memoryCharged = kept;
    } else {
      memory.trim();
    }
  }

  /** Before a call, or an initialiser: the memory stays mapped until {@link #leave}, whoever closes it. */
  void enter() {
    memory.enter();
    try {
      charge(memory.bytes() - memoryCharged);
    } catch (RuntimeException e) {
      memory.leave();
      throw e;
    }
  }

  /** Ends what {@link #enter} began. */
  void leave() {
    memory.leave();
  }

  /** Where the host gives less than it is charged for, the end of the guest sets that right. */
  private boolean charge(long more) {
    if (more > 0) {
      budgets.memory().demand(more);
      memoryCharged += more;
    }
    return true;
  }

  int end() {
    return end;
  }

  /** Takes elements for a table, if there are so many left. */
  boolean takeElements(int count) {
    if (count > elementsLeft || !budgets.heap().take((long) count * ELEMENT_COST)) {
      return false;
    }
    elementsLeft -= count;
    heapCharged += (long) count * ELEMENT_COST;
    return true;
  }

  /** Takes elements for a table that the module declares. The declared size is within bounds. */
  void demandElements(int count) {
    budgets.heap().demand((long) count * ELEMENT_COST);
    elementsLeft -= count;
    heapCharged += (long) count * ELEMENT_COST;
  }

  void run(Instance made) {
    instance = made;
  }

  Instance instance() {
    return instance;
  }

  CowMemory memory() {
    return memory;
  }

  Wasi wasi() {
    return wasi;
  }

  void input(Input placed) {
    input = placed;
  }

  /** Sets where its standard streams go, and its answer. */
  void connect(InputStream stdin, OutputStream stdout, GuestLog log, OutputStream answer) {
    wasi.connect(stdin, stdout, log);
    output = answer;
  }

  /** Whether the answer has been given by {@code __faasm_write_output}. */
  boolean answered() {
    return answered;
  }

  /** Copies from the memory to the answer. */
  void send(int address, int length) {
    memory.check(address, length);
    byte[] buffer = new byte[Math.min(length, 64 << 10)];
    int at = 0;
    try {
      while (at < length) {
        int n = Math.min(buffer.length, length - at);
        memory.read(address + at, buffer, 0, n);
        output.write(buffer, 0, n);
        at += n;
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** {@code __faasm_read_input}. */
  int readInput(int buffer, int length) {
    if (length == 0) {
      return input.size();
    }
    memory.check(buffer, length);
    int n = Math.min(length, input.size());
    memory.copy(buffer, input.address(), n);
    return n;
  }

  /** {@code __faasm_write_output}. */
  void writeOutput(int address, int length) {
    memory.check(address, length);
    answered = true;
    send(address, length);
  }

  /** Calls an exported function. */
  long[] call(String export, long... arguments) {
    return instance.export(export).apply(arguments);
  }

  /** Ends it, so that another may have its memory and its WASI. */
  void discharge() {
    budgets.heap().give(heapCharged);
    budgets.memory().give(memoryCharged);
    heapCharged = 0;
    memoryCharged = 0;
  }

  /** Ends it and gives back what it holds. */
  void release() {
    discharge();
    memory.close();
    wasi.close();
  }
}
