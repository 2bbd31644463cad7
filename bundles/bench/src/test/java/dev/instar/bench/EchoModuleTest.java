package dev.instar.bench;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.dylibso.chicory.runtime.Instance;
import com.dylibso.chicory.runtime.Memory;
import com.dylibso.chicory.runtime.TrapException;
import com.dylibso.chicory.wasm.Parser;
import dev.instar.tck.capability.RequiresCapability;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The echo that is measured, in an engine that resets nothing. */
class EchoModuleTest {
  private static final int CALL = 100_000;
  private static final int INPUT = CALL + 32;
  private static final int OUTPUT = CALL + 10_000;

  private static byte[] module() throws Exception {
    try (InputStream in = BenchCommand.class.getResourceAsStream("echo.wasm")) {
      return in.readAllBytes();
    }
  }

  private static Instance instance() throws Exception {
    Instance instance = Instance.builder(Parser.parse(module())).build();
    instance.export("_initialize").apply();
    return instance;
  }

  private static String call(Instance instance, String body) {
    byte[] input = body.getBytes(StandardCharsets.UTF_8);
    Memory memory = instance.memory();
    memory.write(INPUT, input);
    memory.writeI32(CALL, INPUT);
    memory.writeI32(CALL + 4, OUTPUT);
    memory.writeI32(CALL + 20, input.length);
    memory.writeI32(CALL + 24, -1);
    assertEquals(0, instance.export("exec").apply(CALL)[0]);
    return new String(memory.readBytes(OUTPUT, memory.readInt(CALL + 24)), StandardCharsets.UTF_8);
  }

  @Test
  void itAnswersTheInputOnce() throws Exception {
    Instance instance = instance();
    assertEquals("hello instar", call(instance, "hello instar"));
    assertThrows(TrapException.class, () -> call(instance, "again"));
    assertEquals("", call(instance(), ""));
    assertEquals("x".repeat(6000), call(instance(), "x".repeat(6000)));
  }

  @Test
  void eachCanaryAloneTraps() throws Exception {
    Instance global = instance();
    global.exports().global("called").setValue(1);
    assertThrows(TrapException.class, () -> call(global, ""));
    for (int at : new int[] {4096, 5000, 8191}) {
      Instance scratch = instance();
      scratch.memory().writeByte(at, (byte) 1);
      assertThrows(TrapException.class, () -> call(scratch, "x"), "scratch byte " + at);
    }
    Instance output = instance();
    output.memory().writeByte(OUTPUT + 4, (byte) 1);
    assertEquals("four", call(output, "four"));
    Instance longer = instance();
    longer.memory().writeByte(OUTPUT + 4, (byte) 1);
    assertThrows(TrapException.class, () -> call(longer, "fiver"));
  }

  /** Bytes of any value, also zero, leave the canaries dead. */
  @Test
  void aCallLeavesWhatTheNextOneFinds() throws Exception {
    Instance instance = instance();
    call(instance, "\0");
    assertEquals(1, instance.memory().read(4096));
    assertEquals(1, instance.exports().global("called").getValue());
  }

  @Test
  @RequiresCapability("wabt")
  void theModuleIsWhatItsSourceSays(@TempDir Path directory) throws Exception {
    Path built = directory.resolve("echo.wasm");
    Process wabt = new ProcessBuilder("wat2wasm", "src/main/resources/dev/instar/bench/echo.wat", "-o", built.toString()).inheritIO().start();
    assertEquals(0, wabt.waitFor());
    assertArrayEquals(Files.readAllBytes(built), module());
  }
}
