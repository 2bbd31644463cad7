package dev.instar.backend.wasm;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** Modules from the text format, by wat2wasm of wabt. */
final class Wat {
  private static final Map<String, byte[]> DONE = new ConcurrentHashMap<>();

  private Wat() {}

  static byte[] compile(String text) {
    return DONE.computeIfAbsent(text, Wat::translate);
  }

  /** A file below src/test/wat. */
  static byte[] file(String name) {
    try {
      return compile(Files.readString(Path.of("src/test/wat", name + ".wat")));
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private static byte[] translate(String text) {
    try {
      Path source = Files.createTempFile("instar", ".wat");
      Path module = Files.createTempFile("instar", ".wasm");
      try {
        Files.writeString(source, text);
        Process p = new ProcessBuilder("wat2wasm", "--enable-tail-call", "--enable-threads", source.toString(), "-o", module.toString())
            .redirectErrorStream(true).start();
        p.getOutputStream().close();
        String said = new String(p.getInputStream().readAllBytes());
        if (p.waitFor() != 0) {
          throw new AssertionError(said + "\n" + text);
        }
        return Files.readAllBytes(module);
      } finally {
        Files.delete(source);
        Files.delete(module);
      }
    } catch (IOException | InterruptedException e) {
      throw new AssertionError(e);
    }
  }
}
