package dev.instar.backend.container;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Names;
import dev.instar.api.cgroup.CgroupManager;
import dev.instar.api.data.DataDirectory;
import dev.instar.api.data.DurableFiles;
import dev.instar.api.function.Variant;
import dev.instar.api.host.Mounts;
import dev.instar.api.host.Namespaces;
import dev.instar.api.network.NetworkLease;
import dev.instar.api.operations.ConfigurationProblem;
import dev.instar.api.operations.ConfigurationTrial;
import dev.instar.api.sandbox.BackendDescription;
import dev.instar.api.sandbox.BackendDescription.Isolation;
import dev.instar.api.sandbox.BackendDescription.Shape;
import dev.instar.api.sandbox.PrepareRequest;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Probe;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.api.sandbox.SandboxBackend;
import dev.instar.api.secret.SecretLease;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Modified;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.metatype.annotations.Designate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs container images as Linux containers: namespaces for users, processes, mounts, networks, IPC, names and cgroups, Docker's filter of system calls, few
 * capabilities and no way to new ones, a root file system in layers whose top is in memory and bounded. An OCI runtime makes them.
 */
@Component(service = {SandboxBackend.class, ConfigurationTrial.class}, immediate = true, configurationPid = ContainerConfig.PID)
@Designate(ocd = ContainerConfig.class)
public final class ContainerBackend implements SandboxBackend, ConfigurationTrial {
  private static final Logger LOG = LoggerFactory.getLogger(ContainerBackend.class);
  private static final BackendDescription DESCRIPTION = new BackendDescription("container", "Runs container images in Linux containers, made by an OCI runtime.",
      Set.of(Variant.CONTAINER), Shape.REMOTE, Isolation.CONTAINER, false, "1", Set.of(CgroupManager.KIND, NetworkLease.KIND, SecretLease.KIND));

  private final Path scratch;
  private final Mark mark;
  private final Host.Kernel kernel;
  private volatile Settings settings;
  /** What is open, to be ended with the backend. */
  private final Set<Sandbox> sandboxes = ConcurrentHashMap.newKeySet();

  /**
   * What preparations from now on go by.
   *
   * @param runtime a name or a file; empty for the usual ones
   * @param processes the most of one container
   */
  record Settings(String runtime, int processes) {
    static Settings of(ContainerConfig config) {
      return new Settings(config.runtime(), config.max$_$processes());
    }
  }

  @Activate
  public ContainerBackend(@Reference DataDirectory data, @Reference Namespaces namespaces, @Reference Mounts mounts, ContainerConfig config) {
    this(data.root(), data.scratch("containers"), new Host.Kernel(namespaces, mounts), Settings.of(config));
  }

  /**
   * For use without OSGi, too.
   *
   * @param root stands for the node; its lock is held
   * @param scratch where what is prepared is kept
   */
  ContainerBackend(Path root, Path scratch, Host.Kernel kernel, Settings settings) {
    this.scratch = scratch;
    this.kernel = kernel;
    this.settings = settings;
    try {
      mark = Mark.of(root);
      if (isRoot()) {
        Optional<OciRuntime> runtime = OciRuntime.find(settings.runtime());
        int left = runtime.isPresent() ? Host.open(runtime.get(), mark, kernel).sweep() : 0;
        if (left > 0) {
          LOG.warn("Ended {} processes and containers that an earlier run of the node has left", left);
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException("The directories of the container backend cannot be made", e);
    }
  }

  @Override
  public String pid() {
    return ContainerConfig.PID;
  }

  @Override
  public Optional<ConfigurationProblem> objection(Map<String, Object> values) {
    String wanted = values.get("runtime") instanceof String text ? text.strip() : "";
    return wanted.isEmpty() || OciRuntime.onPath(wanted).isPresent() ? Optional.empty()
        : Optional.of(new ConfigurationProblem("runtime is '" + Names.shown(wanted) + "', which is no program on this host; give crun, runc or another on the PATH of the node, or an executable file.",
            Optional.of("runtime"), Optional.of(Names.shown(wanted)), Optional.of("a program on the PATH, or an executable file")));
  }

  /** Functions that are prepared keep what they were prepared with. */
  @Modified
  void modified(ContainerConfig config) {
    settings = Settings.of(config);
  }

  /** Ends what the scheduler has not closed: a container outlives no backend. */
  @Deactivate
  void deactivate() {
    sandboxes.forEach(Sandbox::kill);
    sandboxes.forEach(Sandbox::close);
    // Whatever the runtime is by now, and whether there is one.
    Host.remove(mark);
  }

  @Override
  public BackendDescription describe() {
    return DESCRIPTION;
  }

  @Override
  public Probe probe() {
    if (!HeldProgram.runsHere() || !Files.isDirectory(Path.of("/proc/self/ns"))) {
      return new Probe.Missing("Linux on x86-64", "Run the node there.");
    }
    Settings now = settings;
    Optional<OciRuntime> runtime = OciRuntime.find(now.runtime());
    if (runtime.isEmpty()) {
      return now.runtime().isBlank() ? new Probe.Missing("an OCI runtime: neither crun nor runc is installed", "apt-get install crun")
          : new Probe.Missing("the OCI runtime '" + now.runtime() + "'", "Install it, or set 'runtime' of " + ContainerConfig.PID + " to one that is there.");
    }
    if (!isRoot()) {
      return new Probe.Missing("the right to make namespaces, mounts and users: this node runs as an ordinary user", "Run the node as root.");
    }
    if (OciRuntime.onPath("unshare").isEmpty()) {
      return new Probe.Missing("the program unshare", "apt-get install util-linux");
    }
    if (!succeeds("unshare", "--mount", "--propagation", "private", "true")) {
      return new Probe.Missing("the right to make a mount namespace (CAP_SYS_ADMIN)", "Run the node with that capability; in a container, with --privileged.");
    }
    if (!hasOverlay()) {
      return new Probe.Missing("the kernel's overlay file system", "modprobe overlay");
    }
    return new Probe.Usable(runtime.get().version() + ", " + runtime.get().program());
  }

  private static boolean isRoot() {
    try {
      return Files.getAttribute(Path.of("/proc/self"), "unix:uid").equals(0);
    } catch (IOException | UnsupportedOperationException e) {
      return false;
    }
  }

  private static boolean hasOverlay() {
    try {
      return Files.readString(Path.of("/proc/filesystems")).contains("\toverlay\n");
    } catch (IOException e) {
      return false;
    }
  }

  private static boolean succeeds(String... command) {
    try {
      Process process = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(ProcessBuilder.Redirect.DISCARD).start();
      process.getOutputStream().close();
      boolean ended = process.waitFor(5, TimeUnit.SECONDS);
      process.destroyForcibly();
      return ended && process.exitValue() == 0;
    } catch (IOException e) {
      return false;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  @Override
  public PreparedFunction prepare(PrepareRequest request) {
    Settings now = settings;
    OciRuntime runtime = OciRuntime.find(now.runtime()).orElseThrow(() -> new InstarException(ErrorCode.BACKEND_UNAVAILABLE, "The OCI runtime '"
        + (now.runtime().isBlank() ? "crun" : now.runtime()) + "' is not on this node any more. Install it, e.g. apt-get install crun."));
    try {
      Path directory = Files.createTempDirectory(scratch, "container-");
      try {
        return new PreparedContainer(request, directory, Host.open(runtime, mark, kernel), now.processes(), sandboxes);
      } catch (IOException | RuntimeException e) {
        DurableFiles.deleteTree(directory);
        throw e;
      }
    } catch (IOException e) {
      if (DurableFiles.isNoSpace(e)) {
        throw new InstarException(ErrorCode.NO_SPACE, "The file system of the node's data directory is full; the function was not prepared.");
      }
      LOG.error("A container could not be prepared below {}.", scratch, e);
      throw new InstarException(ErrorCode.INTERNAL, "The container could not be prepared; the node's log has more.");
    }
  }
}
