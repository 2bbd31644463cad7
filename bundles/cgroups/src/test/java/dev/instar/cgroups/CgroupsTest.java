package dev.instar.cgroups;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.cgroup.CgroupLease;
import dev.instar.api.cgroup.CgroupLimits;
import dev.instar.api.cgroup.CgroupManager;
import dev.instar.api.cgroup.CgroupRequest;
import dev.instar.api.cgroup.CgroupSupport.Controller;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.HostLimits;
import dev.instar.api.function.Limits;
import dev.instar.api.function.Variant;
import dev.instar.api.http.Route;
import dev.instar.api.lease.LeaseRequest;
import dev.instar.tck.capability.RequiresCapability;
import java.io.IOException;
import java.lang.reflect.Constructor;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.apache.felix.hc.api.Result;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class CgroupsTest {
  /** Below the root of each hierarchy, where all have the same path. */
  static final Settings SETTINGS = new Settings(Optional.of("/"), 4, 100_000, HostLimits.NONE);

  @TempDir Path data;

  private Cgroups open(Settings settings) throws IOException {
    return new Cgroups(data.resolve("cgroups"), Mark.of(data), settings);
  }

  private static FunctionVersion version(HostLimits host) {
    Limits d = Limits.DEFAULT;
    Limits limits = new Limits(64 << 20, d.tableElements(), d.stackBytes(), d.timeout(), d.runTime(), d.inputBytes(), d.outputBytes(), d.logBytes(), d.openFiles(), d.fileBytes(),
        d.madeFiles(), d.concurrency(), host);
    return new FunctionVersion(new FunctionName("user", "function"), 3, "uid", Instant.now(),
        new FunctionSpec(List.of(new Variant(Digest.of(new byte[0]), Variant.EXECUTABLE, Optional.empty())), limits, Map.of(), Map.of()));
  }

  private static LeaseRequest request(HostLimits host) {
    return new LeaseRequest("sandbox-1", "backend", version(host), Instant.now().plusSeconds(10));
  }

  private static HostLimits host(OptionalInt cpu, OptionalInt processes) {
    return new HostLimits(cpu, OptionalInt.empty(), Optional.empty(), processes, OptionalInt.empty());
  }

  @Test
  @RequiresCapability("cgroups")
  void aFunctionsOwnLimitsWinOverTheConfiguredOnesAndAreDescribed() throws Exception {
    Cgroups cgroups = open(new Settings(Optional.of("/"), 0, 100_000, host(OptionalInt.of(700), OptionalInt.of(99))));
    try {
      HostLimits own = host(OptionalInt.empty(), OptionalInt.of(12));
      try (CgroupLease lease = (CgroupLease) cgroups.take(request(own)).orElseThrow()) {
        assertEquals("user/function@3", lease.request().holder());
        Map<String, String> facts = cgroups.describe(version(own));
        if (cgroups.probe().controllers().contains(Controller.PIDS)) {
          assertEquals(OptionalInt.of(12), lease.request().limits().host().processes());
          assertEquals("12", facts.get("processes"));
          assertTrue(lease.directories().stream().anyMatch(path -> holds(path.resolve("pids.max"), "12")));
          assertTrue(List.of(facts.get("limits").split(", ")).contains("processes"));
        }
        if (cgroups.probe().controllers().contains(Controller.CPU)) {
          assertEquals("700", facts.get("cpuMillis"));
          assertTrue(lease.directories().stream().anyMatch(path -> holds(path.resolve("cpu.cfs_quota_us"), "70000") || holds(path.resolve("cpu.max"), "70000 100000")));
        }
        if (cgroups.probe().controllers().contains(Controller.MEMORY)) {
          assertEquals(OptionalLong.of(64 << 20), lease.request().limits().memoryBytes());
        }
      }
    } finally {
      cgroups.stop(true);
    }
  }

  private static boolean holds(Path file, String value) {
    try {
      return ControlFile.read(file).equals(value);
    } catch (IOException e) {
      return false;
    }
  }

  @Test
  void withoutTheRightToMakeCgroupsItSaysWhatIsMissingAndLendsNone() throws Exception {
    // What root may not do either.
    Cgroups cgroups = open(new Settings(Optional.of("../../../../proc"), 4, 100_000, HostLimits.NONE));
    try {
      assertFalse(cgroups.probe().usable());
      assertFalse(cgroups.probe().missing().getFirst().what().isBlank());
      assertFalse(cgroups.probe().missing().getFirst().remedy().isBlank());
      assertEquals(Optional.empty(), cgroups.take(request(HostLimits.NONE)));
      assertEquals(Map.of(), cgroups.describe(version(HostLimits.NONE)));
      InstarException refused = assertThrows(InstarException.class, () -> cgroups.lease(new CgroupRequest("sandbox-1", "user/function@3", CgroupLimits.NONE)));
      assertEquals(ErrorCode.NOT_READY, refused.code());
      assertTrue(refused.problem().detail().contains(cgroups.probe().missing().getFirst().what()));
    } finally {
      cgroups.stop(true);
    }
  }

  @Test
  @RequiresCapability("cgroups")
  void aChangedParentHoldsForWhatIsLentFromThenOn() throws Exception {
    Cgroups cgroups = open(SETTINGS);
    String parent = "instar-tck-parent-" + ProcessHandle.current().pid();
    List<Path> made = List.of();
    try {
      CgroupLease before = cgroups.lease(new CgroupRequest("sandbox-1", "user/function@3", CgroupLimits.NONE));
      cgroups.apply(new Settings(Optional.of("/" + parent), 2, 100_000, HostLimits.NONE));
      CgroupLease after = cgroups.lease(new CgroupRequest("sandbox-2", "user/function@3", CgroupLimits.NONE));
      made = after.directories().stream().map(path -> path.getParent().getParent()).toList();
      assertTrue(made.stream().allMatch(path -> path.getFileName().toString().equals(parent)), made::toString);
      assertEquals(List.of(before.name(), after.name()), cgroups.leases().stream().map(CgroupLease::name).toList());
      List<Path> first = before.directories();
      assertTrue(first.stream().allMatch(Files::isDirectory));
      before.close();
      assertEquals(List.of(), first.stream().filter(Files::exists).toList());
      after.close();
    } finally {
      cgroups.stop(true);
      for (Path path : made) {
        // Nothing of the run is in it any more.
        Files.delete(path);
      }
      for (Path base : Tree.bases(Mounts.read(), SETTINGS, Mark.of(data))) {
        assertFalse(Files.exists(base), base::toString);
      }
    }
  }

  @Test
  @RequiresCapability("cgroups")
  void thePoolIsFilledAgain() throws Exception {
    Tree tree = Tree.open(Mounts.read(), SETTINGS, Mark.of(data));
    try (Pool pool = new Pool(tree, 3, () -> { })) {
      for (int i = 0; i < 5; i++) {
        while (pool.ready() < 3) {
          Thread.sleep(1);
        }
        List<Path> taken = tree.directories(pool.take());
        assertTrue(taken.stream().allMatch(Files::isDirectory));
        Killing.remove(taken);
      }
    }
    assertTrue(tree.close(), "the pool has left something");
  }

  /** As in a framework, where the classes of a bundle that was updated can't be loaded any more. */
  @Test
  @RequiresCapability("cgroups")
  void whatIsLentNeedsNoClassThatIsNotLoaded() throws Exception {
    Path classes = Path.of(Cgroups.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    List<String> files;
    try (Stream<Path> all = Files.list(classes.resolve("dev/instar/cgroups"))) {
      files = all.map(path -> path.getFileName().toString()).toList();
    }
    CgroupLease lease;
    Object cgroups;
    Method stop;
    try (URLClassLoader bundle = new URLClassLoader(new URL[] {classes.toUri().toURL()}, new WithoutThePackage())) {
      Class<?> type = bundle.loadClass(Cgroups.class.getName());
      Method load = type.getDeclaredMethod("load", List.class);
      load.setAccessible(true);
      load.invoke(null, files);
      Constructor<?> settings = bundle.loadClass(Settings.class.getName()).getDeclaredConstructors()[0];
      settings.setAccessible(true);
      Method mark = bundle.loadClass(Mark.class.getName()).getDeclaredMethod("of", Path.class);
      mark.setAccessible(true);
      Constructor<?> constructor = type.getDeclaredConstructor(Path.class, mark.getReturnType(), settings.getDeclaringClass());
      constructor.setAccessible(true);
      cgroups = constructor.newInstance(data.resolve("cgroups"), mark.invoke(null, data), settings.newInstance(Optional.of("/"), 1, 100_000, HostLimits.NONE));
      stop = type.getDeclaredMethod("stop", boolean.class);
      stop.setAccessible(true);
      lease = ((CgroupManager) cgroups).lease(new CgroupRequest("sandbox-1", "user/function@3", CgroupLimits.NONE));
    }
    stop.invoke(cgroups, false);
    Process process = new ProcessBuilder("sleep", "60").start();
    try {
      lease.enter(process.pid());
      assertEquals(List.of(process.pid()), lease.processes());
      lease.usage();
      lease.pressure();
      if (((CgroupManager) cgroups).probe().freezes()) {
        lease.freeze();
        lease.thaw();
      }
      lease.adjust(CgroupLimits.NONE);
      lease.descriptor();
      lease.runtimePath();
      List<Path> directories = lease.directories();
      lease.close();
      assertTrue(process.waitFor(30, TimeUnit.SECONDS), "it was not killed");
      assertEquals(List.of(), directories.stream().map(Path::getParent).filter(Files::exists).toList());
    } finally {
      process.destroyForcibly();
    }
  }

  private static final class WithoutThePackage extends ClassLoader {
    WithoutThePackage() {
      super(CgroupsTest.class.getClassLoader());
    }

    @Override
    protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
      if (name.startsWith("dev.instar.cgroups.")) {
        throw new ClassNotFoundException(name);
      }
      return super.loadClass(name, resolve);
    }
  }

  @Test
  @RequiresCapability("cgroups")
  void operatorsSeeWhatTheHostCanAndWhoUsesWhat() throws Exception {
    Cgroups cgroups = open(SETTINGS);
    CgroupView view = new CgroupView(cgroups);
    try (CgroupLease lease = cgroups.lease(new CgroupRequest("sandbox-1", "user/function@3", CgroupLimits.NONE))) {
      assertEquals(Result.Status.OK, view.execute().getStatus());
      Map<String, Object> all = view.all();
      assertEquals(true, all.get("usable"));
      Map<?, ?> shown = (Map<?, ?>) ((List<?>) all.get("leases")).getFirst();
      assertEquals(lease.name(), shown.get("name"));
      assertEquals("user/function@3", shown.get("function"));
      assertEquals(cgroups.probe().controllers().contains(Controller.MEMORY), ((Map<?, ?>) shown.get("usage")).containsKey("memory"));
    } finally {
      cgroups.stop(true);
    }
    assertEquals(List.of("/v1/cgroups"), view.routes().stream().map(Route::template).toList());
    Cgroups none = open(new Settings(Optional.of("../../../../proc"), 4, 100_000, HostLimits.NONE));
    assertEquals(Result.Status.WARN, new CgroupView(none).execute().getStatus());
    assertEquals(List.of(), new CgroupView(none).all().get("leases"));
    none.stop(true);
  }

  @Test
  void aNoteIsReadAsItWasWrittenAndHalfAOneNotAtAll() throws IOException {
    Path file = data.resolve("note");
    Note note = new Note(new CgroupRequest("sandbox=1", "user/function@1", new CgroupLimits(OptionalLong.of(5 << 20),
        new HostLimits(OptionalInt.of(10), OptionalInt.of(20), Optional.of("0-1,3"), OptionalInt.of(30), OptionalInt.of(40)))),
        List.of(Path.of("/a b/c"), Path.of("/d")), Optional.of("/run/x"), 123, true);
    note.write(file);
    assertEquals(Optional.of(note), Note.read(file));
    String whole = Files.readString(file);
    for (int i = 0; i < whole.length() - 1; i++) {
      Files.writeString(file, whole.substring(0, i));
      int length = i;
      assertTrue(Note.read(file).isEmpty() || Note.read(file).get().equals(note), () -> "read as something else when cut at " + length);
    }
  }
}
