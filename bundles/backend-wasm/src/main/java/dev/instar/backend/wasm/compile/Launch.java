package dev.instar.backend.wasm.compile;

import dev.instar.api.data.DurableFiles;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.zip.Deflater;
import java.util.zip.ZipEntry;
import org.objectweb.asm.ClassReader;
import org.objectweb.asm.commons.ClassRemapper;
import org.objectweb.asm.tree.ClassNode;
import org.objectweb.asm.tree.analysis.Analyzer;
import org.objectweb.asm.util.CheckClassAdapter;
import org.osgi.framework.Bundle;
import org.osgi.framework.FrameworkUtil;
import org.osgi.framework.wiring.BundleWiring;

/**
 * How a compiling process is started: by the Java of this node, from the very classes of this bundle.
 *
 * <p>Where a framework keeps the bundle's bytes is its own affair, so they are written out as a jar, once for each run of the node. Without a framework the
 * class path is where the classes came from.
 */
public class Launch {
  private static final List<String> PACKAGES = List.of("com/dylibso/chicory", "org/objectweb/asm", Launch.class.getPackageName().replace('.', '/'));
  /** One of each jar that the process needs. */
  private static final List<Class<?>> NEEDED = List.of(CompilerProcess.class, com.dylibso.chicory.wasm.Parser.class,
      com.dylibso.chicory.runtime.Instance.class, com.dylibso.chicory.compiler.internal.Compiler.class, ClassReader.class, ClassNode.class,
      Analyzer.class, ClassRemapper.class, CheckClassAdapter.class);
  /** Beside the heap: what the JVM reserves for its code, its classes, its threads and itself. It uses a tenth of that. */
  private static final long BESIDE_HEAP_MIB = 1024;
  /** Seconds of processor time in the whole life of a process: the last bound, for one that neither the node nor the end of its input has ended. */
  private static final int LIFE_SECONDS = 3600;

  /** Sets what a process inherits: no core file, no file at all, few descriptors; the first to go when the machine has no memory left. */
  private static final String LIMITS = "ulimit -c 0; ulimit -f 0; ulimit -n 128; ulimit -t " + LIFE_SECONDS + "; ulimit -v \"$1\" 2>/dev/null; shift; "
      + "echo 1000 2>/dev/null >/proc/self/oom_score_adj; exec \"$@\"";

  private final Path directory;
  private List<String> classPath = List.of();

  /** @param directory the node's own, for as long as it runs. The next version of the bundle runs beside this one for a while, so each has a part of its own. */
  public Launch(Path directory) {
    this.directory = directory.resolve(UUID.randomUUID().toString());
  }

  /** The program that is started. */
  public static Path java() {
    return Path.of(System.getProperty("java.home"), "bin", "java");
  }

  /** What starts a process with so much heap. */
  ProcessBuilder process(int heapMib) throws IOException {
    List<String> command = new ArrayList<>(List.of("/bin/sh", "-c", LIMITS, "sh", Long.toString((heapMib + BESIDE_HEAP_MIB) << 10)));
    for (String nice : List.of("/usr/bin/nice", "/bin/nice")) {
      if (Files.isExecutable(Path.of(nice))) {
        // Calls go first.
        command.addAll(List.of(nice, "-n", "5"));
        break;
      }
    }
    command.add(java().toString());
    command.addAll(List.of("-Xms32m", "-Xmx" + heapMib + "m", "-XX:+UseSerialGC", "-XX:MinHeapFreeRatio=10", "-XX:MaxHeapFreeRatio=20",
        "-XX:ActiveProcessorCount=1", "-XX:TieredStopAtLevel=1", "-XX:-DontCompileHugeMethods", "-XX:ReservedCodeCacheSize=32m",
        "-XX:MaxMetaspaceSize=64m", "-XX:CompressedClassSpaceSize=16m", "-XX:MaxDirectMemorySize=16m", "-XX:+ExitOnOutOfMemoryError",
        "-XX:-UsePerfData", "-XX:+DisableAttachMechanism", "-XX:-CreateCoredumpOnCrash", "-XX:ErrorFile=/dev/null", "-XX:+DisplayVMOutputToStderr",
        "-Xlog:disable"));
    command.addAll(classPath());
    ProcessBuilder builder = new ProcessBuilder(command).directory(Path.of("/").toFile());
    // Nothing of the node's; the JVM reads paths in the locale's encoding, and the C library makes no heap for each thread.
    Map<String, String> environment = builder.environment();
    environment.clear();
    environment.put("LC_ALL", "C.UTF-8");
    environment.put("MALLOC_ARENA_MAX", "1");
    return builder;
  }

  /** Removes what was written out. No process is started afterwards. */
  synchronized void close() {
    try {
      Files.deleteIfExists(directory.resolve("compiler.jar"));
      Files.deleteIfExists(directory);
    } catch (IOException e) {
      // The directory is emptied at the next start of the node.
    }
  }

  private synchronized List<String> classPath() throws IOException {
    if (classPath.isEmpty()) {
      Bundle bundle = FrameworkUtil.getBundle(Launch.class);
      classPath = bundle == null ? List.of("-cp", String.join(":", sources()), CompilerProcess.class.getName())
          : List.of("-jar", jar(bundle.adapt(BundleWiring.class)).toString());
    }
    return classPath;
  }

  private static Set<String> sources() throws IOException {
    Set<String> sources = new LinkedHashSet<>();
    try {
      for (Class<?> needed : NEEDED) {
        URI source = needed.getProtectionDomain().getCodeSource().getLocation().toURI();
        sources.add(Path.of(source).toString());
      }
      return sources;
    } catch (URISyntaxException e) {
      throw new IOException(e);
    }
  }

  private Path jar(BundleWiring wiring) throws IOException {
    Files.createDirectories(directory, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    Manifest manifest = new Manifest();
    manifest.getMainAttributes().put(Attributes.Name.MANIFEST_VERSION, "1.0");
    manifest.getMainAttributes().put(Attributes.Name.MAIN_CLASS, CompilerProcess.class.getName());
    Path file = directory.resolve("compiler.jar");
    DurableFiles.writeUnsynced(file, out -> write(wiring, manifest, out));
    return file;
  }

  private static void write(BundleWiring wiring, Manifest manifest, OutputStream out) throws IOException {
    try (JarOutputStream jar = new JarOutputStream(out, manifest)) {
      jar.setLevel(Deflater.BEST_SPEED);
      for (String name : classes(wiring)) {
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

  private static Set<String> classes(BundleWiring wiring) {
    Set<String> names = new TreeSet<>();
    for (String each : PACKAGES) {
      Collection<String> found = wiring.listResources(each, "*.class", BundleWiring.LISTRESOURCES_RECURSE | BundleWiring.LISTRESOURCES_LOCAL);
      names.addAll(found);
    }
    return names;
  }
}
