package dev.instar.backend.container;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.function.Image;
import dev.instar.api.function.Limits;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.api.secret.SecretLease;
import dev.instar.tck.capability.RequiresCapability;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Secrets in real containers. */
@RequiresCapability("container")
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class SecretsTest {
  private static final String VALUE = "swordfish-4711";
  @TempDir
  Path directory;

  /** Lends these. */
  private record Lent(Map<String, byte[]> values) implements SecretLease {
    static Lent of(String... pairs) {
      Map<String, byte[]> values = new LinkedHashMap<>();
      for (int i = 0; i < pairs.length; i += 2) {
        values.put(pairs[i], pairs[i + 1].getBytes(StandardCharsets.UTF_8));
      }
      return new Lent(values);
    }

    @Override
    public void close() {
      // Nothing is held.
    }
  }

  private Path run() throws IOException {
    return Path.of("/run", "instar-" + Mark.of(directory).directory());
  }

  /** The directories of secrets below /run. */
  private List<Path> places() throws IOException {
    List<Path> places = new ArrayList<>();
    try (Stream<Path> all = Files.walk(run(), 2)) {
      all.filter(path -> path.getParent().getFileName().toString().startsWith("secrets-")).forEach(places::add);
    }
    return places;
  }

  private static Sandbox sandbox(Bench bench, Image image, Map<String, String> labels, Limits limits, Lent lent) throws Exception {
    PreparedFunction prepared = bench.prepare(image, labels, limits, lent.values().keySet());
    return bench.start(prepared, Duration.ofSeconds(30), lent);
  }

  @Test
  void theFunctionReadsThemAndNobodyWritesThem() throws Exception {
    try (Bench bench = new Bench(directory, "")) {
      Image image = bench.busybox.script("cd /var/openfaas/secrets && cat db tls-key && stat -c '%a %u %g %n' . db && (echo x >db; rm -f db; echo x >new; chmod 777 db; chmod 777 .;"
          + " mount -o remount,rw /var/openfaas/secrets; mv db moved; ln db /tmp/db) 2>/dev/null; cat db; ls; env");
      // No file may be made, and none is: what leads to them is the node's own.
      Limits d = Limits.DEFAULT;
      Limits none = new Limits(d.memoryBytes(), d.tableElements(), d.stackBytes(), d.timeout(), d.runTime(), d.inputBytes(), d.outputBytes(), d.logBytes(), d.openFiles(), d.fileBytes(), 0,
          d.concurrency(), d.host());
      for (Limits limits : List.of(d, none)) {
        Sandbox sandbox = sandbox(bench, image, Map.of(), limits, Lent.of("db", VALUE, "tls-key", "-----\n"));
        String answer = bench.call(sandbox, "");
        assertTrue(answer.startsWith(VALUE + "-----\n500 0 0 .\n400 0 0 db\n" + VALUE + "db\ntls-key\n"), answer);
        assertFalse(answer.substring(answer.lastIndexOf("tls-key")).contains(VALUE), "none is in the environment");
        sandbox.close();
      }
    }
  }

  @Test
  void onlyTheImagesUserReadsThem() throws Exception {
    try (Bench bench = new Bench(directory, "")) {
      Image image = bench.busybox.image(Map.of("User", "guest", "Cmd", List.of("/bin/sh", "-c", "id -u; cat /var/openfaas/secrets/db; stat -c '%a %u %g' /var/openfaas/secrets/db")));
      Sandbox sandbox = sandbox(bench, image, Map.of("read-only", "true"), Limits.DEFAULT, Lent.of("db", VALUE));
      assertEquals("1000\n" + VALUE + "400 1000 1001\n", bench.call(sandbox, ""));
      Path place = places().getFirst();
      assertEquals(BusyboxImage.FIRST_ID + 1000, Files.getAttribute(place.resolve("db"), "unix:uid"), "its user on the host");
      assertEquals(0400, (int) Files.getAttribute(place.resolve("db"), "unix:mode") & 0777);
    }
  }

  /** Hostile case 38. */
  @Test
  void whatIsKeptOfThemIsThatFileAndItGoesWithTheContainer() throws Exception {
    try (Bench bench = new Bench(directory, "")) {
      Image image = bench.busybox.script("cat /var/openfaas/secrets/db >&2; sleep 0.2; cat /var/openfaas/secrets/none");
      Sandbox one = sandbox(bench, image, Map.of(), Limits.DEFAULT, Lent.of("db", VALUE));
      Sandbox other = sandbox(bench, bench.busybox.script("ls /var/openfaas/secrets | wc -l"), Map.of(), Limits.DEFAULT, Lent.of("word", "x"));
      assertEquals("1\n", bench.call(other, ""), "each has its own and no others");
      assertEquals(2, places().size());
      List<String> found = new ArrayList<>();
      for (Path where : List.of(run(), directory)) {
        try (Stream<Path> all = Files.walk(where)) {
          for (Path file : all.filter(Files::isRegularFile).toList()) {
            if (Files.readString(file, StandardCharsets.ISO_8859_1).contains(VALUE)) {
              found.add(file.getFileName().toString());
            }
          }
        }
      }
      assertEquals(List.of("db"), found);
      assertFalse(commandLines().contains(VALUE));
      one.close();
      other.close();
      assertEquals(List.of(), places());
      one.close();
    }
    assertFalse(Files.exists(run()));
  }

  private static String commandLines() throws IOException {
    StringBuilder all = new StringBuilder();
    try (Stream<Path> processes = Files.list(Path.of("/proc"))) {
      for (Path process : processes.filter(path -> path.getFileName().toString().matches("[0-9]+")).toList()) {
        for (String file : List.of("cmdline", "environ")) {
          try {
            all.append(new String(Files.readAllBytes(process.resolve(file)), StandardCharsets.ISO_8859_1));
          } catch (IOException e) {
            // It has ended.
          }
        }
      }
    }
    return all.toString();
  }

  @Test
  void aStartThatFailsAndAKilledNodeLeaveNone() throws Exception {
    try (Bench bench = new Bench(directory, "")) {
      PreparedFunction served = bench.prepare(bench.busybox.script("exit 3"), Map.of("port", "8080"), Limits.DEFAULT, List.of("db"));
      try {
        bench.start(served, Duration.ofSeconds(5), Lent.of("db", VALUE)).close();
      } catch (RuntimeException e) {
        // As it should, without a network.
      }
      assertEquals(List.of(), places());
      Path left = Files.createDirectories(run().resolve("secrets-1.1/container-1-1"));
      Files.writeString(left.resolve("db"), VALUE);
      try (Bench next = new Bench(directory, "")) {
        assertFalse(Files.exists(run().resolve("secrets-1.1")));
        Sandbox sandbox = sandbox(bench, bench.busybox.script("cat /var/openfaas/secrets/db"), Map.of(), Limits.DEFAULT, Lent.of("db", VALUE));
        try (Bench third = new Bench(directory, "")) {
          assertEquals(VALUE, bench.call(sandbox, ""), "of this run of the node, whoever comes");
        }
      }
    }
  }

  @Test
  @RequiresCapability("runc")
  void runcGivesThemToo() throws Exception {
    try (Bench bench = new Bench(directory, "runc")) {
      Sandbox sandbox = sandbox(bench, bench.busybox.script("cat /var/openfaas/secrets/db; echo x 2>/dev/null >/var/openfaas/secrets/db || echo refused"), Map.of(), Limits.DEFAULT, Lent.of("db", VALUE));
      assertEquals(VALUE + "refused\n", bench.call(sandbox, ""));
    }
  }
}
