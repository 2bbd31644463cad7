package dev.instar.backend.wasm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.dylibso.chicory.compiler.MachineFactoryCompiler;
import com.dylibso.chicory.runtime.Memory;
import com.dylibso.chicory.wasm.ChicoryException;
import com.dylibso.chicory.wasm.Parser;
import com.dylibso.chicory.wasm.WasmModule;
import com.dylibso.chicory.wasm.types.MemoryLimits;
import dev.instar.api.Digest;
import dev.instar.api.sandbox.StartContext;
import dev.instar.backend.wasm.memory.MemoryImage;
import dev.instar.backend.wasm.memory.MemoryPool;
import dev.instar.tck.capability.RequiresCapability;
import dev.instar.wasi.Clocks;
import dev.instar.wasi.FileQuota;
import dev.instar.wasi.LowerTree;
import dev.instar.wasi.WasiSettings;
import dev.instar.wasi.guest.MemoryBudget;
import dev.instar.wasi.writeback.ModuleState;
import dev.instar.wasi.writeback.Outcome;
import dev.instar.wasi.writeback.WholeModule;
import dev.instar.wasi.writeback.Writeback;
import java.io.ByteArrayOutputStream;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What is written back, part by part. The whole of the core specification tests goes through it in {@link CoreSpecificationTest}. */
@RequiresCapability("wabt")
class WritebackTest {
  @TempDir
  static Path directory;

  @Test
  void memoryBeginsAsItIs() {
    Started first = Started.wat("""
        (module (memory (export "m") 1 9)
          (data (i32.const 3) "abc")
          (func (export "init")
            (drop (memory.grow (i32.const 2)))
            (i32.store8 (i32.const 4) (i32.const 0))
            (i32.store (i32.const 70000) (i32.const -1))
            (i32.store8 (i32.const 196607) (i32.const 7))))""");
    first.call("init");
    Started again = first.again();
    assertArrayEquals(first.memory(), again.memory());
    MemoryLimits limits = again.instance().module().memorySection().orElseThrow().getMemory(0).limits();
    assertEquals(List.of(3, 9), List.of(limits.initialPages(), limits.maximumPages()));
    assertEquals(3, again.instance().module().dataSection().dataSegmentCount());
  }

  @Test
  void aMemoryOfZerosHasNoSegments() {
    Started first = Started.wat("""
        (module (memory 2) (data (i32.const 3) "abc") (func (export "init") (memory.fill (i32.const 0) (i32.const 0) (i32.const 100))))""");
    first.call("init");
    Started again = first.again();
    assertArrayEquals(new byte[2 << 16], again.memory());
    assertEquals(List.of("PassiveDataSegment"),
        Arrays.stream(Parser.parse(first.written()).dataSection().dataSegments()).map(s -> s.getClass().getSimpleName()).toList());
  }

  /** A byte in 8 KiB, so that each would be a segment, 16 of them. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 7, 14, 15, 16})
  void gapsAreBridgedWhereThereWouldBeTooManySegments(int most) {
    Started first = Started.wat("(module (memory 3))");
    for (int at = 0; at < 3 << 16; at += 8192) {
      first.instance().memory().writeByte(at, (byte) (at < 65536 || at >= 131072 ? 1 : 0));
    }
    Started again = Started.of(first.written(most));
    int segments = again.instance().module().dataSection().dataSegmentCount();
    assertTrue(segments <= most && (most < 16 || segments == 16), () -> segments + " segments");
    assertArrayEquals(first.memory(), again.memory());
  }

  @Test
  void whatIsNoModuleForAMemoryIsNotMadeWhole() {
    Started first = Started.wat("(module (memory 1) (data \"left\") (func (export \"init\") (i32.store8 (i32.const 5) (i32.const 7))))");
    first.call("init");
    byte[] bare = ((Outcome.Written) first.writeBack(Started.BOUNDS)).module();
    Optional<ModuleState.Linear> memory = ChicoryState.of(first.instance()).memory();
    assertArrayEquals(bare, WholeModule.of(bare, Optional.empty(), 1, 1 << 20), "there is nothing to add");
    assertArrayEquals(first.memory(), Started.of(WholeModule.of(bare, memory, 2, 5000)).memory());
    assertThrows(WholeModule.TooLarge.class, () -> WholeModule.of(bare, memory, 1, 5000));
    assertThrows(WholeModule.TooLarge.class, () -> WholeModule.of(bare, memory, 2, 4096));
    for (byte[] other : List.of(new byte[9], Wat.compile("(module)"), Wat.compile("(module (memory 0))"),
        Wat.compile("(module (memory 1) (data (i32.const 1) \"active\"))"))) {
      assertThrows(IllegalArgumentException.class, () -> WholeModule.of(other, memory, 9, 1 << 20));
    }
  }

  @Test
  void segmentsThatAreLeftStayAtTheirIndices() {
    Started first = Started.wat("""
        (module (memory 1)
          (data (i32.const 0) "active")
          (data "dropped")
          (data "left")
          (func (export "init") (data.drop 1))
          (func (export "copy2") (memory.init 2 (i32.const 100) (i32.const 0) (i32.const 4))))""");
    first.call("init");
    for (int i = 0; i < 40; i++) {
      first.instance().memory().writeByte(1000 + 100 * i, (byte) i);
    }
    Started again = first.again();
    assertArrayEquals(first.memory(), again.memory());
    // That the others are empty is for the core suite to say: Chicory's own memory leaves active segments as they were.
    again.call("copy2");
    assertEquals("left", again.instance().memory().readString(100, 4));
    assertArrayEquals(first.written(), first.again().written(), "once more changes nothing");
  }

  @Test
  void globalsBeginWithWhatTheyHold() {
    Started first = Started.wat("""
        (module
          (global $a (export "a") (mut i32) (i32.const 0)) (global $b (export "b") (mut i64) (i64.const 0))
          (global $c (export "c") (mut f32) (f32.const 0)) (global $d (export "d") (mut f64) (f64.const 0))
          (global $e (export "e") (mut funcref) (ref.null func)) (global $n (export "n") (mut funcref) (ref.func $f))
          (global $x (export "x") externref (ref.null extern)) (global $s (export "s") i32 (i32.const 77))
          (func $f (export "f"))
          (func (export "init")
            (global.set $a (i32.const -2147483648)) (global.set $b (i64.const -9223372036854775807))
            (global.set $c (f32.const -nan:0x1234)) (global.set $d (f64.const nan:0x4000000000001))
            (global.set $e (ref.func $f)) (global.set $n (ref.null func))))""");
    first.call("init");
    Started again = first.again();
    for (String name : List.of("a", "b", "c", "d", "e", "n", "x", "s")) {
      assertEquals(first.instance().exports().global(name).getValue(), again.instance().exports().global(name).getValue(), name);
    }
    assertEquals(0, again.instance().exports().global("e").getValue());
  }

  /** No engine of ours runs them; the form is that of the specification's binary format. */
  @Test
  void aVectorIsWrittenFromItsLowestByte() {
    byte[] module = Binary.module()
        .section(6, new Binary().bytes(1, 0x7b, 1, 0xfd, 12).repeat(16, 0).bytes(0x0b).done()).done();
    var state = new ModuleState(Optional.empty(), List.of(new ModuleState.Bits(0x0807060504030201L, 0x100f0e0d0c0b0a09L)), List.of(),
        new BitSet(), new BitSet());
    byte[] expected = Binary.module()
        .section(6, new Binary().bytes(1, 0x7b, 1, 0xfd, 12).bytes(IntStream.rangeClosed(1, 16).toArray()).bytes(0x0b).done()).done();
    assertArrayEquals(expected, ((Outcome.Written) Writeback.write(module, state, Set.of(), Started.BOUNDS)).module());
  }

  @Test
  void tablesBeginAsTheyAre() {
    Started first = Started.wat("""
        (module
          (table $t (export "t") 3 40 funcref) (table $u (export "u") 5 funcref) (table $x (export "x") 2 externref)
          (elem (table $t) (i32.const 0) func $f $g)
          (elem $left funcref (ref.func $h) (ref.null func))
          (elem $gone func $g)
          (elem declare func $only)
          (func $f (result i32) (i32.const 1)) (func $g (result i32) (i32.const 2)) (func $h (result i32) (i32.const 3))
          (func $only (result i32) (i32.const 4))
          (func (export "init")
            (table.set $t (i32.const 1) (ref.null func)) (table.set $t (i32.const 2) (ref.func $h))
            (drop (table.grow $t (ref.null func) (i32.const 20))) (table.set $t (i32.const 21) (ref.func $g))
            (table.set $u (i32.const 4) (ref.func $f)) (drop (table.grow $x (ref.null extern) (i32.const 1)))
            (elem.drop $gone))
          (func (export "reference") (table.set $u (i32.const 0) (ref.func $only)))
          (func (export "copy") (table.init $u $left (i32.const 1) (i32.const 0) (i32.const 2)))
          (func (export "empty") (param i32) (table.init $u $gone (i32.const 1) (i32.const 0) (local.get 0)))
          (func (export "call") (param i32) (result i32) (call_indirect $u (result i32) (local.get 0))))""");
    first.call("init");
    Started again = first.again();
    for (int table = 0; table < 3; table++) {
      assertEquals(references(first, table), references(again, table));
      assertEquals(first.instance().table(table).limits().max(), again.instance().table(table).limits().max());
    }
    assertEquals(23, again.instance().table(0).size());
    again.call("reference");
    again.call("copy");
    assertEquals(List.of(4L, 3L, 1L), List.of(again.call("call", 0)[0], again.call("call", 1)[0], again.call("call", 4)[0]));
    assertThrows(ChicoryException.class, () -> again.call("call", 2));
    again.call("empty", 0);
    assertThrows(ChicoryException.class, () -> again.call("empty", 1));
    assertArrayEquals(first.written(), first.again().written(), "once more changes nothing");
  }

  private static List<Integer> references(Started started, int table) {
    var instance = started.instance().table(table);
    return IntStream.range(0, instance.size()).mapToObj(instance::ref).toList();
  }

  @Test
  void sectionsThatWereNotThereComeToTheirPlaces() {
    Started first = Started.wat("""
        (module (memory 1) (table 2 funcref)
          (func $f (export "f") (result i32) (i32.const 5))
          (func (export "init") (i32.store (i32.const 8) (i32.const 9)) (table.set 0 (i32.const 1) (ref.func $f)))
          (func (export "call") (result i32) (i32.add (i32.load (i32.const 8)) (call_indirect (result i32) (i32.const 1)))))""");
    first.call("init");
    assertEquals(14, first.again().call("call")[0]);
  }

  @Test
  void nothingInitialisesTwice() {
    Started first = Started.wat("""
        (module (memory 1)
          (global $n (export "n") (mut i32) (i32.const 0))
          (func $start (global.set $n (i32.add (global.get $n) (i32.const 1))))
          (func $initialize (export "_initialize") (export "kept") (call $start))
          (func (export "reference") (drop (ref.func $initialize)))
          (start $start))""");
    first.call("_initialize");
    Started again = first.again("_initialize", "__wasm_call_ctors");
    assertEquals(2, again.instance().exports().global("n").getValue());
    assertEquals(List.of("n", "kept", "reference"), again.exports());
    assertTrue(again.instance().module().startSection().isEmpty());
    again.call("kept");
    assertEquals(3, again.instance().exports().global("n").getValue(), "its body is as it was");
  }

  /** The reference is taken of a function that only the export declared. */
  @Test
  void aFunctionThatOnlyItsExportDeclaredStaysDeclared() {
    Started first = Started.wat("""
        (module (func $i (export "_initialize")) (func (export "f") (result i32) (ref.is_null (ref.func $i))))""");
    first.call("_initialize");
    assertEquals(0, first.again("_initialize").call("f")[0]);
  }

  @Test
  void customSectionsStayButForThoseThatWouldBeWrong() {
    byte[] bytes = Wat.compile("(module (memory 1) (func (export \"f\")) (data (i32.const 0) \"x\"))");
    var more = new ByteArrayOutputStream();
    more.write(bytes, 0, 8);
    more.writeBytes(custom("before"));
    more.write(bytes, 8, bytes.length - 8);
    for (String name : List.of("name", "linking", "reloc.CODE", "dylink.0", "sourceMappingURL", ".debug_info", "producers")) {
      more.writeBytes(custom(name));
    }
    WasmModule again = Parser.parse(Started.of(more.toByteArray()).written());
    assertEquals(Set.of("before", "name", ".debug_info", "producers"), Set.copyOf(again.customSections().stream().map(s -> s.name()).toList()));
  }

  private static byte[] custom(String name) {
    return new Binary().section(0, new Binary().name(name).done()).done();
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
      "MEMORY_KIND | (memory 1 2 shared)",
      "HOST_REFERENCE | (table (export \"t\") 2 externref)"})
  void refuses(Outcome.Reason reason, String fields) {
    Started first = Started.wat("(module " + fields + ")");
    if (reason == Outcome.Reason.HOST_REFERENCE) {
      first.instance().table(0).setRef(1, 42, first.instance());
    }
    assertEquals(reason, first.refused());
  }

  @ParameterizedTest
  @ValueSource(strings = {"memory 1", "table 1 funcref", "global i32", "global (mut i32)"})
  void refusesWhatIsImported(String what) {
    byte[] module = Wat.compile("(module (import \"m\" \"n\" (" + what + ")))");
    assertEquals(Outcome.Reason.IMPORTED_STATE, reason(module));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "0061", "0061736d02000000", "0061736d0100000005", "0061736d010000000507", "0061736d010000000e00",
      "0061736d0100000006008000", "0061736d01000000050301000103020100", "0061736d0100000005ffffffffff00", "0061736d010000000605ffffffff0f",
      "0061736d01000000060501017f01fc", "0061736d010000000504010001ff", "0061736d0100000009050101000122", "0061736d010000000705010161002a",
      "0061736d01000000030201000a0401020b0b", "0061736d0100000001040160000003020100"})
  void refusesWhatIsNoModule(String hex) {
    assertEquals(Outcome.Reason.UNREADABLE, reason(HexFormat.of().parseHex(hex)));
  }

  private static Outcome.Reason reason(byte[] module) {
    var state = new ModuleState(Optional.empty(), List.of(), List.of(), new BitSet(), new BitSet());
    return ((Outcome.Inexpressible) Writeback.write(module, state, Set.of(), Started.BOUNDS)).reason();
  }

  @Test
  void refusesWhatWouldBeTooLarge() {
    Started first = Started.wat("""
        (module (memory 2) (table 9 funcref) (func $f (export "f")) (func (export "init") (memory.fill (i32.const 0) (i32.const 1) (i32.const 131072))
          (table.fill 0 (i32.const 0) (ref.func $f) (i32.const 9))))""");
    first.call("init");
    for (Writeback.Bounds tight : List.of(new Writeback.Bounds(64, 9, 10), new Writeback.Bounds(1 << 20, 0, 10),
        new Writeback.Bounds(1 << 20, 9, 9))) {
      assertEquals(Outcome.Reason.TOO_LARGE, ((Outcome.Inexpressible) first.writeBack(tight)).reason(), tight::toString);
    }
    assertTrue(first.writeBack(new Writeback.Bounds(1 << 20, 9, 10)) instanceof Outcome.Written);
  }

  /** Chicory wants a segment that declares it where the body is the function's own. */
  @Test
  void aFunctionOfATableMayReferToItself() {
    Started first = Started.wat("""
        (module (table 1 funcref) (elem declare func $f)
          (func $f (export "init") (table.set 0 (i32.const 0) (ref.func $f))))""");
    first.call("init");
    assertEquals(List.of(0), references(first.again(), 0));
  }

  /** What wasm-ld links from objects none of which calls the constructors. */
  @Test
  void refusesWhereEachExportConstructsAgain() {
    byte[] module = Wat.compile("""
        (module (memory 1) (global $n (mut i32) (i32.const 0))
          (func $ctors (global.set $n (i32.add (global.get $n) (i32.const 1))))
          (func $zygote (export "_faasm_zygote") (call $ctors))
          (func (export "exec") (param i32) (result i32) (call $ctors) (global.get $n)))""");
    byte[] names = new Binary().name("name").section(1, new Binary().bytes(1, 1).name("_faasm_zygote.command_export").done()).done();
    Started first = Started.of(new Binary().bytes(module).section(0, names).done());
    first.call("_faasm_zygote");
    assertEquals(Outcome.Reason.CONSTRUCTING_EXPORTS, first.refused("_faasm_zygote"));
    assertEquals(2, first.again().call("exec", 0)[0], "nobody's business where nothing was run but what each instance runs");
    byte[] damaged = new Binary().name("name").section(1, new Binary().bytes(9, 1, 77).done()).done();
    byte[] unnamed = new Binary().bytes(module).section(0, damaged).done();
    assertTrue(Writeback.write(unnamed, ChicoryState.of(first.instance()), Set.of("_faasm_zygote"), Started.BOUNDS) instanceof Outcome.Written);
  }

  @Test
  void aStateOfAnotherModuleIsAFaultOfTheCaller() {
    ModuleState state = ChicoryState.of(Started.wat("(module (memory 1) (global i32 (i32.const 0)))").instance());
    byte[] other = Wat.compile("(module (memory 1))");
    assertThrows(IllegalArgumentException.class, () -> Writeback.write(other, state, Set.of(), Started.BOUNDS));
  }

  @Test
  void refusesWrittenFiles() throws Exception {
    byte[] bytes = Wat.compile("""
        (module (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
          (memory (export "memory") 1) (data (i32.const 8) "file")
          (func (export "init") (result i32)
            (call $open (i32.const 3) (i32.const 0) (i32.const 8) (i32.const 4) (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0)
              (i32.const 16))))""");
    WasmModule module = Parser.parse(bytes);
    var compiled = new ModuleCompiler.Compiled(Digest.of(bytes), module, MachineFactoryCompiler.compile(module), 1, 0, 0, false);
    MemoryBudget budget = MemoryBudget.ofHeap(1L << 30);
    var wasi = new WasiSettings(List.of(), Map.of(), Optional.of(LowerTree.scan(directory, 10)), directory, FileQuota.DEFAULT, budget,
        Clocks.system(), new SecureRandom());
    var settings = new Snapshot.Settings(wasi, new Guest.Allowance(1 << 20, false, 10), false,
        new Guest.Budgets(budget, MemoryBudget.ofMachine("dev.instar.backend.wasm", 1L << 30)));
    Bounds bounds = new Bounds(1 << 20, 1 << 20, 100, 1 << 20, 100);
    MemoryPool pool = new MemoryPool(1, 1);
    for (boolean opened : new boolean[] {false, true}) {
      try (MemoryImage zeros = MemoryImage.zeros(new MemoryLimits(1, 1))) {
        Guest guest = Snapshot.instantiate(Snapshot.blank(compiled, zeros.open(), settings, StartContext.Room.NONE), compiled, HostFunctions.of(module), settings);
        if (opened) {
          guest.enter();
          assertEquals(0, guest.call("init")[0]);
          guest.leave();
        }
        Snapshot snapshot = Snapshot.of(guest, compiled, HostFunctions.of(module), List.of(), Memory.PAGE_SIZE, pool, settings);
        guest.release();
        try (MemoryImage.Content content = snapshot.content()) {
          switch (snapshot.writeBack(bytes, content, Set.of(), bounds)) {
            case Outcome.Written _ -> assertFalse(opened);
            case Outcome.Inexpressible i -> {
              assertTrue(opened);
              assertEquals(Outcome.Reason.FILES, i.reason());
            }
          }
          assertEquals(opened, snapshot.inexpressible().isPresent());
        }
        snapshot.release();
      }
    }
    pool.close();
    assertEquals(0, budget.used());
  }
}
