package dev.instar.backend.wasmtime;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.Image;
import dev.instar.api.sandbox.StartContext.Room;
import dev.instar.api.wasmtime.WasmtimeInstance;
import dev.instar.api.wasmtime.WasmtimeTrap;
import dev.instar.wasi.Wasi;
import dev.instar.wasi.WasiState;
import dev.instar.wasi.guest.StoredState;
import dev.instar.wasi.guest.Uniqueness;
import dev.instar.wasi.writeback.Exposed;
import dev.instar.wasi.writeback.ModuleState;
import dev.instar.wasi.writeback.Outcome;
import dev.instar.wasi.writeback.WholeModule;
import dev.instar.wasi.writeback.Writeback;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * What an initialisation has come to.
 *
 * @param drew what it has taken that is another each time
 * @param state what its function's instances can begin with
 * @param never why that can't be stored
 */
record Initialised(List<String> drew, Optional<State> state, Optional<Outcome.Inexpressible> never) {
  /** Those of backend-wasm, which is to read what is stored. */
  private static final int SEGMENTS = 100_000;
  private static final int ELEMENT_ITEMS = 200_000;
  private static final int BLOCK = 4096;
  private static final byte[] ZEROS = new byte[BLOCK];

  /**
   * An instance's state.
   *
   * @param module that begins in it
   * @param kept what it takes to write that again
   * @param files what it has left of them, if they are not as they were
   */
  record State(byte[] module, Kept kept, Optional<WasiState> files) {}

  /** A state without its memory, which instances of its program have: the module that holds it may be large. */
  record Kept(ModuleState rest) {
    /**
     * Opens it to be stored, as an instance of its program has it.
     *
     * @param image of the function
     * @param ran exported functions that have initialised it
     * @param moduleBytes that a module may have
     */
    StoredState.Content open(Program program, Image image, List<String> ran, long moduleBytes) {
      if (!program.acquire()) {
        throw new IllegalStateException("the program is closed");
      }
      WasmtimeInstance instance;
      try (Wasi wasi = program.wasi()) {
        instance = program.blank(program.guest(wasi, Room.NONE));
      } catch (Throwable e) {
        program.leave();
        throw Trapped.failure(e, "The state");
      }
      long bytes = instance.memoryBytes() - program.form().room();
      return new StoredState.Content() {
        @Override
        public ByteBuffer memory() {
          return instance.memory().asSlice(0, written(instance.memory(), bytes)).asByteBuffer();
        }

        @Override
        public Outcome module() throws IOException {
          byte[] original = Files.readAllBytes(image.program());
          if (!Digest.of(original).equals(image.digest())) {
            throw new IOException(image.program() + " is not what it was");
          }
          return write(original, rest, linear(instance, bytes), ran, moduleBytes);
        }

        @Override
        public void close() {
          instance.close();
          program.leave();
        }
      };
    }
  }

  /** Where the zeros at the end begin. */
  private static long written(MemorySegment memory, long bytes) {
    MemorySegment zeros = MemorySegment.ofArray(ZEROS);
    long end = bytes;
    while (end > 0 && MemorySegment.mismatch(memory, end - BLOCK, end, zeros, 0, BLOCK) < 0) {
      end -= BLOCK;
    }
    return end;
  }

  private static ModuleState.Linear linear(WasmtimeInstance instance, long bytes) {
    MemorySegment memory = instance.memory();
    return new ModuleState.Linear() {
      @Override
      public int pages() {
        return (int) (bytes / ModuleState.PAGE);
      }

      @Override
      public byte[] read(int address, int length) {
        return memory.asSlice(address, length).toArray(ValueLayout.JAVA_BYTE);
      }
    };
  }

  private static Outcome write(byte[] module, ModuleState rest, ModuleState.Linear memory, List<String> ran, long moduleBytes) {
    var whole = new ModuleState(rest.memory().map(old -> memory), rest.globals(), rest.tables(), rest.leftData(), rest.leftElements());
    return Writeback.write(module, whole, Set.copyOf(ran), new Writeback.Bounds(moduleBytes, SEGMENTS, ELEMENT_ITEMS));
  }

  /**
   * Looks at an instance after its initialisation.
   *
   * @param module its bytes
   * @param exposed what the instance is of, if it can be looked at
   * @param ran exported functions that have initialised it
   * @param moduleBytes that a module may have
   * @throws InstarException OUT_OF_MEMORY when the files that it has written cannot be kept
   */
  static Initialised of(WasmtimeInstance instance, Wasi wasi, byte[] module, Optional<Exposed> exposed, List<String> ran, long moduleBytes) {
    List<String> drew = Uniqueness.drawn(wasi);
    if (!drew.isEmpty() && !instance.hasFunction(Convention.RESEED)) {
      return new Initialised(drew, Optional.empty(), Optional.of(Outcome.Inexpressible.DRAWN));
    }
    if (exposed.isEmpty()) {
      return new Initialised(drew, Optional.empty(), Optional.of(new Outcome.Inexpressible(Outcome.Reason.UNREADABLE, "the module has a form that is not understood")));
    }
    ModuleState state = exposed.get().state(shown(instance));
    return switch (write(module, state, linear(instance, instance.memoryBytes()), ran, moduleBytes)) {
      case Outcome.Inexpressible never -> new Initialised(drew, Optional.empty(), Optional.of(never));
      case Outcome.Written written -> {
        byte[] whole;
        try {
          whole = WholeModule.of(written.module(), state.memory(), SEGMENTS, moduleBytes);
        } catch (WholeModule.TooLarge e) {
          yield new Initialised(drew, Optional.empty(), Optional.of(new Outcome.Inexpressible(Outcome.Reason.TOO_LARGE, e.getMessage())));
        }
        Optional<WasiState> files = files(wasi);
        yield new Initialised(drew, Optional.of(new State(whole, new Kept(state), files)), files.map(left -> Outcome.Inexpressible.FILES));
      }
    };
  }

  /** Empty when the files and descriptors are as they are without an initialisation. */
  private static Optional<WasiState> files(Wasi wasi) {
    if (wasi.isPristine()) {
      return Optional.empty();
    }
    return Optional.of(wasi.freeze(wasi.quota().bytes()).orElseThrow(() -> new InstarException(ErrorCode.OUT_OF_MEMORY,
        "The files that the function's initialisation has written cannot be kept: they have more than " + wasi.quota().bytes()
            + " bytes (file-bytes), or cannot be read.")));
  }

  private static Exposed.Shown shown(WasmtimeInstance instance) {
    return new Exposed.Shown() {
      @Override
      public ModuleState.Linear memory() {
        return linear(instance, instance.memoryBytes());
      }

      @Override
      public long[] global(String export) {
        return instance.global(export);
      }

      @Override
      public long[] table(String export) {
        return instance.table(export);
      }

      @Override
      public long function(String export) {
        return instance.function(export);
      }

      @Override
      public boolean traps(String export) {
        try {
          instance.call(export);
          return false;
        } catch (WasmtimeTrap e) {
          if (e.reason() == WasmtimeTrap.Reason.TRAP) {
            return true;
          }
          throw Trapped.of(e);
        }
      }
    };
  }
}
