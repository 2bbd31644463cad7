package dev.instar.tck.capability;

import java.io.IOException;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** What tests may need of the machine beyond a JDK. */
public enum Capability {
  /** CPython 3, for functions of the process backend. */
  PYTHON3("apt-get install python3", "python3", "--version"),
  /** curl, for the tests that type what the README says. */
  CURL("apt-get install curl", "curl", "--version"),
  /** The pinned toolchain that rebuilds the examples; see examples/toolchain.txt. */
  EXAMPLES_TOOLCHAIN("run ./launcher/instar test as root on Debian 12, which installs the packages of examples/apt-packages.txt", "sh", "-c",
      "d=$PWD; while [ ! -x \"$d/examples/build.sh\" ] && [ \"$d\" != / ]; do d=$(dirname \"$d\"); done; exec \"$d/examples/build.sh\" --check-toolchain"),
  /** To mount something that nobody else sees, and to become another user. */
  MOUNT_NAMESPACE("run the tests as root on Linux", "unshare", "--mount", "setpriv", "--reuid", "10001", "--clear-groups", "--no-new-privs", "true"),
  /**
   * QEMU, busybox, and Debian's kernel for clouds as {@code target/linux-guest/boot/vmlinuz-*}: fetched with apt-get the first time that a test asks for it, and only unpacked.
   */
  LINUX_GUEST("apt-get install qemu-system-x86 busybox-static on an x86-64 Debian, and let apt-get reach its archive once", "sh", "-c",
      "d=$PWD; while [ ! -e \"$d/cnf/host-capabilities\" ] && [ \"$d\" != / ]; do d=$(dirname \"$d\"); done; cd \"$d\" || exit 1; "
          + "[ -x /bin/busybox ] && qemu-system-x86_64 --version >/dev/null || exit 1; g=target/linux-guest; ls $g/boot/vmlinuz-* >/dev/null 2>&1 && exit 0; mkdir -p $g/package && cd $g/package || exit 1; "
          + "apt-get download -q $(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \\(linux-image-[^ ]*\\)$/\\1/p') >/dev/null 2>&1 && exec dpkg-deb -x linux-image-*.deb .."),
  /** To make cgroups below the root of each hierarchy that is mounted. */
  CGROUPS("run the tests as root on Linux, where the cgroups are mounted for writing (in a container: docker run --privileged)", "sh", "-c",
      "for h in /sys/fs/cgroup/pids /sys/fs/cgroup; do [ -e $h/cgroup.procs ] && mkdir $h/instar-capability-$$ && exec rmdir $h/instar-capability-$$; done; "
          + "echo no cgroup can be made in /sys/fs/cgroup; exit 1"),
  /** To run Linux containers: an OCI runtime, the right to make namespaces and mounts, and a static busybox to make images of. */
  CONTAINER("run the tests as root on Linux, with apt-get install crun busybox-static", "sh", "-c",
      "crun --version && busybox true && unshare --mount --propagation private mount -t tmpfs tmpfs /mnt"),
  /** The other usual OCI runtime. */
  RUNC("apt-get install runc", "runc", "--version"),
  /** A network of its own for a process, where it can make interfaces and filter packets. */
  NETWORK_NAMESPACE("run the tests as root on Linux, with apt-get install iproute2 nftables iptables", "unshare", "--net", "--mount", "sh", "-c",
      "ip link add dev probe type bridge && nft add table inet probe && iptables-save >/dev/null"),
  /** systemd-analyze. */
  SYSTEMD("apt-get install systemd", "systemd-analyze", "--version"),
  /** wat2wasm and wast2json. */
  WABT("apt-get install wabt", "wat2wasm", "--version"),
  /** The native wasmtime library, see {@link NativeLibraries}: fetched with pip the first time that a test asks for it. */
  WASMTIME("apt-get install python3-pip, and let pip reach its index once", "sh", "-c",
      "d=$PWD; while [ ! -e \"$d/cnf/host-capabilities\" ] && [ \"$d\" != / ]; do d=$(dirname \"$d\"); done; cd \"$d\" || exit 1; "
          + "ls target/native/wasmtime/linux-*/_libwasmtime.so >/dev/null 2>&1 || "
          + "exec python3 -m pip install -q --no-deps --disable-pip-version-check --root-user-action ignore --target target/native wasmtime==50.0.1"),
  /** gRPC's own server and client for Python, in {@code target/grpc}: fetched with pip the first time that a test asks for it. */
  GRPC("apt-get install python3 python3-pip, and let pip reach its index once", "sh", "-c",
      "d=$PWD; while [ ! -e \"$d/cnf/host-capabilities\" ] && [ \"$d\" != / ]; do d=$(dirname \"$d\"); done; cd \"$d\" || exit 1; "
          + "PYTHONPATH=target/grpc python3 -c 'import grpc' >/dev/null 2>&1 || "
          + "exec python3 -m pip install -q --no-deps --disable-pip-version-check --root-user-action ignore --target target/grpc grpcio==1.85.1 typing-extensions==4.16.0"),
  /** Wizer of the Bytecode Alliance, as {@code target/wizer/node_modules/.bin/wizer}: fetched with npm the first time that a test asks for it. */
  WIZER("apt-get install npm, and let npm reach its registry once", "sh", "-c",
      "w=target/wizer/node_modules/.bin/wizer; [ -x $w ] || npm install --prefix target/wizer --no-save --no-package-lock --ignore-scripts --no-audit --no-fund "
          + "--fetch-retries 0 --fetch-timeout 60000 @bytecodealliance/wizer@11.0.3 >&2 && exec $w --help");

  private final String remedy;
  private final List<String> probe;

  Capability(String remedy, String... probe) {
    this.remedy = remedy;
    this.probe = List.of(probe);
  }

  /** The name as in {@link RequiresCapability}. */
  public String id() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  public String remedy() {
    return remedy;
  }

  public static Capability of(String id) {
    return valueOf(id.toUpperCase(Locale.ROOT).replace('-', '_'));
  }

  /** Why it is missing; empty when it is here. */
  public Optional<String> missing() {
    try {
      Process p = new ProcessBuilder(probe).redirectErrorStream(true).start();
      p.getOutputStream().close();
      String said = new String(p.getInputStream().readAllBytes()).strip();
      if (!p.waitFor(30, TimeUnit.SECONDS)) {
        p.destroyForcibly();
        return Optional.of("'" + String.join(" ", probe) + "' did not end within 30 s");
      }
      return p.exitValue() == 0 ? Optional.empty() : Optional.of("'" + probe.getFirst() + "' ended with " + p.exitValue() + (said.isEmpty() ? "" : ": " + said.lines().findFirst().get()));
    } catch (IOException e) {
      return Optional.of("'" + probe.getFirst() + "' is not on the PATH");
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return Optional.of("interrupted");
    }
  }
}
