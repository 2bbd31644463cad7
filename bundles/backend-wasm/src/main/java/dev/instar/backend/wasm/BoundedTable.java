package dev.instar.backend.wasm;

import com.dylibso.chicory.runtime.Instance;
import com.dylibso.chicory.runtime.TableInstance;
import com.dylibso.chicory.wasm.types.Table;
import com.dylibso.chicory.wasm.types.TableLimits;
import java.util.function.IntPredicate;

/**
 * A table with limits of its own. Chicory's tables write their size into the module's declaration when they grow, which all instances of the
 * module share: one instance's growth would show in the next.
 */
final class BoundedTable extends TableInstance {
  private final IntPredicate room;

  /** @param room takes so many elements from what the instance may have, or says that there are not so many left */
  BoundedTable(Table declared, int size, int initialValue, IntPredicate room) {
    super(new Table(declared.elementType(), new TableLimits(size, Math.max(size, declared.limits().max()))), initialValue);
    this.room = room;
  }

  @Override
  public int grow(int delta, int value, Instance instance) {
    if (delta < 0 || delta > limits().max() - size() || !room.test(delta)) {
      return -1;
    }
    return super.grow(delta, value, instance);
  }

  /** The references, for another table to start with. */
  int[] references() {
    int[] references = new int[size()];
    for (int i = 0; i < references.length; i++) {
      references[i] = ref(i);
    }
    return references;
  }

  /** Sets what {@link #references} has given. */
  void restore(int[] references) {
    for (int i = 0; i < references.length; i++) {
      // No instance: Chicory takes that for the one that calls, which is the only one there is.
      setRef(i, references[i], null);
    }
  }
}
