package dev.instar.backend.container;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class HeldProgramTest {
  private static final String SECRET = "0123456789abcdef";
  @TempDir
  Path directory;

  /** What it writes to standard output when it is told to start the command, and ends. */
  private String run(String... command) throws Exception {
    Path program = directory.resolve("held");
    HeldProgram.write(program);
    program.toFile().setExecutable(true);
    String[] whole = new String[command.length + 1];
    whole[0] = program.toString();
    System.arraycopy(command, 0, whole, 1, command.length);
    Process process = new ProcessBuilder(whole).start();
    process.getOutputStream().write((SECRET + "in").getBytes(StandardCharsets.US_ASCII));
    process.getOutputStream().close();
    process.getErrorStream().readNBytes(HeldProgram.SECRET + 8);
    // Told at the other stream, too; then it goes with whoever reads this one.
    process.getErrorStream().close();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
    assertEquals(0, process.waitFor());
    return said;
  }

  @Test
  void itRunsAProgramAndTellsItsEnd() throws Exception {
    assertEquals("Rin" + SECRET + "\0\0\0\0\0\0\0\0", run("/bin/cat"));
    assertEquals("R" + SECRET + "\0\7\0\0\0\0\0\0", run("/bin/sh", "-c", "(sleep 0.1) & exit 7"));
    assertEquals("R" + SECRET + "\11\0\0\0\0\0\0\0", run("/bin/sh", "-c", "kill -9 $$"));
    assertEquals("R" + SECRET + "\0\177\0\0\2\0\0\0", run("/no/such/program"));
  }

  @Test
  void withoutASecretItEndsWithItsInput() throws Exception {
    Path program = directory.resolve("held");
    HeldProgram.write(program);
    program.toFile().setExecutable(true);
    Process process = new ProcessBuilder(program.toString(), "/bin/sh", "-c", "echo wrong").start();
    process.getOutputStream().write(SECRET.substring(1).getBytes(StandardCharsets.US_ASCII));
    process.getOutputStream().close();
    assertEquals("R", new String(process.getInputStream().readAllBytes(), StandardCharsets.US_ASCII));
    assertEquals(0, process.waitFor());
  }

  @Test
  void itsCodeIsWhatItsSourceSays() throws Exception {
    boolean tools = new ProcessBuilder("sh", "-c", "command -v as objcopy").redirectOutput(ProcessBuilder.Redirect.DISCARD).start().waitFor() == 0;
    assumeTrue(tools, "as and objcopy are not installed");
    Process process = new ProcessBuilder("sh", "-c", "as -o held.o \"$1\" && objcopy -O binary -j .text held.o held.bin", "sh",
        Path.of("src/main/asm/held.s").toAbsolutePath().toString()).directory(directory.toFile()).inheritIO().start();
    assertEquals(true, process.waitFor(30, TimeUnit.SECONDS) && process.exitValue() == 0);
    assertArrayEquals(Files.readAllBytes(directory.resolve("held.bin")), HeldProgram.code());
  }
}
