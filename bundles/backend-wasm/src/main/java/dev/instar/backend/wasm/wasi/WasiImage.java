package dev.instar.backend.wasm.wasi;

import java.util.List;
import java.util.Optional;

/**
 * What a guest finds of WASI when it starts: files and open descriptors. Immutable and shared.
 *
 * @param files the files, where there are any
 * @param descriptors the open descriptors by number; empty: the number is free
 */
public record WasiImage(Optional<FileImage> files, List<Optional<Slot>> descriptors) {
  /** What one descriptor was. */
  sealed interface Slot {
    record Input() implements Slot {}

    record Output(boolean log) implements Slot {}

    record Directory(FileImage.Folder folder, boolean preopened) implements Slot {}

    record File(FileImage.Regular file, long rights, int flags, long position) implements Slot {}
  }

  /** The three streams, and the root of the files as descriptor 3. */
  public static WasiImage of(Optional<FileImage> files) {
    Optional<Slot> in = Optional.of(new Slot.Input());
    Optional<Slot> out = Optional.of(new Slot.Output(false));
    Optional<Slot> err = Optional.of(new Slot.Output(true));
    return new WasiImage(files, files.isEmpty() ? List.of(in, out, err)
        : List.of(in, out, err, Optional.of(new Slot.Directory(files.get().root, true))));
  }

  /** The bytes of the budget that it holds. */
  public long charged() {
    return files.map(FileImage::charged).orElse(0L);
  }
}
