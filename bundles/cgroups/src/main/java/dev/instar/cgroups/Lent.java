package dev.instar.cgroups;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.cgroup.CgroupLease;
import dev.instar.api.cgroup.CgroupLimits;
import dev.instar.api.cgroup.CgroupPressure;
import dev.instar.api.cgroup.CgroupRequest;
import dev.instar.api.cgroup.CgroupUsage;
import dev.instar.api.function.HostLimits;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** All that it does, it does with the kernel's files and its own note: it needs nobody of this bundle, which may be gone. */
final class Lent implements CgroupLease {
  private static final Logger LOG = LoggerFactory.getLogger(Lent.class);
  /** What an OCI runtime makes inside. */
  private static final String RUNTIME = "sandbox";
  private static final CgroupLimits NO_FORK = new CgroupLimits(OptionalLong.empty(),
      new HostLimits(OptionalInt.empty(), OptionalInt.empty(), Optional.empty(), OptionalInt.of(1), OptionalInt.empty()));

  private final String name;
  private final Path file;
  private final Tree tree;
  private final int periodMicros;
  private final Runnable removed;
  private volatile Note note;
  private volatile boolean killed;
  // Under the monitor.
  private OptionalInt descriptor = OptionalInt.empty();
  private volatile boolean closed;

  /** @param removed what to do when it is no more */
  Lent(String name, Path file, Tree tree, int periodMicros, Note note, Runnable removed) {
    this.name = name;
    this.file = file;
    this.tree = tree;
    this.periodMicros = periodMicros;
    this.note = note;
    this.removed = removed;
  }

  @Override
  public String name() {
    return name;
  }

  /** Before anything enters it: writes its limits, and who has it. */
  void begin() throws IOException {
    // First, so that nothing is there that no note tells of.
    note.write(file);
    tree.limit(note.directories(), note.request().limits(), periodMicros);
  }

  long taken() {
    return note.taken();
  }

  @Override
  public CgroupRequest request() {
    open();
    return note.request();
  }

  @Override
  public List<Path> directories() {
    open();
    return note.directories();
  }

  @Override
  public Optional<String> runtimePath() {
    open();
    return note.runtimePath().map(path -> path + "/" + RUNTIME);
  }

  @Override
  public synchronized OptionalInt descriptor() {
    open();
    if (descriptor.isEmpty()) {
      Optional<Path> directory = note.directories().stream().filter(path -> tree.of(path).filter(Version2.class::isInstance).isPresent()).findFirst();
      if (directory.isPresent()) {
        descriptor = Descriptor.open(directory.get());
      }
    }
    return descriptor;
  }

  @Override
  public void enter(long pid) {
    open();
    if (pid == ProcessHandle.current().pid()) {
      throw new IllegalArgumentException("The node itself can't enter the cgroup of a sandbox.");
    }
    if (killed) {
      throw new IllegalStateException("The cgroup " + name + " was killed; nothing enters it any more.");
    }
    for (Path directory : note.directories()) {
      try {
        Members.add(directory, pid);
      } catch (IOException e) {
        throw new UncheckedIOException(new IOException("The process " + pid + " can't enter " + directory + ": " + ControlFile.reason(e), e));
      }
    }
    if (killed) {
      Killing.kill(note.directories());
    }
  }

  @Override
  public List<Long> processes() {
    open();
    Set<Long> all = new LinkedHashSet<>();
    note.directories().forEach(directory -> all.addAll(Members.all(directory)));
    return List.copyOf(all);
  }

  private Tally tally() {
    open();
    Tally all = Tally.NOTHING;
    for (Path directory : note.directories()) {
      all = all.and(tree.of(directory).map(hierarchy -> hierarchy.tally(directory)).orElse(Tally.NOTHING));
    }
    return all;
  }

  @Override
  public CgroupUsage usage() {
    return tally().usage();
  }

  @Override
  public Optional<CgroupPressure> pressure() {
    return tally().pressure();
  }

  @Override
  public void freeze() {
    open();
    freeze(freezing(), true);
  }

  @Override
  public void thaw() {
    open();
    freeze(note.directories(), false);
  }

  /**
   * Where all stop: on a host with both versions, in version 2, unless something is in the other hierarchies only, as what an OCI runtime has put there. Never in both, which wait for
   * each other.
   */
  private List<Path> freezing() {
    List<Path> version2 = note.directories().stream().filter(path -> tree.of(path).filter(Version2.class::isInstance).isPresent()).toList();
    List<Path> others = note.directories().stream().filter(path -> !version2.contains(path)).toList();
    Set<Long> covered = new LinkedHashSet<>();
    version2.forEach(path -> covered.addAll(Members.all(path)));
    boolean freezer = others.stream().anyMatch(path -> Files.exists(path.resolve(Killing.FREEZER)));
    return version2.isEmpty() || freezer && !others.stream().allMatch(path -> covered.containsAll(Members.all(path))) ? others : version2;
  }

  private void freeze(List<Path> directories, boolean frozen) {
    for (Path directory : directories) {
      try {
        Optional<Hierarchy> hierarchy = tree.of(directory);
        if (hierarchy.isPresent()) {
          hierarchy.get().freeze(directory, frozen);
        }
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  @Override
  public void kill() {
    open();
    killed = true;
    try {
      // What would be forked after the last look can't be.
      tree.limit(note.directories(), NO_FORK, periodMicros);
    } catch (IOException | InstarException e) {
      LOG.debug("{} may still fork: {}", name, e.getMessage());
    }
    Killing.kill(note.directories());
  }

  @Override
  public synchronized void adjust(CgroupLimits limits) {
    open();
    tree.unheld(limits).ifPresent(limit -> {
      throw unheld(limit);
    });
    try {
      tree.limit(note.directories(), limits, periodMicros);
      CgroupLimits before = note.request().limits();
      note = note.with(new CgroupLimits(limits.memoryBytes().isPresent() ? limits.memoryBytes() : before.memoryBytes(), limits.host().or(before.host())));
      note.write(file);
    } catch (LimitRefused e) {
      throw refused(e);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static InstarException unheld(String limit) {
    return new InstarException(ErrorCode.BAD_REQUEST, "This host can't hold a sandbox to the limit '" + limit + "': its cgroups have no controller for it ('instar cgroups' tells)."
        + " Leave the limit out, or mend the host.", Map.of("limit", limit));
  }

  static InstarException refused(LimitRefused e) {
    return new InstarException(ErrorCode.BAD_REQUEST, "This host does not hold a sandbox to the limit '" + e.limit() + "': " + e.getMessage() + ". "
        + (e.limit().equals("cpuset") ? ControlFile.processors().map(list -> "This node has the processors " + list + ".").orElse("") : "Give another value."),
        Map.of("limit", e.limit()));
  }

  boolean closed() {
    return closed;
  }

  private void open() {
    if (closed) {
      throw new IllegalStateException("The cgroup " + name + " was given back.");
    }
  }

  @Override
  public void close() {
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
      descriptor.ifPresent(Descriptor::close);
    }
    remove();
  }

  /** Kills what is inside and removes it; what does not go is tried again by whoever lends then. */
  void remove() {
    Optional<IOException> failure = Killing.remove(note.directories());
    try {
      if (failure.isEmpty()) {
        Files.deleteIfExists(file);
        removed.run();
      } else {
        LOG.warn("The cgroup {} of {} can't be removed yet: {}", name, note.request().holder(), failure.get().getMessage());
        note.closing().write(file);
      }
    } catch (NoSuchFileException e) {
      // The node has ended and tidied up.
    } catch (IOException e) {
      LOG.warn("The note {} of a cgroup can't be removed", file, e);
    }
  }
}
