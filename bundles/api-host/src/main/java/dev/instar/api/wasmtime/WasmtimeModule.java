package dev.instar.api.wasmtime;

import org.osgi.annotation.versioning.ConsumerType;
import org.osgi.annotation.versioning.ProviderType;

/** Machine code. Thread-safe. */
@ProviderType
public interface WasmtimeModule extends AutoCloseable {
  /** Whose instance it is. */
  @ConsumerType
  interface Host {
    /**
     * Called on the instance's thread after {@link WasmtimeEngine#tick}, while it runs. What it throws ends the call, as that of a {@link HostFunction} does.
     */
    default void tick(WasmtimeInstance instance) throws Exception {}
  }

  /**
   * Makes an instance and runs its start function, if there is one.
   *
   * @param host what the imported functions get
   * @param memoryBytes what its memory may grow to
   * @param tableElements what each of its tables may grow to
   * @throws WasmtimeTrap when the start function ended so, or a segment does not fit
   * @throws WasmtimeException when it needs more than it may have, or the engine has no place left ({@link WasmtimeException#full})
   */
  WasmtimeInstance instantiate(Host host, long memoryBytes, long tableElements) throws WasmtimeTrap;

  /** After its instances. */
  @Override
  void close();
}
