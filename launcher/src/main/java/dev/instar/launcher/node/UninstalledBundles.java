package dev.instar.launcher.node;

import java.lang.reflect.Field;
import java.util.Map;
import java.util.Optional;
import org.osgi.framework.BundleEvent;
import org.osgi.framework.SynchronousBundleListener;
import org.osgi.framework.launch.Framework;

/**
 * Felix (7.0.5 is the newest) does not forget a bundle that has got a service, as long as the service is there: its registry drops the record of what a bundle uses when the
 * service goes, or, of prototypes, when the last is given back, and never when the bundle goes ({@code ServiceRegistry.ungetService}). So every version that was ever replaced
 * would stay, some 27 KB without its classes. There is no method for it, so the record is taken out of the registry's table. Where a later Felix has no such table,
 * nothing is done; a test says whether it forgets by itself.
 */
final class UninstalledBundles {
  private UninstalledBundles() {}

  /** To be called once, before any bundle can go. */
  static void forget(Framework framework) {
    inUse(framework).ifPresent(inUse -> framework.getBundleContext().addBundleListener((SynchronousBundleListener) event -> {
      if (event.getType() == BundleEvent.UNINSTALLED) {
        inUse.remove(event.getBundle());
      }
    }));
  }

  /** What each bundle uses. */
  private static Optional<Map<?, ?>> inUse(Framework framework) {
    try {
      return value(framework, "m_registry").flatMap(registry -> value(registry, "m_inUseMap")).filter(Map.class::isInstance).map(map -> (Map<?, ?>) map);
    } catch (RuntimeException e) {
      return Optional.empty();
    }
  }

  private static Optional<Object> value(Object of, String name) {
    try {
      Field field = of.getClass().getDeclaredField(name);
      field.setAccessible(true);
      return Optional.ofNullable(field.get(of));
    } catch (ReflectiveOperationException e) {
      return Optional.empty();
    }
  }
}
