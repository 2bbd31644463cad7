package dev.instar.launcher.node;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.lang.ref.WeakReference;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.Constants;
import org.osgi.framework.ServiceReference;
import org.osgi.framework.launch.Framework;
import org.osgi.framework.launch.FrameworkFactory;

class UninstalledBundlesTest {
  @TempDir
  Path storage;

  @Test
  void nothingIsLeftOfABundleThatHasUsedAService() throws Exception {
    Framework framework = ServiceLoader.load(FrameworkFactory.class).findFirst().orElseThrow().newFramework(Map.of(Constants.FRAMEWORK_STORAGE, storage.toString()));
    framework.init();
    try {
      UninstalledBundles.forget(framework);
      framework.start();
      framework.getBundleContext().registerService(Runnable.class, () -> {}, null);
      List<WeakReference<Bundle>> gone = new ArrayList<>();
      for (int i = 0; i < 5; i++) {
        gone.add(used(framework.getBundleContext(), i));
      }
      long left = gone.size();
      for (int tries = 0; tries < 100 && left > 0; tries++) {
        System.gc();
        Thread.sleep(20);
        left = gone.stream().filter(bundle -> bundle.get() != null).count();
      }
      assertEquals(0, left);
    } finally {
      framework.stop();
      framework.waitForStop(10_000);
    }
  }

  /** One that comes, gets a service, gives it back and goes. */
  private static WeakReference<Bundle> used(BundleContext system, int version) throws Exception {
    Manifest manifest = new Manifest();
    Map.of("Manifest-Version", "1.0", "Bundle-ManifestVersion", "2", "Bundle-SymbolicName", "user", "Bundle-Version", "1.0." + version).forEach(manifest.getMainAttributes()::putValue);
    ByteArrayOutputStream jar = new ByteArrayOutputStream();
    new JarOutputStream(jar, manifest).close();
    Bundle bundle = system.installBundle("user" + version, new ByteArrayInputStream(jar.toByteArray()));
    bundle.start();
    ServiceReference<Runnable> reference = bundle.getBundleContext().getServiceReference(Runnable.class);
    assertNotNull(bundle.getBundleContext().getService(reference));
    bundle.getBundleContext().ungetService(reference);
    bundle.stop();
    bundle.uninstall();
    return new WeakReference<>(bundle);
  }
}
