package dev.instar.backend.wasm.writeback;

import com.dylibso.chicory.runtime.GlobalInstance;
import com.dylibso.chicory.runtime.Instance;
import com.dylibso.chicory.runtime.Memory;
import com.dylibso.chicory.runtime.TableInstance;
import com.dylibso.chicory.wasm.types.ExternalType;
import com.dylibso.chicory.wasm.types.PassiveElement;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;

/**
 * What an instance can have changed.
 *
 * @param memory the linear memory, if there is one; it is read while what is written back is read, and must hold still until then
 * @param globals values of the module's own globals
 * @param tables of each table the indices of the functions in it
 * @param leftData which data segments have not been dropped; of active ones it says nothing, since they are dropped by the instantiation
 * @param leftElements which element segments have not been dropped, in the same way
 */
public record ModuleState(Optional<Linear> memory, List<Bits> globals, List<int[]> tables, BitSet leftData, BitSet leftElements) {
  /** The null reference, in globals and tables. */
  public static final int NULL = -1;
  /** In tables: a function of another instance. */
  public static final int FOREIGN = -2;

  /**
   * What a global holds: a number's bits, a function's index or {@link #NULL}.
   *
   * @param low the lower 64 bits
   * @param high of a vector, the upper 64 bits
   */
  public record Bits(long low, long high) {}

  /** The bytes of a linear memory. */
  public interface Linear {
    /** How many pages of WebAssembly it has. */
    int pages();

    /** A copy of some of them. */
    byte[] read(int address, int length);

    /** Of a memory of the engine. */
    static Linear of(Memory memory) {
      return new Linear() {
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
  }

  /** The state of an instance that does not run. */
  public static ModuleState of(Instance instance) {
    var module = instance.module();
    int imported = module.importSection().count(ExternalType.GLOBAL);
    List<Bits> globals = new ArrayList<>();
    for (int i = imported; i < instance.globalCount(); i++) {
      GlobalInstance global = instance.global(i);
      globals.add(new Bits(global.getValueLow(), global.getValueHigh()));
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
    Optional<Linear> memory = module.memorySection().map(section -> Linear.of(instance.memory()));
    return new ModuleState(memory, globals, tables, leftData, leftElements);
  }

  private static int[] references(Instance instance, TableInstance table) {
    int[] references = new int[table.size()];
    for (int i = 0; i < references.length; i++) {
      references[i] = table.ref(i);
      // Chicory keeps none with what an instance has set itself.
      Instance owner = references[i] == NULL ? null : table.instance(i);
      if (owner != null && owner != instance) {
        references[i] = FOREIGN;
      }
    }
    return references;
  }
}
