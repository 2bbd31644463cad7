package dev.instar.backend.process;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.data.DataDirectory;
import dev.instar.api.function.Variant;
import dev.instar.api.sandbox.BackendDescription;
import dev.instar.api.sandbox.BackendDescription.Isolation;
import dev.instar.api.sandbox.BackendDescription.Shape;
import dev.instar.api.sandbox.PrepareRequest;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Probe;
import dev.instar.api.sandbox.SandboxBackend;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Modified;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.metatype.annotations.Designate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs an executable as a child process, one process a sandbox, over its standard streams: input and output carry the guest protocol, what the
 * program writes to its standard error goes to the function's log. The remote shape of a sandbox in its simplest form, to develop against and to
 * hold the contract against. A function can do whatever the node's own user can.
 */
@Component(service = SandboxBackend.class, immediate = true, configurationPid = ProcessConfig.PID)
@Designate(ocd = ProcessConfig.class)
public final class ProcessBackend implements SandboxBackend {
  private static final Logger LOG = LoggerFactory.getLogger(ProcessBackend.class);
  private static final Path SHELL = Path.of("/bin/sh");
  private static final BackendDescription DESCRIPTION = new BackendDescription("process",
      "Runs programs as child processes of the node and isolates nothing: for development only.", Set.of(Variant.EXECUTABLE), Shape.REMOTE,
      Isolation.NONE, false, "1");

  private final Path scratch;
  private final Mark mark;
  private volatile Settings settings;
  /** What is open, to be ended with the backend. */
  private final Set<ProcessSandbox> sandboxes = ConcurrentHashMap.newKeySet();

  /** What preparations from now on go by. */
  private record Settings(String searchPath, Duration grace) {
    Settings {
      searchPath = searchPath.isBlank() ? System.getenv().getOrDefault("PATH", "/usr/local/bin:/usr/bin:/bin") : searchPath;
    }

    static Settings of(ProcessConfig config) {
      return new Settings(config.path(), Duration.ofMillis(config.close$_$grace$_$ms()));
    }
  }

  @Activate
  public ProcessBackend(@Reference DataDirectory data, ProcessConfig config) {
    this(data, Settings.of(config));
    LOG.warn("The backend 'process' is switched on. It isolates nothing: "
        + "a function can read, change and stop whatever this node's user can. For development only.");
  }

  /** For use without OSGi. */
  ProcessBackend(DataDirectory data, String searchPath, Duration grace) {
    this(data, new Settings(searchPath, grace));
  }

  ProcessBackend(Path scratch, String searchPath, Duration grace) {
    this(scratch, scratch, new Settings(searchPath, grace));
  }

  private ProcessBackend(DataDirectory data, Settings settings) {
    this(data.root(), data.scratch("sandboxes"), settings);
    int left = ProcessTree.sweep(mark);
    if (left > 0) {
      LOG.warn("Killed {} processes of functions that an earlier run of the node has left", left);
    }
  }

  private ProcessBackend(Path root, Path scratch, Settings settings) {
    this.scratch = scratch;
    this.settings = settings;
    try {
      mark = Mark.of(root);
    } catch (IOException e) {
      throw new UncheckedIOException("The directory " + root + " cannot be read", e);
    }
  }

  /** Functions that are prepared keep what they were prepared with. */
  @Modified
  void modified(ProcessConfig config) {
    settings = Settings.of(config);
  }

  /** Ends what the scheduler has not closed: a process outlives no backend. */
  @Deactivate
  void deactivate() {
    sandboxes.forEach(ProcessSandbox::kill);
    sandboxes.forEach(ProcessSandbox::close);
  }

  @Override
  public BackendDescription describe() {
    return DESCRIPTION;
  }

  @Override
  public Probe probe() {
    return Files.isExecutable(SHELL) ? new Probe.Usable("child processes of " + System.getProperty("os.name") + ", no isolation")
        : new Probe.Missing("a Unix system with " + SHELL, "Run the node on Linux or macOS.");
  }

  @Override
  public PreparedFunction prepare(PrepareRequest request) {
    Settings now = settings;
    Program.check(request.image().program(), now.searchPath());
    Environment environment = Environment.of(request.version().spec().environment(), now.searchPath());
    try {
      Path directory = Files.createTempDirectory(scratch, "process-");
      try {
        return new PreparedProcess(request.version().label(), directory, Program.copy(request.image().program(), directory), environment, mark,
            now.grace(), sandboxes);
      } catch (IOException | RuntimeException e) {
        Directories.delete(directory);
        throw e;
      }
    } catch (IOException e) {
      throw noRoom(e);
    }
  }

  private InstarException noRoom(IOException e) {
    try {
      FileStore store = Files.getFileStore(scratch);
      if (store.getUsableSpace() < 1 << 20) {
        return new InstarException(ErrorCode.NO_SPACE, "The file system of the node's data directory is full; the function was not prepared.");
      }
    } catch (IOException unknown) {
      e.addSuppressed(unknown);
    }
    LOG.error("A program could not be copied below {}.", scratch, e);
    return new InstarException(ErrorCode.INTERNAL, "The program could not be copied; the node's log has more.");
  }
}
