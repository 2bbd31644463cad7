package dev.instar.cgroups;

import dev.instar.api.cgroup.CgroupLease;
import dev.instar.api.cgroup.CgroupLimits;
import dev.instar.api.cgroup.CgroupRequest;
import dev.instar.api.cgroup.CgroupSupport;
import dev.instar.api.cgroup.CgroupSupport.Controller;
import dev.instar.api.function.HostLimits;
import dev.instar.tck.capability.RequiresCapability;
import dev.instar.tck.cgroup.CgroupManagerSuite;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestReporter;

/** What runs in the guest of {@link Version2GuestIT}: the suite, without the machinery of tests, and what only a host with version 2 alone can show. Tells by lines on the console. */
final class GuestMain {
  private static final Path ROOT = Path.of("/sys/fs/cgroup");

  private GuestMain() {}

  public static void main(String[] arguments) {
    for (Method method : CgroupManagerSuite.class.getDeclaredMethods()) {
      // What else it may ask for is not in the guest.
      if (method.isAnnotationPresent(Test.class) && !method.isAnnotationPresent(RequiresCapability.class)) {
        tell(method.getName(), () -> suite(method));
      }
    }
    tell("the node moves out of its own cgroup and back", GuestMain::ownCgroup);
    System.out.println("GUEST DONE");
    System.out.flush();
    Runtime.getRuntime().halt(0);
  }

  private interface Step {
    void run() throws Exception;
  }

  private static void tell(String name, Step step) {
    try {
      step.run();
      System.out.println("GUEST PASS " + name);
    } catch (Throwable e) {
      System.out.println("GUEST FAIL " + name + ": " + e);
      e.printStackTrace(System.out);
    }
  }

  private static void suite(Method test) throws Exception {
    CgroupsConformanceTest suite = new CgroupsConformanceTest();
    suite.data = Files.createTempDirectory("data");
    List<String> notApplicable = new ArrayList<>();
    TestReporter reporter = entries -> notApplicable.add(entries.toString());
    call(CgroupManagerSuite.class.getDeclaredMethod("start", TestReporter.class), suite, reporter);
    try {
      call(test, suite);
    } finally {
      call(CgroupManagerSuite.class.getDeclaredMethod("nothingIsLeft"), suite);
    }
    check(notApplicable.isEmpty(), "not applicable: " + notApplicable);
  }

  private static void call(Method method, Object on, Object... arguments) throws Exception {
    method.setAccessible(true);
    try {
      method.invoke(on, arguments);
    } catch (InvocationTargetException e) {
      throw e.getCause() instanceof Exception exception ? exception : new IllegalStateException(e.getCause());
    }
  }

  private static void check(boolean holds, String otherwise) {
    if (!holds) {
      throw new AssertionError(otherwise);
    }
  }

  /** As in a service of systemd with Delegate=yes. */
  private static void ownCgroup() throws Exception {
    ControlFile.write(ROOT.resolve("cgroup.subtree_control"), "+memory +cpu +cpuset +pids +io");
    Path own = Files.createDirectory(ROOT.resolve("service"));
    long pid = ProcessHandle.current().pid();
    Members.add(own, pid);
    Path data = Files.createTempDirectory("data");
    Settings settings = new Settings(Optional.empty(), 2, 100_000, HostLimits.NONE);
    Cgroups cgroups = new Cgroups(data.resolve("cgroups"), Mark.of(data), settings);
    CgroupSupport support = cgroups.probe();
    check(support.mode() == CgroupSupport.Mode.V2 && support.controllers().equals(EnumSet.allOf(Controller.class)) && support.kills() && support.freezes() && support.clones(), support.toString());
    check(Members.of(own.resolve(Version2.SELF)).equals(List.of(pid)), "it is not aside");
    CgroupLease lease = cgroups.lease(new CgroupRequest("sandbox-1", "user/function@1", new CgroupLimits(OptionalLong.of(32 << 20), HostLimits.NONE)));
    check(lease.directories().equals(List.of(own.resolve(Mark.of(data).name()).resolve(lease.name()))), lease.directories().toString());
    check(lease.runtimePath().equals(Optional.of("/service/" + Mark.of(data).name() + "/" + lease.name() + "/sandbox")), lease.runtimePath().toString());
    check(lease.pressure().isPresent(), "no pressure");
    check(lease.descriptor().isPresent(), "no descriptor");
    // A successor finds the node aside already.
    Cgroups next = new Cgroups(data.resolve("cgroups"), Mark.of(data), settings);
    cgroups.stop(false);
    check(next.probe().parent().equals(support.parent()) && next.leases().size() == 1, next.probe().toString());
    lease.close();
    next.stop(true);
    check(Members.of(own).equals(List.of(pid)), "it is not back");
    check(ControlFile.read(own.resolve("cgroup.subtree_control")).isEmpty(), "it goes on to pass on");
    check(Members.tree(own).equals(List.of(own)), Members.tree(own).toString());
    // Where somebody else is, too, it stays; and says what would help.
    Process parent = new ProcessBuilder("sh", "-c", "sleep 60 >/dev/null & echo $!").start();
    long orphan = Long.parseLong(parent.inputReader().readLine());
    parent.waitFor();
    Cgroups shared = new Cgroups(data.resolve("cgroups"), Mark.of(data), settings);
    check(shared.probe().controllers().isEmpty() && !shared.probe().missing().isEmpty(), shared.probe().toString());
    check(Members.of(own).contains(pid), "it has moved, and left a stranger behind");
    shared.stop(true);
    Members.kill(orphan);
  }
}
