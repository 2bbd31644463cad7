package dev.instar.backend.container;

import dev.instar.api.data.DurableFiles;
import dev.instar.api.host.LinuxException;
import dev.instar.api.host.Mounts;
import dev.instar.api.host.Namespaces;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where this node's containers are on the host, and how they get there.
 *
 * <p>Each is started in a mount namespace of its own, which ends with its last process: in it are the layers of its root file system and, for
 * crun on a host with both versions of cgroups, which it refuses, a cover over the second version. So no mount of a container is ever seen outside, and none can
 * stay.
 *
 * <p>What runtimes keep is in /run, by the mark of the node: the root of a user namespace can't reach into the data directory, which is the node's user's alone.
 */
final class Host {
  static final String MARK = "INSTAR_CONTAINERS";
  private static final Logger LOG = LoggerFactory.getLogger(Host.class);
  private static final Path RUN = Path.of("/run");
  private static final String STATE = "state-";
  private static final String SECRETS = "secrets-";
  private static final String COPIES = "copies";
  private static final Path PROC = Path.of("/proc");
  private static final Path SECOND_VERSION = Path.of("/sys/fs/cgroup/unified");
  private static final int ROUNDS = 10;
  private static final int MOST_ENVIRONMENT = 1 << 20;
  /** Enters the cgroups whose directories are given up to {@code --}; all that the shell becomes or starts from there on is in them. */
  private static final String ENTER = "while [ \"$1\" != -- ]; do echo 0 >\"$1/cgroup.procs\" || exit 1; shift; done; shift; ";
  private final OciRuntime runtime;
  private final Mark mark;
  private final Kernel kernel;
  private final Path directory;
  private final Path place;

  private Host(OciRuntime runtime, Mark mark, Kernel kernel) throws IOException {
    this.runtime = runtime;
    this.mark = mark;
    this.kernel = kernel;
    directory = directory(mark);
    // Covering it and mounting there is one mount.
    place = runtime.crun() && Files.exists(SECOND_VERSION.resolve("cgroup.procs")) ? SECOND_VERSION : directory.resolve("place");
    makeDirectories();
  }

  /** Again with each start: a backend that is replaced removes them when it has no container any more. */
  private void makeDirectories() throws IOException {
    // The last one is covered in each container's mount namespace; outside it must be there, too, since runc starts from where a container's root is.
    for (Path path : List.of(directory, state(), directory.resolve("place"), directory.resolve("place/root"), copies(), secrets())) {
      if (!Files.isDirectory(path)) {
        Files.createDirectories(path);
        Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rwx--x--x"));
      }
    }
  }

  /** What the node asks of the kernel. */
  record Kernel(Namespaces namespaces, Mounts mounts) {}

  static Host open(OciRuntime runtime, Mark mark, Kernel kernel) throws IOException {
    return new Host(runtime, mark, kernel);
  }

  OciRuntime runtime() {
    return runtime;
  }

  /** Where the runtime finds the root file system of the container that it is started for. */
  Path root() {
    return place.resolve("root");
  }

  /** Of this run of the node: two backends that overlap in a swap have it together, and no later run takes it for its own. */
  private Path state() {
    return directory.resolve(STATE + mark.run());
  }

  /** As {@link #state}. */
  private Path secrets() {
    return directory.resolve(SECRETS + mark.run());
  }

  /** A new directory for the secrets of one container: /run is in memory, and the root of a user namespace can reach into it. */
  Path secrets(String id) throws IOException {
    makeDirectories();
    return Files.createDirectory(secrets().resolve(id), PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
  }

  /** Takes them away, if there are any. */
  void forgetSecrets(String id) {
    try {
      DurableFiles.deleteTree(secrets().resolve(id));
    } catch (IOException e) {
      LOG.warn("The secrets of the container {} could not be removed; they go when the node starts next: {}", id, e.toString());
    }
  }

  /**
   * What a container is started with.
   *
   * @param directory where the layers are
   * @param layers their names there, the topmost first, with colons between
   * @param options of the file system in memory for what it writes
   * @param owner of the root directory
   */
  record Root(Path directory, String layers, String options, int owner) {}

  /**
   * Starts the command of the runtime that starts a container and stays with it until it has ended. The root file system is mounted from a thread of this process and
   * not by programs: each of them would cost as much as a fifth of the runtime.
   *
   * @param network the network namespace to start it in, and with it the container
   */
  Process launch(Root root, List<Path> cgroups, Optional<Path> network, String... arguments) throws IOException {
    makeDirectories();
    // One may be below the place that is going to be covered.
    Optional<Path> covered = cgroups.stream().filter(cgroup -> cgroup.startsWith(place)).findFirst();
    Path uncovered = directory.resolve("place");
    List<String> command = in(network);
    enter(cgroups.stream().map(cgroup -> cgroup.startsWith(place) ? uncovered : cgroup).toList(), command);
    command.addAll(runtime.command(state(), arguments));
    ProcessBuilder builder = prepared(command).directory(root.directory().toFile());
    try {
      return kernel.namespaces().apart(here -> {
        here.newMounts(root.directory());
        if (covered.isPresent()) {
          kernel.mounts().mount(covered.get().toString(), uncovered, "", Mounts.BIND, "");
        }
        mount(root);
        return builder.start();
      });
    } catch (IOException | RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IOException(e.getMessage(), e);
    }
  }

  /** What is written goes to memory and is bounded there: bytes and files. The names of the layers are relative, since a container sees them. */
  private void mount(Root root) throws IOException, LinuxException {
    kernel.mounts().mount("tmpfs", place, "tmpfs", 0, root.options());
    for (String made : List.of("upper", "work", "root")) {
      Path path = Files.createDirectory(place.resolve(made));
      Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rwxr-xr-x"));
      Files.setAttribute(path, "unix:uid", root.owner());
      Files.setAttribute(path, "unix:gid", root.owner());
    }
    kernel.mounts().mount("overlay", place.resolve("root"), "overlay", 0, "lowerdir=" + root.layers() + ",upperdir=" + place + "/upper,workdir=" + place + "/work");
  }

  /** Has the command take place in cgroups. */
  private static void enter(List<Path> cgroups, List<String> command) {
    if (!cgroups.isEmpty()) {
      command.addAll(List.of("sh", "-c", ENTER + "exec \"$@\"", "sh"));
      cgroups.forEach(cgroup -> command.add(cgroup.toString()));
      command.add("--");
    }
  }

  /**
   * A command of the runtime for a container that runs, which takes place in its cgroups, and in the mount namespace of its watcher: crun mounts its own program
   * somewhere before it runs, and would leave that on the host when it is killed meanwhile.
   *
   * @param network the network namespace in which the container was started
   */
  ProcessBuilder command(long watcher, List<Path> cgroups, Optional<Path> network, String... arguments) throws IOException {
    makeDirectories();
    List<String> command = in(network);
    // First, since in there a part of the cgroups is covered.
    enter(cgroups, command);
    command.addAll(List.of("nsenter", "--mount=/proc/" + watcher + "/ns/mnt", "--"));
    command.addAll(runtime.command(state(), arguments));
    return prepared(command);
  }

  private static List<String> in(Optional<Path> network) {
    return new ArrayList<>(network.map(path -> List.of("nsenter", "--net=" + path, "--")).orElse(List.of()));
  }

  /** Where runtimes put the file over which they mount their own program; one that is killed at that moment leaves it. */
  private Path copies() {
    return directory.resolve(COPIES);
  }

  private ProcessBuilder prepared(List<String> command) {
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().clear();
    builder.environment().put("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    builder.environment().put(MARK, mark.value());
    builder.environment().put("_LIBCONTAINER_STATEDIR", copies().toString());
    return builder;
  }

  /** Whether the runtime knows nothing of the container any more. */
  boolean isGone(String id) {
    return !Files.exists(state().resolve(id));
  }

  /** Ends a container by the runtime's own means, whatever has become of its processes, and waits for that, two seconds at most. */
  void delete(String id) {
    delete(state(), id);
  }

  private void delete(Path state, String id) {
    try {
      Process process = prepared(runtime.command(state, "delete", "--force", id)).redirectErrorStream(true).redirectOutput(ProcessBuilder.Redirect.DISCARD).start();
      process.getOutputStream().close();
      if (!process.waitFor(2, TimeUnit.SECONDS)) {
        process.destroyForcibly();
      }
      DurableFiles.deleteTree(state.resolve(id));
    } catch (IOException e) {
      LOG.warn("The container {} could not be deleted; its rest goes when the node starts next: {}", id, e.toString());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /**
   * Ends what runs of the node that were killed have left. The caller holds the data directory's lock, so there is no other run. First the containers, by the
   * processes that watch over them, whose children they are; then what the runtime keeps of those.
   *
   * @return how many were found
   */
  int sweep() {
    Set<ProcessHandle> hit = new HashSet<>();
    for (int round = 0; round < ROUNDS; round++) {
      Set<ProcessHandle> found = watchers();
      Set<ProcessHandle> ends = new HashSet<>(found);
      found.forEach(watcher -> watcher.descendants().forEach(ends::add));
      ends.removeAll(hit);
      if (ends.isEmpty()) {
        break;
      }
      ends.forEach(ProcessHandle::destroyForcibly);
      hit.addAll(ends);
    }
    int left = 0;
    try (DirectoryStream<Path> states = Files.newDirectoryStream(directory, STATE + "*")) {
      for (Path state : states) {
        if (!state.equals(state())) {
          left += deleteAll(state);
        }
      }
      try (DirectoryStream<Path> secrets = Files.newDirectoryStream(directory, SECRETS + "*")) {
        for (Path one : secrets) {
          if (!one.equals(secrets())) {
            DurableFiles.deleteTree(one);
          }
        }
      }
    } catch (IOException e) {
      LOG.warn("{} cannot be cleared: {}", directory, e.toString());
    }
    return Math.max(hit.size(), left);
  }

  private int deleteAll(Path state) throws IOException {
    int deleted = 0;
    try (DirectoryStream<Path> containers = Files.newDirectoryStream(state)) {
      for (Path container : containers) {
        delete(state, container.getFileName().toString());
        deleted++;
      }
    }
    DurableFiles.deleteTree(state);
    return deleted;
  }

  private Set<ProcessHandle> watchers() {
    Set<ProcessHandle> found = new HashSet<>();
    try (DirectoryStream<Path> processes = Files.newDirectoryStream(PROC, "[0-9]*")) {
      for (Path process : processes) {
        // The handle first: it knows when its process began, and kills no later one of the same number.
        ProcessHandle.of(Long.parseLong(process.getFileName().toString())).filter(p -> p.pid() != ProcessHandle.current().pid())
            .filter(p -> mark(process.resolve("environ")).filter(mark::isPredecessors).isPresent()).ifPresent(found::add);
      }
    } catch (IOException e) {
      LOG.warn("The processes of this host cannot be listed: {}", e.toString());
    }
    return found;
  }

  private static Optional<String> mark(Path environ) {
    try (var in = Files.newInputStream(environ)) {
      String variables = new String(in.readNBytes(MOST_ENVIRONMENT), StandardCharsets.ISO_8859_1);
      return Stream.of(variables.split("\0")).filter(v -> v.startsWith(MARK + "=")).map(v -> v.substring(MARK.length() + 1)).findFirst();
    } catch (IOException e) {
      // Another user's process, or one that has ended.
      return Optional.empty();
    }
  }

  /** Takes the directories of the node away, if no container is in them. */
  static void remove(Mark mark) {
    Path directory = directory(mark);
    Path copies = directory.resolve(COPIES);
    try {
      if (Files.exists(copies)) {
        DurableFiles.deleteTree(copies);
      }
    } catch (IOException e) {
      LOG.debug("{} stays: {}", copies, e.toString());
    }
    for (Path path : List.of(directory.resolve("place/root"), directory.resolve("place"), directory.resolve(STATE + mark.run()), directory.resolve(SECRETS + mark.run()), directory)) {
      try {
        Files.deleteIfExists(path);
      } catch (IOException e) {
        // One of a successor's is in it, or what the next sweep is for.
        LOG.debug("{} stays: {}", path, e.toString());
      }
    }
  }

  private static Path directory(Mark mark) {
    return RUN.resolve("instar-" + mark.directory());
  }
}
