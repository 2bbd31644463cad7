package dev.instar.operations;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.BundleException;
import org.osgi.framework.Constants;
import org.osgi.framework.InvalidSyntaxException;
import org.osgi.framework.ServiceReference;
import org.osgi.framework.launch.FrameworkFactory;
import org.slf4j.LoggerFactory;

/** A Felix framework in this process with our bundle in it. Packages that tests talk with are those of the test's class path. */
final class Framework implements AutoCloseable {
  private static final List<String> SHARED = List.of("org.slf4j;version=2.0.17", "org.slf4j.event;version=2.0.17", "org.slf4j.spi;version=2.0.17",
      "org.osgi.service.cm;version=1.6.1", "org.osgi.service.log;version=1.5.0", "com.fasterxml.jackson.core;version=2.22.4",
      "com.fasterxml.jackson.core.exc;version=2.22.4", "com.fasterxml.jackson.core.io;version=2.22.4",
      "com.fasterxml.jackson.databind.exc;version=2.22.4", "com.fasterxml.jackson.core.json;version=2.22.4", "com.fasterxml.jackson.databind;version=2.22.4",
      "com.fasterxml.jackson.databind.json;version=2.22.4",
      "com.fasterxml.jackson.databind.cfg;version=2.22.4", "com.fasterxml.jackson.databind.node;version=2.22.4", "dev.instar.api;version=0.1.0",
      "dev.instar.api.function;version=0.1.0", "dev.instar.api.http;version=0.1.0", "dev.instar.api.image;version=0.1.0",
      "dev.instar.api.invocation;version=0.1.0", "dev.instar.api.operations;version=0.1.0", "dev.instar.api.data;version=0.1.0",
      "dev.instar.api.log;version=0.1.0", "dev.instar.api.lease;version=0.1.0", "dev.instar.api.placement;version=0.1.0", "dev.instar.api.sandbox;version=0.1.0",
      "dev.instar.api.secret;version=0.1.0", "dev.instar.api.snapshot;version=0.1.0",
      "org.apache.felix.hc.api;version=2.0.0");

  private final org.osgi.framework.launch.Framework framework;
  private final ListAppender<ILoggingEvent> log = new ListAppender<>();

  Framework(Path storage, Map<String, String> properties) throws Exception {
    Logger root = (Logger) LoggerFactory.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME);
    root.setLevel(Level.INFO);
    log.start();
    root.addAppender(log);
    Map<String, String> all = new HashMap<>(properties);
    all.put(Constants.FRAMEWORK_STORAGE, storage.toString());
    all.put(Constants.FRAMEWORK_SYSTEMPACKAGES_EXTRA, String.join(",", SHARED));
    framework = ServiceLoader.load(FrameworkFactory.class).findFirst().orElseThrow().newFramework(all);
    framework.start();
    if (framework.getBundleContext().getBundles().length == 1) {
      for (String library : List.of("org.osgi.util.function", "org.osgi.util.promise", "org.osgi.util.pushstream", "org.osgi.service.component-",
          "org.apache.felix.configadmin", "org.apache.felix.log", "org.apache.felix.scr")) {
        install(jar(library)).start();
      }
    }
  }

  /** Installs our own bundle and starts it. */
  Bundle startOperations() throws Exception {
    Bundle bundle = install(Path.of(System.getProperty("instar.bundle")));
    bundle.start();
    return bundle;
  }

  /** A jar of the test's class path. */
  static Path jar(String name) {
    for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
      Path path = Path.of(entry);
      if (path.getFileName().toString().startsWith(name) && entry.endsWith(".jar")) {
        return path;
      }
    }
    throw new AssertionError(name + " is not on the class path");
  }

  Bundle install(Path jar) throws BundleException {
    return context().installBundle("reference:" + jar.toUri());
  }

  /** A bundle that has nothing but a Metatype document. */
  Bundle install(String name, String metatype) throws BundleException, IOException {
    Manifest manifest = new Manifest();
    manifest.getMainAttributes().putValue("Manifest-Version", "1.0");
    manifest.getMainAttributes().putValue(Constants.BUNDLE_MANIFESTVERSION, "2");
    manifest.getMainAttributes().putValue(Constants.BUNDLE_SYMBOLICNAME, name);
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (JarOutputStream jar = new JarOutputStream(bytes, manifest)) {
      jar.putNextEntry(new JarEntry("OSGI-INF/metatype/some.xml"));
      jar.write(metatype.getBytes(StandardCharsets.UTF_8));
    }
    return context().installBundle("memory:" + name, new ByteArrayInputStream(bytes.toByteArray()));
  }

  BundleContext context() {
    return framework.getBundleContext();
  }

  <T> T service(Class<T> type) throws InvalidSyntaxException {
    // All of them: our classes are on the test's class path too, and the framework takes a service of these for one of another's.
    ServiceReference<?>[] references = context().getAllServiceReferences(type.getName(), null);
    return references == null ? null : type.cast(context().getService(references[0]));
  }

  /** Messages of the node's log, of this level. */
  List<String> logged(Level level) {
    synchronized (log) {
      return new ArrayList<>(log.list).stream().filter(e -> e.getLevel() == level).map(ILoggingEvent::getFormattedMessage).toList();
    }
  }

  @Override
  public void close() throws Exception {
    framework.stop();
    framework.waitForStop(10_000);
    ((Logger) LoggerFactory.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME)).detachAppender(log);
  }
}
