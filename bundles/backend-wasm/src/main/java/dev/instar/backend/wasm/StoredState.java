package dev.instar.backend.wasm;

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
import dev.instar.backend.wasm.memory.MemoryImage;
import dev.instar.backend.wasm.writeback.Outcome;
import dev.instar.wasi.guest.StateKey;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedByInterruptException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What the snapshot store has of a prepared function: one base layer. Its memory is the linear memory from the address 0 on, without the zeros at the
 * end; its blob {@code module} is the module that {@link Snapshot#writeBack} writes. Any engine can start from the module; this one takes the memory
 * as it is, and the rest out of the module without parsing it.
 *
 * <p>Nothing that goes wrong with the store fails a function: it is initialised as if there were none.
 */
final class StoredState implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(StoredState.class);
  /** What the store gets in one go. In between an interrupt is seen. */
  private static final int STEP = 1 << 20;

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

  /** @param lease keeps the layer from being collected while it is of use: it would be made again */
  private record Restored(Digest layer, SnapshotLease lease) implements Stage {}

  private record Never(Outcome.Inexpressible why) implements Stage {}

  /** Makes a state of what a layer has. */
  interface Restorer {
    /** @throws IllegalArgumentException when it cannot be one of this function */
    Snapshot restore(Path module, MemoryImage.Source memory, long bytes) throws IOException;
  }

  /** Writes a state into the function's module. */
  interface Write {
    /** @param content what the snapshot's image holds, for as long as what was written is read */
    Outcome write(MemoryImage.Content content) throws IOException;
  }

  /**
   * @param stores the store that there is now
   * @param version who needs the layer
   */
  StoredState(Supplier<Optional<SnapshotStore>> stores, SnapshotKey key, FunctionVersion version) {
    this.stores = stores;
    this.key = key;
    this.version = version;
  }

  /** The function in the state that is stored; nothing when none is, or none that is of use. */
  Optional<Snapshot> restore(Restorer restorer) {
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
      Snapshot snapshot = restore(lease.get().layers(), restorer);
      stage = new Restored(found.get(), lease.get());
      hold(store.get(), found.get());
      return Optional.of(snapshot);
    } catch (RuntimeException | IOException | OutOfMemoryError | InternalError e) {
      // An InternalError is what the JVM makes of a mapped file that got shorter.
      lease.ifPresent(StoredState::close);
      useless = found;
      LOG.warn("The stored state {} of {} cannot be used; it is initialised anew: {}", found.map(Digest::value).orElse(""), version.label(), e.getMessage());
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

  private static Snapshot restore(List<OpenLayer> layers, Restorer restorer) throws IOException {
    OpenLayer base = layers.getLast();
    SnapshotLayer layer = base.layer();
    if (!layer.isBase() || !layer.extents().equals(extents(layer.memoryBytes()))) {
      throw new IllegalArgumentException("it is no base whose memory begins at the address 0");
    }
    return restorer.restore(base.blob(StateKey.MODULE), base::read, layer.memoryBytes());
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

  /** To be told when a function was initialised. */
  void initialised(Snapshot snapshot) {
    snapshot.inexpressible().ifPresent(why -> stage = new Never(why));
  }

  /** Whether it may be stored yet. */
  boolean isPending() {
    return stage instanceof Blank;
  }

  /**
   * Stores the state, unless it is stored, came from there or cannot be expressed, or there is no store.
   *
   * @throws InstarException when the store fails
   * @throws InterruptedException when it was interrupted before the state was stored; afterwards it is only not held
   */
  synchronized void store(Snapshot snapshot, Write write) throws InterruptedException {
    Optional<SnapshotStore> store = stores.get();
    if (!(stage instanceof Blank) || closed || store.isEmpty()) {
      return;
    }
    try (MemoryImage.Content content = snapshot.content()) {
      Optional<Digest> there = store.get().find(key).map(SnapshotLayer::id).filter(id -> !useless.equals(Optional.of(id)));
      if (there.isPresent()) {
        // Of another version that initialises to the same.
        stored(store.get(), there.get());
        return;
      }
      demandWanted();
      switch (write.write(content)) {
        case Outcome.Inexpressible never -> stage = new Never(never);
        case Outcome.Written written -> {
          int bytes = Math.min(content.bytes().limit(), snapshot.end());
          stored(store.get(), publish(store.get(), written, content.bytes().limit(bytes)));
        }
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
      throw new InstarException(ErrorCode.INTERNAL, "The initialised state of " + version.label() + " cannot be stored: its image cannot be read.");
    }
  }

  private void stored(SnapshotStore store, Digest layer) {
    // Else it might be held for ever by a version that has been removed.
    if (!abandoned()) {
      hold(store, layer);
    }
    stage = new Stored(layer);
  }

  private Digest publish(SnapshotStore store, Outcome.Written written, ByteBuffer memory) throws IOException {
    try (SnapshotBuilder builder = store.base(key, creator())) {
      for (int at = 0; at < memory.limit(); at += STEP) {
        demandWanted();
        builder.memory(at, memory.duplicate().position(at).limit(Math.min(at + STEP, memory.limit())));
      }
      builder.blob(StateKey.MODULE, new WhileWanted(written.open()));
      demandWanted();
      return builder.publish().id();
    }
  }

  /** Printable ASCII, as the store demands it. */
  private String creator() {
    String creator = "wasm, for " + version.label().replaceAll("[^ -~]", "?");
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
  String describe() {
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
      close(r.lease);
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
