package dev.instar.api.wasmtime;

import java.nio.file.Path;
import java.util.List;
import org.osgi.annotation.versioning.ProviderType;

/** Runs modules. Thread-safe. */
@ProviderType
public interface WasmtimeEngine extends AutoCloseable {
  /**
   * Maps a module that a compiler of this library made. It is run as it is: whoever gives a file here answers for it.
   *
   * @param imports what the module imports, and more; a function is found by its two names
   * @throws WasmtimeException when it was made by another version, or for another machine, or imports what is not there
   */
  WasmtimeModule load(Path compiled, List<HostFunction> imports);

  /** Has every instance that runs look soon whether its thread was interrupted; it then ends with {@link WasmtimeTrap.Reason#INTERRUPTED}. */
  void tick();

  /** After its modules. */
  @Override
  void close();
}
