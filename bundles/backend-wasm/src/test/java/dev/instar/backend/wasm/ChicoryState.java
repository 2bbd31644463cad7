package dev.instar.backend.wasm;

import com.dylibso.chicory.runtime.GlobalInstance;
import com.dylibso.chicory.runtime.Instance;
import com.dylibso.chicory.runtime.Memory;
import com.dylibso.chicory.runtime.TableInstance;
import com.dylibso.chicory.wasm.types.ExternalType;
import com.dylibso.chicory.wasm.types.PassiveElement;
import dev.instar.wasi.writeback.ModuleState;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;

/** What plain Chicory has changed. */
final class ChicoryState {
  private ChicoryState() {}

  /** The memory of an instance. */
  static ModuleState.Linear memory(Memory memory) {
    return new ModuleState.Linear() {
      @Override
      public int pages() {
        return memory.pages();
      }

      @Override
      public byte[] read(int address, int length) {
        return memory.readBytes(address, length);
      }
    };
  }

  /** The state of an instance that does not run. */
  static ModuleState of(Instance instance) {
    var module = instance.module();
    int imported = module.importSection().count(ExternalType.GLOBAL);
    List<ModuleState.Bits> globals = new ArrayList<>();
    for (int i = imported; i < instance.globalCount(); i++) {
      GlobalInstance global = instance.global(i);
      globals.add(new ModuleState.Bits(global.getValueLow(), global.getValueHigh()));
    }
    List<int[]> tables = new ArrayList<>();
    for (int i = 0; i < instance.tableCount(); i++) {
      tables.add(references(instance, instance.table(i)));
    }
    BitSet leftData = new BitSet();
    for (int i = 0; i < module.dataSection().dataSegmentCount(); i++) {
      leftData.set(i, instance.dataSegmentData(i).length > 0);
    }
    BitSet leftElements = new BitSet();
    for (int i = 0; i < instance.elementCount(); i++) {
      leftElements.set(i, instance.element(i) instanceof PassiveElement);
    }
    Optional<ModuleState.Linear> memory = module.memorySection().map(section -> memory(instance.memory()));
    return new ModuleState(memory, globals, tables, leftData, leftElements);
  }

  private static int[] references(Instance instance, TableInstance table) {
    int[] references = new int[table.size()];
    for (int i = 0; i < references.length; i++) {
      references[i] = table.ref(i);
      // Chicory keeps none with what an instance has set itself.
      Instance owner = references[i] == ModuleState.NULL ? null : table.instance(i);
      if (owner != null && owner != instance) {
        references[i] = ModuleState.FOREIGN;
      }
    }
    return references;
  }
}
