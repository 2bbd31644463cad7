package dev.instar.backend.wasm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.FuzzTest;
import com.dylibso.chicory.runtime.ByteArrayMemory;
import com.dylibso.chicory.runtime.Memory;
import com.dylibso.chicory.wasm.WasmModule;
import com.dylibso.chicory.wasm.types.ActiveDataSegment;
import com.dylibso.chicory.wasm.types.DataSegment;
import com.dylibso.chicory.wasm.types.ExternalType;
import com.dylibso.chicory.wasm.types.MemoryLimits;
import com.dylibso.chicory.wasm.types.ValType;
import dev.instar.api.InstarException;
import dev.instar.wasi.writeback.ModuleState;
import dev.instar.wasi.writeback.Outcome;
import dev.instar.wasi.writeback.WholeModule;
import dev.instar.wasi.writeback.Writeback;
import dev.instar.wasi.writeback.WrittenState;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;

/**
 * Any bytes are refused for a reason, or written back as a module, from which the state can be read. Where they are a module and the state is one of it, the parser accepts what is
 * written, it has the state's sizes and no start section, and written back once more it is the same.
 *
 * <p>An input begins with a byte that seeds the state. The second says what the rest is, as in {@link ModuleFuzzTest}.
 */
class WritebackFuzzTest {
  private static final Writeback.Bounds BOUNDS = new Writeback.Bounds(1 << 20, 500, 5000);
  private static final ModuleState NOTHING = new ModuleState(Optional.empty(), List.of(), List.of(), new BitSet(), new BitSet());
  private static final int MOST = 1000;

  @FuzzTest
  void isRefusedOrParses(byte[] input) {
    if (input.length < 2) {
      return;
    }
    byte[] rest = Arrays.copyOfRange(input, 2, input.length);
    byte[] module = (input[1] & 1) == 0 ? rest : ModuleFuzzTest.sections(rest);
    Optional<WasmModule> parsed = parse(module);
    if (parsed.isEmpty()) {
      unparsed(module);
      return;
    }
    Optional<ModuleState> state = state(parsed.get(), new Random(input[0]));
    if (state.isEmpty()) {
      return;
    }
    Set<String> initialisers = (input[1] & 2) == 0 ? Set.of() : Set.of("_initialize", "a");
    if (Writeback.write(module, state.get(), initialisers, BOUNDS) instanceof Outcome.Written written) {
      // By itself, so that what the parser says of it is the finding.
      WasmModule again = ModuleCompiler.parse(written.module());
      assertTrue(again.startSection().isEmpty());
      assertEquals(state.get().globals().size(), again.globalSection().globalCount());
      for (int i = 0; i < state.get().tables().size(); i++) {
        assertEquals(state.get().tables().get(i).length, again.tableSection().getTable(i).limits().min());
      }
      again.memorySection().ifPresent(memory ->
          assertEquals(state.get().memory().orElseThrow().pages(), memory.getMemory(0).limits().initialPages()));
      assertEquals(parsed.get().codeSection().functionBodyCount(), again.codeSection().functionBodyCount());
      WrittenState read = WrittenState.read(ByteBuffer.wrap(written.module()), 100_000);
      assertEquals(state.get().memory().map(ModuleState.Linear::pages).orElse(0).longValue(), read.pages());
      assertArrayEquals(state.get().tables().toArray(), read.tables().toArray());
      for (int i = 0; i < read.globals().size(); i++) {
        assertEquals(constant(parsed.get().globalSection().getGlobal(i).valueType(), state.get().globals().get(i)), read.globals().get(i));
      }
      var more = (Outcome.Written) Writeback.write(written.module(), state.get(), initialisers, BOUNDS);
      assertArrayEquals(written.module(), more.module());
      whole(written.module(), state.get().memory());
    }
  }

  /** With its memory it is a module that begins with that, and of which the same is written back. */
  private static void whole(byte[] written, Optional<ModuleState.Linear> memory) {
    byte[] whole;
    try {
      whole = WholeModule.of(written, memory, BOUNDS.segments(), BOUNDS.bytes());
    } catch (WholeModule.TooLarge e) {
      return;
    }
    byte[] expected = memory.map(linear -> linear.read(0, linear.pages() * ModuleState.PAGE)).orElse(new byte[0]);
    byte[] begun = new byte[expected.length];
    for (DataSegment segment : ModuleCompiler.parse(whole).dataSection().dataSegments()) {
      if (segment instanceof ActiveDataSegment active) {
        System.arraycopy(segment.data(), 0, begun, (int) active.offsetInstructions().getFirst().operand(0), segment.data().length);
      }
    }
    assertArrayEquals(expected, begun);
  }

  /** What of a global's bits is a value of its type. */
  private static ModuleState.Bits constant(ValType type, ModuleState.Bits bits) {
    boolean half = type.equals(ValType.I32) || type.equals(ValType.F32) || type.isReference();
    return new ModuleState.Bits(half ? (int) bits.low() : bits.low(), type.equals(ValType.V128) ? bits.high() : 0);
  }

  private static void unparsed(byte[] module) {
    try {
      WrittenState.read(ByteBuffer.wrap(module), 1000);
    } catch (IllegalArgumentException e) {
      assertTrue(e.getClass() == IllegalArgumentException.class, e::toString);
    }
    try {
      Writeback.write(module, NOTHING, Set.of(), BOUNDS);
    } catch (IllegalArgumentException e) {
      assertTrue(e.getMessage().startsWith("The state has other "), e::getMessage);
    }
  }

  private static Optional<WasmModule> parse(byte[] module) {
    try {
      // The scan bounds what the parser allocates.
      ModuleScan.scan(module, ModuleFuzzTest.BOUNDS);
      return Optional.of(ModuleCompiler.parse(module));
    } catch (InstarException e) {
      return Optional.empty();
    }
  }

  /** Any state that an instance could have; empty where that would be large. */
  private static Optional<ModuleState> state(WasmModule module, Random random) {
    int functions = module.importSection().count(ExternalType.FUNCTION) + module.functionSection().functionCount();
    List<ModuleState.Bits> globals = new ArrayList<>();
    for (int i = 0; i < module.globalSection().globalCount(); i++) {
      ValType type = module.globalSection().getGlobal(i).valueType();
      globals.add(type.isReference() ? new ModuleState.Bits(reference(type, functions, random), 0)
          : new ModuleState.Bits(random.nextLong(), random.nextLong()));
    }
    List<int[]> tables = new ArrayList<>();
    for (int i = 0; i < module.tableSection().tableCount(); i++) {
      var table = module.tableSection().getTable(i);
      if (table.limits().min() > MOST || i > 10) {
        return Optional.empty();
      }
      int size = (int) Math.min(table.limits().max(), table.limits().min() + random.nextInt(20));
      tables.add(random.ints(size).map(any -> reference(table.elementType(), functions, random)).toArray());
    }
    Optional<ModuleState.Linear> memory = Optional.empty();
    if (module.memorySection().isPresent() && module.memorySection().get().memoryCount() > 0) {
      MemoryLimits limits = module.memorySection().get().getMemory(0).limits();
      if (limits.initialPages() > 2) {
        return Optional.empty();
      }
      Memory written = new ByteArrayMemory(new MemoryLimits(limits.initialPages(), Math.max(limits.initialPages(), 2)));
      for (int i = random.nextInt(50); i > 0 && limits.initialPages() > 0; i--) {
        written.writeByte(random.nextInt(random.nextBoolean() ? 200 : limits.initialPages() << 16), (byte) random.nextInt());
      }
      memory = Optional.of(ChicoryState.memory(written));
    }
    return Optional.of(new ModuleState(memory, globals, tables, left(module.dataSection().dataSegmentCount(), random),
        left(module.elementSection().elementCount(), random)));
  }

  private static int reference(ValType type, int functions, Random random) {
    return !type.equals(ValType.FuncRef) || functions == 0 || random.nextInt(3) == 0 ? ModuleState.NULL : random.nextInt(functions);
  }

  private static BitSet left(int count, Random random) {
    BitSet left = new BitSet();
    for (int i = 0; i < count; i++) {
      left.set(i, random.nextBoolean());
    }
    return left;
  }
}
