package dev.instar.backend.wasm;

import com.dylibso.chicory.runtime.GlobalInstance;
import com.dylibso.chicory.runtime.Instance;
import com.dylibso.chicory.runtime.TableInstance;
import com.dylibso.chicory.wasm.types.PassiveElement;
import com.dylibso.chicory.wasm.types.ValType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * Everything that an instance can change and a later call could see.
 *
 * @param memory every byte
 * @param globals the bits of each
 * @param tables the references of each
 * @param data bytes left of each data segment
 * @param elements items left of each element segment
 */
record SpecState(byte[] memory, List<Long> globals, List<List<Integer>> tables, List<Integer> data, List<Integer> elements) {
  private static final byte CANARY = (byte) 0xa5;

  static SpecState of(Guest guest) {
    Instance instance = guest.instance();
    List<Long> globals = new ArrayList<>();
    for (int i = 0; i < instance.globalCount(); i++) {
      globals.add(instance.global(i).getValueLow());
      globals.add(instance.global(i).getValueHigh());
    }
    List<List<Integer>> tables = new ArrayList<>();
    for (int i = 0; i < instance.tableCount(); i++) {
      List<Integer> references = new ArrayList<>();
      TableInstance table = instance.table(i);
      for (int j = 0; j < table.size(); j++) {
        references.add(table.ref(j));
      }
      tables.add(references);
    }
    List<Integer> data = new ArrayList<>();
    for (int i = 0; i < instance.module().dataSection().dataSegmentCount(); i++) {
      data.add(instance.dataSegmentData(i).length);
    }
    List<Integer> elements = new ArrayList<>();
    for (int i = 0; i < instance.elementCount(); i++) {
      elements.add(instance.element(i) instanceof PassiveElement left ? left.initializers().size() : 0);
    }
    return new SpecState(guest.memory().readBytes(0, (int) guest.memory().bytes()), globals, tables, data, elements);
  }

  /** Writes over all of it: memory and tables are grown and filled, globals set, segments dropped. */
  static void soil(Guest guest) {
    Instance instance = guest.instance();
    for (int i = 0; i < 3; i++) {
      guest.memory().grow(1);
    }
    guest.memory().fill(CANARY, 0, (int) guest.memory().bytes());
    for (int i = 0; i < instance.globalCount(); i++) {
      GlobalInstance global = instance.global(i);
      global.setValueLow(0xa5a5_a5a5_a5a5_a5a5L);
      global.setValueHigh(0xa5a5_a5a5_a5a5_a5a5L);
    }
    for (int i = 0; i < instance.tableCount(); i++) {
      TableInstance table = instance.table(i);
      int reference = table.elementType().equals(ValType.ExternRef) ? 0xa5a5 : 0;
      table.grow(3, reference, instance);
      for (int j = 0; j < table.size(); j++) {
        table.setRef(j, reference, instance);
      }
    }
    for (int i = 0; i < instance.module().dataSection().dataSegmentCount(); i++) {
      instance.dropDataSegment(i);
    }
    for (int i = 0; i < instance.elementCount(); i++) {
      instance.setElement(i, null);
    }
  }

  /** Without the segments that are not in another. */
  SpecState withSegmentsOf(SpecState other) {
    return new SpecState(memory, globals, tables, data.subList(0, other.data.size()), elements.subList(0, other.elements.size()));
  }

  /** What is not as in another, in words. */
  Optional<String> difference(SpecState expected) {
    if (memory.length != expected.memory.length) {
      return Optional.of("the memory has " + memory.length + " bytes instead of " + expected.memory.length);
    }
    int at = Arrays.mismatch(memory, expected.memory);
    if (at >= 0) {
      return Optional.of("byte " + at + " of the memory is " + memory[at] + " instead of " + expected.memory[at]);
    }
    return difference("globals", globals, expected.globals)
        .or(() -> difference("tables", tables, expected.tables))
        .or(() -> difference("data segments", data, expected.data))
        .or(() -> difference("element segments", elements, expected.elements));
  }

  private static Optional<String> difference(String what, List<?> actual, List<?> expected) {
    return actual.equals(expected) ? Optional.empty() : Optional.of("the " + what + " are " + actual + " instead of " + expected);
  }
}
