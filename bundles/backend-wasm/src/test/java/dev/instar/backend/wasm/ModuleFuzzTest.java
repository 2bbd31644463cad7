package dev.instar.backend.wasm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.FuzzTest;
import com.dylibso.chicory.wasm.Parser;
import com.dylibso.chicory.wasm.WasmModule;
import com.dylibso.chicory.wasm.types.ExternalType;
import com.dylibso.chicory.wasm.types.SectionId;
import com.sun.management.ThreadMXBean;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * What the scan lets pass, the parser reads within bounds of memory that go by the module's size, and finds the same in it; or it says no with an
 * exception of the kinds that are caught. An endless loop or a stack overflow is a finding.
 *
 * <p>The first byte of an input says what the rest is: an even one, a module as it stands; an odd one, sections of a number, two bytes of length
 * and contents, which get the header and sizes that a fuzzer finds hard to get right.
 */
class ModuleFuzzTest {
  static final Bounds BOUNDS = new Bounds(1 << 20, 1 << 16, 200, 1 << 14, 10_000);
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();
  private static final byte[] HEADER = {0, 'a', 's', 'm', 1, 0, 0, 0};
  /** The arrays of one constant expression, which takes at least one byte. */
  private static final long SCAN_BYTES_PER_BYTE = 512;
  private static final long PARSER_BYTES_PER_BYTE = 4096;
  /** Whatever the size. */
  private static final long FIXED = 1 << 20;

  @FuzzTest
  void whatTheScanLetsPassTheParserCanRead(byte[] input) {
    if (input.length == 0) {
      return;
    }
    byte[] rest = Arrays.copyOfRange(input, 1, input.length);
    byte[] module = (input[0] & 1) == 0 ? rest : sections(rest);
    Optional<ModuleScan.Figures> scanned = bounded("scan", SCAN_BYTES_PER_BYTE * module.length, () -> scan(module));
    if (scanned.isEmpty()) {
      return;
    }
    ModuleScan.Figures figures = scanned.get();
    assertTrue(figures.functions() <= BOUNDS.functions() && figures.codeBytes() <= BOUNDS.codeBytes(), figures::toString);
    Optional<WasmModule> read = bounded("parser", PARSER_BYTES_PER_BYTE * module.length, () -> parse(module));
    if (read.isEmpty()) {
      return;
    }
    WasmModule parsed = read.get();
    assertEquals(parsed.codeSection().functionBodyCount(), figures.functions());
    assertEquals(parsed.functionSection().functionCount(), figures.functions());
    long elements = 0;
    for (int i = 0; i < parsed.tableSection().tableCount(); i++) {
      elements += parsed.tableSection().getTable(i).limits().min();
    }
    assertTrue(elements <= BOUNDS.tableElements(), "elements of tables: " + elements);
    assertEquals(0, parsed.importSection().stream().filter(i -> i.importType() != ExternalType.FUNCTION).count());
  }

  private static Optional<ModuleScan.Figures> scan(byte[] module) {
    try {
      return Optional.of(ModuleScan.scan(module, BOUNDS));
    } catch (InstarException e) {
      assertEquals(ErrorCode.MODULE_REFUSED, e.code());
      assertTrue(e.problem().detail().chars().allMatch(c -> c >= ' ' && c <= '~'), () -> "printable: " + e.problem().detail());
      return Optional.empty();
    }
  }

  private static Optional<WasmModule> parse(byte[] module) {
    // As the compiler has it read: without custom sections.
    Parser.Builder parser = Parser.builder();
    for (int id = SectionId.TYPE; id <= SectionId.TAG; id++) {
      parser.includeSectionId(id);
    }
    try {
      return Optional.of(parser.build().parse(new ByteArrayInputStream(module)));
    } catch (RuntimeException | AssertionError e) {
      // The compiler makes a refusal of these.
      return Optional.empty();
    }
  }

  private static <T> T bounded(String what, long bytes, Supplier<T> work) {
    long allocated = 0;
    // The first time, classes may be loaded and instrumented on the way.
    for (int i = 0; i < 2; i++) {
      long before = THREADS.getCurrentThreadAllocatedBytes();
      T result = work.get();
      allocated = THREADS.getCurrentThreadAllocatedBytes() - before;
      if (allocated <= FIXED + bytes) {
        return result;
      }
    }
    throw new AssertionError("the " + what + " allocated " + allocated + " bytes");
  }

  /** A module of a fuzzer's plan: sections of a number, two bytes of length and contents. */
  static byte[] sections(byte[] plan) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(HEADER);
    for (int at = 0; at + 3 <= plan.length;) {
      int size = Math.min((plan[at + 1] & 0xff) << 8 | plan[at + 2] & 0xff, plan.length - at - 3);
      out.write(plan[at]);
      for (int left = size; ; left >>>= 7) {
        out.write(left < 0x80 ? left : left & 0x7f | 0x80);
        if (left < 0x80) {
          break;
        }
      }
      out.write(plan, at + 3, size);
      at += 3 + size;
    }
    return out.toByteArray();
  }
}
