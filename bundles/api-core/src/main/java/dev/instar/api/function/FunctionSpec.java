package dev.instar.api.function;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Names;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeSet;

/**
 * All that a deployer says of a function version.
 *
 * @param variants its forms, the preferred one first; at least one
 * @param limits what it may use
 * @param environment variables that it sees; at most 64 KiB in all
 * @param labels free text for people and policies; at most 64 KiB in all
 * @param snapshot when its initialised state is kept beyond this run of the node
 * @param secrets names of secrets of its user that its sandboxes are given, in their order and each once; at most 64
 */
public record FunctionSpec(List<Variant> variants, Limits limits, Map<String, String> environment, Map<String, String> labels, SnapshotPolicy snapshot,
    List<String> secrets) {
  private static final int MAP_CHARS = 64 << 10;
  private static final int MOST_SECRETS = 64;

  /** @throws InstarException {@link ErrorCode#BAD_REQUEST} when there is no variant or a map is too large or malformed, {@link ErrorCode#BAD_NAME} of a secret */
  public FunctionSpec {
    variants = List.copyOf(variants);
    environment = Map.copyOf(environment);
    labels = Map.copyOf(labels);
    Objects.requireNonNull(limits);
    Objects.requireNonNull(snapshot);
    secrets = List.copyOf(new TreeSet<>(secrets));
    secrets.forEach(name -> Names.check("secret", name));
    if (secrets.size() > MOST_SECRETS) {
      throw new InstarException(ErrorCode.BAD_REQUEST, "A function version has " + MOST_SECRETS + " secrets at most; " + secrets.size() + " were given.");
    }
    if (variants.isEmpty() || variants.size() > 16) {
      throw new InstarException(ErrorCode.BAD_REQUEST, "A function version has 1 to 16 variants; " + variants.size() + " were given.");
    }
    check("environment", environment);
    check("labels", labels);
    for (String key : environment.keySet()) {
      if (key.isEmpty() || key.indexOf('=') >= 0) {
        throw new InstarException(ErrorCode.BAD_REQUEST, "'" + key + "' cannot name an environment variable: it is empty or has a '='.");
      }
    }
  }

  /** Without secrets. */
  public FunctionSpec(List<Variant> variants, Limits limits, Map<String, String> environment, Map<String, String> labels, SnapshotPolicy snapshot) {
    this(variants, limits, environment, labels, snapshot, List.of());
  }

  /** Without secrets, with {@link SnapshotPolicy#DEFAULT}. */
  public FunctionSpec(List<Variant> variants, Limits limits, Map<String, String> environment, Map<String, String> labels) {
    this(variants, limits, environment, labels, SnapshotPolicy.DEFAULT);
  }

  private static void check(String what, Map<String, String> map) {
    long chars = 0;
    for (var e : map.entrySet()) {
      chars += e.getKey().length() + e.getValue().length();
      if (e.getKey().indexOf('\0') >= 0 || e.getValue().indexOf('\0') >= 0) {
        throw new InstarException(ErrorCode.BAD_REQUEST, "A NUL character stands in the " + what + ".");
      }
    }
    if (chars > MAP_CHARS) {
      throw new InstarException(ErrorCode.BAD_REQUEST, "The " + what + " has " + chars + " characters; " + MAP_CHARS + " are allowed.");
    }
  }
}
