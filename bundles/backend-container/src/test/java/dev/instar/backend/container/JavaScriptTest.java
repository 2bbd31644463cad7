package dev.instar.backend.container;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.Image;
import dev.instar.api.function.Limits;
import dev.instar.api.function.Variant;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.tck.capability.RequiresCapability;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** JavaScript functions, each of whose containers takes one call. */
@RequiresCapability("container")
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class JavaScriptTest {
  private static final Path NODE = Path.of("/usr/bin/node");
  @TempDir
  static Path images;
  private static Path root;
  private static int files;
  @TempDir
  Path directory;
  private Bench bench;

  @BeforeAll
  static void image() throws Exception {
    assumeTrue(Files.isExecutable(NODE), "apt-get install nodejs");
    root = Files.createDirectory(images.resolve("rootfs"));
    Process process = new ProcessBuilder("sh", "-c", "mkdir -p usr/bin && cp -L /usr/bin/node usr/bin/ && ldd /usr/bin/node | awk '/=> \\// { print $3 } /^\\t\\// { print $1 }' "
        + "| while read -r file; do cp -L --parents \"$file\" .; done").directory(root.toFile()).inheritIO().start();
    assertEquals(0, process.waitFor());
    try (Stream<Path> all = Files.walk(root)) {
      for (Path path : all.toList()) {
        own(path);
      }
    }
  }

  private static void own(Path path) throws Exception {
    Files.setAttribute(path, "unix:uid", BusyboxImage.FIRST_ID, LinkOption.NOFOLLOW_LINKS);
    Files.setAttribute(path, "unix:gid", BusyboxImage.FIRST_ID, LinkOption.NOFOLLOW_LINKS);
  }

  @BeforeEach
  void open() throws Exception {
    bench = new Bench(directory, "");
  }

  @AfterEach
  void close() throws Exception {
    bench.close();
  }

  private PreparedFunction prepare(String source) throws Exception {
    String name = "f" + ++files + ".js";
    Files.writeString(root.resolve(name), source);
    own(root.resolve(name));
    byte[] config = new JsonMapper().writeValueAsBytes(Map.of("os", "linux", "config", Map.of()));
    Path file = Files.write(images.resolve("config-" + files + ".json"), config);
    return bench.prepare(new Image(Digest.of(config), Variant.CONTAINER, config.length, file, Optional.of(root)), Map.of("runtime", "node", "fprocess", "/" + name), Limits.DEFAULT);
  }

  @Test
  void aContainerTakesOneCall() throws Exception {
    PreparedFunction prepared = prepare("""
        let calls = 0;
        module.exports = async (call) => {
          let text = '';
          for await (const piece of call.input) text += piece;
          console.log('logged', call.invocation);
          call.output.write(text.toUpperCase());
          return ' ' + ++calls;
        };
        """);
    String large = "0123456789abcdef".repeat(20_000);
    for (String body : new String[] {"one", "", large}) {
      Sandbox sandbox = bench.start(prepared, Duration.ofSeconds(60));
      assertTrue(sandbox.reusable());
      assertEquals(body.toUpperCase(Locale.ROOT) + " 1", bench.call(sandbox, body));
      assertFalse(sandbox.reusable());
      sandbox.close();
    }
    assertTrue(bench.logged().contains("logged i"), bench.logged());
    assertTrue(prepared.describe().get("reset").contains("one call"));
  }

  @Test
  void aFunctionsEndIsTold() throws Exception {
    Map<String, ErrorCode> ends = Map.of("throw new TypeError('no such thing')", ErrorCode.FUNCTION_TRAPPED, "process.exit(7)", ErrorCode.FUNCTION_FAILED,
        "setTimeout(() => { throw new Error('later'); }, 1); await new Promise(() => {})", ErrorCode.FUNCTION_TRAPPED, "process.kill(process.pid, 'SIGSEGV'); process.abort()",
        ErrorCode.SANDBOX_CRASHED);
    for (var end : ends.entrySet()) {
      Sandbox sandbox = bench.start(prepare("exports.handle = async () => { " + end.getKey() + "; };"), Duration.ofSeconds(60));
      InstarException e = assertThrows(InstarException.class, () -> bench.call(sandbox, "x"), end.getKey());
      assertEquals(end.getValue(), e.code(), end.getKey() + ": " + e.problem().detail());
      assertFalse(sandbox.reusable());
      sandbox.close();
    }
    assertTrue(assertThrows(InstarException.class, () -> bench.start(prepare("require('./none')"), Duration.ofSeconds(60))).problem().detail().contains("container ended"));
  }
}
