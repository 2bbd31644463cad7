package dev.instar.backend.wasm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.Digest;
import dev.instar.api.data.DataDirectory;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Image;
import dev.instar.api.function.Limits;
import dev.instar.api.function.Variant;
import dev.instar.api.sandbox.Checkpointable;
import dev.instar.api.sandbox.PrepareRequest;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.api.sandbox.SandboxBackend;
import dev.instar.api.snapshot.SnapshotStore;
import dev.instar.tck.capability.RequiresCapability;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceLoader;
import org.apache.felix.scr.component.ExtComponentContext;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.Constants;
import org.osgi.framework.launch.Framework;
import org.osgi.framework.launch.FrameworkFactory;
import org.osgi.service.component.ComponentConstants;
import org.osgi.util.function.Function;
import org.osgi.util.promise.Promise;
import org.osgi.util.tracker.ServiceTracker;

/** The bundle as it is shipped, in a framework: what is embedded is whole, and generated classes find it. */
@RequiresCapability("wabt")
@EnabledIfSystemProperty(named = "bundle", matches = ".*", disabledReason = "The bundle is made after the test phase: run mvn verify.")
class InFelixIT {
  @TempDir
  Path directory;

  @Test
  void theBundleRunsModules() throws Exception {
    Framework felix = ServiceLoader.load(FrameworkFactory.class).findFirst().orElseThrow().newFramework(Map.of(
        Constants.FRAMEWORK_STORAGE, directory.resolve("felix").toString(),
        // The API is the test's own, so that it can call the service.
        Constants.FRAMEWORK_SYSTEMPACKAGES_EXTRA, "dev.instar.api;version=0.1.0,dev.instar.api.data;version=0.1.0,"
            + "dev.instar.api.function;version=0.1.0,dev.instar.api.invocation;version=0.1.0,"
            + "dev.instar.api.sandbox;version=0.1.0,dev.instar.api.snapshot;version=0.1.0,org.slf4j;version=2.0.17,org.apache.felix.hc.api;version=2.0.0"));
    felix.start();
    try {
      BundleContext context = felix.getBundleContext();
      for (Class<?> of : List.of(Function.class, Promise.class, ComponentConstants.class, ExtComponentContext.class)) {
        context.installBundle(of.getProtectionDomain().getCodeSource().getLocation().toString());
      }
      Bundle wasm = context.installBundle(Path.of(System.getProperty("bundle")).toUri().toString());
      for (Bundle bundle : context.getBundles()) {
        bundle.start();
      }
      context.registerService(DataDirectory.class, TestNode.data(directory), null);
      var tracker = new ServiceTracker<SandboxBackend, SandboxBackend>(context, SandboxBackend.class, null);
      tracker.open();
      SandboxBackend backend = tracker.waitForService(30_000);
      assertNotNull(backend, "the service did not come");
      assertEquals(wasm, tracker.getServiceReference().getBundle());

      for (String cached : List.of("", ", from the cache")) {
        PreparedFunction prepared = prepare(backend);
        assertEquals("3 functions compiled, 0 interpreted" + cached, prepared.describe().get("code"));
        Sandbox sandbox = TestNode.start(prepared);
        assertEquals("1", TestNode.call(sandbox, "").text());
        assertEquals("1", TestNode.call(sandbox, "").text());
        sandbox.close();
        prepared.close();
      }

      // A store that comes, and goes, is taken at once and restarts nothing.
      try (TestStore store = new TestStore(directory)) {
        var registered = context.registerService(SnapshotStore.class, store.store(), null);
        try (PreparedFunction prepared = prepare(backend)) {
          ((Checkpointable) prepared).checkpoint();
          assertTrue(prepared.describe().get("snapshot").startsWith("stored as "), prepared.describe()::toString);
        }
        try (PreparedFunction prepared = prepare(backend)) {
          assertEquals("from the snapshot", prepared.describe().get("initialised"));
          registered.unregister();
          assertEquals("1", TestNode.call(TestNode.start(prepared), "").text());
        }
        try (PreparedFunction prepared = prepare(backend)) {
          assertEquals("not stored yet", prepared.describe().get("snapshot"));
        }
        assertSame(backend, tracker.getService());
      }

      PreparedFunction left = prepare(backend);
      Sandbox open = TestNode.start(left);
      wasm.stop();
      assertNull(tracker.getService());
      assertTrue(TestNode.call(open, "").failure().isPresent(), "a sandbox outlives its bundle");
      assertEquals(List.of(), ProcessHandle.current().children().filter(p -> p.info().commandLine().orElse("").contains("compiler.jar")).toList(),
          "a compiling process outlives its bundle");
      assertFalse(Thread.getAllStackTraces().keySet().stream().anyMatch(t -> t.getName().equals("wasm-initialise")), "a thread outlives its bundle");
    } finally {
      felix.stop();
      felix.waitForStop(10_000);
    }
  }

  private PreparedFunction prepare(SandboxBackend backend) throws Exception {
    byte[] module = Wat.file("command/counter");
    Path file = Files.write(directory.resolve("counter.wasm"), module);
    Image image = new Image(Digest.of(module), Variant.WASM, module.length, file, Optional.empty());
    Variant variant = new Variant(image.digest(), Variant.WASM, Optional.empty());
    FunctionVersion version = new FunctionVersion(new FunctionName("demo", "counter"), 1, "uid", Instant.now(),
        new FunctionSpec(List.of(variant), Limits.DEFAULT, Map.of(), Map.of()));
    return backend.prepare(new PrepareRequest(version, variant, image, Instant.now().plusSeconds(60)));
  }
}
