package dev.instar.operations;

import java.util.Dictionary;
import java.util.Hashtable;
import java.util.concurrent.Callable;
import org.osgi.framework.BundleActivator;
import org.osgi.framework.BundleContext;

/** The activator of a test's bundles: offers a service that answers with its bundle's version; fails where the header {@code Fails} is set. */
public final class Offer implements BundleActivator {
  @Override
  public void start(BundleContext context) {
    if (context.getBundle().getHeaders().get("Fails") != null) {
      throw new IllegalStateException("this one never starts");
    }
    if (context.getBundle().getHeaders().get("Silent") == null) {
      Dictionary<String, Object> properties = new Hashtable<>();
      properties.put("version", context.getBundle().getVersion().toString());
      Callable<String> answer = () -> context.getBundle().getVersion().toString();
      context.registerService(Callable.class, answer, properties);
    }
  }

  @Override
  public void stop(BundleContext context) {}
}
