package dev.instar.backend.wasmtime;

import dev.instar.api.sandbox.Call;
import dev.instar.api.sandbox.GuestLog;
import dev.instar.api.sandbox.StartContext.Room;
import dev.instar.api.wasmtime.WasmtimeInstance;
import dev.instar.api.wasmtime.WasmtimeModule;
import dev.instar.api.wasmtime.WasmtimeTrap;
import dev.instar.wasi.GuestMemory;
import dev.instar.wasi.Preview1;
import dev.instar.wasi.Wasi;
import dev.instar.wasi.guest.Breaches;
import dev.instar.wasi.guest.FaasmCall;
import dev.instar.wasi.guest.MemoryBudget;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.util.Optional;

/** What the imports of one instance act on. Serves one call. */
final class Guest implements WasmtimeModule.Host, FaasmCall.Callee {
  private static final int SEND = 64 << 10;

  /**
   * What it may have, and what it is charged to.
   *
   * @param memoryBytes that its memory may grow to
   * @param declaredBytes that its module says it may grow to
   * @param tableElements of each table
   */
  record Allowance(long memoryBytes, long declaredBytes, long tableElements, MemoryBudget memory) {}

  private final Wasi wasi;
  private final Allowance allowance;
  private final Room room;
  private WasmtimeInstance instance;
  private NativeMemory memory;
  private long charged;
  private long begun;
  private int end;
  private int inputAddress;
  private int inputSize;
  private boolean rewinds;
  private boolean first;
  private boolean answered;
  private OutputStream output = OutputStream.nullOutputStream();

  Guest(Wasi wasi, Allowance allowance, Room room) {
    this.wasi = wasi;
    this.allowance = allowance;
    this.room = room;
  }

  Wasi wasi() {
    return wasi;
  }

  /**
   * Takes over the instance that was made with this.
   *
   * @param bytes at the end of its memory that are for calls
   * @param again whether it can be brought back to how it is now, while its memory stays as large
   * @param fresh whether it was not brought back before
   */
  void begin(WasmtimeInstance made, int bytes, boolean again, boolean fresh) {
    seen(made);
    rewinds = again;
    first = fresh;
    begun = memory.size();
    end = (int) (begun - bytes);
  }

  /** Sets where its standard streams go for what runs before the call. */
  void connect(GuestLog log) {
    wasi.connect(InputStream.nullInputStream(), new Printed(log), log);
  }

  /** After what runs before the call: where that has made more, the room for calls begins behind it. */
  void initialised() {
    memory.look();
    if (memory.size() > begun) {
      end = (int) memory.size();
    }
  }

  /** Whether the instance can be brought back to how it began. */
  boolean rewinds() {
    if (rewinds) {
      memory.look();
    }
    return rewinds && memory.size() == begun;
  }

  /** Whether this is its instance's first call. */
  boolean first() {
    return first;
  }

  /** Where its answer goes. */
  void answer(OutputStream to) {
    output = to;
    answered = false;
  }

  /** For a command. */
  void reconnect(Call call) {
    wasi.reconnect(call.input().stream(), call.output());
  }

  private NativeMemory seen(WasmtimeInstance running) {
    if (memory == null) {
      instance = running;
      memory = new NativeMemory(running);
    }
    memory.look();
    charge();
    return memory;
  }

  /** Charges what the memory has grown by. @throws dev.instar.api.InstarException NODE_BUSY, OUT_OF_MEMORY */
  private void charge() {
    long more = memory.size() - charged;
    if (more > 0) {
      allowance.memory().demand(more, charged, room);
      charged += more;
    }
  }

  @Override
  public void tick(WasmtimeInstance running) {
    seen(running);
  }

  /** A call of WASI. */
  int wasi(WasmtimeInstance running, Preview1.Function function, long[] arguments) {
    return function.call(wasi, seen(running), arguments).code();
  }

  int readInput(WasmtimeInstance running, int buffer, int length) {
    if (length == 0) {
      return inputSize;
    }
    NativeMemory all = seen(running);
    all.check(buffer, length);
    int n = Math.min(length, inputSize);
    byte[] copy = new byte[Math.min(n, SEND)];
    for (int done = 0; done < n; done += copy.length) {
      int part = Math.min(copy.length, n - done);
      all.read(inputAddress + done, copy, 0, part);
      all.write(buffer + done, copy, 0, part);
    }
    return n;
  }

  void writeOutput(WasmtimeInstance running, int address, int length) {
    seen(running);
    answered = true;
    send(address, length);
  }

  // ---- a call by Faasm's convention ----

  @Override
  public GuestMemory memory() {
    return memory;
  }

  @Override
  public boolean grow(int pages) {
    boolean grown = instance.grow(pages).isPresent();
    seen(instance);
    return grown;
  }

  @Override
  public long maximumBytes() {
    return Math.min(allowance.memoryBytes(), allowance.declaredBytes());
  }

  @Override
  public int end() {
    return end;
  }

  @Override
  public void input(int address, int size) {
    inputAddress = address;
    inputSize = size;
  }

  @Override
  public int exec(int struct) {
    try {
      int status = (int) instance.call(Convention.FAASM.export(), struct);
      seen(instance);
      return status;
    } catch (WasmtimeTrap e) {
      look();
      throw Trapped.of(e);
    }
  }

  @Override
  public boolean answered() {
    return answered;
  }

  @Override
  public void send(int address, int length) {
    memory.check(address, length);
    byte[] buffer = new byte[Math.min(length, SEND)];
    try {
      for (int done = 0; done < length; ) {
        int n = Math.min(buffer.length, length - done);
        memory.read(address + done, buffer, 0, n);
        output.write(buffer, 0, n);
        done += n;
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * The limit that it was refused something for. Wasmtime does not tell that it refused memory: a guest that has all that it may have is taken to have
   * asked for more.
   */
  Optional<Breaches.Breach> breach() {
    if (wasi.shortage().isPresent()) {
      return Optional.of(new Breaches.Files(wasi.shortage().get(), wasi.quota()));
    }
    long page = 64 << 10;
    boolean full = memory != null && memory.size() > allowance.memoryBytes() - page && allowance.memoryBytes() < allowance.declaredBytes();
    return full ? Optional.of(new Breaches.Memory(allowance.memoryBytes())) : Optional.empty();
  }

  /** Looks how large the memory is in the end. */
  void look() {
    memory.look();
  }

  /** Gives back what it was charged. */
  void discharge() {
    allowance.memory().give(charged);
    charged = 0;
  }

  /** A log as a stream. */
  private static final class Printed extends OutputStream {
    private final GuestLog log;

    Printed(GuestLog log) {
      this.log = log;
    }

    @Override
    public void write(int b) {
      log.write(new byte[] {(byte) b}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int offset, int length) {
      log.write(bytes, offset, length);
    }
  }
}
