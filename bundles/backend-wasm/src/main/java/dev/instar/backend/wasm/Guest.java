package dev.instar.backend.wasm;

import com.dylibso.chicory.runtime.ChicoryInterruptedException;
import com.dylibso.chicory.runtime.ExecutionListener;
import com.dylibso.chicory.runtime.Instance;
import com.dylibso.chicory.runtime.Memory;
import dev.instar.api.InstarException;
import dev.instar.api.sandbox.GuestLog;
import dev.instar.api.sandbox.StartContext.Room;
import dev.instar.backend.wasm.memory.ChicoryMemory;
import dev.instar.backend.wasm.memory.CowMemory;
import dev.instar.wasi.GuestMemory;
import dev.instar.wasi.Wasi;
import dev.instar.wasi.guest.Breaches;
import dev.instar.wasi.guest.FaasmCall;
import dev.instar.wasi.guest.MemoryBudget;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.util.Optional;

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

  /**
   * What it may have.
   *
   * @param memoryBytes of linear memory
   * @param memoryBound whether that is the function's limit, and not what the module declares
   * @param tableElements elements of all its tables
   */
  record Allowance(long memoryBytes, boolean memoryBound, int tableElements) {}

  /** Where a call's input lies in the guest's memory. */
  record Input(int address, int size) {
    private static final Input NONE = new Input(0, 0);
  }

  /** What an element of a table takes: a number and a reference, and both again while the table grows. */
  private static final int ELEMENT_COST = 16;

  private final CowMemory memory;
  private final Wasi wasi;
  private final Budgets budgets;
  private int end;
  private final Allowance allowance;
  private final Room room;
  private int elementsLeft;
  private boolean elementsRefused;
  private long heapCharged;
  private long memoryCharged;
  private Instance instance;
  private Input input = Input.NONE;
  private OutputStream output = OutputStream.nullOutputStream();
  private boolean answered;

  /**
   * @param memory as at the start or after a reset
   * @param end where a module's own memory ends, and the room for calls begins
   * @param allowance what it may have
   * @param room whom to ask when a budget is used up
   * @param overhead bytes that the instance takes whatever it does
   */
  Guest(CowMemory memory, Wasi wasi, Budgets budgets, int end, Allowance allowance, Room room, long overhead) {
    this.memory = memory;
    this.wasi = wasi;
    this.budgets = budgets;
    this.end = end;
    this.allowance = allowance;
    this.room = room;
    this.elementsLeft = allowance.tableElements();
    budgets.heap().demand(overhead, 0, room);
    memory.settle();
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
      budgets.memory().demand(more, memoryCharged, room);
      memoryCharged += more;
    }
    return true;
  }

  /** Takes heap for what is kept of it when it has ended. @throws InstarException NODE_BUSY, OUT_OF_MEMORY */
  void demandHeap(long bytes) {
    budgets.heap().demand(bytes, heapCharged, room);
  }

  /** Takes memory for what is kept of it when it has ended. @throws InstarException NODE_BUSY, OUT_OF_MEMORY */
  void demandMemory(long bytes) {
    budgets.memory().demand(bytes, memoryCharged, room);
  }

  int end() {
    return end;
  }

  /** Takes elements for a table, if there are so many left. */
  boolean takeElements(int count) {
    if (count > elementsLeft) {
      elementsRefused = true;
      return false;
    }
    budgets.heap().demand((long) count * ELEMENT_COST, heapCharged, room);
    elementsRefused = false;
    elementsLeft -= count;
    heapCharged += (long) count * ELEMENT_COST;
    return true;
  }

  /** Takes elements for a table that the module declares. @throws InstarException OUT_OF_TABLES */
  void demandElements(int count) {
    if (!takeElements(count)) {
      throw new InstarException(Breaches.tables(allowance.tableElements(), "The module's tables have more elements to begin with than it may have: "));
    }
  }

  /** The limit that it was refused something for, last of its kind. */
  Optional<Breaches.Breach> breach() {
    if (wasi.shortage().isPresent()) {
      return Optional.of(new Breaches.Files(wasi.shortage().get(), wasi.quota()));
    }
    if (elementsRefused) {
      return Optional.of(new Breaches.Tables(allowance.tableElements()));
    }
    return memory.refused() && allowance.memoryBound() ? Optional.of(new Breaches.Memory(allowance.memoryBytes())) : Optional.empty();
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

  /** Sets where its standard streams go, and its answer. */
  void connect(InputStream stdin, OutputStream stdout, GuestLog log, OutputStream answer) {
    wasi.connect(stdin, stdout, log);
    output = answer;
  }

  /** Where its answer goes from now on, and nothing that was there before. */
  void answer(OutputStream answer) {
    output = answer;
    answered = false;
  }

  /** Ends what is run before a call: the room for calls begins behind all that was made. */
  void initialised(long bytesBefore) {
    if (memory.bytes() > bytesBefore) {
      end = (int) memory.bytes();
    }
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

  /** For a call by Faasm's convention. */
  FaasmCall.Callee callee() {
    GuestMemory checked = new ChicoryMemory(memory);
    return new FaasmCall.Callee() {
      @Override
      public GuestMemory memory() {
        return checked;
      }

      @Override
      public boolean grow(int pages) {
        return memory.grow(pages) >= 0;
      }

      @Override
      public long maximumBytes() {
        return (long) memory.maximumPages() * Memory.PAGE_SIZE;
      }

      @Override
      public int end() {
        return end;
      }

      @Override
      public void input(int address, int size) {
        input = new Input(address, size);
      }

      @Override
      public int exec(int struct) {
        return (int) call(Entry.FAASM.export(), struct)[0];
      }

      @Override
      public boolean answered() {
        return answered;
      }

      @Override
      public void send(int address, int length) {
        Guest.this.send(address, length);
      }
    };
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
