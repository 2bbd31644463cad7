package dev.instar.operations;

import java.util.Dictionary;
import java.util.Hashtable;
import java.util.concurrent.Callable;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleActivator;
import org.osgi.framework.BundleContext;
import org.osgi.framework.ServiceFactory;
import org.osgi.framework.ServiceRegistration;

/**
 * The activator of a test's bundles: offers a service that answers with its bundle's version; fails where the header {@code Fails} is set. Where there is a header
 * {@code Also}, it offers a service of that name, too, which nobody can use.
 */
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
    String also = context.getBundle().getHeaders().get("Also");
    if (also != null) {
      context.registerService(also, new Unusable(), null);
    }
  }

  @Override
  public void stop(BundleContext context) {}

  /** A factory, of whose services the framework knows no class. */
  private static final class Unusable implements ServiceFactory<Object> {
    @Override
    public Object getService(Bundle bundle, ServiceRegistration<Object> registration) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void ungetService(Bundle bundle, ServiceRegistration<Object> registration, Object service) {}
  }
}
