package dev.instar.backend.process;

import dev.instar.api.data.DataDirectory;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Image;
import dev.instar.api.function.Limits;
import dev.instar.api.function.Variant;
import dev.instar.api.invocation.CallInput;
import dev.instar.api.sandbox.Call;
import dev.instar.api.sandbox.PrepareRequest;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.api.sandbox.StartContext;
import dev.instar.tck.sandbox.Fixtures;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;

/** A backend with what it takes to run small shell scripts in it. */
final class Bench implements AutoCloseable {
  /** {@code hello} and {@code ready} as a well-behaved guest says them, and frames by hand: octal escapes for printf. */
  static final String GREETING = """
      #!/bin/sh
      printf '\\000\\000\\000\\010\\001INST\\000\\001\\000\\001\\000\\000\\000\\000\\002'
      """;
  /** Answers call 1 with success. */
  static final String ANSWER = "printf '\\000\\000\\000\\011\\042\\000\\000\\000\\001\\000\\000\\000\\000\\000'\n";

  private static final AtomicInteger NUMBER = new AtomicInteger();
  final Path scratch;
  final ProcessBackend backend;
  final ByteArrayOutputStream log = new ByteArrayOutputStream();
  private final Path directory;
  private final List<PreparedFunction> prepared = new ArrayList<>();

  Bench(Path directory) throws IOException {
    this.directory = directory;
    scratch = Files.createDirectory(directory.resolve("scratch"));
    backend = new ProcessBackend(scratch, "", Duration.ofMillis(300));
  }

  /** As a node has it, on its data directory. */
  Bench(Path directory, DataDirectory data) {
    this.directory = directory;
    scratch = data.scratch("sandboxes");
    backend = new ProcessBackend(data, "", Duration.ofMillis(300));
  }

  PreparedFunction prepare(String script, Map<String, String> environment) throws IOException {
    Path file = directory.resolve("script-" + NUMBER.incrementAndGet());
    Files.writeString(file, script);
    return prepare(file, environment);
  }

  PreparedFunction prepare(Path file, Map<String, String> environment) throws IOException {
    Image image = Fixtures.ofFile(file, Variant.EXECUTABLE);
    Variant variant = new Variant(image.digest(), image.kind(), Optional.empty());
    FunctionVersion version = new FunctionVersion(new FunctionName("test", "f" + NUMBER.incrementAndGet()), 1, "u" + NUMBER.incrementAndGet(),
        Instant.now(),
        new FunctionSpec(List.of(variant), Limits.DEFAULT, environment, Map.of()));
    PreparedFunction one = backend.prepare(new PrepareRequest(version, variant, image, Instant.now().plusSeconds(30)));
    synchronized (prepared) {
      prepared.add(one);
    }
    return one;
  }

  Sandbox start(String script) throws IOException, InterruptedException {
    return start(prepare(script, Map.of()), Duration.ofSeconds(30));
  }

  Sandbox start(PreparedFunction prepared, Duration time) throws InterruptedException {
    return prepared.start(new StartContext("test-" + NUMBER.incrementAndGet(), Instant.now().plus(time), this::log));
  }

  private synchronized void log(byte[] bytes, int offset, int length) {
    log.write(bytes, offset, length);
  }

  synchronized String logged() {
    return log.toString(StandardCharsets.UTF_8);
  }

  String call(Sandbox sandbox, byte[] input) throws InterruptedException {
    ByteArrayOutputStream output = new ByteArrayOutputStream();
    sandbox.call(new Call("test", CallInput.of(input), output, this::log, Instant.now().plusSeconds(30)));
    return output.toString(StandardCharsets.UTF_8);
  }

  @Override
  public void close() {
    backend.deactivate();
    prepared.forEach(PreparedFunction::close);
  }
}
