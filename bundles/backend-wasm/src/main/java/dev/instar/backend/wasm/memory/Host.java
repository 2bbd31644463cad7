package dev.instar.backend.wasm.memory;

import dev.instar.wasi.pages.LibC;
import java.lang.foreign.ValueLayout;

/** What the host can keep an image in, best first. */
enum Host {
  MAPPING_MEMFD,
  MAPPING_FILE,
  COPYING;

  static final Host OF_PROCESS = find();

  private static Host find() {
    if (!System.getProperty("os.name").equals("Linux") || ValueLayout.ADDRESS.byteSize() != Long.BYTES) {
      return COPYING;
    }
    try {
      if (!LibC.hasMemfd()) {
        return MAPPING_FILE;
      }
      // Old kernels lack it, and sandboxes refuse it, where the library has it.
      LibC.close(LibC.memfd("instar-probe"));
      return MAPPING_MEMFD;
    } catch (LibC.Failure e) {
      return MAPPING_FILE;
    } catch (LinkageError e) {
      return COPYING;
    }
  }
}
