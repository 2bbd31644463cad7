package dev.instar.backend.container;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.cgroup.CgroupLease;
import dev.instar.api.cgroup.CgroupUsage;
import dev.instar.api.data.DurableFiles;
import dev.instar.api.function.Limits;
import dev.instar.api.network.NetworkLease;
import dev.instar.api.sandbox.StartContext;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One container: the runtime's process that watches over it, and the first process in it, with which all others end. */
final class Container {
  private static final Logger LOG = LoggerFactory.getLogger(Container.class);
  private static final int WORDS = 400;

  private final Host host;
  private final String id;
  private final Path directory;
  private final Optional<CgroupLease> cgroup;
  /** Where the runtime itself has to be. */
  private final Optional<Path> network;
  private final Limits limits;
  private final Process watcher;
  private volatile Optional<ProcessHandle> first = Optional.empty();
  private volatile Optional<CgroupUsage> before = Optional.empty();
  private volatile boolean killed;
  /** Under the monitor. */
  private boolean frozen;

  private Container(Host host, String id, Path directory, Optional<CgroupLease> cgroup, Optional<Path> network, Limits limits, Process watcher) {
    this.host = host;
    this.id = id;
    this.directory = directory;
    this.cgroup = cgroup;
    this.network = network;
    this.limits = limits;
    this.watcher = watcher;
  }

  /**
   * Starts one and does not wait for it.
   *
   * @param directory with its specification, which it deletes when it is closed
   * @param limits that it was specified with
   */
  static Container start(Host host, Host.Root root, Path directory, StartContext context, Limits limits) {
    Optional<CgroupLease> cgroup = context.leases().find(CgroupLease.class);
    Optional<Path> network = host.runtime().crun() ? Optional.empty() : context.leases().find(NetworkLease.class).map(NetworkLease::namespace);
    String id = context.sandboxId();
    try {
      // What it says goes to a file until the runtime has made way for the function.
      Process watcher = host.launch(root, directories(cgroup), network, "--log", directory.resolve("said").toString(), "run", "--pid-file",
          directory.resolve("pid").toString(), "--bundle", directory.toString(), id);
      Container container = new Container(host, id, directory, cgroup, network, limits, watcher);
      container.before = cgroup.map(CgroupLease::usage);
      return container;
    } catch (IOException e) {
      delete(directory);
      host.forgetSecrets(id);
      throw notStarted(String.valueOf(e.getMessage()));
    }
  }

  private static List<Path> directories(Optional<CgroupLease> cgroup) {
    return cgroup.map(CgroupLease::directories).orElse(List.of());
  }

  /** Waits until the {@link HeldProgram} runs. Closes itself when that fails. */
  void awaitHeld(Instant deadline) throws InterruptedException {
    boolean started = false;
    try {
      while (watcher.getInputStream().available() == 0) {
        if (!watcher.isAlive() && watcher.getInputStream().available() == 0) {
          String said = words(directory.resolve("said"));
          throw failure().orElseGet(() -> notStarted(said.isEmpty() ? lastError() : said));
        }
        if (Instant.now().isAfter(deadline)) {
          throw new InstarException(ErrorCode.TIMED_OUT, "The container was not ready by its deadline.");
        }
        Thread.sleep(0, 500_000);
      }
      watcher.getInputStream().readNBytes(1);
      isRunning();
      started = true;
    } catch (IOException e) {
      throw notStarted(String.valueOf(e.getMessage()));
    } finally {
      if (!started) {
        close();
      }
    }
  }

  private String lastError() {
    try {
      return lastLine(watcher.getErrorStream().readNBytes(WORDS));
    } catch (IOException e) {
      return "";
    }
  }

  private static InstarException notStarted(String why) {
    LOG.warn("A container could not be started: {}", why);
    String lower = why.toLowerCase(Locale.ROOT);
    boolean busy = List.of("cannot allocate memory", "temporarily unavailable", "too many open files", "no space left", "error=11", "error=12", "error=24")
        .stream().anyMatch(lower::contains);
    return busy ? new InstarException(ErrorCode.NODE_BUSY, "The host has no room for another container.")
        : new InstarException(ErrorCode.SANDBOX_CRASHED, "The container could not be started: " + (why.isBlank() ? "its runtime said nothing" : why) + ".");
  }

  /** The last line of what a program of the host has said, in a form for people; empty when there is none. */
  static String words(Path file) {
    try {
      return lastLine(Files.readAllBytes(file));
    } catch (IOException e) {
      return "";
    }
  }

  private static String lastLine(byte[] said) {
    String text = new String(said, Math.max(0, said.length - WORDS), Math.min(said.length, WORDS), StandardCharsets.UTF_8).strip();
    return text.substring(text.lastIndexOf('\n') + 1).replaceAll("[\\p{Cntrl}\\p{Cf}\uFFFD]+", " ").strip();
  }

  String id() {
    return id;
  }

  Path directory() {
    return directory;
  }

  /** The standard input of the first process. */
  OutputStream input() {
    return watcher.getOutputStream();
  }

  /** What the first process writes to its standard output. */
  InputStream output() {
    return watcher.getInputStream();
  }

  /** And to its standard error; before that, what the host's programs say that start it. */
  InputStream errors() {
    return watcher.getErrorStream();
  }

  /** A command of the runtime for this container, that takes place in its cgroup. */
  ProcessBuilder command(String... arguments) throws IOException {
    return host.command(watcher.pid(), directories(cgroup), network, arguments);
  }

  /** The limit that it has met since it was started, or since this was last asked, if any. For when something has failed: it costs some milliseconds. */
  Optional<InstarException> failure() throws InterruptedException {
    Optional<InstarException> met = before.flatMap(then -> cgroup.flatMap(lease -> lease.failureSince(then)));
    before = cgroup.map(CgroupLease::usage);
    return met.isPresent() || !isRunning() || first.isEmpty() ? met : UsedUp.find(first.get(), limits);
  }

  /** Whether there is a first process, and it was not told to end. */
  boolean isRunning() {
    if (killed) {
      return false;
    }
    if (first.isEmpty()) {
      try {
        long pid = Long.parseLong(Files.readString(directory.resolve("pid")).strip());
        // By now the number may be another process's. A child of the watcher it is not then, and the handle, which knows when it began, never becomes that.
        first = ProcessHandle.of(pid).filter(process -> process.parent().filter(watcher.toHandle()::equals).isPresent());
      } catch (IOException | NumberFormatException e) {
        // It is on its way there.
        return watcher.isAlive();
      }
    }
    return first.isPresent() && first.get().isAlive();
  }

  /** @return whether it has ended */
  boolean awaitEnd(Duration most) throws InterruptedException {
    return watcher.waitFor(most.toMillis(), TimeUnit.MILLISECONDS);
  }

  /** Of the first process, or 128 and the number of the signal that ended it. */
  int exitStatus() {
    return watcher.isAlive() ? 0 : watcher.exitValue();
  }

  /** Ends all that is in it, from any thread, and does not wait. */
  void kill() {
    isRunning();
    killed = true;
    // With the first process of its pid namespace the kernel ends all others.
    first.ifPresent(ProcessHandle::destroyForcibly);
    if (first.isEmpty()) {
      watcher.descendants().forEach(ProcessHandle::destroyForcibly);
      watcher.toHandle().destroyForcibly();
    }
    try {
      // The signal waits for that in version 1 of cgroups.
      thaw();
    } catch (RuntimeException e) {
      LOG.warn("The container {} could not be thawed to end; it ends with its cgroup: {}", id, e.getMessage());
    }
  }

  /**
   * Stops all that is in it, and the process of the host that watches over it.
   *
   * @return false where there is no cgroup, or it was killed
   */
  synchronized boolean freeze() {
    if (killed || cgroup.isEmpty()) {
      return false;
    }
    cgroup.get().freeze();
    frozen = true;
    if (killed) {
      // By somebody who has not seen that there is something to thaw.
      thaw();
    }
    return frozen;
  }

  /** Lets it go on. @throws InstarException SANDBOX_CRASHED */
  synchronized void thaw() {
    if (frozen) {
      frozen = false;
      try {
        cgroup.ifPresent(CgroupLease::thaw);
      } catch (UncheckedIOException | IllegalStateException e) {
        throw new InstarException(ErrorCode.SANDBOX_CRASHED, "The container does not go on after it was frozen.");
      }
    }
  }

  /** Ends it and takes away what the runtime and the host have of it. Waits no longer than two seconds or so. */
  void close() {
    kill();
    boolean interrupted = Thread.interrupted();
    try {
      if (!watcher.waitFor(1, TimeUnit.SECONDS)) {
        watcher.destroyForcibly();
      }
    } catch (InterruptedException e) {
      interrupted = true;
    }
    if (!host.isGone(id)) {
      host.delete(id);
    }
    try {
      watcher.getOutputStream().close();
      watcher.getInputStream().close();
      watcher.getErrorStream().close();
    } catch (IOException e) {
      // A pipe whose other end has gone.
    }
    delete(directory);
    host.forgetSecrets(id);
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private static void delete(Path directory) {
    try {
      DurableFiles.deleteTree(directory);
    } catch (IOException e) {
      LOG.warn("Part of {} could not be removed; it goes when the node starts next: {}", directory, e.toString());
    }
  }
}
