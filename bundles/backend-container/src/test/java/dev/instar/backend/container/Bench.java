package dev.instar.backend.container;

import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Image;
import dev.instar.api.function.Limits;
import dev.instar.api.function.SnapshotPolicy;
import dev.instar.api.function.Variant;
import dev.instar.api.invocation.CallInput;
import dev.instar.api.lease.Lease;
import dev.instar.api.lease.Leases;
import dev.instar.api.sandbox.Call;
import dev.instar.api.sandbox.PrepareRequest;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.api.sandbox.StartContext;
import dev.instar.linux.LinuxMounts;
import dev.instar.linux.LinuxNamespaces;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;

/** A backend with what it takes to run small scripts in it. */
final class Bench implements AutoCloseable {
  static final Host.Kernel KERNEL = new Host.Kernel(new LinuxNamespaces(), new LinuxMounts());
  private static final AtomicInteger NUMBER = new AtomicInteger();
  final BusyboxImage busybox;
  final ContainerBackend backend;
  final Path root;
  private final ByteArrayOutputStream log = new ByteArrayOutputStream();
  private final List<AutoCloseable> open = new ArrayList<>();

  /** @param root stands for the node's data directory */
  Bench(Path root, String runtime) throws Exception {
    this.root = root;
    Path image = root.resolve("image-" + ProcessHandle.current().pid() + "-" + NUMBER.incrementAndGet());
    busybox = BusyboxImage.in(Files.createDirectory(image));
    backend = new ContainerBackend(root, Files.createDirectories(root.resolve("scratch")), KERNEL, new ContainerBackend.Settings(runtime, 64));
  }

  PreparedFunction prepare(Image image, Map<String, String> labels, Limits limits) throws Exception {
    return prepare(image, labels, limits, List.of());
  }

  PreparedFunction prepare(Image image, Map<String, String> labels, Limits limits, Collection<String> secrets) throws Exception {
    Variant variant = new Variant(image.digest(), image.kind(), Optional.empty());
    FunctionVersion version = new FunctionVersion(new FunctionName("test", "f" + NUMBER.incrementAndGet()), 1, "u" + NUMBER.incrementAndGet(), Instant.now(),
        new FunctionSpec(List.of(variant), limits, Map.of(), labels, SnapshotPolicy.DEFAULT, List.copyOf(secrets)));
    PreparedFunction one = backend.prepare(new PrepareRequest(version, variant, image, Instant.now().plusSeconds(30)));
    open.add(one);
    return one;
  }

  Sandbox start(PreparedFunction prepared, Duration most, Lease... leases) throws InterruptedException {
    Sandbox one = prepared.start(new StartContext("s" + NUMBER.incrementAndGet(), Instant.now().plus(most), this::write, StartContext.Room.NONE,
        new Leases(List.of(leases))));
    open.add(one);
    return one;
  }

  /** A sandbox whose calls run the script. */
  Sandbox script(String script) throws Exception {
    return start(prepare(busybox.script(script), Map.of(), Limits.DEFAULT), Duration.ofSeconds(30));
  }

  String call(Sandbox sandbox, String input) throws InterruptedException {
    ByteArrayOutputStream answer = new ByteArrayOutputStream();
    sandbox.call(new Call("i" + NUMBER.incrementAndGet(), CallInput.of(input.getBytes(StandardCharsets.UTF_8)), answer, this::write, Instant.now().plusSeconds(30)));
    return answer.toString(StandardCharsets.UTF_8);
  }

  private synchronized void write(byte[] bytes, int offset, int length) {
    log.write(bytes, offset, length);
  }

  synchronized String logged() {
    return log.toString(StandardCharsets.UTF_8);
  }

  @Override
  public void close() throws Exception {
    for (AutoCloseable one : open.reversed()) {
      one.close();
    }
    backend.deactivate();
  }
}
