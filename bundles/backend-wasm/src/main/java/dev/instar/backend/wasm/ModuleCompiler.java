package dev.instar.backend.wasm;

import com.dylibso.chicory.runtime.Instance;
import com.dylibso.chicory.runtime.Machine;
import com.dylibso.chicory.wasm.ChicoryException;
import com.dylibso.chicory.wasm.WasmModule;
import com.dylibso.chicory.wasm.types.CodeSection;
import com.dylibso.chicory.wasm.types.ExternalType;
import com.dylibso.chicory.wasm.types.FunctionBody;
import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.sandbox.StartContext.Room;
import dev.instar.backend.wasm.compile.Bodies;
import dev.instar.backend.wasm.compile.Code;
import dev.instar.backend.wasm.compile.CodeLoader;
import dev.instar.backend.wasm.compile.CompileLimit;
import dev.instar.backend.wasm.compile.CompilerFailed;
import dev.instar.backend.wasm.compile.Compilers;
import dev.instar.backend.wasm.compile.Malformed;
import dev.instar.backend.wasm.compile.Translator;
import dev.instar.wasi.guest.MemoryBudget;
import dev.instar.wasi.guest.Refusal;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;
import java.util.function.IntPredicate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Has JVM bytecode made of a module by a process that may die of it, or fetches it from the cache; and loads it.
 *
 * <p>In the node itself a module's bodies are neither parsed nor translated, but for those of functions whose bytecode is over the JVM's 64 KiB a method:
 * these are interpreted, and their parsed instructions, which take a hundred times the room of the module's code, are charged for as long as they are kept.
 * The rest of the module is parsed and validated here, whatever the process says of it.
 */
final class ModuleCompiler {
  private static final Logger LOG = LoggerFactory.getLogger(ModuleCompiler.class);
  private static final FunctionBody COMPILED = new FunctionBody(List.of(), List.of());
  /** Bytes of WebAssembly for one class. Where a function turns out to be too large for a method, what was translated before it is so again. */
  private static final int GROUP_BYTES = 256 << 10;
  /** Measured: parsed, a byte of a body takes up to so many bytes of heap. */
  private static final long HEAP_PER_CODE_BYTE = 200;
  /** Bytecode for a byte of WebAssembly; measured are 3 to 12. */
  private static final long CODE_PER_CODE_BYTE = 64;
  /** A function has a method that boxes its parameters, however small it is. */
  private static final long CODE_PER_FUNCTION = 1000;
  private static final long MOST_CODE = 256L << 20;
  private static final int MOST_REASON = 300;

  private final CodeCache cache;
  private final Compilers compilers;
  private final MemoryBudget heap;

  /** @param heap what parsed bodies are charged to */
  ModuleCompiler(CodeCache cache, Compilers compilers, MemoryBudget heap) {
    this.cache = cache;
    this.compilers = compilers;
    this.heap = heap;
  }

  /**
   * A module that can be instantiated.
   *
   * @param digest of its bytes
   * @param module without the instructions of compiled functions
   * @param machines makes the machine of an instance
   * @param compiled functions that run as bytecode
   * @param interpreted functions that do not
   * @param heapBytes what was charged for those; to be given back when the module is let go of
   * @param cached whether the bytecode came from the cache
   */
  record Compiled(Digest digest, WasmModule module, Function<Instance, Machine> machines, int compiled, int interpreted, long heapBytes, boolean cached) {}

  /**
   * Validates and compiles a module that was scanned.
   *
   * @param user whose it is: users take turns
   * @param deadline when to give up
   * @param room whom to ask when there is no heap left for parsed bodies
   * @throws InstarException MODULE_REFUSED, COMPILE_LIMIT, TIMED_OUT at the deadline, OUT_OF_MEMORY, INTERNAL
   * @throws InterruptedException when the thread was interrupted
   */
  Compiled compile(String user, byte[] bytes, ModuleScan.Figures figures, Instant deadline, Room room) throws InterruptedException {
    Digest digest = Digest.of(bytes);
    Optional<Code> known = cache.find(digest);
    if (known.isPresent()) {
      try {
        return load(digest, bytes, figures, known.get(), true, room);
      } catch (LinkageError | ChicoryException e) {
        LOG.warn("The cached code of module {} cannot be loaded; compiling anew: {}", digest, e.toString());
        cache.remove(digest);
      }
    }
    // Before anybody compiles: what is wrong outside of the bodies is found here, at once.
    WasmModule outline = parse(Bodies.without(bytes, index -> false));
    Code code = translate(user, bytes, figures, outline.importSection().count(ExternalType.FUNCTION), deadline);
    Compiled compiled;
    try {
      compiled = load(digest, bytes, figures, code, false, room);
    } catch (LinkageError | ChicoryException e) {
      LOG.info("The code of module {} cannot be loaded", digest, e);
      throw Refusal.of("code", "the compiler of this backend cannot translate it; simplify or split its largest functions.");
    }
    cache.store(digest, code);
    return compiled;
  }

  private Code translate(String user, byte[] bytes, ModuleScan.Figures figures, int imported, Instant deadline) throws InterruptedException {
    int average = Math.max(1, figures.codeBytes() / Math.max(1, figures.functions()));
    int group = Integer.highestOneBit(Math.clamp(GROUP_BYTES / average, 16, 4096));
    long expected = (1 << 20) + CODE_PER_CODE_BYTE * figures.codeBytes() + CODE_PER_FUNCTION * figures.functions();
    int limit = (int) Math.min(expected, Math.min(MOST_CODE, Runtime.getRuntime().maxMemory() / 8));
    try {
      return compilers.compile(user, bytes, group, imported, figures.functions(), limit,
          System.nanoTime() + Duration.between(Instant.now(), deadline).toNanos());
    } catch (Malformed e) {
      throw refused(e);
    } catch (CompileLimit e) {
      throw limited(e);
    } catch (TimeoutException e) {
      throw new InstarException(ErrorCode.TIMED_OUT,
          "The module was not compiled in time: it is large, or other modules were before it. Try again, or split it.");
    } catch (CompilerFailed e) {
      throw new InstarException(ErrorCode.INTERNAL, "The module could not be compiled: the process that compiles failed. The node's log says more.");
    }
  }

  private static InstarException limited(CompileLimit e) {
    String detail = switch (e.what()) {
      case TIME -> "Compiling the module took more than " + e.value() + " s (compile-seconds)";
      case MEMORY -> "Compiling the module took more than " + e.value() + " MiB of memory (compile-memory-mib)";
      case CODE -> "Compiled, the module has more than " + e.value() + " bytes of bytecode";
    };
    return new InstarException(ErrorCode.COMPILE_LIMIT, detail + ". Build it with fewer or smaller functions, or split it; "
        + "what is generated (tables as code, unrolled loops) is the usual reason.",
        Map.of("limit", e.what().name().toLowerCase(Locale.ROOT), "value", e.value()));
  }

  private static InstarException refused(Malformed e) {
    String detail = e.getMessage().replaceAll("[^ -~]", "?");
    return Refusal.of(Refusal.shown(e.section()), detail.length() > MOST_REASON ? detail.substring(0, MOST_REASON) + "..." : detail);
  }

  /** @throws InstarException MODULE_REFUSED */
  static WasmModule parse(byte[] bytes) {
    try {
      return Translator.parse(bytes);
    } catch (Malformed e) {
      throw refused(e);
    }
  }

  private Compiled load(Digest digest, byte[] bytes, ModuleScan.Figures figures, Code code, boolean cached, Room room) throws InterruptedException {
    WasmModule outline = parse(Bodies.without(bytes, index -> false));
    int imported = outline.importSection().count(ExternalType.FUNCTION);
    IntPredicate interpreted = index -> code.interpreted().contains(imported + index);
    long charge = code.interpreted().isEmpty() ? 0 : Bodies.bytes(bytes, interpreted) * HEAP_PER_CODE_BYTE;
    if (!heap.take(charge, room)) {
      throw new InstarException(ErrorCode.OUT_OF_MEMORY, code.interpreted().size() + " functions of the module are too large to be compiled, and to keep them for "
          + "interpretation the node has not got " + charge + " bytes of Java heap left. Split them, or give the node more (-Xmx).");
    }
    try {
      WasmModule module = charge == 0 ? outline : parse(Bodies.without(bytes, interpreted));
      Function<Instance, Machine> machines = CodeLoader.load(code);
      return new Compiled(digest, strip(module, interpreted), machines, figures.functions() - code.interpreted().size(),
          code.interpreted().size(), charge, cached);
    } catch (Throwable e) {
      heap.give(charge);
      throw e;
    }
  }

  private static WasmModule strip(WasmModule module, IntPredicate interpreted) {
    CodeSection.Builder code = CodeSection.builder();
    for (int i = 0; i < module.codeSection().functionBodyCount(); i++) {
      code.addFunctionBody(interpreted.test(i) ? module.codeSection().getFunctionBody(i) : COMPILED);
    }
    WasmModule.Builder stripped = WasmModule.builder().withValidation(false)
        .setTypeSection(module.typeSection())
        .setImportSection(module.importSection())
        .setFunctionSection(module.functionSection())
        .setTableSection(module.tableSection())
        .setGlobalSection(module.globalSection())
        .setExportSection(module.exportSection())
        .setElementSection(module.elementSection())
        .setCodeSection(code.build())
        .setDataSection(module.dataSection());
    module.memorySection().ifPresent(stripped::setMemorySection);
    module.startSection().ifPresent(stripped::setStartSection);
    module.tagSection().ifPresent(stripped::setTagSection);
    return stripped.build();
  }
}
