package dev.instar.launcher.node;

import dev.instar.launcher.Distribution;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.lang.ref.WeakReference;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.Hashtable;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.CountDownLatch;
import java.util.jar.Attributes;
import java.util.jar.JarEntry;
import java.util.jar.JarInputStream;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.Constants;
import org.osgi.framework.Version;
import org.osgi.framework.hooks.weaving.WeavingHook;
import org.osgi.framework.wiring.BundleWiring;
import org.osgi.framework.wiring.FrameworkWiring;

/**
 * A node in whose bundles the lines of standard input reach, one after the other, for experiments that swap them under load and then look for what they have
 * left. Each line is answered by one; the first one told is {@code ready <url>}. The end of standard input ends the node.
 *
 * <pre>
 *   next NAME FILE the file gets another version of the bundle, whose class loader is among those that are looked for later
 *   update NAME    the bundle itself is updated: stopped, given another version, started
 *   bounce NAME MS the bundle is stopped, and started so many milliseconds later
 *   stop NAME      …  start NAME
 *   loaders        after collections, how many class loaders of the bundles that were replaced are still reachable, how many uninstalled bundles, and what classes,
 *                  code and objects take
 * </pre>
 *
 * <p>With the system property {@value #CLASS_MILLIS} each class of a bundle takes so much longer to load. Threads that use a new bundle then meet while they
 * load the same classes, as they else do now and then.
 */
public final class HeldNode {
  private static final String CLASS_MILLIS = "instar.held.class-millis";

  private final BundleContext context;
  private final List<Replaced> replaced = new ArrayList<>();
  private int serial;

  private record Replaced(String name, WeakReference<ClassLoader> loader, WeakReference<Bundle> bundle) {
    boolean uninstalledAndThere() {
      return bundle.get() instanceof Bundle there && there.getState() == Bundle.UNINSTALLED;
    }
  }

  private HeldNode(BundleContext context) {
    this.context = context;
  }

  /** @param arguments the data directory, that of the configuration, and features to add */
  public static void main(String[] arguments) throws Exception {
    Distribution distribution = Distribution.locate();
    Path data = Path.of(arguments[0]).toAbsolutePath();
    Node node = Node.start(distribution, new NodeOptions(data, Path.of(arguments[1]).toAbsolutePath(), OptionalInt.of(0), Optional.of("127.0.0.1"),
        new HashSet<>(Arrays.asList(arguments).subList(2, arguments.length)), Map.of()));
    URI url = node.awaitListening(Duration.ofMinutes(1));
    if (Integer.getInteger(CLASS_MILLIS) instanceof Integer millis) {
      node.context().registerService(WeavingHook.class, woven -> pause(millis), new Hashtable<>());
    }
    HeldNode held = new HeldNode(node.context());
    System.out.println("ready " + url);
    try (BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
      for (String line; (line = in.readLine()) != null;) {
        System.out.println(held.told(line));
      }
    }
    node.stop(Duration.ofSeconds(60));
  }

  private static void pause(int millis) {
    try {
      Thread.sleep(millis);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private String told(String line) {
    try {
      String[] words = line.strip().split(" ");
      switch (words[0]) {
        case "next" -> {
          Bundle bundle = bundle(words[1]);
          Files.write(Path.of(words[2]), next(bundle));
          remember(bundle);
        }
        case "update" -> update(bundle(words[1]));
        case "bounce" -> {
          Bundle bundle = bundle(words[1]);
          bundle.stop();
          Thread.sleep(Long.parseLong(words[2]));
          bundle.start(Bundle.START_ACTIVATION_POLICY);
        }
        case "stop" -> bundle(words[1]).stop();
        case "start" -> bundle(words[1]).start(Bundle.START_ACTIVATION_POLICY);
        case "loaders" -> {
          List<String> left = reachable();
          return "loaders " + left.size() + " of " + replaced.size() + (left.isEmpty() ? "" : " " + left) + ", uninstalled bundles "
              + replaced.stream().filter(Replaced::uninstalledAndThere).count() + ", " + ManagementFactory.getClassLoadingMXBean().getLoadedClassCount() + " classes, "
              + mib(used("Metaspace")) + " of metaspace, " + mib(used("CodeHeap") + used("CodeCache")) + " of code, " + mib(ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed())
              + " of heap";
        }
        default -> {
          return "failed: what is '" + words[0] + "'?";
        }
      }
      return "done";
    } catch (Exception e) {
      return "failed: " + String.valueOf(e).replace('\n', ' ');
    }
  }

  /** What the JVM's memory pools of that kind hold, in bytes. */
  private static long used(String pool) {
    return ManagementFactory.getMemoryPoolMXBeans().stream().filter(p -> p.getName().startsWith(pool)).mapToLong(p -> p.getUsage().getUsed()).sum();
  }

  private static String mib(long bytes) {
    return String.format(Locale.ROOT, "%.1f MiB", bytes / 1048576.0);
  }

  private void update(Bundle bundle) throws Exception {
    byte[] jar = next(bundle);
    remember(bundle);
    bundle.stop();
    bundle.update(new ByteArrayInputStream(jar));
    bundle.start(Bundle.START_ACTIVATION_POLICY);
    refresh();
  }

  private void remember(Bundle bundle) {
    replaced.add(new Replaced(bundle.getSymbolicName(), new WeakReference<>(bundle.adapt(BundleWiring.class).getClassLoader()), new WeakReference<>(bundle)));
  }

  /** What nobody else uses goes; no bundle that runs is refreshed, since none imports from one that is swapped. */
  private void refresh() throws InterruptedException {
    CountDownLatch done = new CountDownLatch(1);
    context.getBundle(Constants.SYSTEM_BUNDLE_LOCATION).adapt(FrameworkWiring.class).refreshBundles(null, event -> done.countDown());
    done.await();
  }

  private Bundle bundle(String name) {
    return Arrays.stream(context.getBundles()).filter(b -> name.equals(b.getSymbolicName())).max(Comparator.comparing(Bundle::getVersion)).orElseThrow();
  }

  /** The bundle's jar under the next version. */
  private byte[] next(Bundle bundle) throws IOException {
    Version now = bundle.getVersion();
    String version = now.getMajor() + "." + now.getMinor() + "." + now.getMicro() + ".swap" + String.format("%05d", ++serial);
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (InputStream file = Files.newInputStream(original(bundle.getSymbolicName())); JarInputStream in = new JarInputStream(file)) {
      Manifest manifest = in.getManifest();
      manifest.getMainAttributes().put(new Attributes.Name(Constants.BUNDLE_VERSION), version);
      try (JarOutputStream out = new JarOutputStream(bytes, manifest)) {
        for (JarEntry entry; (entry = in.getNextJarEntry()) != null;) {
          out.putNextEntry(new JarEntry(entry.getName()));
          in.transferTo(out);
        }
      }
    }
    return bytes.toByteArray();
  }

  private Path original(String name) throws IOException {
    try (DirectoryStream<Path> jars = Files.newDirectoryStream(Path.of(context.getProperty("instar.home")).resolve("bundles"), name + "-*.jar")) {
      return jars.iterator().next();
    }
  }

  /** The bundles that they are of. */
  private List<String> reachable() throws InterruptedException {
    List<String> left;
    int tries = 0;
    do {
      System.gc();
      Thread.sleep(100);
      left = replaced.stream().filter(one -> one.loader().get() != null).map(Replaced::name).toList();
    } while ((!left.isEmpty() || replaced.stream().anyMatch(Replaced::uninstalledAndThere)) && ++tries < 20);
    return left;
  }
}
