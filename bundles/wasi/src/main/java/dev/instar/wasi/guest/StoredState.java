package dev.instar.wasi.guest;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.SnapshotPolicy;
import dev.instar.api.snapshot.Extent;
import dev.instar.api.snapshot.OpenLayer;
import dev.instar.api.snapshot.SnapshotBuilder;
import dev.instar.api.snapshot.SnapshotKey;
import dev.instar.api.snapshot.SnapshotLayer;
import dev.instar.api.snapshot.SnapshotLease;
import dev.instar.api.snapshot.SnapshotStore;
import dev.instar.wasi.writeback.ModuleState;
import dev.instar.wasi.writeback.Outcome;
import dev.instar.wasi.writeback.WholeModule;
import java.io.ByteArrayInputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedByInterruptException;
import java.nio.file.Files;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What the snapshot store has of a prepared function: one base layer. Its memory is the linear memory from the address 0 on, without the zeros at the
 * end; its blob {@code module} is a module that begins in the state, but with an empty memory ({@link dev.instar.wasi.writeback}). An engine that maps
 * memories by itself takes the memory as it is, and the rest out of the module without parsing it; any other starts from what {@link #module} makes of the two.
 *
 * <p>Nothing that goes wrong with the store fails a function: it is initialised as if there were none.
 */
public final class StoredState implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(StoredState.class);
  /** What the store gets in one go. In between an interrupt is seen. */
  private static final int STEP = 1 << 20;
  private static final ByteBuffer ZEROS = ByteBuffer.allocate(SnapshotStore.CHUNK_BYTES).asReadOnlyBuffer();
  /** What an engine takes; that of Chicory and that of wasmtime's parser. */
  private static final int SEGMENTS = 100_000;

  private final Object changes = new Object();
  private final String engine;
  private final Supplier<Optional<SnapshotStore>> stores;
  private final SnapshotKey key;
  private final FunctionVersion version;
  private volatile Stage stage = new Blank();
  private volatile boolean closed;
  /** One that was found and is of no use, though the store takes it for whole. */
  private Optional<Digest> useless = Optional.empty();

  /** Where a function's state is. */
  private sealed interface Stage {}

  private record Blank() implements Stage {}

  private record Stored(Digest layer) implements Stage {}

  /** @param lease keeps the layer from being collected while it is of use: it would be made again. None while there is no store, or one that has it not */
  private record Restored(Digest layer, AtomicReference<Optional<SnapshotLease>> lease) implements Stage {
    void hold(Optional<SnapshotLease> other) {
      lease.getAndSet(other).ifPresent(StoredState::close);
    }
  }

  private record Never(Outcome.Inexpressible why) implements Stage {}

  /** Makes a state of what a layer has. */
  public interface Restorer<T> {
    /** @throws IllegalArgumentException when it cannot be one of this function */
    T restore(OpenLayer base) throws IOException, InterruptedException;
  }

  /** A state that was opened to be stored. */
  public interface Content extends AutoCloseable {
    /** The memory from the address 0 on; what is missing at the end is zeros. */
    ByteBuffer memory();

    /** The first address from that one on where something else than zeros may be; the memory's end where there is none. To read a hole may fill it. */
    default int data(int address) {
      return address;
    }

    /** The module that begins in the state, but for its memory. */
    Outcome module() throws IOException;

    @Override
    void close();
  }

  /** Where a state is. */
  public interface Source {
    /** @throws IllegalStateException when it is being closed */
    Content open() throws IOException;
  }

  /**
   * @param engine that makes the state, in a word
   * @param stores the store that there is now
   * @param version who needs the layer
   */
  public StoredState(String engine, Supplier<Optional<SnapshotStore>> stores, SnapshotKey key, FunctionVersion version) {
    this.engine = engine;
    this.stores = stores;
    this.key = key;
    this.version = version;
  }

  /** The function in the state that is stored; nothing when none is, or none that is of use. */
  public <T> Optional<T> restore(Restorer<T> restorer) throws InterruptedException {
    Optional<SnapshotStore> store = stores.get();
    if (store.isEmpty()) {
      return Optional.empty();
    }
    Optional<Digest> found = Optional.empty();
    Optional<SnapshotLease> lease = Optional.empty();
    try {
      found = store.get().find(key).map(SnapshotLayer::id);
      if (found.isEmpty()) {
        return Optional.empty();
      }
      lease = Optional.of(store.get().open(found.get(), key));
      T restored = restorer.restore(base(lease.get().layers()));
      stage = new Restored(found.get(), new AtomicReference<>(lease));
      hold(store.get(), found.get());
      return Optional.of(restored);
    } catch (InterruptedException e) {
      lease.ifPresent(StoredState::close);
      throw e;
    } catch (RuntimeException | IOException | OutOfMemoryError | InternalError e) {
      // An InternalError is what the JVM makes of a mapped file that got shorter.
      lease.ifPresent(StoredState::close);
      useless = found;
      LOG.warn("The stored state {} of {} cannot be used; it is initialised anew: {}", found.map(Digest::value).orElse(""), version.label(), e.getMessage());
      if (e instanceof WholeModule.TooLarge) {
        // Another would be so, too.
        stage = new Never(new Outcome.Inexpressible(Outcome.Reason.TOO_LARGE, e.getMessage()));
      }
      if (e instanceof IllegalArgumentException) {
        found.ifPresent(layer -> discard(store.get(), layer));
      }
      return Optional.empty();
    }
  }

  /** One that is whole and can never be of use: an archive chooses its time, so it may be found before all that are made in its place. */
  private static void discard(SnapshotStore store, Digest layer) {
    try {
      store.remove(layer);
    } catch (RuntimeException e) {
      LOG.warn("The snapshot layer {} of no use cannot be removed: {}", layer, e.getMessage());
    }
  }

  private static OpenLayer base(List<OpenLayer> layers) {
    OpenLayer base = layers.getLast();
    SnapshotLayer layer = base.layer();
    if (!layer.isBase() || !layer.extents().equals(extents(layer.memoryBytes()))) {
      throw new IllegalArgumentException("it is no base whose memory begins at the address 0");
    }
    return base;
  }

  /**
   * The module that begins in a stored state, memory included.
   *
   * @param base as {@link Restorer} is given it
   * @param bytes the most that the module may have
   * @throws IllegalArgumentException when it cannot be of such a state
   * @throws WholeModule.TooLarge when it would have more
   */
  public static byte[] module(OpenLayer base, long bytes) throws IOException {
    long size = base.layer().memoryBytes();
    ModuleState.Linear memory = new ModuleState.Linear() {
      @Override
      public int pages() {
        return Math.toIntExact((size + ModuleState.PAGE - 1) / ModuleState.PAGE);
      }

      @Override
      public byte[] read(int address, int length) {
        byte[] copy = new byte[length];
        base.read(address, ByteBuffer.wrap(copy, 0, (int) Math.min(length, size - address)));
        return copy;
      }
    };
    return WholeModule.of(Files.readAllBytes(base.blob(StateKey.MODULE)), size == 0 ? Optional.empty() : Optional.of(memory), SEGMENTS, bytes);
  }

  private static List<Extent> extents(long bytes) {
    return bytes == 0 ? List.of() : List.of(new Extent(0, bytes, 0));
  }

  /** Without it the layer goes earlier than it might, and is made again. */
  private void hold(SnapshotStore store, Digest layer) {
    try {
      store.hold(layer, version.uid());
    } catch (RuntimeException e) {
      LOG.warn("That {} needs the snapshot layer {} cannot be noted: {}", version.label(), layer, e.getMessage());
    }
  }

  /** To be told when a function was initialised to what can't be stored. */
  public void never(Outcome.Inexpressible why) {
    stage = new Never(why);
  }

  /** Whether it may be stored yet. */
  public boolean isPending() {
    return stage instanceof Blank;
  }

  /**
   * Stores the state, unless it is stored, came from there or cannot be expressed, or there is no store.
   *
   * @throws InstarException when the store fails
   * @throws InterruptedException when it was interrupted before the state was stored; afterwards it is only not held
   */
  public synchronized void store(Source source) throws InterruptedException {
    Optional<SnapshotStore> store = stores.get();
    if (!(stage instanceof Blank) || closed || store.isEmpty()) {
      return;
    }
    try (Content content = source.open()) {
      Optional<Digest> there = store.get().find(key).map(SnapshotLayer::id).filter(id -> !useless.equals(Optional.of(id)));
      if (there.isPresent()) {
        // Of another version that initialises to the same.
        stored(store.get(), there.get());
        return;
      }
      demandWanted();
      switch (content.module()) {
        case Outcome.Inexpressible never -> stage = new Never(never);
        case Outcome.Written written -> stored(store.get(), publish(store.get(), written, content));
      }
    } catch (Abandoned | IllegalStateException e) {
      if (Thread.interrupted()) {
        throw new InterruptedException();
      }
      if (!closed) {
        throw e;
      }
    } catch (ClosedByInterruptException e) {
      Thread.interrupted();
      throw new InterruptedException();
    } catch (IOException e) {
      LOG.error("The state of {} cannot be stored", version.label(), e);
      throw new InstarException(ErrorCode.INTERNAL, "The initialised state of " + version.label() + " cannot be stored: it cannot be read.");
    }
  }

  private void stored(SnapshotStore store, Digest layer) {
    // Else it might be held for ever by a version that has been removed.
    if (!abandoned()) {
      hold(store, layer);
    }
    stage = new Stored(layer);
  }

  private Digest publish(SnapshotStore store, Outcome.Written written, Content content) throws IOException {
    ByteBuffer memory = content.memory();
    try (SnapshotBuilder builder = store.base(key, creator())) {
      for (int at = 0; at < memory.limit();) {
        demandWanted();
        int end = Math.min(at + STEP, memory.limit());
        // Whole pages, as the store takes them.
        int data = Math.min(content.data(at) / SnapshotBuilder.PAGE_BYTES * SnapshotBuilder.PAGE_BYTES, end);
        if (data > at) {
          end = Math.min(data, at + ZEROS.capacity());
          builder.memory(at, ZEROS.duplicate().limit(end - at));
        } else {
          builder.memory(at, memory.duplicate().position(at).limit(end));
        }
        at = end;
      }
      builder.blob(StateKey.MODULE, new WhileWanted(new ByteArrayInputStream(written.module())));
      demandWanted();
      return builder.publish().id();
    }
  }

  /** Printable ASCII, as the store demands it. */
  private String creator() {
    String creator = engine + ", for " + version.label().replaceAll("[^ -~]", "?");
    return creator.substring(0, Math.min(200, creator.length()));
  }

  /** Whether the function is being closed: nobody waits for its state any more. */
  private boolean abandoned() {
    return closed || Thread.currentThread().isInterrupted();
  }

  private void demandWanted() {
    if (abandoned()) {
      throw new Abandoned();
    }
  }

  private static final class Abandoned extends RuntimeException {
    private static final long serialVersionUID = 1;

    Abandoned() {
      super("The prepared function is being closed", null, false, false);
    }
  }

  private final class WhileWanted extends FilterInputStream {
    WhileWanted(InputStream in) {
      super(in);
    }

    @Override
    public int read() throws IOException {
      demandWanted();
      return super.read();
    }

    @Override
    public int read(byte[] into, int offset, int length) throws IOException {
      demandWanted();
      return super.read(into, offset, length);
    }
  }

  /** For people. */
  public String describe() {
    return switch (stage) {
      case Blank _ -> version.spec().snapshot() instanceof SnapshotPolicy.Never ? "not stored, as its policy is never" : "not stored yet";
      case Stored s when stores.get().filter(store -> store.inspect(s.layer).isEmpty()).isPresent() ->
          "no longer stored: " + s.layer + " was removed or set aside; it is stored again after its next preparation";
      case Stored s -> "stored as " + s.layer;
      case Restored r -> "restored from " + r.layer;
      case Never n -> "cannot be stored: " + n.why.detail();
    };
  }

  /** Ends what {@link #store} does, without waiting for it, and lets the layer go. */
  @Override
  public void close() {
    closed = true;
    if (stage instanceof Restored r) {
      r.hold(Optional.empty());
    }
  }

  /** Another store is there than before, or none: what is open of the one before would keep its bundle, for as long as the function is there. */
  public void storeChanged() {
    // One after the other, so that the last one's store is the one that is there.
    synchronized (changes) {
      if (stage instanceof Restored r) {
        r.hold(Optional.empty());
        stores.get().flatMap(store -> open(store, r.layer)).ifPresent(lease -> r.hold(Optional.of(lease)));
        if (closed) {
          r.hold(Optional.empty());
        }
      }
    }
  }

  private Optional<SnapshotLease> open(SnapshotStore store, Digest layer) {
    try {
      return Optional.of(store.open(layer, key));
    } catch (RuntimeException e) {
      LOG.debug("The snapshot layer {} is not in the store that has come", layer, e);
      return Optional.empty();
    }
  }

  private static void close(SnapshotLease lease) {
    try {
      lease.close();
    } catch (RuntimeException e) {
      LOG.warn("A snapshot layer cannot be let go of: {}", e.toString());
    }
  }
}
