package dev.instar.tck.capability;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Where native libraries are that capabilities have fetched: in {@code target/native} of the source tree. */
public final class NativeLibraries {
  private NativeLibraries() {}

  /** That of {@link Capability#WASMTIME}. */
  public static Path wasmtime() {
    Path tree = Path.of("").toAbsolutePath();
    while (!Files.exists(tree.resolve("cnf/host-capabilities"))) {
      tree = tree.getParent();
    }
    try (var found = Files.newDirectoryStream(tree.resolve("target/native/wasmtime"), "linux-*")) {
      return found.iterator().next().resolve("_libwasmtime.so");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
