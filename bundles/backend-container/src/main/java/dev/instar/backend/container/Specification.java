package dev.instar.backend.container;

import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.instar.api.function.Limits;
import dev.instar.api.secret.SecretLease;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/** What an OCI runtime is told (OCI runtime specification 1.1): the container, and the processes in it. */
final class Specification {
  /** Of those of Docker's default what a service may need for itself: no raw sockets, no device nodes, no chroot, no file capabilities. */
  private static final List<String> CAPABILITIES = List.of("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_NET_BIND_SERVICE",
      "CAP_SETGID", "CAP_SETUID");
  private static final List<String> MASKED = List.of("/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
      "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware");
  private static final List<String> READ_ONLY = List.of("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger");
  /** When the host itself has no memory left, functions go first. */
  private static final int OOM_SCORE = 500;
  private static final int IDS = 65_536;
  private static final JsonMapper JSON = new JsonMapper();

  private final Limits limits;
  private final int processes;
  /** The runtime opens so many inside of the limit before the program runs. */
  private static final int FEWEST_FILES = 20;

  private final OptionalInt firstId;
  private final boolean readOnly;
  private final boolean crun;
  private final boolean stays;

  /**
   * @param processes the most of one container
   * @param firstId the host's id of the container's root; empty without a user namespace
   * @param readOnly whether the root file system can't be written to
   * @param crun whether crun will read it
   * @param stays whether what a call leaves, but for files in /tmp and /dev/shm, may stay for the next
   */
  Specification(Limits limits, int processes, OptionalInt firstId, boolean readOnly, boolean crun, boolean stays) {
    this.stays = stays;
    this.limits = limits;
    this.processes = processes;
    this.firstId = firstId;
    this.readOnly = readOnly;
    this.crun = crun;
  }

  /**
   * One process of the container: the first, in the container's specification, or one beside it.
   *
   * @param alone whether there is no cgroup to hold the processes of the container together: each by itself is bounded then
   */
  Map<String, Object> process(List<String> command, Map<String, String> environment, String directory, int uid, int gid, boolean alone) {
    List<String> variables = new ArrayList<>();
    environment.forEach((name, value) -> variables.add(name + "=" + value));
    Map<String, Object> process = new LinkedHashMap<>();
    process.put("terminal", false);
    process.put("user", Map.of("uid", uid, "gid", gid));
    process.put("args", command);
    process.put("env", variables);
    process.put("cwd", directory);
    process.put("noNewPrivileges", true);
    process.put("oomScoreAdj", OOM_SCORE);
    process.put("capabilities", Map.of("bounding", CAPABILITIES, "effective", CAPABILITIES, "permitted", CAPABILITIES));
    List<Object> rlimits = new ArrayList<>(List.of(rlimit("RLIMIT_NOFILE", openFiles(limits)), rlimit("RLIMIT_CORE", 0)));
    if (alone) {
      // The first counts by user and user namespace, so for the whole container; the second for each process, and only what it can write to.
      rlimits.add(rlimit("RLIMIT_NPROC", processes));
      rlimits.add(rlimit("RLIMIT_DATA", limits.memoryBytes()));
    }
    process.put("rlimits", rlimits);
    return process;
  }

  private static Map<String, Object> rlimit(String type, long value) {
    return Map.of("type", type, "soft", value, "hard", value);
  }

  /**
   * A container.
   *
   * @param root its root file system, in the runtime's mount namespace
   * @param network the network namespace that it gets; empty for one of its own, in which there is nothing but itself. Only crun is told: it joins the host's
   *     from inside of the container, too. The kernel refuses that to other runtimes, which are in the container's user namespace by then, so they are started in it
   * @param secrets the directory of those that it sees
   */
  Map<String, Object> container(Map<String, Object> process, Path root, String hostname, Optional<Path> network, Optional<Path> secrets) {
    Map<String, Object> spec = new LinkedHashMap<>();
    spec.put("ociVersion", "1.0.2");
    spec.put("process", process);
    spec.put("root", Map.of("path", root.toString(), "readonly", readOnly));
    spec.put("hostname", hostname);
    List<Map<String, Object>> mounts = mounts(network.isEmpty());
    secrets.ifPresent(source -> mounts.add(Map.of("destination", SecretLease.DIRECTORY, "type", "bind", "source", source.toString(),
        "options", List.of("bind", "ro", "nosuid", "nodev", "noexec"))));
    spec.put("mounts", mounts);
    Map<String, Object> linux = new LinkedHashMap<>();
    List<Map<String, Object>> namespaces = new ArrayList<>();
    for (String type : List.of("pid", "ipc", "uts", "mount", "cgroup")) {
      namespaces.add(Map.of("type", type));
    }
    if (network.isEmpty()) {
      namespaces.add(Map.of("type", "network"));
    } else if (crun) {
      namespaces.add(Map.of("type", "network", "path", network.get().toString()));
    }
    if (firstId.isPresent()) {
      namespaces.add(Map.of("type", "user"));
      List<Object> ids = List.of(Map.of("containerID", 0, "hostID", firstId.getAsInt(), "size", IDS));
      linux.put("uidMappings", ids);
      linux.put("gidMappings", ids);
    }
    linux.put("namespaces", namespaces);
    linux.put("maskedPaths", MASKED);
    linux.put("readonlyPaths", READ_ONLY);
    // Always: crun before 0.18, which some distributions have, passes over the annotation, and would run the container without a filter.
    linux.put("seccomp", SystemCallFilter.profile(stays));
    if (crun) {
      spec.put("annotations", Map.of("run.oci.seccomp_bpf_data", SystemCallFilter.compiled(stays)));
    }
    spec.put("linux", linux);
    return spec;
  }

  /** @param ownNetwork without it the kernel gives no /sys to a user namespace, and runtimes would put the host's there */
  private List<Map<String, Object>> mounts(boolean ownNetwork) {
    List<Map<String, Object>> mounts = new ArrayList<>();
    mounts.add(mount("/proc", "proc", "nosuid", "noexec", "nodev"));
    mounts.add(stays ? mount("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k")
        : mount("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k", "ro"));
    mounts.add(mount("/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"));
    mounts.add(mount("/dev/shm", "tmpfs", "nosuid", "noexec", "nodev", "mode=1777", "size=" + fileBytes(limits)));
    if (ownNetwork) {
      mounts.add(mount("/sys", "sysfs", "nosuid", "noexec", "nodev", "ro"));
    }
    if (readOnly) {
      mounts.add(mount("/tmp", "tmpfs", "nosuid", "nodev", "mode=1777", "size=" + fileBytes(limits), "nr_inodes=" + (limits.madeFiles() + 1)));
    }
    return mounts;
  }

  /** What a file system in memory of a container may hold. Zero would be no bound at all. */
  static long fileBytes(Limits limits) {
    return Math.max(limits.fileBytes(), 64 << 10);
  }

  /** What a process may have open. */
  static int openFiles(Limits limits) {
    return Math.max(FEWEST_FILES, limits.openFiles());
  }

  private static Map<String, Object> mount(String destination, String type, String... options) {
    return Map.of("destination", destination, "type", type, "source", type, "options", List.of(options));
  }

  static void write(Path file, Map<String, Object> document) throws IOException {
    Files.write(file, JSON.writeValueAsBytes(document));
  }
}
