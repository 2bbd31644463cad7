package dev.instar.operations;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ch.qos.logback.classic.Level;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.operations.Change;
import dev.instar.api.operations.Deployer;
import dev.instar.api.operations.Deployment;
import dev.instar.api.operations.Deployment.State;
import dev.instar.api.operations.FeatureStatus;
import dev.instar.api.operations.Plan;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.io.PipedInputStream;
import java.io.PipedOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.Hashtable;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.FutureTask;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.osgi.framework.Bundle;
import org.osgi.framework.ServiceEvent;
import org.osgi.framework.ServiceReference;
import org.osgi.framework.wiring.BundleWiring;
import org.osgi.service.cm.Configuration;
import org.osgi.service.cm.ConfigurationAdmin;

/** Deploys into a Felix framework with Declarative Services: what the framework makes of each change, and that a refused one changes nothing. */
@Timeout(120)
class DeployerIT {
  private static final String EXPORT = "Export-Package";
  private static final String IMPORT = "Import-Package";
  @TempDir
  Path directory;
  private Framework framework;
  private Deployer deployer;

  @BeforeEach
  void start() throws Exception {
    Path home = directory.resolve("home");
    Files.createDirectories(home.resolve("bundles"));
    Files.createDirectories(home.resolve("features"));
    Files.write(home.resolve("bundles/shipped-1.0.0.jar"), Jars.bundle("shipped", "1.0.0"));
    Files.write(home.resolve("bundles/extra-1.0.0.jar"), Jars.bundle("extra", "1.0.0", IMPORT, "extra.api"));
    Files.write(home.resolve("bundles/extra.api-1.0.0.jar"), Jars.bundle("extra.api", "1.0.0", EXPORT, "extra.api"));
    // As somebody may have left it; it keeps nothing from being deployed.
    Files.createDirectories(directory.resolve("data/deployed/incoming/strange/there"));
    Files.writeString(home.resolve("features/extra.json"), feature("extra", "extra:extra:1.0.0", "extra.api:extra.api:1.0.0"));
    Map<String, String> properties = new HashMap<>();
    properties.put("instar.home", home.toString());
    properties.put("instar.data", directory.resolve("data").toString());
    framework = new Framework(directory.resolve("storage"), properties);
    framework.install(home.resolve("bundles/shipped-1.0.0.jar")).start();
    framework.startOperations();
    eventually(() -> (deployer = framework.service(Deployer.class)) != null);
  }

  @AfterEach
  void stop() throws Exception {
    framework.close();
  }

  private static String feature(String name, String... bundles) {
    return "{\"feature-resource-version\":\"1.0\",\"id\":\"test:" + name + ":1.0\",\"bundles\":[" + String.join(",", Arrays.stream(bundles).map(b -> "{\"id\":\"" + b + "\"}").toList()) + "]}";
  }

  private static InputStream in(byte[] bytes) {
    return new ByteArrayInputStream(bytes);
  }

  private static Change install(String name, String version, String... headers) throws Exception {
    return new Change.Install(in(Jars.bundle(name, version, headers)));
  }

  private static Change update(String name, String version, String... headers) throws Exception {
    return new Change.Update(name, in(Jars.bundle(name, version, headers)));
  }

  private Deployment make(Change change) throws Exception {
    Deployment begun = deployer.begin(change);
    Deployment ended = deployer.await(begun.id(), Duration.ofSeconds(60)).orElseThrow();
    assertFalse(ended.state() == State.RUNNING, ended::toString);
    return ended;
  }

  private Deployment done(Change change) throws Exception {
    Deployment ended = make(change);
    assertEquals(State.DONE, ended.state(), ended::toString);
    return ended;
  }

  private InstarException refused(ErrorCode code, Change change) throws Exception {
    List<String> before = bundles();
    InstarException e = assertThrows(InstarException.class, () -> deployer.begin(change));
    assertEquals(code, e.code(), e::getMessage);
    assertEquals(before, bundles());
    try (Stream<Path> left = Files.list(directory.resolve("data/deployed/incoming"))) {
      assertEquals(List.of(), left.filter(Files::isRegularFile).toList());
    }
    return e;
  }

  /** Each with its state, which is what a failed change must leave as it was. */
  private List<String> bundles() {
    return Arrays.stream(framework.context().getBundles()).map(b -> b.getSymbolicName() + " " + b.getVersion() + " " + b.getState()).sorted().toList();
  }

  /** The versions that offer the service. */
  private List<String> offered(String name) throws Exception {
    List<String> versions = new ArrayList<>();
    ServiceReference<?>[] found = framework.context().getServiceReferences(Callable.class.getName(), null);
    for (ServiceReference<?> reference : found == null ? new ServiceReference<?>[0] : found) {
      if (name.equals(reference.getBundle().getSymbolicName())) {
        versions.add((String) reference.getProperty("version"));
      }
    }
    Collections.sort(versions);
    return versions;
  }

  private Bundle bundle(String name) {
    return Arrays.stream(framework.context().getBundles()).filter(b -> name.equals(b.getSymbolicName())).findFirst().orElseThrow();
  }

  private static List<String> steps(Plan plan) {
    return plan.steps().stream().map(s -> s.action() + " " + s.bundle() + " " + s.version() + (s.reason().isEmpty() ? "" : " " + s.reason())).toList();
  }

  private String stored() throws Exception {
    return Files.readString(directory.resolve("data/deployed/deployed.json"));
  }

  @Test
  void aBundleIsInstalledUpdatedStoppedStartedAndUninstalled() throws Exception {
    assertEquals(List.of("INSTALL a 1.0.0"), steps(done(install("a", "1.0.0")).plan()));
    assertEquals(List.of("1.0.0"), offered("a"));
    assertEquals(List.of("UPDATE a 1.1.0 replaces 1.0.0"), steps(done(update("a", "1.1.0")).plan()));
    assertEquals(List.of("1.1.0"), offered("a"));
    assertEquals(1, Arrays.stream(framework.context().getBundles()).filter(b -> "a".equals(b.getSymbolicName())).count());
    assertTrue(stored().contains("\"version\":\"1.1.0\""), stored());
    done(new Change.Stop("a"));
    assertEquals(List.of(), offered("a"));
    assertTrue(stored().contains("\"stopped\":[\"a\"]"), stored());
    assertEquals(List.of("UPDATE a 1.2.0 replaces 1.1.0; stays stopped, as it is"), steps(done(update("a", "1.2.0")).plan()));
    assertEquals(List.of(), offered("a"));
    done(new Change.Start("a"));
    assertEquals(List.of("1.2.0"), offered("a"));
    done(new Change.Uninstall("a"));
    assertEquals(List.of(), offered("a"));
    assertFalse(stored().contains("\"a\""), stored());
    try (Stream<Path> jars = Files.list(directory.resolve("data/deployed/jars"))) {
      assertEquals(List.of(), jars.toList(), "jars that nothing uses stay");
    }
  }

  @Test
  void uninstallingWhatReplacedABundleOfTheDistributionBringsThatBack() throws Exception {
    done(update("shipped", "1.1.0"));
    assertEquals(List.of("1.1.0"), offered("shipped"));
    done(update("shipped", "1.2.0"));
    assertEquals(List.of("UPDATE shipped 1.0.0 replaces 1.2.0"), steps(done(new Change.Uninstall("shipped")).plan()));
    assertEquals(List.of("1.0.0"), offered("shipped"));
    done(new Change.Uninstall("shipped"));
    assertEquals(List.of(), offered("shipped"));
    assertTrue(stored().contains("\"absent\":[\"shipped\"]"), stored());
    done(install("shipped", "0.9.0"));
    assertEquals(List.of("0.9.0"), offered("shipped"));
    assertTrue(stored().contains("\"absent\":[]"), stored());
  }

  /** As after a start with a distribution that lacks what they need: the launcher leaves them out and puts what they replaced in their place. */
  @Test
  void whatWasDeployedAndDidNotComeBackCanBeUninstalled() throws Exception {
    done(update("shipped", "1.1.0"));
    done(install("a", "1.0.0"));
    bundle("shipped").uninstall();
    bundle("a").uninstall();
    framework.install(directory.resolve("home/bundles/shipped-1.0.0.jar")).start();
    assertEquals(List.of("KEEP shipped 1.0.0 is of the distribution", "UNINSTALL shipped 1.1.0 was deployed and does not run"), steps(done(new Change.Uninstall("shipped")).plan()));
    assertEquals(List.of("1.0.0"), offered("shipped"));
    assertEquals(List.of("UNINSTALL a 1.0.0 was deployed and does not run"), steps(done(new Change.Uninstall("a")).plan()));
    assertFalse(stored().contains("\"version\""), stored());
    try (Stream<Path> jars = Files.list(directory.resolve("data/deployed/jars"))) {
      assertEquals(List.of(), jars.toList());
    }
    refused(ErrorCode.BUNDLE_NOT_FOUND, new Change.Uninstall("a"));
  }

  @Test
  void whatWouldNotResolveIsRefusedAndNamed() throws Exception {
    done(install("lib", "1.0.0", EXPORT, "lib.api;version=1.0"));
    InstarException none = refused(ErrorCode.BUNDLE_UNRESOLVED, install("b", "1.0.0", IMPORT, "no.such;version=\"[1,2)\""));
    assertEquals(List.of("b 1.0.0 needs package no.such [1.0.0,2.0.0)"), none.problem().members().get("missing"));
    InstarException other = refused(ErrorCode.BUNDLE_UNRESOLVED, install("b", "1.0.0", IMPORT, "lib.api;version=\"[2,3)\""));
    assertEquals(List.of("b 1.0.0 needs package lib.api [2.0.0,3.0.0) (the node has 1.0.0)"), other.problem().members().get("missing"));
    InstarException java = refused(ErrorCode.BUNDLE_UNRESOLVED, install("b", "1.0.0", "Require-Capability", "osgi.ee;filter:=\"(&(osgi.ee=JavaSE)(version=99))\""));
    assertTrue(java.getMessage().contains("JavaSE 99, and the node runs on Java " + Runtime.version().feature()), java::getMessage);
    InstarException capability = refused(ErrorCode.BUNDLE_UNRESOLVED, install("b", "1.0.0", "Require-Capability", "some.thing;filter:=\"(x=1)\""));
    assertTrue(capability.getMessage().contains("capability some.thing (x=1)"), capability::getMessage);
    assertThrows(InstarException.class, () -> deployer.plan(install("b", "1.0.0", IMPORT, "no.such")));
    // Each part can be had, but not together: what only the resolver sees.
    done(install("one", "1.0.0", EXPORT, "p;x=1;mandatory:=x"));
    refused(ErrorCode.BUNDLE_UNRESOLVED, install("b", "1.0.0", IMPORT, "p"));
    done(install("b", "1.0.0", IMPORT, "p;x=1,lib.api;version=\"[1,2)\",also.not;resolution:=optional"));
  }

  @Test
  void aDryRunLeavesNothing() throws Exception {
    List<String> before = bundles();
    assertEquals(List.of("INSTALL a 1.0.0"), steps(deployer.plan(install("a", "1.0.0"))));
    assertEquals(List.of("UNINSTALL shipped 1.0.0"), steps(deployer.plan(new Change.Uninstall("shipped"))));
    assertEquals(before, bundles());
    try (Stream<Path> left = Files.walk(directory.resolve("data/deployed"))) {
      assertEquals(List.of(), left.filter(Files::isRegularFile).toList());
    }
  }

  @Test
  void whatIsNoBundleOrNotNewerIsRefused() throws Exception {
    byte[] good = Jars.bundle("a", "1.0.0");
    refused(ErrorCode.BUNDLE_REFUSED, new Change.Install(in(Arrays.copyOf(good, good.length / 2))));
    byte[] flipped = good.clone();
    flipped[good.length / 3] ^= 1;
    refused(ErrorCode.BUNDLE_REFUSED, new Change.Install(in(flipped)));
    refused(ErrorCode.BUNDLE_REFUSED, new Change.Install(in("a jar".getBytes(StandardCharsets.UTF_8))));
    refused(ErrorCode.BUNDLE_REFUSED, new Change.Install(in(new byte[0])));
    refused(ErrorCode.BUNDLE_REFUSED, new Change.Install(in(Jars.jar(Map.of("Some", "header"), "x", new byte[1]))));
    refused(ErrorCode.BUNDLE_REFUSED, install("a", "1.0.0", "Fragment-Host", "shipped"));
    refused(ErrorCode.BUNDLE_REFUSED, install("a", "one"));
    // No path of the API could name it.
    refused(ErrorCode.BUNDLE_REFUSED, install("..", "1.0.0"));
    refused(ErrorCode.BUNDLE_REFUSED, new Change.Install(in(Jars.jar(Map.of("Bundle-ManifestVersion", "2", "Bundle-SymbolicName", "a"), "../../x", new byte[1]))));
    refused(ErrorCode.CONFLICT, install("shipped", "2.0.0"));
    refused(ErrorCode.CONFLICT, update("shipped", "1.0.0"));
    refused(ErrorCode.CONFLICT, update("shipped", "0.9.0"));
    refused(ErrorCode.CONFLICT, new Change.Update("shipped", in(Jars.bundle("other", "2.0.0"))));
    refused(ErrorCode.BUNDLE_NOT_FOUND, update("nobody", "2.0.0"));
    refused(ErrorCode.BUNDLE_NOT_FOUND, new Change.Stop("4711"));
    configure("dev.instar.deployer", "max-bundle-bytes", 1024L);
    eventually(() -> assertThrows(InstarException.class, () -> deployer.plan(new Change.Install(in(new byte[2000])))).code() == ErrorCode.TOO_LARGE);
    refused(ErrorCode.TOO_LARGE, new Change.Install(in(new byte[2000])));
  }

  /** A jar has its entries twice, each with a name of its own: where it begins and in the list at the end. */
  @Test
  void aJarThatIsTwoBundlesIsRefused() throws Exception {
    byte[] other = "Manifest-Version: 1.0\r\nBundle-ManifestVersion: 2\r\nBundle-SymbolicName: other\r\nBundle-Version: 9\r\n\r\n".getBytes(StandardCharsets.UTF_8);
    Map<String, String> headers = Map.of("Bundle-ManifestVersion", "2", "Bundle-SymbolicName", "a", "Bundle-Version", "1");
    InstarException e = refused(ErrorCode.BUNDLE_REFUSED, new Change.Install(in(Jars.jar(headers, "meta-inf/Manifest.mf", other))));
    assertTrue(e.getMessage().contains("some take for its manifest"), e::getMessage);
    byte[] swapped = Jars.jar(headers, "META-INF/MANIFEST.XX", other);
    String text = new String(swapped, StandardCharsets.ISO_8859_1);
    int list = text.indexOf("PK\1\2");
    String exchanged = text.substring(list).replace("META-INF/MANIFEST.MF", "META-INF/MANIFEST.YY").replace("META-INF/MANIFEST.XX", "META-INF/MANIFEST.MF");
    e = refused(ErrorCode.BUNDLE_REFUSED, new Change.Install(in((text.substring(0, list) + exchanged).getBytes(StandardCharsets.ISO_8859_1))));
    assertTrue(e.getMessage().contains("META-INF/MANIFEST.YY"), e::getMessage);
    // With the same names in both places, what the framework reads is what was planned.
    exchanged = exchanged.replace("META-INF/MANIFEST.YY", "META-INF/MANIFEST.XX");
    assertEquals(List.of("INSTALL other 9.0.0"), steps(done(new Change.Install(in((text.substring(0, list) + exchanged).getBytes(StandardCharsets.ISO_8859_1)))).plan()));
    assertEquals("9.0.0", bundle("other").getVersion().toString());
  }

  @Test
  void whoeverSendsSlowlyKeepsNoOtherChangeWaiting() throws Exception {
    PipedOutputStream slow = new PipedOutputStream();
    PipedInputStream body = new PipedInputStream(slow, 1 << 20);
    FutureTask<Deployment> late = new FutureTask<>(() -> make(new Change.Install(body)));
    Thread.ofVirtual().start(late);
    byte[] jar = Jars.bundle("late", "1.0.0");
    slow.write(jar, 0, 100);
    done(install("quick", "1.0.0"));
    deployer.plan(install("other", "1.0.0"));
    slow.write(jar, 100, jar.length - 100);
    slow.close();
    assertEquals(State.DONE, late.get().state());
    assertEquals(List.of("1.0.0"), offered("late"));
    try (Stream<Path> left = Files.list(directory.resolve("data/deployed/incoming"))) {
      assertEquals(List.of(), left.filter(Files::isRegularFile).toList());
    }
  }

  @Test
  void aNumberIsNoName() throws Exception {
    InstarException e = refused(ErrorCode.BUNDLE_REFUSED, install("12", "1.0.0"));
    assertTrue(e.getMessage().contains("'12' is a number"), e::getMessage);
    done(install("12a", "1.0.0"));
  }

  @Test
  void whatDeploymentStandsOnStays() throws Exception {
    for (String name : List.of("dev.instar.operations", "org.apache.felix.scr", "org.apache.felix.framework")) {
      refused(ErrorCode.BUNDLE_STAYS, new Change.Stop(name));
      refused(ErrorCode.BUNDLE_STAYS, new Change.Uninstall(name));
    }
    done(install("dev.instar.listener", "1.0.0"));
    refused(ErrorCode.BUNDLE_STAYS, update("dev.instar.listener", "1.1.0"));
  }

  @Test
  void theLastPartThatAnswersHttpIsReplacedAndNotStopped() throws Exception {
    String[] entry = {"Also", "dev.instar.api.http.HttpEntry"};
    done(install("gateway", "1.0.0", entry));
    InstarException e = refused(ErrorCode.BUNDLE_STAYS, new Change.Stop("gateway"));
    assertTrue(e.getMessage().contains("gateway is all that answers HTTP"), e::getMessage);
    refused(ErrorCode.BUNDLE_STAYS, new Change.Uninstall("gateway"));
    done(update("gateway", "1.1.0", entry));
    done(install("second", "1.0.0", entry));
    done(new Change.Stop("gateway"));
    refused(ErrorCode.BUNDLE_STAYS, new Change.Stop("second"));
    done(new Change.Uninstall("gateway"));
  }

  @Test
  void aNewVersionThatDoesNotStartGivesWayToTheOneBefore() throws Exception {
    done(install("a", "1.0.0"));
    List<String> before = bundles();
    String stored = stored();
    Deployment failed = make(update("a", "1.1.0", "Fails", "yes"));
    assertEquals(State.ROLLED_BACK, failed.state());
    assertEquals(ErrorCode.BUNDLE_FAILED, failed.problem().orElseThrow().code());
    assertTrue(failed.problem().get().detail().contains("this one never starts") && failed.problem().get().detail().endsWith("What was there before is there again."), failed::toString);
    assertEquals(before, bundles());
    assertEquals(List.of("1.0.0"), offered("a"));
    assertEquals(stored, stored());
    assertEquals(State.ROLLED_BACK, make(install("c", "1.0.0", "Fails", "yes")).state());
    assertEquals(before, bundles());
    configure("dev.instar.deployer", "start-ms", 300);
    eventually(() -> {
      Deployment silent = make(update("a", "1.1.0", "Silent", "yes"));
      return silent.state() == State.ROLLED_BACK && silent.problem().orElseThrow().detail().contains("does not offer java.util.concurrent.Callable, 300 ms");
    });
    assertEquals(before, bundles());
    assertEquals(List.of("1.0.0"), offered("a"));
  }

  @Test
  void onlyWhatIsWiredToItIsRefreshed() throws Exception {
    done(install("lib", "1.0.0", EXPORT, "lib.api;version=1.0"));
    done(install("user", "1.0.0", IMPORT, "lib.api;version=\"[1,2)\""));
    done(install("other", "1.0.0"));
    long modified = bundle("other").getLastModified();
    Object wiring = bundle("other").adapt(BundleWiring.class);
    assertEquals(List.of("UPDATE lib 1.1.0 replaces 1.0.0", "REFRESH user 1.0.0 uses lib.api of lib"), steps(done(update("lib", "1.1.0", EXPORT, "lib.api;version=1.1")).plan()));
    assertEquals(bundle("lib"), bundle("user").adapt(BundleWiring.class).getRequiredWires("osgi.wiring.package").stream()
        .filter(w -> "lib.api".equals(w.getCapability().getAttributes().get("osgi.wiring.package"))).findFirst().orElseThrow().getProvider().getBundle());
    assertEquals(List.of("1.0.0"), offered("user"));
    assertEquals(wiring, bundle("other").adapt(BundleWiring.class));
    assertEquals(modified, bundle("other").getLastModified());
    // What its users need may not go, neither with a new version nor with the bundle.
    InstarException gone = refused(ErrorCode.BUNDLE_UNRESOLVED, update("lib", "2.0.0", EXPORT, "lib.api;version=2.0"));
    assertTrue(gone.getMessage().contains("user 1.0.0 needs package lib.api [1.0.0,2.0.0) (the node has 2.0.0)"), gone::getMessage);
    refused(ErrorCode.BUNDLE_UNRESOLVED, new Change.Uninstall("lib"));
    List<String> before = bundles();
    assertEquals(State.ROLLED_BACK, make(update("lib", "1.2.0", EXPORT, "lib.api;version=1.2", "Fails", "yes")).state());
    assertEquals(before, bundles());
    assertEquals(List.of("1.1.0"), offered("lib"));
    assertEquals(List.of("1.0.0"), offered("user"));
  }

  @Test
  void aBundleThatMayOverlapStartsBeforeTheOneItReplacesStops() throws Exception {
    done(install("a", "1.0.0", "Instar-Update", "overlap"));
    List<String> events = Collections.synchronizedList(new ArrayList<>());
    framework.context().addServiceListener(e -> events.add((e.getType() == ServiceEvent.REGISTERED ? "+" : "-") + e.getServiceReference().getProperty("version")), "(objectClass=java.util.concurrent.Callable)");
    done(update("a", "1.1.0", "Instar-Update", "overlap"));
    done(update("a", "1.2.0"));
    assertEquals(List.of("+1.1.0", "-1.0.0", "-1.1.0", "+1.2.0"), events);
  }

  @Test
  void aFeatureComesAndGoesAsAWhole() throws Exception {
    assertEquals("extra false false", shown(deployer.features()));
    assertEquals(List.of("INSTALL extra 1.0.0", "INSTALL extra.api 1.0.0"), steps(deployer.plan(new Change.ApplyShippedFeature("extra"))));
    done(new Change.ApplyShippedFeature("extra"));
    assertEquals("extra true true", shown(deployer.features()));
    assertEquals(List.of("1.0.0"), offered("extra"));
    // Applied again it changes nothing, and what another feature lists stays.
    assertEquals(List.of("KEEP extra 1.0.0 is there already", "KEEP extra.api 1.0.0 is there already"), steps(done(new Change.ApplyShippedFeature("extra")).plan()));
    done(new Change.ApplyFeature(in(feature("mine", "x:extra.api:1.0.0", "x:shipped:1.0.0").getBytes(StandardCharsets.UTF_8))));
    assertEquals(List.of("UNINSTALL extra 1.0.0"), steps(done(new Change.RemoveFeature("extra")).plan()));
    assertEquals(List.of("1.0.0"), offered("extra.api"));
    assertEquals("extra false false, mine true true", shown(deployer.features()));
    refused(ErrorCode.BUNDLE_UNRESOLVED, new Change.ApplyFeature(in(feature("bad", "x:nowhere:1.0.0", "x:extra:1.0.0").getBytes(StandardCharsets.UTF_8))));
    refused(ErrorCode.BUNDLE_REFUSED, new Change.ApplyFeature(in("{\"id\":\"a:b:1\"".getBytes(StandardCharsets.UTF_8))));
    refused(ErrorCode.BUNDLE_REFUSED, new Change.ApplyFeature(in("{\"id\":\"a:b:1\",\"configurations\":{}}".getBytes(StandardCharsets.UTF_8))));
    refused(ErrorCode.FEATURE_NOT_FOUND, new Change.ApplyShippedFeature("nowhere"));
    refused(ErrorCode.CONFLICT, new Change.RemoveFeature("extra"));
  }

  @Test
  void aFeatureWithNativeCodeGoesButForWhatHoldsIt() throws Exception {
    Path home = directory.resolve("home");
    Files.write(home.resolve("bundles/dev.instar.native.some-1.0.0.jar"), Jars.bundle("dev.instar.native.some", "1.0.0"));
    Files.writeString(home.resolve("features/some.json"), feature("some", "extra.api:extra.api:1.0.0", "x:dev.instar.native.some:1.0.0"));
    done(new Change.ApplyShippedFeature("some"));
    List<String> stays = List.of("KEEP dev.instar.native.some 1.0.0 stays until the node stops, since it holds native code; not there at the next start", "UNINSTALL extra.api 1.0.0");
    assertEquals(stays, steps(done(new Change.RemoveFeature("some")).plan()));
    assertEquals(List.of("1.0.0"), offered("dev.instar.native.some"));
    assertFalse(stored().contains("native"), stored());
    // Applied again, it comes back with the node again.
    assertEquals(List.of("KEEP dev.instar.native.some 1.0.0 is there already", "INSTALL extra.api 1.0.0"), steps(done(new Change.ApplyShippedFeature("some")).plan()));
    assertTrue(stored().contains("\"name\":\"dev.instar.native.some\",\"version\":\"1.0.0\""), stored());
    assertEquals(stays, steps(done(new Change.RemoveFeature("some")).plan()));
  }

  private static String shown(List<FeatureStatus> features) {
    return String.join(", ", features.stream().map(f -> f.name() + " " + f.present() + " " + f.applied()).toList());
  }

  @Test
  void whatLiesInTheWatchedDirectoryIsDeployed() throws Exception {
    Path watched = directory.resolve("data/deploy");
    configure("dev.instar.watch", "settle-ms", 200);
    eventually(() -> Files.isDirectory(watched));
    byte[] jar = Jars.bundle("dropped", "1.0.0", IMPORT, "later.api");
    Files.write(watched.resolve("half.jar"), Arrays.copyOf(jar, jar.length / 2));
    eventually(() -> framework.logged(Level.ERROR).stream().anyMatch(m -> m.startsWith("half.jar is not deployed: ") && m.endsWith("(bundle-refused)")));
    Files.write(watched.resolve("half.jar"), jar);
    eventually(() -> framework.logged(Level.ERROR).stream().anyMatch(m -> m.contains("needs package later.api") && m.endsWith("(bundle-unresolved)")));
    // It is tried again when what it lacks has come.
    done(install("later", "1.0.0", EXPORT, "later.api"));
    eventually(() -> offered("dropped").equals(List.of("1.0.0")));
    Files.write(watched.resolve("half.jar"), Jars.bundle("dropped", "1.1.0"));
    eventually(() -> offered("dropped").equals(List.of("1.1.0")));
    Files.write(watched.resolve("half.jar"), Jars.bundle("renamed", "1.0.0"));
    eventually(() -> offered("renamed").equals(List.of("1.0.0")) && offered("dropped").isEmpty());
    Files.delete(watched.resolve("half.jar"));
    eventually(() -> offered("renamed").isEmpty());
    Files.write(watched.resolve("new.jar"), Jars.bundle("shipped", "3.0.0"));
    Files.writeString(watched.resolve("some.json"), feature("extra", "extra:extra:1.0.0", "extra.api:extra.api:1.0.0"));
    eventually(() -> offered("shipped").equals(List.of("3.0.0")) && offered("extra").equals(List.of("1.0.0")));
    Files.delete(watched.resolve("new.jar"));
    Files.delete(watched.resolve("some.json"));
    eventually(() -> offered("shipped").equals(List.of("1.0.0")) && offered("extra").isEmpty());
    Files.setPosixFilePermissions(watched, PosixFilePermissions.fromString("rwxrwxrwx"));
    eventually(() -> framework.logged(Level.ERROR).stream().anyMatch(m -> m.contains("is not watched: ") && m.contains("may be written by other users")));
    Files.write(watched.resolve("evil.jar"), Jars.bundle("evil", "1.0.0"));
    Files.setPosixFilePermissions(watched.resolve("evil.jar"), PosixFilePermissions.fromString("rw-rw-rw-"));
    Files.setPosixFilePermissions(watched, PosixFilePermissions.fromString("rwx------"));
    eventually(() -> framework.logged(Level.ERROR).stream().anyMatch(m -> m.startsWith("evil.jar is not deployed: ") && m.contains("may be written by other users")));
    assertEquals(List.of(), offered("evil"));
  }

  private void configure(String pid, String key, Object value) throws Exception {
    Configuration configuration = framework.service(ConfigurationAdmin.class).getConfiguration(pid, "?");
    Hashtable<String, Object> values = new Hashtable<>();
    values.put(key, value);
    configuration.update(values);
  }

  private static void eventually(Callable<Boolean> condition) throws Exception {
    long end = System.nanoTime() + Duration.ofSeconds(40).toNanos();
    while (!condition.call()) {
      assertTrue(System.nanoTime() < end, "not within 40 s");
      Thread.sleep(20);
    }
  }
}
