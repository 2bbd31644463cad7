package dev.instar.wasi;

import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What a guest finds.
 *
 * @param arguments {@code argv}, the program's name first
 * @param environment names without {@code =} and their values; in the order of the map
 * @param files what it sees below its only preopened directory, {@code /}, which is descriptor 3; without it there is no such directory
 * @param scratch a directory of this sandbox alone for what the guest writes; made when first needed, and nothing stays in it
 * @param quota how much of files it may use
 * @param budget what is charged for what the guest writes and the backend keeps on the heap
 * @param clocks the time
 * @param random where {@code random_get} draws from
 */
public record WasiSettings(List<String> arguments, Map<String, String> environment, Optional<LowerTree> files, Path scratch, FileQuota quota,
    ByteBudget budget,
    Clocks clocks, SecureRandom random) {
  /** Checks what has no form as C strings. */
  public WasiSettings {
    arguments = List.copyOf(arguments);
    for (String argument : arguments) {
      if (argument.indexOf('\0') >= 0) {
        throw new IllegalArgumentException("an argument has a NUL in it: '" + argument.replace('\0', '?') + "'");
      }
    }
    environment.forEach((name, value) -> {
      if (name.isEmpty() || name.indexOf('=') >= 0 || name.indexOf('\0') >= 0 || value.indexOf('\0') >= 0) {
        throw new IllegalArgumentException("not an environment variable (empty name, '=' in the name, or a NUL): '" + name.replace('\0', '?') + "'");
      }
    });
  }
}
