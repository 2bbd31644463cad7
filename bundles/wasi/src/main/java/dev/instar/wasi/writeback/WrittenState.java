package dev.instar.wasi.writeback;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;

/**
 * What a module that {@link Writeback} has written begins with, but for the bytes of its memory: read from its bytes, so that no engine has to
 * parse it and nothing of its bodies and its memory gets onto the heap.
 *
 * @param pages of WebAssembly that its memory begins with; 0 where it has none
 * @param globals values of its own globals; those that are smaller than 64 bits with their sign
 * @param tables of each table the functions in it
 * @param leftData which data segments have not been dropped
 * @param leftElements which element segments have not been dropped
 */
public record WrittenState(long pages, List<ModuleState.Bits> globals, List<int[]> tables, BitSet leftData, BitSet leftElements) {
  /**
   * Reads a module from position 0 to the limit of its bytes. Whether a reference is one to a function that exists is for the caller to look at.
   *
   * @param elements the most that its tables may have together
   * @throws IllegalArgumentException when it is no module, or not one that was written back
   */
  public static WrittenState read(ByteBuffer module, long elements) {
    try {
      return read(ModuleBytes.read(module), elements);
    } catch (ModuleBytes.Refused e) {
      throw new IllegalArgumentException(e.getMessage());
    }
  }

  private static WrittenState read(ModuleBytes module, long elements) {
    List<ModuleState.Bits> globals = new ArrayList<>();
    module.globals.forEach(global -> globals.add(module.constant(global.initial())));
    long size = module.tables.stream().mapToLong(ModuleBytes.TableType::minimum).sum();
    if (size > elements) {
      throw new IllegalArgumentException("its tables begin with " + size + " elements; " + elements + " are allowed");
    }
    List<int[]> tables = new ArrayList<>();
    for (ModuleBytes.TableType table : module.tables) {
      int[] references = new int[(int) table.minimum()];
      Arrays.fill(references, ModuleState.NULL);
      tables.add(references);
    }
    BitSet leftElements = new BitSet();
    for (int i = 0; i < module.elements.size(); i++) {
      ModuleBytes.Elements segment = module.elements.get(i);
      leftElements.set(i, segment.passive() && segment.items() > 0);
      module.place(segment.whole(), tables);
    }
    BitSet leftData = new BitSet();
    for (int i = 0; i < module.data.size(); i++) {
      leftData.set(i, module.data.get(i).passive() && module.data.get(i).length() > 0);
    }
    return new WrittenState(module.memory.map(ModuleBytes.MemoryType::minimum).orElse(0L), globals, tables, leftData, leftElements);
  }
}
