package dev.instar.tck.crash;

import dev.instar.api.Digest;
import dev.instar.api.data.DurableFiles;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;

/**
 * Builds what a crash may leave of a {@link History}, at each of its moments, and lets a check judge each.
 *
 * <p><b>The model.</b> What a file holds is certain up to its last fsync. Of what was written later, nothing may be there, all, the length without
 * the bytes, the begin alone (cut between two writes, within the last one, and at one of its pages), or the end without the begin. Which
 * names a directory has is certain up to its own last fsync, and only up to that: an fsync of a file says nothing of its name. Of the later changes,
 * each name may have come to any of its states, independently of the others. A rename leaves
 * one of both names, or both, and never none; it takes an fsync of the new one's directory, and then one of the old one's.
 *
 * <p><b>The bound.</b> Where all combinations at a moment are few they are all tried. Else: everything and nothing of it, each change alone, all
 * changes but one, what the order of time gives, and some at random with a fixed seed. What was tried once is not tried again. What can
 * only be reached through a directory that the component sweeps when it starts is not varied.
 */
public final class CrashStates {
  private static final int ALL_OF = 24;
  private static final int AT_RANDOM = 8;
  private static final int PAGE = 4096;

  /** Judges a state: opens the component on it, and looks. */
  @FunctionalInterface
  public interface Check {
    /**
     * Returns when all is well.
     *
     * @param root what the crash has left; may be changed
     * @param done steps that had been acknowledged; the next one may have happened or not
     */
    void check(Path root, int done) throws Exception;
  }

  /** A state that a check has refused. */
  public record Fault(int moment, String state, Throwable why) {
    @Override
    public String toString() {
      return "after " + moment + " operations, " + state + ": " + why;
    }
  }

  /** What came out of it. */
  public record Result(int states, List<Fault> faults) {
    /** Copies the list. */
    public Result {
      faults = List.copyOf(faults);
    }
  }

  private static final class File {
    byte[] durable = {};
    final List<Operation> pending = new ArrayList<>();
    Optional<String> link = Optional.empty();
    List<byte[]> variants = List.of();
  }

  /** A change of a name; {@code after} must have happened too, if this one has. */
  private static final class Change {
    final int time;
    final Optional<Integer> node;
    final Optional<Change> after;
    boolean durable;
    /** Of the state that is being built. */
    boolean applied;

    Change(int time, Optional<Integer> node, Optional<Change> after) {
      this.time = time;
      this.node = node;
      this.after = after;
    }
  }

  private static final class Directory {
    final Map<String, List<Change>> names = new TreeMap<>();
  }

  /** Something of which a crash leaves one of some states; the last is that everything happened. */
  private record Choice(int options, Optional<List<Change>> changes, Optional<File> file, int time) {}

  private final Map<Integer, Directory> directories = new HashMap<>();
  private final Map<Integer, File> files = new HashMap<>();
  private final Path work;
  private final Set<String> swept;
  private final Check check;
  private final int enough;
  private final Set<Digest> tried = new HashSet<>();
  private final List<Fault> faults = new ArrayList<>();
  private int states;
  private int done;

  private CrashStates(Path work, Set<String> swept, Check check, int enough) {
    this.work = work;
    this.swept = swept;
    this.check = check;
    this.enough = enough;
    directories.put(0, new Directory());
  }

  /**
   * Tries all states.
   *
   * @param work an empty directory, to build them in
   * @param swept directories below the root of which the component takes nothing when it starts
   * @param enough ends with so many faults
   */
  public static Result explore(History history, Path work, Set<String> swept, int enough, Check check) throws IOException {
    CrashStates states = new CrashStates(work, swept, check, enough);
    List<Operation> operations = history.operations();
    states.at(0);
    for (int i = 0; i < operations.size() && states.faults.size() < enough; i++) {
      states.apply(operations.get(i), i);
      states.at(i + 1);
    }
    return new Result(states.states, states.faults);
  }

  private void apply(Operation operation, int time) {
    switch (operation) {
      case Operation.Create c -> {
        if (c.isDirectory()) {
          directories.put(c.node(), new Directory());
        } else {
          File file = new File();
          file.link = c.link();
          file.variants = List.of(file.durable);
          files.put(c.node(), file);
        }
        change(c.directory(), c.name(), new Change(time, Optional.of(c.node()), Optional.empty()));
      }
      case Operation.Remove r -> change(r.directory(), r.name(), new Change(time, Optional.empty(), Optional.empty()));
      case Operation.Rename r -> {
        Change come = new Change(time, Optional.of(r.node()), Optional.empty());
        change(r.to(), r.newName(), come);
        change(r.from(), r.oldName(), new Change(time, Optional.empty(), Optional.of(come)));
      }
      case Operation.Write w -> pend(files.get(w.node()), w);
      case Operation.Resize r -> pend(files.get(r.node()), r);
      case Operation.Sync s when s.isDirectory() -> {
        List<Change> changes = directories.get(s.node()).names.values().stream().flatMap(List::stream).toList();
        changes.stream().filter(c -> c.after.isEmpty()).forEach(c -> c.durable = true);
        // The old name of a rename stays, for all that its directory is synced, until the new one is certain.
        changes.stream().filter(c -> c.after.filter(a -> a.durable).isPresent()).forEach(c -> c.durable = true);
      }
      case Operation.Sync s -> {
        File file = files.get(s.node());
        file.durable = content(file.durable, file.pending);
        file.pending.clear();
        file.variants = List.of(file.durable);
      }
      case Operation.Done _ -> done++;
    }
  }

  private void change(int directory, String name, Change change) {
    directories.get(directory).names.computeIfAbsent(name, n -> new ArrayList<>()).add(change);
  }

  private static void pend(File file, Operation operation) {
    file.pending.add(operation);
    file.variants = variants(file);
  }

  private static byte[] content(byte[] before, List<Operation> operations) {
    byte[] now = before;
    for (Operation operation : operations) {
      if (operation instanceof Operation.Write w) {
        byte[] longer = Arrays.copyOf(now, (int) Math.max(now.length, w.position() + w.bytes().length));
        System.arraycopy(w.bytes(), 0, longer, (int) w.position(), w.bytes().length);
        now = longer;
      } else if (operation instanceof Operation.Resize r) {
        now = Arrays.copyOf(now, (int) r.size());
      }
    }
    return now;
  }

  private static List<byte[]> variants(File file) {
    List<Operation> pending = file.pending;
    byte[] all = content(file.durable, pending);
    List<byte[]> variants = new ArrayList<>();
    variants.add(file.durable);
    variants.add(Arrays.copyOf(file.durable, all.length));
    variants.add(Arrays.copyOf(new byte[0], all.length));
    variants.add(content(file.durable, pending.subList(0, pending.size() / 2)));
    variants.add(content(file.durable, pending.subList(0, pending.size() - 1)));
    variants.add(Arrays.copyOf(content(file.durable, pending.subList(1, pending.size())), all.length));
    if (pending.getLast() instanceof Operation.Write w && w.bytes().length > 1) {
      for (int cut : new int[] {w.bytes().length / 2, (w.bytes().length - 1) / PAGE * PAGE}) {
        List<Operation> torn = new ArrayList<>(pending.subList(0, pending.size() - 1));
        torn.add(new Operation.Write(w.node(), w.position(), Arrays.copyOf(w.bytes(), cut)));
        variants.add(content(file.durable, torn));
      }
    }
    variants.add(all);
    List<byte[]> distinct = new ArrayList<>();
    for (int i = 0; i < variants.size(); i++) {
      byte[] one = variants.get(i);
      // The last one of equal ones, so that "all" stays the last.
      if (variants.subList(i + 1, variants.size()).stream().noneMatch(o -> Arrays.equals(o, one))) {
        distinct.add(one);
      }
    }
    return distinct;
  }

  /** All that a crash may leave now. */
  private void at(int moment) throws IOException {
    forget();
    List<Choice> choices = choices();
    int[] most = choices.stream().mapToInt(c -> c.options() - 1).toArray();
    long product = 1;
    for (Choice choice : choices) {
      product = Math.min(product * choice.options(), Integer.MAX_VALUE);
    }
    if (product <= ALL_OF) {
      for (long i = 0; i < product; i++) {
        int[] chosen = new int[most.length];
        long rest = i;
        for (int c = 0; c < most.length; c++) {
          chosen[c] = (int) (rest % choices.get(c).options());
          rest /= choices.get(c).options();
        }
        attempt(moment, choices, chosen);
      }
      return;
    }
    attempt(moment, choices, most);
    attempt(moment, choices, new int[most.length]);
    for (int c = 0; c < most.length; c++) {
      for (int option = 0; option <= most[c]; option++) {
        int[] butOne = most.clone();
        butOne[c] = option;
        attempt(moment, choices, butOne);
        int[] alone = new int[most.length];
        alone[c] = option;
        attempt(moment, choices, alone);
      }
    }
    for (Choice until : choices) {
      int[] inTime = new int[most.length];
      int[] against = new int[most.length];
      for (int c = 0; c < most.length; c++) {
        inTime[c] = choices.get(c).time() <= until.time() ? most[c] : 0;
        against[c] = choices.get(c).time() >= until.time() ? most[c] : 0;
      }
      attempt(moment, choices, inTime);
      attempt(moment, choices, against);
    }
    Random random = new Random(moment);
    for (int i = 0; i < AT_RANDOM; i++) {
      int[] any = new int[most.length];
      for (int c = 0; c < any.length; c++) {
        any[c] = random.nextInt(most[c] + 1);
      }
      attempt(moment, choices, any);
    }
  }

  /** Drops the history of names up to their last change that is certain. */
  private void forget() {
    for (Directory directory : directories.values()) {
      directory.names.values().removeIf(changes -> {
        int last = changes.size() - 1;
        while (last >= 0 && !changes.get(last).durable) {
          last--;
        }
        for (int i = 0; i < last; i++) {
          changes.get(i).durable = true;
        }
        changes.subList(0, Math.max(0, last)).clear();
        return changes.size() == 1 && changes.getFirst().durable && changes.getFirst().node.isEmpty();
      });
    }
  }

  private List<Choice> choices() {
    List<Choice> choices = new ArrayList<>();
    Set<Integer> reached = new HashSet<>();
    reach(0, "", reached);
    directories.forEach((node, directory) -> {
      if (!reached.contains(node)) {
        return;
      }
      for (Map.Entry<String, List<Change>> name : directory.names.entrySet()) {
        List<Change> open = name.getValue().stream().filter(c -> !c.durable).toList();
        if (!open.isEmpty()) {
          choices.add(new Choice(open.size() + 1, Optional.of(open), Optional.empty(), open.getFirst().time));
        }
      }
    });
    files.forEach((node, file) -> {
      if (file.variants.size() > 1 && reached.contains(node)) {
        choices.add(new Choice(file.variants.size(), Optional.empty(), Optional.of(file), Integer.MAX_VALUE));
      }
    });
    return choices;
  }

  /** What may be found under some name. */
  private void reach(int node, String path, Set<Integer> reached) {
    if (swept.contains(path) || !reached.add(node) || !directories.containsKey(node)) {
      return;
    }
    directories.get(node).names.forEach((name, changes) -> changes.forEach(c -> c.node.ifPresent(n ->
        reach(n, path.isEmpty() ? name : path + "/" + name, reached))));
  }

  private void attempt(int moment, List<Choice> choices, int[] chosen) throws IOException {
    if (faults.size() >= enough) {
      return;
    }
    Map<File, byte[]> contents = new HashMap<>();
    directories.values().forEach(d -> d.names.values().forEach(all -> all.forEach(c -> c.applied = true)));
    for (int i = 0; i < chosen.length; i++) {
      Choice choice = choices.get(i);
      int option = chosen[i];
      choice.file().ifPresent(f -> contents.put(f, f.variants.get(option)));
      choice.changes().ifPresent(open -> {
        for (int c = 0; c < open.size(); c++) {
          open.get(c).applied = c < option;
        }
      });
    }
    // Only the names that are varied: what leaves scratch may be lost from both.
    for (Choice choice : choices) {
      for (Change change : choice.changes().orElse(List.of())) {
        if (change.applied && change.after.filter(a -> !a.durable && !a.applied).isPresent()) {
          return;
        }
      }
    }
    Map<String, Optional<byte[]>> tree = new LinkedHashMap<>();
    Map<String, String> links = new TreeMap<>();
    collect(0, "", contents, tree, links, new HashSet<>());
    if (!tried.add(digest(tree, links))) {
      return;
    }
    Path root = Files.createDirectory(work.resolve("state-" + states++));
    try {
      for (Map.Entry<String, Optional<byte[]>> entry : tree.entrySet()) {
        Path path = root.resolve(entry.getKey());
        if (entry.getValue().isPresent()) {
          Files.write(path, entry.getValue().get());
        } else {
          Files.createDirectory(path);
        }
      }
      for (Map.Entry<String, String> link : links.entrySet()) {
        Files.createSymbolicLink(root.resolve(link.getKey()), Path.of(link.getValue()));
      }
      check.check(root, done);
    } catch (Exception | AssertionError e) {
      faults.add(new Fault(moment, describe(tree), e));
    } finally {
      DurableFiles.deleteTree(root);
    }
  }

  private void collect(int node, String prefix, Map<File, byte[]> contents, Map<String, Optional<byte[]>> tree, Map<String, String> links,
      Set<Integer> above) {
    if (!above.add(node)) {
      return;
    }
    directories.get(node).names.forEach((name, changes) -> {
      Optional<Integer> holds = Optional.empty();
      for (Change change : changes) {
        holds = change.applied ? change.node : holds;
      }
      if (holds.isEmpty()) {
        return;
      }
      File file = files.get(holds.get());
      if (file == null) {
        tree.put(prefix + name, Optional.empty());
        collect(holds.get(), prefix + name + "/", contents, tree, links, above);
      } else if (file.link.isPresent()) {
        links.put(prefix + name, file.link.get());
      } else {
        tree.put(prefix + name, Optional.of(contents.getOrDefault(file, file.variants.getLast())));
      }
    });
    above.remove(node);
  }

  private Digest digest(Map<String, Optional<byte[]>> tree, Map<String, String> links) {
    MessageDigest sha256 = Digest.sha256();
    tree.forEach((path, content) -> {
      sha256.update((path + "\0").getBytes(StandardCharsets.UTF_8));
      if (swept.stream().noneMatch(s -> path.startsWith(s + "/"))) {
        sha256.update((content.map(c -> c.length).orElse(-1) + "\0").getBytes(StandardCharsets.UTF_8));
        content.ifPresent(sha256::update);
      }
    });
    sha256.update((links + "\0" + done).getBytes(StandardCharsets.UTF_8));
    return Digest.of(sha256);
  }

  private static String describe(Map<String, Optional<byte[]>> tree) {
    List<String> lines = new ArrayList<>();
    tree.forEach((path, content) -> lines.add(path + content.map(c -> ": " + c.length + " bytes").orElse("/")));
    return lines.toString();
  }
}
