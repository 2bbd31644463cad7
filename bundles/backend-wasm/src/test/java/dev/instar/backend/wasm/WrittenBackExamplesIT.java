package dev.instar.backend.wasm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.sandbox.Checkpointable;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Sandbox;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The example functions, initialised elsewhere and written back, on a node; and initialised by a node that is started anew. */
class WrittenBackExamplesIT {
  private static final Path EXAMPLES = Path.of("../../examples");
  @TempDir
  static Path directory;
  private static TestNode node;

  @BeforeAll
  static void open() {
    node = new TestNode(directory);
  }

  @AfterAll
  static void close() {
    node.close();
  }

  static Stream<Path> examples() throws IOException {
    try (Stream<Path> all = Files.list(EXAMPLES)) {
      return all.filter(e -> Files.exists(e.resolve("function.wasm"))).sorted().toList().stream();
    }
  }

  @ParameterizedTest
  @MethodSource("examples")
  void answersTheSame(Path example) throws IOException {
    byte[] original = Files.readAllBytes(example.resolve("function.wasm"));
    Started first = Started.of(original);
    boolean reactor = first.exports().contains("_initialize");
    if (reactor) {
      first.call("_initialize");
    }
    byte[] written = first.written("_initialize");
    byte[] input = input(example);
    try (PreparedFunction asBuilt = node.prepare(original); PreparedFunction asWritten = node.prepare(written);
        Sandbox one = TestNode.start(asBuilt); Sandbox other = TestNode.start(asWritten)) {
      assertEquals("nothing to run", asWritten.describe().get("initialised"));
      assertEquals(reactor, !asBuilt.describe().get("initialised").equals("nothing to run"));
      for (int i = 0; i < 2; i++) {
        byte[] answer = TestNode.call(one, input).good().output();
        assertTrue(answer.length > 0);
        assertArrayEquals(answer, TestNode.call(other, input).good().output());
      }
    }
  }

  private static byte[] input(Path example) throws IOException {
    try (Stream<Path> files = Files.list(example)) {
      return Files.readAllBytes(files.filter(f -> f.getFileName().toString().startsWith("sample-input")).findFirst().orElseThrow());
    }
  }

  @ParameterizedTest
  @MethodSource("examples")
  void answersTheSameAfterARestart(Path example, @TempDir Path data) throws Exception {
    byte[] module = Files.readAllBytes(example.resolve("function.wasm"));
    byte[] input = input(example);
    byte[] answer;
    try (TestStore store = new TestStore(data); TestNode first = new TestNode(data)) {
      first.backend.snapshots = store.store();
      try (PreparedFunction prepared = first.prepare(module); Sandbox sandbox = TestNode.start(prepared)) {
        answer = TestNode.call(sandbox, input).good().output();
        ((Checkpointable) prepared).checkpoint();
        assertTrue(prepared.describe().get("snapshot").startsWith("stored as "), prepared.describe()::toString);
      }
    }
    try (TestStore store = new TestStore(data); TestNode next = new TestNode(data)) {
      next.backend.snapshots = store.store();
      try (PreparedFunction prepared = next.prepare(module); Sandbox one = TestNode.start(prepared); Sandbox other = TestNode.start(prepared)) {
        assertEquals("from the snapshot", prepared.describe().get("initialised"));
        for (int i = 0; i < 2; i++) {
          assertArrayEquals(answer, TestNode.call(one, input).good().output());
          assertArrayEquals(answer, TestNode.call(other, input).good().output());
        }
      }
    }
  }
}
