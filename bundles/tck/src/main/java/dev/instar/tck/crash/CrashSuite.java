package dev.instar.tck.crash;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.data.DurableFiles;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.function.Function;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/**
 * What a component that keeps things in the data directory does about power cuts, kills, full disks and damaged files. A subclass tells how it is
 * opened, takes some steps with it and says what is there.
 *
 * <p>What is there is told as facts by their names. They are of content alone, so that they are the same in each run.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
public abstract class CrashSuite {
  private static final int KILLS = 8;
  private static final int FLIPS = 3;

  private Path dir;
  private int directories;
  private History history;
  /** Before the first step, and after each. */
  private final List<SortedMap<String, String>> states = new ArrayList<>();

  /** For subclasses. */
  protected CrashSuite() {}

  /** A component that is open. */
  protected interface Subject extends AutoCloseable {
    /** Takes a step, which is acknowledged when this returns. */
    void step(int n) throws Exception;

    /** All that is there and whole, read to its last byte. What the component says is damaged or not there is left out. */
    SortedMap<String, String> facts() throws Exception;

    /** What was found damaged and put elsewhere: a power cut alone leaves nothing of that kind. */
    List<Path> setAside() throws IOException;

    /** Makes all things again whose making the steps try, as far as they are not there; fails if they then aren't. */
    void goOn() throws Exception;
  }

  /** How many steps there are. */
  protected abstract int steps();

  /** Whether a step changes one thing, so that it changes nothing when it fails. */
  protected boolean isAtOnce(int step) {
    return true;
  }

  /** The directories below the data directory whose content goes when the component is opened. */
  protected Set<String> swept() {
    return Set.of("scratch");
  }

  /** Opens the component on a data directory, which may be empty. */
  protected abstract Subject open(Path root) throws Exception;

  @BeforeAll
  void record(@TempDir Path temporary) throws Exception {
    dir = temporary;
    RecordedDisk disk = new RecordedDisk(fresh());
    run(disk, states::add);
    history = disk.history();
  }

  private Path fresh() throws IOException {
    return Files.createDirectory(dir.resolve("disk-" + directories++));
  }

  private interface Seen {
    void facts(SortedMap<String, String> facts);
  }

  private void run(RecordedDisk disk, Seen seen) throws Exception {
    try (Subject subject = open(disk.root())) {
      seen.facts(subject.facts());
      for (int i = 0; i < steps(); i++) {
        subject.step(i);
        disk.done();
        seen.facts(subject.facts());
      }
    }
  }

  private void check(Path root, int done) throws Exception {
    try (Subject subject = open(root)) {
      assertBetween(subject.facts(), done);
      assertEquals(List.of(), subject.setAside());
      subject.goOn();
      assertEquals(List.of(), subject.setAside());
    }
    try (Stream<Path> all = Files.walk(root)) {
      assertEquals(List.of(), all.filter(DurableFiles::isTemporary).toList());
    }
    try (Subject again = open(root)) {
      again.goOn();
    }
  }

  private void assertBetween(SortedMap<String, String> found, int done) {
    SortedMap<String, String> before = states.get(done);
    SortedMap<String, String> after = states.get(Math.min(done + 1, steps()));
    Set<String> names = new TreeSet<>(found.keySet());
    names.addAll(before.keySet());
    for (String name : names) {
      String is = found.get(name);
      assertTrue(Objects.equals(is, before.get(name)) || Objects.equals(is, after.get(name)),
          () -> name + " is " + is + " and neither " + before.get(name) + ", as acknowledged, nor " + after.get(name)
              + ", which was going on");
    }
  }

  private CrashStates.Result explore(History of, int enough) throws IOException {
    // On a recorded disk again, which does not wait for the real one.
    return CrashStates.explore(of, fresh(), swept(), enough, (root, done) -> check(new RecordedDisk(root).root(), done));
  }

  @Test
  void everyStateThatAPowerCutMayLeaveHasAllThatWasAcknowledgedAndNothingHalfMade() throws Exception {
    CrashStates.Result result = explore(history, 3);
    assertEquals(List.of(), result.faults());
    assertTrue(result.states() > 3 * steps(), () -> "only " + result.states() + " states");
  }

  @Test
  void aSyncOfAFileThatIsLeftOutIsFound() throws Exception {
    assertFound(History::withoutFileSyncs);
  }

  @Test
  void aSyncOfADirectoryThatIsLeftOutIsFound() throws Exception {
    assertFound(History::withoutDirectorySyncs);
  }

  @Test
  void aRenameBeforeTheSyncIsFound() throws Exception {
    assertFound(History::withFileSyncsAfterTheRenames);
  }

  private void assertFound(Function<History, History> flaw) throws IOException {
    assertNotEquals(List.of(), explore(flaw.apply(history), 1).faults(), "a flaw that was put in is not seen");
  }

  @Test
  void aFullDiskAtAnyWriteFailsTheStepAndNothingElse() throws Exception {
    for (int times : new int[] {1, Integer.MAX_VALUE}) {
      Path real = fresh();
      RecordedDisk disk = new RecordedDisk(real);
      int refused = 0;
      try (Subject subject = open(disk.root())) {
        for (int step = 0; step < steps(); step++) {
          SortedMap<String, String> before = subject.facts();
          Set<String> files = files(real);
          for (int n = 0; ; n++) {
            int at = n;
            int now = step;
            disk.full(n, times);
            try {
              subject.step(step);
            } catch (InstarException e) {
              assertEquals(ErrorCode.NO_SPACE, e.code(), () -> "step " + now + ", write " + at + ": " + e.getMessage());
              assertTrue(disk.room(), "nothing was refused");
              refused++;
              if (isAtOnce(step)) {
                assertEquals(before, subject.facts(), () -> "step " + now + ", write " + at);
                assertEquals(files, files(real), () -> "step " + now + ", write " + at);
              } else {
                assertBetween(subject.facts(), step);
              }
              continue;
            }
            assertFalse(disk.room(), () -> "step " + now + " has passed over its write " + at + ", for which there was no space");
            break;
          }
          assertEquals(states.get(step + 1), subject.facts());
        }
      }
      assertTrue(refused > steps(), "only " + refused + " writes were refused");
      try (Subject again = open(real)) {
        assertEquals(states.getLast(), again.facts());
      }
    }
  }

  @Test
  void aFullDiskAtAnyWriteOfTheStartLeavesWhatAStartWithSpaceTakesOn() throws Exception {
    Path real = fresh();
    RecordedDisk disk = new RecordedDisk(real);
    int refused = 0;
    while (true) {
      disk.full(refused, Integer.MAX_VALUE);
      try (Subject subject = open(disk.root())) {
        disk.room();
        subject.goOn();
        break;
      } catch (Exception e) {
        // The component says it by its code, the data directory itself to the operator.
        assertTrue(e instanceof InstarException i && i.code() == ErrorCode.NO_SPACE || e.getMessage().contains("No space left on device"),
            e.toString());
      }
      assertTrue(disk.room(), "nothing was refused");
      refused++;
      // Each time anew, or the first one's directories would be there for the second.
      DurableFiles.deleteTree(real);
      Files.createDirectory(real);
      disk = new RecordedDisk(real);
    }
    assertTrue(refused > 2, "only " + refused + " writes were refused");
  }

  private static Set<String> files(Path root) throws IOException {
    try (Stream<Path> all = Files.walk(root)) {
      Set<String> files = new TreeSet<>();
      all.filter(f -> !Files.isDirectory(f)).forEach(f -> files.add(root.relativize(f).toString()));
      return files;
    }
  }

  @Test
  void aDamagedFileIsNeverTakenForWholeAndWhatWasInItCanBeMadeAgain() throws Exception {
    Path whole = fresh();
    run(new RecordedDisk(whole), facts -> {});
    Random random = new Random(1);
    int damaged = 0;
    for (String name : files(whole)) {
      byte[] content = Files.readAllBytes(whole.resolve(name));
      if (name.startsWith("scratch") || name.equals("lock") || content.length == 0) {
        continue;
      }
      List<Optional<byte[]>> variants = new ArrayList<>();
      variants.add(Optional.empty());
      for (byte[] cut : List.of(new byte[0], Arrays.copyOf(content, content.length / 2), Arrays.copyOf(content, content.length - 1),
          Arrays.copyOf(content, content.length + 1))) {
        variants.add(Optional.of(cut));
      }
      for (int i = 0; i < FLIPS; i++) {
        byte[] flipped = content.clone();
        flipped[random.nextInt(content.length)] ^= (byte) (1 << random.nextInt(8));
        variants.add(Optional.of(flipped));
      }
      for (Optional<byte[]> variant : variants) {
        Path root = fresh();
        copy(whole, root);
        if (variant.isPresent()) {
          Files.write(root.resolve(name), variant.get());
        } else {
          Files.delete(root.resolve(name));
        }
        try (Subject subject = open(root)) {
          subject.facts().forEach((fact, value) -> assertEquals(states.getLast().get(fact), value, () -> fact + " after damage of " + name));
          subject.goOn();
        }
        try (Subject again = open(root)) {
          again.goOn();
        }
        DurableFiles.deleteTree(root);
        damaged++;
      }
    }
    assertTrue(damaged > 0, "no file was damaged");
  }

  private static void copy(Path from, Path to) throws IOException {
    try (Stream<Path> all = Files.walk(from)) {
      for (Path path : all.toList()) {
        Path target = to.resolve(from.relativize(path).toString());
        if (Files.isDirectory(path)) {
          Files.createDirectories(target);
        } else {
          // Its bytes, and not its mode: it is to be written to.
          Files.write(target, Files.readAllBytes(path));
        }
      }
    }
  }

  @Test
  void aKillBetweenAnyTwoOperationsLosesNothingThatWasAcknowledged() throws Exception {
    int changes = (int) history.operations().stream().filter(o -> !(o instanceof Operation.Done)).count();
    for (int i = 0; i < KILLS; i++) {
      // One in each part of the history, at different places of a step.
      int at = changes * i / KILLS + i % Math.max(1, changes / KILLS);
      Path root = fresh();
      check(root, kill(root, at));
    }
  }

  /** Lets another process take the steps, kills it before its change number {@code at}, and tells how many steps it has acknowledged. */
  private int kill(Path root, int at) throws Exception {
    Path errors = dir.resolve("errors");
    Process process = new ProcessBuilder(ProcessHandle.current().info().command().orElseThrow(), "-Xshare:auto", "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC", "-cp", System.getProperty("java.class.path"), Victim.class.getName(), getClass().getName(), root.toString(), Integer.toString(at))
        .redirectError(errors.toFile()).start();
    try (BufferedReader said = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
      int done = -1;
      for (String line = said.readLine(); line != null && !line.equals("there"); line = said.readLine()) {
        done = Integer.parseInt(line);
      }
      process.toHandle().destroyForcibly();
      assertEquals(128 + 9, process.waitFor(), () -> {
        try {
          return "not killed: " + Files.readString(errors);
        } catch (IOException e) {
          return e.toString();
        }
      });
      return Math.max(0, done);
    } finally {
      process.destroyForcibly();
    }
  }

  /** What is killed. */
  public static final class Victim {
    private Victim() {}

    /** @param args the suite's class, the data directory and the change before which to wait for the end */
    public static void main(String[] args) throws Exception {
      var constructor = Class.forName(args[0]).getDeclaredConstructor();
      constructor.setAccessible(true);
      CrashSuite suite = (CrashSuite) constructor.newInstance();
      RecordedDisk disk = new RecordedDisk(Path.of(args[1]));
      int last = Integer.parseInt(args[2]);
      disk.beforeEach(n -> {
        if (n == last) {
          System.out.println("there");
          System.out.flush();
          try {
            new CountDownLatch(1).await();
          } catch (InterruptedException e) {
            throw new IllegalStateException(e);
          }
        }
      });
      int[] done = {0};
      suite.run(disk, facts -> {
        System.out.println(done[0]++);
        System.out.flush();
      });
    }
  }

  /** The facts of things by name, where those that are damaged or not there are left out. */
  protected static SortedMap<String, String> told(Map<String, Fact> of) throws Exception {
    SortedMap<String, String> facts = new TreeMap<>();
    for (Map.Entry<String, Fact> one : of.entrySet()) {
      try {
        facts.put(one.getKey(), one.getValue().tell());
      } catch (InstarException e) {
        switch (e.code()) {
          case DAMAGED, IMAGE_NOT_FOUND, FUNCTION_NOT_FOUND, SNAPSHOT_NOT_FOUND -> {}
          default -> throw e;
        }
      }
    }
    return facts;
  }

  /** Tells one fact. */
  @FunctionalInterface
  protected interface Fact {
    /** What it is, or an InstarException that says that it is damaged or not there. */
    String tell() throws Exception;
  }
}
