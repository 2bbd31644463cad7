package dev.instar.backend.wasm.compile;

import com.dylibso.chicory.compiler.InterpreterFallback;
import com.dylibso.chicory.compiler.internal.ByteClassCollector;
import com.dylibso.chicory.compiler.internal.ClassCollector;
import com.dylibso.chicory.compiler.internal.Compiler;
import com.dylibso.chicory.compiler.internal.CompilerResult;
import com.dylibso.chicory.wasm.ChicoryException;
import com.dylibso.chicory.wasm.Parser;
import com.dylibso.chicory.wasm.WasmModule;
import com.dylibso.chicory.wasm.types.CodeSection;
import com.dylibso.chicory.wasm.types.DataCountSection;
import com.dylibso.chicory.wasm.types.DataSection;
import com.dylibso.chicory.wasm.types.ElementSection;
import com.dylibso.chicory.wasm.types.ExportSection;
import com.dylibso.chicory.wasm.types.ExternalType;
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
import java.io.ByteArrayInputStream;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;

/**
 * Chicory's parser and compiler, as they are used here.
 *
 * <p>The compiler is used by its inner classes: its public face does not say which functions it left to the interpreter, and has no place to
 * stop it. Both are needed, and the version is pinned and embedded.
 */
public final class Translator {
  /** Chicory's copy of its helpers that goes with each module's code; it is the same for every module. */
  static final String HELPERS = Code.MACHINE + "Shaded";

  private Translator() {}

  /** Takes the classes without loading them, up to so many bytes. */
  private static final class Bounded extends ByteClassCollector {
    private final long limit;
    private long bytes;

    Bounded(long limit) {
      this.limit = limit;
    }

    @Override
    public void put(String className, byte[] code) {
      count(code.length);
      super.put(className, code);
    }

    @Override
    public void putMainClass(String className, byte[] code) {
      count(code.length);
      super.putMainClass(className, code);
    }

    @Override
    public void putAll(ClassCollector collector) {
      collector.classBytes().values().forEach(code -> count(code.length));
      super.putAll(collector);
    }

    private void count(int more) {
      bytes += more;
      if (bytes > limit) {
        throw new TooMuchCode();
      }
    }
  }

  /** The code has more bytes than it may. */
  static final class TooMuchCode extends RuntimeException {
    private static final long serialVersionUID = 1;

    TooMuchCode() {
      super(null, null, false, false);
    }
  }

  /**
   * Makes bytecode of a module. Its helpers are left out.
   *
   * @param functionsPerClass a power of two
   * @param limit bytes of all classes together
   * @throws TooMuchCode when there are more
   * @throws Malformed when the compiler has no translation
   */
  static Code translate(WasmModule module, int functionsPerClass, long limit) throws Malformed {
    CompilerResult result;
    try {
      result = Compiler.builder(module)
          .withInterpreterFallback(InterpreterFallback.SILENT)
          .withMaxFunctionsPerClass(functionsPerClass)
          .withClassCollectorFactory(() -> new Bounded(limit))
          .build()
          .compile();
    } catch (TooMuchCode e) {
      throw e;
    } catch (RuntimeException | LinkageError | StackOverflowError e) {
      throw new Malformed("code", "the compiler of this backend cannot translate it; simplify or split its largest functions.");
    }
    // Sorted, so that the same module always gives the same bytes.
    Map<String, byte[]> sorted = new TreeMap<>();
    result.classBytes().forEach((name, bytes) -> sorted.put(name.replace('/', '.'), bytes));
    sorted.remove(HELPERS);
    HostArguments.use(sorted, module.importSection().count(ExternalType.FUNCTION));
    byte[] machine = sorted.remove(Code.MACHINE);
    Map<String, byte[]> classes = new LinkedHashMap<>(sorted);
    classes.put(Code.MACHINE, machine);
    return new Code(classes, result.interpretedFunctions());
  }

  /** The helpers that every module's code needs, made from Chicory's own class. */
  static byte[] helpers() {
    return HostArguments.added(Compiler.builder(WasmModule.builder().build()).withClassCollectorFactory(ByteClassCollector::new).build().compile()
        .classBytes().get(HELPERS.replace('.', '/')));
  }

  /** Parses and validates a module. */
  public static WasmModule parse(byte[] bytes) throws Malformed {
    WasmModule.Builder module = WasmModule.builder().withValidation(true);
    Parser.Builder parser = Parser.builder();
    for (int id = SectionId.TYPE; id <= SectionId.TAG; id++) {
      parser.includeSectionId(id);
    }
    // Where the parser stands when it fails: in the section after the last that it has finished.
    int[] done = {SectionId.CUSTOM};
    try {
      parser.build().parse(new ByteArrayInputStream(bytes), section -> {
        done[0] = section.sectionId();
        add(module, section);
      });
    } catch (RuntimeException | AssertionError e) {
      throw new Malformed("module", "What follows the " + (done[0] == SectionId.CUSTOM ? "header" : sectionName(done[0]) + " section")
          + " is malformed" + reason(e));
    }
    try {
      return module.build();
    } catch (RuntimeException | AssertionError e) {
      throw new Malformed(validated(e), "not valid" + reason(e));
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
    return e instanceof ChicoryException && e.getMessage() != null ? ": " + e.getMessage() + "." : ".";
  }
}
