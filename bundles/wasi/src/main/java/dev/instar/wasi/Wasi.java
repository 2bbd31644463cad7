package dev.instar.wasi;

import dev.instar.api.InstarException;
import dev.instar.api.sandbox.GuestLog;
import dev.instar.api.sandbox.Waits;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.nio.channels.ClosedByInterruptException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * WASI preview 1 for one instance. Between two {@link #reset}s it serves one call:
 *
 * <pre>
 * connect(input, output, log) → the guest runs, its imports come in through {@link Preview1} → reset()
 * </pre>
 *
 * <p>After a reset the guest finds its arguments, descriptors and files as it did at first, and none of the streams is referred to any more. A
 * reset does not rely on the state that it replaces, so it is right after a trap in the middle of a host function, too.
 *
 * <p>For one thread at a time.
 */
public final class Wasi implements AutoCloseable {
  /** How much is copied between guest and stream at once: what bounds the allocation, whatever length the guest names. */
  static final int BUFFER = 64 << 10;
  private static final String PREOPEN = "/";
  /** What an idle sandbox keeps of its buffer: there may be thousands of them. */
  private static final int KEPT = 8 << 10;

  static {
    // There before a guest can meet a limit with hardly any stack left: a class whose initialisation fails is lost for the whole node.
    Shortage.valueOf("NODE");
    HostFiles.OF_PROCESS.left();
  }

  private final WasiSettings settings;
  private final WasiState state;
  private final Optional<FileView> files;
  private final FdTable table;
  /** That of the last call, which is read before the next: so that calls make no garbage. */
  private final long[] result = new long[1];
  private byte[] buffer = new byte[0];
  private int bufferUsed;
  private InputStream input = InputStream.nullInputStream();
  private OutputStream output = OutputStream.nullOutputStream();
  private GuestLog log = GuestLog.NONE;
  private Waits waits = Waits.NONE;
  private long cpuStart;
  private Optional<GuestMemory> memory = Optional.empty();
  private Optional<Shortage> shortage = Optional.empty();
  private boolean drewRandom;
  private boolean readClock;

  final FdCalls fd = new FdCalls(this);
  final PathCalls path = new PathCalls(this);
  final ProcessCalls process;
  final PollOneoff poll = new PollOneoff(this);

  /** Starts with the files of the settings and the standard descriptors. */
  public Wasi(WasiSettings settings) {
    this(settings, initial(settings));
  }

  /** Starts, now and after each reset, with what another guest has left; the files of the settings do not count then. */
  public Wasi(WasiSettings settings, WasiState state) {
    this.settings = settings;
    this.state = state;
    this.files = state.files.map(tree -> new FileView(tree, state.nextNumber, settings));
    this.table = new FdTable(settings.quota().descriptors());
    if (state.slots.size() > settings.quota().descriptors()) {
      throw new IllegalArgumentException("a quota of " + settings.quota().descriptors() + " descriptors has no room for the " + state.slots.size()
          + " to start with");
    }
    this.process = new ProcessCalls(this);
    start();
  }

  /** Gives the guest the streams of a call. They are used by the thread that runs the guest, and until the reset. */
  public void connect(InputStream stdin, OutputStream stdout, GuestLog stderr) {
    reconnect(stdin, stdout);
    log = stderr;
    cpuStart = settings.clocks().cpu();
  }

  /** Gives the guest other streams in the same call. */
  public void reconnect(InputStream stdin, OutputStream stdout) {
    input = stdin;
    output = stdout;
  }

  /** Tells who is to know when the guest sleeps, until the reset. */
  public void waits(Waits told) {
    waits = told;
  }

  /** The result of a call as an engine takes it, until the next one. */
  public long[] result(Errno errno) {
    result[0] = errno.code();
    return result;
  }

  public FileQuota quota() {
    return settings.quota();
  }

  void note(Shortage met) {
    shortage = Optional.of(met);
  }

  /** What the guest was refused last, since the last reset. */
  public Optional<Shortage> shortage() {
    return shortage;
  }

  void noteRandom() {
    drewRandom = true;
  }

  void noteClock() {
    readClock = true;
  }

  /** Whether the guest has got random numbers since the last reset. */
  public boolean drewRandom() {
    return drewRandom;
  }

  /** Whether the guest has learned of the time since the last reset: from a clock, from a wait that may end in several ways, or from a file that it has changed. */
  public boolean readClock() {
    return readClock;
  }

  /** Whether the guest has left descriptors and files as it found them: a snapshot of its memory is then complete. */
  public boolean isPristine() {
    return table.isPristine() && files.map(FileView::isPristine).orElse(true);
  }

  /**
   * The present files and descriptors for others to start with. This object goes on as before.
   *
   * @param maxHeapBytes how much of the heap the contents of files may take
   * @return empty when they would take more, or could not be read
   */
  public Optional<WasiState> freeze(long maxHeapBytes) {
    return new Freezer(maxHeapBytes).freeze(files, table);
  }

  /** Back to the beginning. */
  public void reset() {
    input = InputStream.nullInputStream();
    output = OutputStream.nullOutputStream();
    log = GuestLog.NONE;
    waits = Waits.NONE;
    memory = Optional.empty();
    shortage = Optional.empty();
    drewRandom = false;
    readClock = false;
    table.clear();
    files.ifPresent(FileView::reset);
    if (buffer.length > KEPT) {
      buffer = new byte[0];
    } else {
      Arrays.fill(buffer, 0, Math.min(bufferUsed, buffer.length), (byte) 0);
    }
    bufferUsed = 0;
    start();
  }

  /** Gives back host descriptors and disk. Idempotent. */
  @Override
  public void close() {
    reset();
  }

  /** What an engine's binding keeps of the instance until the reset. */
  public Optional<GuestMemory> memory() {
    return memory;
  }

  /** Keeps it. */
  public void memory(GuestMemory adapted) {
    memory = Optional.of(adapted);
  }

  WasiSettings settings() {
    return settings;
  }

  Clocks clocks() {
    return settings.clocks();
  }

  void sleep(long nanos) throws InterruptedException {
    waits.during(() -> clocks().sleep(nanos));
  }

  FdTable table() {
    return table;
  }

  FileView files() {
    return files.orElseThrow();
  }

  /** CPU time since the call began. */
  long cpuTime() {
    return Math.max(0, settings.clocks().cpu() - cpuStart);
  }

  /** The buffer of the copying calls. Its first {@code length} bytes, at most {@link #BUFFER}, are about to be used. */
  byte[] buffer(int length) {
    if (length > buffer.length) {
      buffer = new byte[length <= KEPT ? KEPT : BUFFER];
    }
    bufferUsed = Math.max(bufferUsed, length);
    return buffer;
  }

  int readInput(byte[] into, int length) {
    try {
      return input.read(into, 0, length);
    } catch (InstarException e) {
      throw CallStopped.by(e);
    } catch (IOException e) {
      throw stopped(e);
    }
  }

  int availableInput() {
    try {
      return Math.max(0, input.available());
    } catch (InstarException e) {
      throw CallStopped.by(e);
    } catch (IOException e) {
      throw stopped(e);
    }
  }

  void writeOutput(Descriptor.Standard to, byte[] from, int length) {
    if (to == Descriptor.Standard.LOG) {
      log.write(from, 0, length);
      return;
    }
    try {
      output.write(from, 0, length);
    } catch (InstarException e) {
      throw CallStopped.by(e);
    } catch (IOException e) {
      throw stopped(e);
    }
  }

  private static CallStopped stopped(IOException e) {
    // Its subclass SocketTimeoutException is no interrupt.
    if (e.getClass() == InterruptedIOException.class || e instanceof ClosedByInterruptException) {
      return CallStopped.byInterrupt();
    }
    return CallStopped.by(e);
  }

  private static WasiState initial(WasiSettings settings) {
    List<Optional<WasiState.Slot>> slots = new ArrayList<>();
    for (Descriptor.Standard standard : Descriptor.Standard.values()) {
      long rights = standard == Descriptor.Standard.INPUT ? Rights.INPUT_STREAM : Rights.OUTPUT_STREAM;
      slots.add(Optional.of(new WasiState.Slot.Stream(standard, rights, 0, 0)));
    }
    settings.files().ifPresent(tree -> slots.add(Optional.of(
        new WasiState.Slot.Directory(tree.root(), Optional.of(List.of()), Optional.of(PREOPEN), Rights.DIRECTORY, Rights.ALL, 0))));
    return new WasiState(settings.files(), FileView.FIRST_NUMBER, slots, 0);
  }

  private void start() {
    for (int fd = 0; fd < state.slots.size(); fd++) {
      if (state.slots.get(fd).isPresent()) {
        table.put(fd, descriptor(state.slots.get(fd).get()));
      }
    }
    table.settle();
  }

  private Descriptor descriptor(WasiState.Slot slot) {
    return switch (slot) {
      case WasiState.Slot.Stream s -> new Descriptor.Stream(s.standard(), s.base(), s.flags());
      case WasiState.Slot.File f -> {
        var file = new Descriptor.OpenFile((RegularFile) files().restored(f.node(), f.path()), f.base(), f.flags());
        file.offset = f.offset();
        yield file;
      }
      case WasiState.Slot.Directory d ->
          new Descriptor.OpenDirectory((Directory) files().restored(d.node(), d.path()), d.preopen(), d.base(), d.inheriting(), d.flags());
    };
  }
}
