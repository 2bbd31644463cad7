package dev.instar.tck.crash;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/** All that was done to a disk that was empty at first. The other forms of it are what a careless program would have done. */
public record History(List<Operation> operations) {
  /** Copies the list. */
  public History {
    operations = List.copyOf(operations);
  }

  /** As of a program that never syncs a file. */
  public History withoutFileSyncs() {
    return without(o -> o instanceof Operation.Sync s && !s.isDirectory());
  }

  /** As of a program that never syncs a directory. */
  public History withoutDirectorySyncs() {
    return without(o -> o instanceof Operation.Sync s && s.isDirectory());
  }

  /** As of a program that leaves out one operation. */
  public History without(int index) {
    List<Operation> left = new ArrayList<>(operations);
    left.remove(index);
    return new History(left);
  }

  private History without(Predicate<Operation> which) {
    return new History(operations.stream().filter(which.negate()).toList());
  }

  /** As of a program that renames first and syncs the files afterwards, just before it says that a step is done. */
  public History withFileSyncsAfterTheRenames() {
    List<Operation> late = new ArrayList<>();
    List<Operation> waiting = new ArrayList<>();
    for (Operation o : operations) {
      if (o instanceof Operation.Sync s && !s.isDirectory()) {
        waiting.add(o);
        continue;
      }
      if (o instanceof Operation.Done) {
        late.addAll(waiting);
        waiting.clear();
      }
      late.add(o);
    }
    late.addAll(waiting);
    return new History(late);
  }
}
