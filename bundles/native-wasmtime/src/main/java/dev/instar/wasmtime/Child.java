package dev.instar.wasmtime;

import dev.instar.api.data.DurableFiles;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.zip.ZipEntry;
import org.osgi.framework.Bundle;
import org.osgi.framework.FrameworkUtil;
import org.osgi.framework.wiring.BundleWiring;

/** How a {@link CompilerProcess} is started: by the Java of this node, from the very classes of this bundle. */
final class Child {
  /** Beside what it compiles: what the JVM reserves for its heap, its code, its classes and itself, and the library. */
  private static final long BESIDE_MIB = 1536;
  private static final int HEAP_MIB = 192;
  /** Seconds of processor time of a process: the last bound. */
  private static final int LIFE_SECONDS = 3600;
  /** What a process inherits: no core file, no file at all, few descriptors; the first to go when the machine has no memory left. */
  private static final String LIMITS = "ulimit -c 0; ulimit -f 0; ulimit -n 128; ulimit -t " + LIFE_SECONDS + "; ulimit -v \"$1\" 2>/dev/null; shift; "
      + "echo 1000 2>/dev/null >/proc/self/oom_score_adj; exec \"$@\"";

  private final Path directory;
  private List<String> classPath = List.of();

  /** @param directory the node's own, for as long as it runs */
  Child(Path directory) {
    this.directory = directory;
  }

  /** One that compiles, with so much memory for it. */
  ProcessBuilder compiler(Path library, int mib) throws IOException {
    List<String> command = new ArrayList<>(List.of("/bin/sh", "-c", LIMITS, "sh", Long.toString((mib + BESIDE_MIB) << 10)));
    for (String nice : List.of("/usr/bin/nice", "/bin/nice")) {
      if (Files.isExecutable(Path.of(nice))) {
        // Calls go first.
        command.addAll(List.of(nice, "-n", "5"));
        break;
      }
    }
    command.addAll(java(library));
    return builder(command);
  }

  /** One that finds out whether a library is the right one, with the bounds of this process. */
  ProcessBuilder check(Path library, Path empty) throws IOException {
    List<String> command = new ArrayList<>(java(library));
    command.add(empty.toString());
    return builder(command);
  }

  private static ProcessBuilder builder(List<String> command) {
    ProcessBuilder builder = new ProcessBuilder(command).directory(Path.of("/").toFile());
    Map<String, String> environment = builder.environment();
    environment.clear();
    environment.put("LC_ALL", "C.UTF-8");
    environment.put("MALLOC_ARENA_MAX", "1");
    return builder;
  }

  private List<String> java(Path library) throws IOException {
    List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xms16m", "-Xmx" + HEAP_MIB + "m",
        "-XX:+UseSerialGC", "-XX:ActiveProcessorCount=1", "-XX:TieredStopAtLevel=1", "-XX:ReservedCodeCacheSize=32m", "-XX:MaxMetaspaceSize=64m",
        "-XX:CompressedClassSpaceSize=16m", "-XX:MaxDirectMemorySize=16m", "-XX:+ExitOnOutOfMemoryError", "-XX:-UsePerfData", "-XX:+DisableAttachMechanism",
        "-XX:-CreateCoredumpOnCrash", "-XX:ErrorFile=/dev/null", "-XX:+DisplayVMOutputToStderr", "-Xlog:disable", "--enable-native-access=ALL-UNNAMED"));
    command.addAll(List.of("-cp", String.join(":", classPath()), CompilerProcess.class.getName(), library.toString()));
    return command;
  }

  private synchronized List<String> classPath() throws IOException {
    if (classPath.isEmpty()) {
      Bundle bundle = FrameworkUtil.getBundle(Child.class);
      classPath = bundle == null ? sources() : List.of(jar(bundle.adapt(BundleWiring.class)).toString());
    }
    return classPath;
  }

  private static List<String> sources() throws IOException {
    Set<String> sources = new LinkedHashSet<>();
    try {
      for (Class<?> needed : List.of(CompilerProcess.class, dev.instar.api.wasmtime.Wasmtime.class)) {
        sources.add(Path.of(needed.getProtectionDomain().getCodeSource().getLocation().toURI()).toString());
      }
      return List.copyOf(sources);
    } catch (URISyntaxException e) {
      throw new IOException(e);
    }
  }

  /** Where a framework keeps a bundle's bytes is its own affair, so they are written out, once for each run of the node. */
  private Path jar(BundleWiring wiring) throws IOException {
    Manifest manifest = new Manifest();
    manifest.getMainAttributes().put(Attributes.Name.MANIFEST_VERSION, "1.0");
    Path file = directory.resolve("compiler.jar");
    DurableFiles.writeUnsynced(file, out -> write(wiring, manifest, out));
    return file;
  }

  private static void write(BundleWiring wiring, Manifest manifest, OutputStream out) throws IOException {
    try (JarOutputStream jar = new JarOutputStream(out, manifest)) {
      for (String each : List.of("dev/instar/wasmtime", "dev/instar/api/wasmtime")) {
        // Those of the API are another bundle's, seen through this one's loader.
        Collection<String> classes = wiring.listResources(each, "*.class", 0);
        if (classes.isEmpty()) {
          throw new IOException("The bundle sees no classes of " + each + ".");
        }
        for (String name : classes) {
          URL resource = wiring.getClassLoader().getResource(name);
          if (resource == null) {
            throw new IOException("The bundle has not got " + name + ".");
          }
          jar.putNextEntry(new ZipEntry(name));
          try (InputStream in = resource.openStream()) {
            in.transferTo(jar);
          }
          jar.closeEntry();
        }
      }
    }
  }
}
