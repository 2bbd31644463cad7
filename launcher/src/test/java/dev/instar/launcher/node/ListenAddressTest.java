package dev.instar.launcher.node;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.launcher.ExitCode;
import dev.instar.launcher.Failure;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ListenAddressTest {
  @TempDir
  Path config;

  @Test
  void theCommandLineWinsOverTheFileAndTheFileOverTheDefault() throws IOException {
    assertEquals(new ListenAddress("127.0.0.1", 8080), of(OptionalInt.empty(), Optional.empty()));
    Files.writeString(config.resolve("dev.instar.listener.cfg.json"), "// where it listens\n{\"port\": 9000, /* all */ \"bind\": \"0.0.0.0\"}");
    assertEquals(new ListenAddress("0.0.0.0", 9000), of(OptionalInt.empty(), Optional.empty()));
    Files.writeString(config.resolve("dev.instar.listener.cfg.json"), "{\"port:Integer\": \"9001\"}");
    assertEquals(new ListenAddress("127.0.0.1", 9001), of(OptionalInt.empty(), Optional.empty()));
    assertEquals(new ListenAddress("::1", 0), of(OptionalInt.of(0), Optional.of("::1")));
  }

  @Test
  void aBrokenFileIsLeftToTheNodeToRefuse() throws IOException {
    Files.writeString(config.resolve("dev.instar.listener.cfg.json"), "{port");
    assertEquals(new ListenAddress("127.0.0.1", 8080), of(OptionalInt.empty(), Optional.empty()));
  }

  @Test
  void aPortInUseIsOneClearLine() throws IOException {
    try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      Failure failure = assertThrows(Failure.class, () -> new ListenAddress("127.0.0.1", taken.getLocalPort()).checkFree());
      assertEquals("Port " + taken.getLocalPort() + " on 127.0.0.1 is in use by another program; give another with --port (0 takes a free one).", failure.getMessage());
      assertEquals(ExitCode.FAILED, failure.exitCode());
    }
    assertDoesNotThrow(() -> new ListenAddress("127.0.0.1", 0).checkFree());
  }

  @Test
  void anAddressThatIsNotOursIsNamed() {
    // TEST-NET-1 (RFC 5737) is nobody's.
    Failure failure = assertThrows(Failure.class, () -> new ListenAddress("192.0.2.1", 8080).checkFree());
    assertTrue(failure.getMessage().startsWith("Port 8080 on 192.0.2.1 cannot be opened"), failure.getMessage());
  }

  private ListenAddress of(OptionalInt port, Optional<String> bind) {
    return ListenAddress.of(new NodeOptions(config, config, port, bind, Set.of(), Map.of()));
  }
}
