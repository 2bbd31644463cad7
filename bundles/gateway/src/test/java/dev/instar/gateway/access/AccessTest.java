package dev.instar.gateway.access;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What needs which credential, on loopback and elsewhere. */
class AccessTest {
  private static final InetAddress PEER = InetAddress.getLoopbackAddress();
  @TempDir Path dir;
  private final Access access = new Access();
  private String administrator;

  @BeforeEach
  void open() throws Exception {
    access.credentials(Optional.of(Credentials.open(dir)));
    administrator = "Bearer " + Files.readString(dir.resolve(Credentials.TOKEN)).strip();
  }

  private static List<String> path(String text) {
    return text.equals("/") ? List.of() : List.of(text.substring(1).split("/"));
  }

  private void open(String method, String path, boolean loopback) {
    assertSame(Caller.ANYONE, access.admit(method, path(path), List::of, () -> PEER, loopback), method + " " + path);
  }

  private void asks(String method, String path, boolean loopback) {
    assertEquals(ErrorCode.UNAUTHENTICATED, assertThrows(InstarException.class, () -> access.admit(method, path(path), List::of, () -> PEER, loopback), method + " " + path).code());
    assertSame(Caller.ADMINISTRATOR, access.admit(method, path(path), () -> List.of(administrator), () -> PEER, loopback));
  }

  @Test
  void offLoopbackEverythingAsksWhateverTheMode() {
    for (Access.Mode mode : Access.Mode.values()) {
      access.mode(mode);
      for (String path : List.of("/", "/v1", "/v1/openapi.json", "/v1/functions", "/v1/functions/a/b/invoke", "/f/a/b", "/readyz", "/v1/backends", "/v1/cgroups", "/v1/network", "/v1/snapshots", "/v1/bundles", "/healthz/x", "/x")) {
        for (String method : List.of("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "BREW")) {
          asks(method, path, false);
        }
      }
      health(false);
    }
    access.mode(Access.Mode.OPEN);
    open("GET", "/healthz", true);
    access.mode(Access.Mode.REQUIRED);
    health(true);
  }

  /** That the node works is nobody's secret; what its checks have found is. */
  private void health(boolean loopback) {
    assertSame(Caller.STRANGER, access.admit("GET", path("/healthz"), List::of, () -> PEER, loopback));
    assertSame(Caller.ADMINISTRATOR, access.admit("GET", path("/healthz"), () -> List.of(administrator), () -> PEER, loopback));
    assertThrows(InstarException.class, () -> access.admit("GET", path("/healthz"), () -> List.of(administrator + "x"), () -> PEER, loopback));
  }

  @Test
  void onLoopbackTheModeSays() {
    List<String> functions = List.of("/", "/f/a/b", "/v1", "/v1/functions", "/v1/functions/a/b/invoke", "/v1/images", "/readyz", "/anything");
    functions.forEach(path -> open("POST", path, true));
    open("GET", "/v1/backends", true);
    open("HEAD", "/v1/snapshots/x", true);
    access.mode(Access.Mode.REQUIRED);
    functions.forEach(path -> asks("POST", path, true));
    asks("GET", "/v1/backends", true);
    asks("HEAD", "/v1/snapshots/x", true);
  }

  @Test
  void whatNobodyNamedIsTheAdministrators() {
    for (String path : List.of("/v1/bundles", "/v1/features/x", "/v1/config/a/b", "/v1/users", "/v1/node/shutdown", "/v1/BACKENDS", "/v1/functions2", "/v1/health")) {
      for (String method : List.of("GET", "HEAD", "POST", "OPTIONS", "BREW")) {
        asks(method, path, true);
      }
    }
    for (String method : List.of("POST", "PUT", "DELETE", "BREW", "get")) {
      asks(method, "/v1/backends", true);
      asks(method, "/v1/backends/x/swap", true);
      asks(method, "/v1/snapshots", true);
    }
    asks("HEAD", "/v1/snapshots/x/archive", true);
  }
}
