package dev.instar.functions;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.Digest;
import dev.instar.api.function.Function;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Limits;
import dev.instar.api.image.ImageStore;
import dev.instar.data.LockedDataDirectory;
import dev.instar.images.ArchiveLimits;
import dev.instar.images.ContentStore;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A node is killed with SIGKILL while it takes uploads on several threads, again and again on the same data directory: what it has
 * acknowledged is there and intact, and what it has not is there whole or not at all.
 */
class KillIT {
  private static final int ROUNDS = 6;
  private static final int WRITERS = 3;
  private static final int FUNCTIONS = 5;

  @TempDir Path dir;

  @Test
  void killingTheNodeLosesNothingThatWasAcknowledged() throws Exception {
    Path root = dir.resolve("data");
    Random random = new Random(42);
    Map<String, String> acknowledged = new TreeMap<>();
    int total = 0;
    for (int round = 0; round < ROUNDS; round++) {
      List<String> lines = runAndKill(root, round, 1 + random.nextInt(150), random.nextInt(20_000_000));
      total += lines.size();
      for (String line : lines) {
        String[] parts = line.split(" ");
        if (parts[0].equals("published")) {
          acknowledged.put(parts[1], parts[2] + " " + parts[3]);
        } else {
          acknowledged.remove(parts[1]);
        }
      }
      check(root, acknowledged, lines);
    }
    assertTrue(total > ROUNDS, "only " + total + " acknowledgements");
  }

  /** Reads {@code lines} acknowledgements, waits a little, kills, and returns all that came through whole. */
  private List<String> runAndKill(Path root, int round, int lines, int waitNanos) throws Exception {
    Process node = new ProcessBuilder(ProcessHandle.current().info().command().orElseThrow(), "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp",
        System.getProperty("java.class.path"),
        Node.class.getName(), root.toString(), Integer.toString(round)).redirectError(dir.resolve("stderr-" + round).toFile()).start();
    List<String> acknowledged = new ArrayList<>();
    try (BufferedReader said = new BufferedReader(new InputStreamReader(node.getInputStream(), StandardCharsets.UTF_8))) {
      String line;
      while (acknowledged.size() < lines && (line = said.readLine()) != null) {
        acknowledged.add(line);
      }
      TimeUnit.NANOSECONDS.sleep(waitNanos);
      // By its handle: Process.destroyForcibly would close the pipe before its last lines are read.
      node.toHandle().destroyForcibly();
      // A line without its end was cut by the kill: the acknowledgement did not arrive.
      String rest = said.readAllAsString();
      acknowledged.addAll(rest.substring(0, rest.lastIndexOf('\n') + 1).lines().toList());
    } finally {
      node.destroyForcibly();
    }
    assertEquals(128 + 9, node.waitFor(), () -> {
      try {
        return Files.readString(dir.resolve("stderr-" + round));
      } catch (IOException e) {
        return e.toString();
      }
    });
    return acknowledged;
  }

  private void check(Path root, Map<String, String> acknowledged, List<String> lines) throws Exception {
    try (LockedDataDirectory data = LockedDataDirectory.open(root)) {
      ContentStore images = new ContentStore(data, ArchiveLimits.DEFAULT);
      DurableRegistry registry = new DurableRegistry(data, Settings.DEFAULT);
      try {
        for (Function function : registry.list()) {
          for (FunctionVersion version : function.versions()) {
            Digest digest = version.spec().variants().getFirst().digest();
            try (InputStream in = images.open(digest)) {
              assertEquals(digest, Digest.of(in.readAllBytes()), version.label());
            }
            String label = version.spec().labels().get("is");
            String known = acknowledged.get(version.label());
            assertTrue(known == null || known.equals(digest + " " + label), () -> version.label() + " is " + digest + " " + label + " and not "
                + known);
          }
        }
        for (String label : acknowledged.keySet()) {
          int at = label.indexOf('@');
          FunctionName name = FunctionName.parse(label.substring(0, at));
          assertTrue(registry.find(name).flatMap(f -> f.version(Integer.parseInt(label.substring(at + 1)))).isPresent()
              // A later publication that nobody heard of may have pushed it out, being one too many.
              || registry.find(name).map(f -> f.versions().size() == 32 && f.versions().getFirst()
                  .number() > Integer.parseInt(label.substring(at + 1))).orElse(false),
              () -> label + " is lost, after " + lines);
        }
      } finally {
        registry.stop();
      }
      assertEquals(List.of(), files(data.scratch("uploads")));
      for (Path damaged : List.of(root.resolve("images/damaged"), root.resolve("functions/_damaged"))) {
        assertEquals(List.of(), files(damaged));
      }
      for (Path file : files(root.resolve("functions"))) {
        assertTrue(file.toString().endsWith(".json"), file + " is no function");
      }
      for (Path file : files(root.resolve("images"))) {
        assertTrue(file.getFileName().toString().matches("[0-9a-f]{64}(\\.json)?"), file + " is no blob, nor what one takes");
      }
    }
  }

  private static List<Path> files(Path directory) throws IOException {
    try (Stream<Path> all = Files.walk(directory)) {
      return all.filter(Files::isRegularFile).toList();
    }
  }

  /** What is killed. */
  public static final class Node {
    public static void main(String[] args) throws Exception {
      LockedDataDirectory data = LockedDataDirectory.open(Path.of(args[0]));
      ContentStore images = new ContentStore(data, ArchiveLimits.DEFAULT);
      DurableRegistry registry = new DurableRegistry(data, Settings.DEFAULT);
      registry.setImages(images);
      registry.setPreparer(new Fixture.Prepares());
      PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
      for (int writer = 0; writer < WRITERS; writer++) {
        Random random = new Random(Long.parseLong(args[1]) * 100 + writer);
        // Each writer has functions of its own, so that the order of the lines about one of them is the order of the changes.
        String user = "writer" + writer;
        Thread.ofPlatform().start(() -> {
          try {
            while (true) {
              write(images, registry, new FunctionName(user, "f" + random.nextInt(FUNCTIONS)), random, out);
            }
          } catch (IOException | InterruptedException | RuntimeException e) {
            e.printStackTrace();
            Runtime.getRuntime().halt(1);
          }
        });
      }
    }

    private static void write(ImageStore images, DurableRegistry registry, FunctionName name, Random random, PrintStream out) throws IOException,
        InterruptedException {
      if (random.nextInt(10) == 0 && registry.find(name).isPresent()) {
        Function gone = registry.find(name).get();
        // Said before it is done: from here on its versions may be there or not.
        StringBuilder lines = new StringBuilder();
        gone.versions().forEach(v -> lines.append("removing ").append(v.label()).append('\n'));
        say(out, lines.toString());
        registry.remove(name);
        return;
      }
      byte[] module = Arrays.copyOf(new byte[] {0, 'a', 's', 'm', 1, 0, 0, 0}, 8 + random.nextInt(200_000));
      for (int i = 8; i < module.length; i += 100) {
        module[i] = (byte) random.nextInt();
      }
      Digest digest = images.add(new ByteArrayInputStream(module), module.length).digest();
      String is = Long.toHexString(random.nextLong());
      // What one publication too many pushes out is given up first, for the same reason.
      registry.find(name).filter(f -> f.versions().size() >= 32).ifPresent(f -> say(out, "removing " + f.versions().getFirst().label() + "\n"));
      var spec = new FunctionSpec(Fixture.spec(digest).variants(), Limits.DEFAULT, Map.of(), Map.of("is", is));
      say(out, "removing " + name + "@" + registry.find(name).map(f -> f.versions().getLast().number() + 1).orElse(1) + "\n");
      FunctionVersion version = registry.publish(name, spec, true);
      say(out, "published " + version.label() + " " + digest + " " + is + "\n");
    }

    private static void say(PrintStream out, String lines) {
      synchronized (out) {
        out.print(lines);
        out.flush();
      }
    }
  }
}
