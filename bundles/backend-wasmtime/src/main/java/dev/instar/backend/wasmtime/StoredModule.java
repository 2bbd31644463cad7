package dev.instar.backend.wasmtime;

import dev.instar.api.Digest;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.snapshot.SnapshotKey;
import dev.instar.api.snapshot.SnapshotLayer;
import dev.instar.api.snapshot.SnapshotLease;
import dev.instar.api.snapshot.SnapshotStore;
import dev.instar.wasi.guest.StoredState;
import java.io.IOException;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A module of the snapshot store that begins in a function's initialised state, whichever engine has initialised it.
 *
 * @param module its bytes
 * @param layer where it is from
 * @param lease keeps that from being collected while it is of use
 */
record StoredModule(byte[] module, Digest layer, SnapshotLease lease) implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(StoredModule.class);

  /**
   * The one of a key, if there is one and it can be read. Nothing that goes wrong with the store fails a function.
   *
   * @param moduleBytes the most that it may have with its memory
   */
  static Optional<StoredModule> find(Optional<SnapshotStore> store, SnapshotKey key, FunctionVersion version, long moduleBytes) {
    if (store.isEmpty()) {
      return Optional.empty();
    }
    try {
      Optional<Digest> found = store.get().find(key).map(SnapshotLayer::id);
      if (found.isEmpty()) {
        return Optional.empty();
      }
      SnapshotLease lease = store.get().open(found.get(), key);
      try {
        byte[] module = StoredState.module(lease.layers().getLast(), moduleBytes);
        store.get().hold(found.get(), version.uid());
        return Optional.of(new StoredModule(module, found.get(), lease));
      } catch (RuntimeException | IOException | OutOfMemoryError e) {
        lease.close();
        throw e;
      }
    } catch (RuntimeException | IOException | OutOfMemoryError e) {
      LOG.warn("The stored state of {} cannot be used; it is initialised anew: {}", version.label(), e.getMessage());
      return Optional.empty();
    }
  }

  @Override
  public void close() {
    try {
      lease.close();
    } catch (RuntimeException e) {
      LOG.warn("A snapshot layer cannot be let go of: {}", e.toString());
    }
  }
}
