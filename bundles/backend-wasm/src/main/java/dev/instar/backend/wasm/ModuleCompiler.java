package dev.instar.backend.wasm;

import com.dylibso.chicory.compiler.InterpreterFallback;
import com.dylibso.chicory.compiler.internal.ClassCollector;
import com.dylibso.chicory.compiler.internal.ClassLoadingCollector;
import com.dylibso.chicory.compiler.internal.Compiler;
import com.dylibso.chicory.compiler.internal.CompilerResult;
import com.dylibso.chicory.runtime.Instance;
import com.dylibso.chicory.runtime.Machine;
import com.dylibso.chicory.wasm.ChicoryException;
import com.dylibso.chicory.wasm.Parser;
import com.dylibso.chicory.wasm.WasmModule;
import com.dylibso.chicory.wasm.types.CodeSection;
import com.dylibso.chicory.wasm.types.DataCountSection;
import com.dylibso.chicory.wasm.types.DataSection;
import com.dylibso.chicory.wasm.types.ElementSection;
import com.dylibso.chicory.wasm.types.ExportSection;
import com.dylibso.chicory.wasm.types.FunctionBody;
import com.dylibso.chicory.wasm.types.FunctionSection;
import com.dylibso.chicory.wasm.types.GlobalSection;
import com.dylibso.chicory.wasm.types.ImportSection;
import com.dylibso.chicory.wasm.types.MemorySection;
import com.dylibso.chicory.wasm.types.Section;
import com.dylibso.chicory.wasm.types.SectionId;
import com.dylibso.chicory.wasm.types.StartSection;
import com.dylibso.chicory.wasm.types.TableSection;
import com.dylibso.chicory.wasm.types.TagSection;
import com.dylibso.chicory.wasm.types.TypeSection;
import dev.instar.api.Digest;
import java.io.ByteArrayInputStream;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.IntPredicate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Makes JVM bytecode of a module, or fetches it from the cache.
 *
 * <p>Chicory's compiler is used by its inner classes: its public face does not say which functions it left to the interpreter, and has no
 * place to stop it. Both are needed here, and the version is pinned and embedded.
 *
 * <p>A function whose bytecode is over the JVM's 64 KiB a method is interpreted. The parsed instructions take a hundred times the room of
 * the module's code, so they are let go of, but for those functions.
 */
final class ModuleCompiler {
  private static final Logger LOG = LoggerFactory.getLogger(ModuleCompiler.class);
  private static final FunctionBody COMPILED = new FunctionBody(List.of(), List.of());
  /** Bytes of WebAssembly for one class: the compiler can be stopped between two. */
  private static final int GROUP_BYTES = 256 << 10;

  private final CodeCache cache;

  ModuleCompiler(CodeCache cache) {
    this.cache = cache;
  }

  /**
   * A module that can be instantiated.
   *
   * @param module without the instructions of compiled functions
   * @param machines makes the machine of an instance
   * @param compiled functions that run as bytecode
   * @param interpreted functions that do not
   * @param cached whether the bytecode came from the cache
   */
  record Compiled(WasmModule module, Function<Instance, Machine> machines, int compiled, int interpreted, boolean cached) {}

  /**
   * Parses, validates and compiles. Stops soon after the thread is interrupted.
   *
   * @throws dev.instar.api.InstarException MODULE_REFUSED
   * @throws InterruptedException when the thread was interrupted
   */
  Compiled compile(byte[] bytes, ModuleScan.Figures figures) throws InterruptedException {
    Digest digest = Digest.of(bytes);
    Optional<CodeCache.Code> known = cache.find(digest);
    if (known.isPresent()) {
      try {
        return load(bytes, figures, known.get());
      } catch (LinkageError | ChicoryException e) {
        LOG.warn("The cached code of module {} cannot be loaded; compiling anew: {}", digest, e.toString());
        cache.remove(digest);
      }
    }
    WasmModule module = parse(bytes, true);
    CompilerResult result = translate(module, figures);
    var collector = (ClassLoadingCollector) result.collector();
    cache.store(digest, new CodeCache.Code(loadingOrder(collector), result.interpretedFunctions()));
    return new Compiled(strip(module, result.interpretedFunctions()::contains), collector.machineFactory(),
        figures.functions() - result.interpretedFunctions().size(), result.interpretedFunctions().size(), false);
  }

  private static Map<String, byte[]> loadingOrder(ClassLoadingCollector collector) {
    Map<String, byte[]> classes = new LinkedHashMap<>(collector.classBytes());
    byte[] main = classes.remove(collector.mainClassName());
    classes.put(collector.mainClassName(), main);
    return classes;
  }

  private Compiled load(byte[] bytes, ModuleScan.Figures figures, CodeCache.Code code) throws InterruptedException {
    // What is in the cache has been validated by the same parser. Only what will be interpreted needs its instructions.
    WasmModule module = parse(bytes, !code.interpreted().isEmpty());
    var collector = new ClassLoadingCollector();
    int left = code.classes().size();
    for (var entry : code.classes().entrySet()) {
      checkInterrupt();
      if (--left == 0) {
        collector.putMainClass(entry.getKey(), entry.getValue());
      } else {
        collector.put(entry.getKey(), entry.getValue());
      }
    }
    return new Compiled(strip(module, code.interpreted()::contains), collector.machineFactory(), figures.functions() - code.interpreted().size(),
        code.interpreted().size(), true);
  }

  private static void checkInterrupt() throws InterruptedException {
    if (Thread.interrupted()) {
      throw new InterruptedException();
    }
  }

  /** Ends a compilation from within the compiler. */
  private static final class Stopped extends RuntimeException {
    private static final long serialVersionUID = 1;

    Stopped() {
      super(null, null, false, false);
    }
  }

  /** Takes the classes, and is where the compiler notices that nobody waits for it any more. */
  private static final class StoppableCollector extends ClassLoadingCollector {
    StoppableCollector() {
      check();
    }

    private static void check() {
      if (Thread.currentThread().isInterrupted()) {
        throw new Stopped();
      }
    }

    @Override
    public void put(String className, byte[] bytes) {
      check();
      super.put(className, bytes);
    }

    @Override
    public void putAll(ClassCollector collector) {
      check();
      super.putAll(collector);
    }
  }

  private static CompilerResult translate(WasmModule module, ModuleScan.Figures figures) throws InterruptedException {
    int average = Math.max(1, figures.codeBytes() / Math.max(1, figures.functions()));
    int group = Integer.highestOneBit(Math.clamp(GROUP_BYTES / average, 16, 4096));
    try {
      return Compiler.builder(module)
          .withInterpreterFallback(InterpreterFallback.SILENT)
          .withMaxFunctionsPerClass(group)
          .withClassCollectorFactory(StoppableCollector::new)
          .build()
          .compile();
    } catch (Stopped e) {
      Thread.interrupted();
      throw new InterruptedException();
    } catch (RuntimeException | LinkageError | StackOverflowError e) {
      LOG.info("A module cannot be compiled", e);
      throw Refusal.of("code", "the compiler of this backend cannot translate it; simplify or split its largest functions.");
    }
  }

  /** @param code whether the instructions are parsed and validated; without them the functions have empty bodies */
  static WasmModule parse(byte[] bytes, boolean code) throws InterruptedException {
    checkInterrupt();
    WasmModule.Builder module = WasmModule.builder().withValidation(code);
    Parser.Builder parser = Parser.builder();
    for (int id = SectionId.TYPE; id <= SectionId.TAG; id++) {
      if (code || id != SectionId.CODE) {
        parser.includeSectionId(id);
      }
    }
    // Where the parser stands when it fails: in the section after the last that it has finished.
    int[] done = {SectionId.CUSTOM};
    FunctionSection[] functions = {FunctionSection.builder().build()};
    try {
      parser.build().parse(new ByteArrayInputStream(bytes), section -> {
        done[0] = section.sectionId();
        if (section instanceof FunctionSection f) {
          functions[0] = f;
        }
        add(module, section);
      });
      if (!code) {
        CodeSection.Builder empty = CodeSection.builder();
        for (int i = 0; i < functions[0].functionCount(); i++) {
          empty.addFunctionBody(COMPILED);
        }
        module.setCodeSection(empty.build());
      }
    } catch (RuntimeException | AssertionError e) {
      throw Refusal.of("module", "What follows the " + (done[0] == SectionId.CUSTOM ? "header" : sectionName(done[0]) + " section") + " is malformed"
          + reason(e));
    }
    checkInterrupt();
    try {
      return module.build();
    } catch (RuntimeException | AssertionError e) {
      throw Refusal.of(validated(e), "not valid" + reason(e));
    }
  }

  private static void add(WasmModule.Builder module, Section section) {
    switch (section) {
      case TypeSection s -> module.setTypeSection(s);
      case ImportSection s -> module.setImportSection(s);
      case FunctionSection s -> module.setFunctionSection(s);
      case TableSection s -> module.setTableSection(s);
      // A section without a memory is as good as none, and all that asks for the memory can go by the section.
      case MemorySection s when s.memoryCount() == 0 -> { }
      case MemorySection s -> module.setMemorySection(s);
      case GlobalSection s -> module.setGlobalSection(s);
      case ExportSection s -> module.setExportSection(s);
      case StartSection s -> module.setStartSection(s);
      case ElementSection s -> module.setElementSection(s);
      case CodeSection s -> module.setCodeSection(s);
      case DataSection s -> module.setDataSection(s);
      case DataCountSection s -> module.setDataCountSection(s);
      case TagSection s -> module.setTagSection(s);
      default -> {
        // Custom sections are not asked for.
      }
    }
  }

  private static String sectionName(int id) {
    return switch (id) {
      case SectionId.TYPE -> "type";
      case SectionId.IMPORT -> "import";
      case SectionId.FUNCTION -> "function";
      case SectionId.TABLE -> "table";
      case SectionId.MEMORY -> "memory";
      case SectionId.GLOBAL -> "global";
      case SectionId.EXPORT -> "export";
      case SectionId.START -> "start";
      case SectionId.ELEMENT -> "element";
      case SectionId.CODE -> "code";
      case SectionId.DATA -> "data";
      case SectionId.DATA_COUNT -> "data count";
      default -> "tag";
    };
  }

  /** The section that the validator was at: its exceptions do not say, its methods do. */
  private static String validated(Throwable e) {
    for (StackTraceElement frame : e.getStackTrace()) {
      switch (frame.getMethodName()) {
        case "validateFunctions" -> {
          return "code";
        }
        case "validateTypes" -> {
          return "type";
        }
        case "validateGlobals" -> {
          return "global";
        }
        case "validateElements" -> {
          return "element";
        }
        case "validateData" -> {
          return "data";
        }
        case "validateTags" -> {
          return "tag";
        }
        case "validateTables" -> {
          return "table";
        }
        default -> {
          // Further out.
        }
      }
    }
    return "module";
  }

  /** Chicory's own words, where they are meant for people. */
  private static String reason(Throwable e) {
    return e instanceof ChicoryException && e.getMessage() != null ? ": " + Refusal.shown(e.getMessage()) + "." : ".";
  }

  private static WasmModule strip(WasmModule module, IntPredicate interpreted) {
    int imported = module.importSection().importCount();
    CodeSection.Builder code = CodeSection.builder();
    for (int i = 0; i < module.codeSection().functionBodyCount(); i++) {
      code.addFunctionBody(interpreted.test(imported + i) ? module.codeSection().getFunctionBody(i) : COMPILED);
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
