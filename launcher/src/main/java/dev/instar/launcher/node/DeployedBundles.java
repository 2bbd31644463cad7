package dev.instar.launcher.node;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.instar.api.Digest;
import dev.instar.api.data.ChecksummedDocument;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.BundleException;
import org.osgi.framework.Constants;
import org.osgi.framework.Version;
import org.osgi.framework.startlevel.BundleStartLevel;
import org.osgi.framework.wiring.FrameworkWiring;

/**
 * What was deployed into a node while it ran, and comes back when it starts: put in the place of the distribution's bundles before any of them is
 * started. Nothing here keeps a node from starting. What is damaged, does not resolve or is older than the distribution's is left out; the bundle
 * {@code dev.instar.operations}, which wrote it all, then says so in the node's log.
 */
final class DeployedBundles {
  private record Entry(String name, Version version, Path jar, Digest digest) {}

  private final List<Entry> entries = new ArrayList<>();
  private final Set<String> absent = new HashSet<>();
  private final Set<String> stopped = new HashSet<>();

  private DeployedBundles() {}

  /** Of a data directory; nothing where nothing was deployed or it can't be read. */
  static DeployedBundles read(Path data) {
    DeployedBundles read = new DeployedBundles();
    Path root = data.resolve("deployed");
    try {
      JsonNode document = new ObjectMapper().readTree(ChecksummedDocument.read(root.resolve("deployed.json")));
      if (document.path("format").asInt() != 1) {
        return new DeployedBundles();
      }
      for (JsonNode bundle : document.path("bundles")) {
        Digest digest = new Digest(bundle.path("digest").asText());
        read.entries.add(new Entry(bundle.path("name").asText(), Version.parseVersion(bundle.path("version").asText()), root.resolve("jars/" + digest.hex() + ".jar"), digest));
      }
      document.path("absent").forEach(name -> read.absent.add(name.asText()));
      document.path("stopped").forEach(name -> read.stopped.add(name.asText()));
      return read;
    } catch (NoSuchFileException e) {
      return new DeployedBundles();
    } catch (IOException | RuntimeException e) {
      System.err.println("What was deployed can't be read, so the node starts as its distribution is: " + e.getMessage());
      return new DeployedBundles();
    }
  }

  /**
   * Changes the bundles that the distribution has given to those that there are to be.
   *
   * @param bundles installed and not yet started; changed
   */
  void apply(BundleContext context, List<Bundle> bundles, StartLevels levels) throws BundleException {
    Map<String, Bundle> of = new HashMap<>();
    bundles.forEach(bundle -> of.put(bundle.getSymbolicName(), bundle));
    for (String name : absent) {
      if (of.containsKey(name)) {
        remove(of.get(name), bundles);
      }
    }
    Map<Bundle, String> placed = new HashMap<>();
    for (Entry entry : entries) {
      Bundle former = of.get(entry.name());
      if (former != null && former.getVersion().compareTo(entry.version()) >= 0 && former.getState() != Bundle.UNINSTALLED || !whole(entry)) {
        continue;
      }
      try {
        Bundle bundle = install(context, "reference:" + entry.jar().toUri(), levels);
        bundles.add(bundle);
        String location = "";
        if (former != null && former.getState() != Bundle.UNINSTALLED) {
          location = former.getLocation();
          remove(former, bundles);
        }
        placed.put(bundle, location);
      } catch (BundleException e) {
        System.err.println("The deployed bundle " + entry.name() + " " + entry.version() + " can't be installed: " + e.getMessage());
      }
    }
    // Nothing runs yet, so this costs nobody a refresh.
    context.getBundle(Constants.SYSTEM_BUNDLE_LOCATION).adapt(FrameworkWiring.class).resolveBundles(placed.keySet());
    for (Map.Entry<Bundle, String> one : placed.entrySet()) {
      if (one.getKey().getState() == Bundle.INSTALLED) {
        System.err.println("The deployed bundle " + one.getKey().getSymbolicName() + " " + one.getKey().getVersion() + " does not resolve with this distribution; the node starts without it.");
        remove(one.getKey(), bundles);
        if (!one.getValue().isEmpty()) {
          bundles.add(install(context, one.getValue(), levels));
        }
      }
    }
  }

  /** Whether an operator has stopped it. */
  boolean stopped(Bundle bundle) {
    return stopped.contains(bundle.getSymbolicName());
  }

  private static void remove(Bundle bundle, List<Bundle> bundles) throws BundleException {
    bundles.remove(bundle);
    bundle.uninstall();
  }

  /** By reference: no copy in the cache, and the files stay where an operator expects them. */
  static Bundle install(BundleContext context, String location, StartLevels levels) throws BundleException {
    Bundle bundle = context.installBundle(location);
    bundle.adapt(BundleStartLevel.class).setStartLevel(levels.of(bundle.getSymbolicName()));
    return bundle;
  }

  private static boolean whole(Entry entry) {
    MessageDigest sha256 = Digest.sha256();
    try (InputStream in = Files.newInputStream(entry.jar())) {
      byte[] buffer = new byte[64 << 10];
      for (int n; (n = in.read(buffer)) >= 0;) {
        sha256.update(buffer, 0, n);
      }
      return Digest.of(sha256).equals(entry.digest());
    } catch (IOException e) {
      return false;
    }
  }
}
