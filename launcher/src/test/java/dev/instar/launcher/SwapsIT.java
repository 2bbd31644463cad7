package dev.instar.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.launcher.Shell.Result;
import dev.instar.tck.capability.NativeLibraries;
import dev.instar.tck.capability.RequiresCapability;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** {@code instar bench swaps} in a short form: whatever of a node is swapped, no call is lost. */
@Timeout(300)
class SwapsIT {
  @TempDir
  Path home;
  private Path temporary;
  private Shell shell;

  @BeforeEach
  void login() throws IOException {
    temporary = Files.createDirectory(home.resolve("tmp"));
    // What is only softly reachable (the JDK's own caches of method handles) is no leak, and goes at each collection here.
    shell = new Shell(home, Map.of("INSTAR_JAVA_OPTS", "-Djava.io.tmpdir=" + temporary + " -Dinstar.held.class-millis=5 -XX:SoftRefLRUPolicyMSPerMB=0"));
  }

  @AfterEach
  void logout() {
    shell.close();
  }

  @Test
  void nothingIsLostWhenTheNewOneStartsFirst() throws Exception {
    swaps("--swaps", "10");
  }

  @Test
  @RequiresCapability("wasmtime")
  void norWhenFunctionsGoFromOneEngineToTheOtherAndBack() throws Exception {
    swaps("--swaps", "6", "--wasmtime", NativeLibraries.wasmtime().toString(), "--parts", "engine,backend-wasmtime,backend-wasm");
  }

  @Test
  void norWhenTheOldOneStopsFirst() throws Exception {
    swaps("--swaps", "10", "--in-place");
  }

  /** What it has of its host is looked for by the command, when the node has ended. */
  @Test
  @RequiresCapability({"container", "cgroups", "network-namespace"})
  void norWithFunctionsInContainersWhoseBackendIsAwayInBetween() throws Exception {
    Result result = swaps("--swaps", "5", "--containers", "--parts", "backend-container,network,cgroups,container-version,container-away");
    none(result, "containers", 10);
  }

  private Result swaps(String... options) throws Exception {
    Result result = shell.instar(Stream.concat(Stream.of("bench", "swaps", "--requests", "2000", "--connections", "4", "--call-seconds", "1", "--warm-up", "3", "--pause", "100"),
        Stream.of(options)).toArray(String[]::new));
    assertEquals(0, result.code(), result.out() + result.err());
    none(result, "calls", 30);
    none(result, "in flight", 30);
    // Threads that begin to use a new bundle at once are what kept the ones before it.
    assertTrue(result.out().lines().anyMatch(line -> line.matches("after: +loaders 0 of [1-9][0-9]*, uninstalled bundles [0-9]+,.*")), "class loaders of bundles that were replaced\n" + result.out());
    try (Stream<Path> left = Files.list(temporary)) {
      assertEquals(List.of(), left.toList());
    }
    return result;
  }

  /** All of a row of the table was right, and there was more of it than that. */
  private static void none(Result result, String row, int more) {
    String[] line = result.out().lines().filter(l -> l.startsWith(row + " ")).findFirst().orElseThrow(() -> new AssertionError(result.out())).substring(row.length()).strip().split(" +");
    assertTrue(Long.parseLong(line[0]) > more && line[0].equals(line[1]), "sent and right\n" + result.out());
    assertEquals(List.of("0", "0", "0", "0"), List.of(line).subList(2, 6), "failed, lost, wrong, answered by what had gone\n" + result.out());
  }
}
