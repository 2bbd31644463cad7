package dev.instar.wasi.guest;

import dev.instar.api.Digest;
import dev.instar.api.snapshot.SnapshotKey;
import dev.instar.wasi.FileQuota;
import dev.instar.wasi.WasiSettings;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * By what the snapshot store knows the initialised state of a function. It names no engine: the blob {@link #MODULE} is a module that begins in the state,
 * but for its memory, which is the layer's, and what one engine has initialised another may start from.
 */
public final class StateKey {
  /** The blob that any engine can compile, once it is {@linkplain StoredState#module whole}. */
  public static final String MODULE = "module";
  /** Goes up when what is stored changes its form. */
  private static final String FORM = "module-6";

  private StateKey() {}

  /**
   * Everything that an initialiser can see, and what bounds it.
   *
   * @param entry the export that is called
   * @param maximumPages of the memory
   * @param owner whose it is, where the state may hold what was drawn: the keys of one user are not for another who has the same image
   */
  public static SnapshotKey of(Digest image, String entry, int maximumPages, int tableElements, WasiSettings wasi, Optional<String> owner) {
    FileQuota quota = wasi.quota();
    var machine = new TreeMap<>(Map.of(
        "arguments", digest(wasi.arguments().stream()),
        "entry", entry,
        "environment", digest(wasi.environment().entrySet().stream().flatMap(e -> Stream.of(e.getKey(), e.getValue()))),
        "files", wasi.files().isEmpty() ? "none" : quota.descriptors() + " open, " + quota.inodes() + " made, " + quota.bytes() + " bytes",
        "memory-pages", Integer.toString(maximumPages),
        "table-elements", Integer.toString(tableElements)));
    owner.ifPresent(user -> machine.put("user", user));
    return new SnapshotKey("wasm", FORM, machine, List.of(image));
  }

  /** Of texts without a NUL, in their order. */
  private static String digest(Stream<String> texts) {
    return Digest.of(texts.map(text -> text + '\0').collect(Collectors.joining()).getBytes(StandardCharsets.UTF_8)).value();
  }
}
