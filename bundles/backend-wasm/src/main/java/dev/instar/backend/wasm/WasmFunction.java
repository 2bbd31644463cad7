package dev.instar.backend.wasm;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.sandbox.Checkpointable;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.api.sandbox.StartContext;
import dev.instar.backend.wasm.memory.MemoryImage;
import dev.instar.wasi.guest.StoredState;
import dev.instar.wasi.writeback.Outcome;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;

/** A module that is compiled and initialised. */
final class WasmFunction implements PreparedFunction, Checkpointable {
  private final Snapshot snapshot;
  private final Entry entry;
  private final Map<String, String> description;
  private final StoredState stored;
  private final Origin origin;
  private final Consumer<WasmFunction> whenClosed;
  private final Set<WasmSandbox> open = ConcurrentHashMap.newKeySet();
  private volatile boolean closed;

  /**
   * What the state was made from.
   *
   * @param module the digest of its bytes
   * @param program the file that they are in
   * @param ran exported functions that have initialised it
   * @param bounds what a module may have
   */
  record Origin(Digest module, Path program, Set<String> ran, Bounds bounds) {
    byte[] read() throws IOException {
      byte[] bytes = Files.readAllBytes(program);
      if (!Digest.of(bytes).equals(module)) {
        throw new IOException(program + " is not what it was");
      }
      return bytes;
    }
  }

  WasmFunction(Snapshot snapshot, Entry entry, Map<String, String> description, StoredState stored, Origin origin, Consumer<WasmFunction> whenClosed) {
    this.snapshot = snapshot;
    this.entry = entry;
    this.description = description;
    this.stored = stored;
    this.origin = origin;
    this.whenClosed = whenClosed;
  }

  @Override
  public Map<String, String> describe() {
    Map<String, String> now = new LinkedHashMap<>(description);
    now.put("snapshot", stored.describe());
    return Collections.unmodifiableMap(now);
  }

  @Override
  public void checkpoint() throws InterruptedException {
    stored.store(() -> {
      MemoryImage.Content image = snapshot.content();
      return new StoredState.Content() {
        @Override
        public ByteBuffer memory() {
          ByteBuffer bytes = image.bytes();
          return bytes.limit(Math.min(bytes.limit(), snapshot.end()));
        }

        @Override
        public int data(int address) {
          return image.data(address);
        }

        @Override
        public Outcome module() throws IOException {
          return snapshot.writeBack(origin.read(), image, origin.ran(), origin.bounds());
        }

        @Override
        public void close() {
          image.close();
        }
      };
    });
  }

  void storeChanged() {
    stored.storeChanged();
  }

  @Override
  public boolean isPending() {
    return stored.isPending();
  }

  @Override
  public Sandbox start(StartContext context) {
    if (closed) {
      throw new InstarException(ErrorCode.INTERNAL, "The prepared function was closed.");
    }
    try {
      WasmSandbox sandbox = new WasmSandbox(snapshot, entry, context.room(), open::remove);
      open.add(sandbox);
      // Closed meanwhile: then close() may not have seen it.
      if (closed) {
        sandbox.close();
        throw new InstarException(ErrorCode.INTERNAL, "The prepared function was closed.");
      }
      return sandbox;
    } catch (RuntimeException | OutOfMemoryError | StackOverflowError e) {
      if (closed) {
        throw new InstarException(ErrorCode.INTERNAL, "The prepared function was closed.");
      }
      throw Failures.of(e);
    }
  }

  @Override
  public void close() {
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
    }
    stored.close();
    open.forEach(WasmSandbox::close);
    snapshot.release();
    whenClosed.accept(this);
  }
}
