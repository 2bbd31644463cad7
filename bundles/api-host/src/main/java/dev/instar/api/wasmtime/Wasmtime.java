package dev.instar.api.wasmtime;

import java.io.IOException;
import java.nio.file.Path;
import org.osgi.annotation.versioning.ProviderType;

/** The native library. It cannot be unloaded, so its holder stays through every swap. Thread-safe. */
@ProviderType
public interface Wasmtime {
  /** Whether there is a library. */
  sealed interface Library {
    /** @param version as the file says it @param file where it was found */
    record Loaded(String version, Path file) implements Library {}

    /**
     * @param what the one thing that is missing
     * @param remedy the command that gets it
     */
    record Missing(String what, String remedy) implements Library {}
  }

  /**
   * What an engine gives to its instances.
   *
   * @param instances how many there may be at one time
   * @param tables how many tables one may have
   * @param tableElements how many elements one table may have
   */
  record Settings(int instances, int tables, int tableElements) {}

  /** What was found. Constant while the service is registered. */
  Library library();

  /**
   * @throws WasmtimeException when the host does not give it the address space that it reserves, some gigabytes for each instance
   * @throws IllegalStateException when there is no library
   */
  WasmtimeEngine engine(Settings settings);

  /**
   * A process that compiles one module for engines of this node: reads it from its standard input up to the end, writes one byte and what follows to its
   * standard output, and ends. After {@link #COMPILED} that is what {@link WasmtimeEngine#load} takes; after {@link #INVALID} a text that says what is
   * wrong with the module, in UTF-8. It has no access to anything of the node's but its pipes and files that all may read.
   *
   * @param mib how much memory it may take
   * @throws IllegalStateException when there is no library
   */
  ProcessBuilder compiler(int mib) throws IOException;

  /** The first byte of what a compiler writes. */
  int COMPILED = 1;
  /** The first byte of what a compiler writes. */
  int INVALID = 2;
}
