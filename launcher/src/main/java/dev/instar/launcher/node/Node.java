package dev.instar.launcher.node;

import dev.instar.launcher.Distribution;
import dev.instar.launcher.ExitCode;
import dev.instar.launcher.Failure;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.concurrent.CountDownLatch;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.BundleException;
import org.osgi.framework.Constants;
import org.osgi.framework.FrameworkEvent;
import org.osgi.framework.launch.Framework;
import org.osgi.framework.launch.FrameworkFactory;
import org.osgi.framework.startlevel.FrameworkStartLevel;

/** A node in this process: the framework with the bundles of the distribution. */
public final class Node implements AutoCloseable {
  /** What the listener sets once its port is open; the way in which {@code --port 0} becomes a number. */
  public static final String PORT = "dev.instar.listener.port";

  /** What the listener sets instead when the port can't be had. */
  private static final String PROBLEM = "dev.instar.listener.problem";

  /** What the listener sets to the milliseconds that running calls have when the node stops. */
  private static final String DRAIN = "dev.instar.listener.stop-ms";

  /** What the listener sets when it speaks TLS: the file of its certificate. */
  private static final String CERTIFICATE = "dev.instar.listener.certificate";

  private static final Duration STOP = Duration.ofSeconds(30);

  private final Framework framework;
  /** By id: bundles themselves would stay when they are replaced. */
  private final List<Long> started;
  private final String host;
  private final Path data;
  private final Optional<Path> made;

  private Node(Framework framework, List<Long> started, String host, Path data, Optional<Path> made) {
    this.framework = framework;
    this.started = started;
    this.host = host;
    this.data = data;
    this.made = made;
  }

  /** Returns when every bundle has been started; the node may still be getting ready. */
  public static Node start(Distribution distribution, NodeOptions options) throws Failure {
    ListenAddress address = ListenAddress.of(options);
    address.checkFree();
    List<Path> jars = distribution.bundles(options.features());
    System.clearProperty(PORT);
    System.clearProperty(PROBLEM);
    System.clearProperty(CERTIFICATE);
    systemProperties(options).forEach(System::setProperty);
    Map<String, String> properties = frameworkProperties(distribution, options);
    try {
      StartLevels levels = StartLevels.read(distribution.home().resolve("features/start-levels.rules"));
      Optional<Path> made = DataPlace.check(options.data());
      Framework framework = ServiceLoader.load(FrameworkFactory.class, Node.class.getClassLoader()).findFirst().orElseThrow().newFramework(properties);
      framework.init();
      UninstalledBundles.forget(framework);
      try {
        return new Node(framework, bring(framework, jars, levels, DeployedBundles.read(options.data())), address.host(), options.data(), made);
      } catch (BundleException | RuntimeException e) {
        framework.stop();
        throw e;
      }
    } catch (IOException | BundleException e) {
      throw new Failure(ExitCode.FAILED, "The node could not be started: " + e.getMessage(), e);
    }
  }

  /** What the logging bundle and its file are told: it is there before any service, so only a system property reaches it. */
  public static Map<String, String> systemProperties(NodeOptions options) {
    return Map.of("instar.data", options.data().toString(), "logback.configurationFile", options.config().resolve("logback.xml").toUri().toString());
  }

  /** All that the framework is told. */
  public static Map<String, String> frameworkProperties(Distribution distribution, NodeOptions options) throws Failure {
    Map<String, String> properties = new HashMap<>();
    distribution.frameworkProperties(options.data(), options.config()).forEach((k, v) -> properties.put((String) k, (String) v));
    properties.put("instar.home", distribution.home().toString());
    properties.put("instar.data", options.data().toString());
    properties.put("instar.config", options.config().toString());
    properties.put("instar.version", Distribution.version());
    options.port().ifPresent(p -> properties.put("instar.override.dev.instar.listener/port", Integer.toString(p)));
    options.bind().ifPresent(b -> properties.put("instar.override.dev.instar.listener/bind", b));
    properties.putAll(options.properties());
    properties.put(Constants.FRAMEWORK_BEGINNING_STARTLEVEL, "1");
    return properties;
  }

  private static List<Long> bring(Framework framework, List<Path> jars, StartLevels levels, DeployedBundles deployed) throws BundleException {
    BundleContext context = framework.getBundleContext();
    List<Bundle> bundles = new ArrayList<>();
    for (Path jar : jars) {
      bundles.add(DeployedBundles.install(context, "reference:" + jar.toUri(), levels));
    }
    deployed.apply(context, bundles, levels);
    bundles.removeIf(bundle -> bundle.getHeaders().get(Constants.FRAGMENT_HOST) != null || deployed.stopped(bundle));
    for (Bundle bundle : bundles) {
      bundle.start(Bundle.START_ACTIVATION_POLICY);
    }
    framework.start();
    CountDownLatch reached = new CountDownLatch(1);
    framework.adapt(FrameworkStartLevel.class).setStartLevel(levels.last(), event -> reached.countDown());
    try {
      reached.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    return bundles.stream().map(Bundle::getBundleId).toList();
  }

  /**
   * The URL at which it answers, once the listener has its port; waits for that. When the listener says why it can't have it, the node is stopped,
   * and a data directory that was made for it is taken away: nobody could have put anything there, and the reason says all that the log does.
   */
  public URI awaitListening(Duration limit) throws Failure, InterruptedException {
    long end = System.nanoTime() + limit.toNanos();
    String port;
    while ((port = System.getProperty(PORT)) == null) {
      String problem = System.getProperty(PROBLEM);
      if (problem != null) {
        if (stop(STOP)) {
          made.ifPresent(top -> DataPlace.remove(data, top));
        }
        throw new Failure(ExitCode.FAILED, problem);
      }
      if (System.nanoTime() > end) {
        throw new Failure(ExitCode.FAILED, "The node does not listen after " + limit.toSeconds() + " s." + notActive());
      }
      Thread.sleep(5);
    }
    String shown = host.equals("0.0.0.0") ? "127.0.0.1" : host.equals("::") ? "[::1]" : host.contains(":") && !host.startsWith("[") ? "[" + host + "]" : host;
    return URI.create((certificate().isPresent() ? "https://" : "http://") + shown + ":" + port);
  }

  /** The file of its certificate, once it listens and where it speaks TLS. */
  public Optional<Path> certificate() {
    return Optional.ofNullable(System.getProperty(CERTIFICATE)).map(Path::of);
  }

  private String notActive() {
    List<String> names = started.stream().map(context()::getBundle).filter(Objects::nonNull).filter(b -> b.getState() != Bundle.ACTIVE).map(Bundle::getSymbolicName).toList();
    return names.isEmpty() ? "" : " These bundles did not start: " + String.join(", ", names) + ".";
  }

  /** The framework's own. */
  BundleContext context() {
    return framework.getBundleContext();
  }

  /** Until the framework has stopped, by {@link #close} or from within. */
  public void awaitStopped() throws InterruptedException {
    framework.waitForStop(0);
  }

  /** How long calls that run may go on when it stops. */
  public static Duration drain() {
    return Duration.ofMillis(Long.getLong(DRAIN, STOP.toMillis()));
  }

  /**
   * Stops the bundles in the reverse order of their start, the port first: calls in flight end, up to the limit.
   *
   * @return whether it had stopped by then
   */
  public boolean stop(Duration limit) {
    try {
      framework.stop();
      return framework.waitForStop(limit.toMillis()).getType() != FrameworkEvent.WAIT_TIMEDOUT;
    } catch (BundleException e) {
      return false;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  @Override
  public void close() {
    stop(STOP);
  }
}
