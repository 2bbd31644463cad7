package dev.instar.operations.deploy;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.Constants;
import org.osgi.framework.ServiceReference;
import org.osgi.framework.wiring.BundleRevision;
import org.osgi.framework.wiring.BundleWire;
import org.osgi.framework.wiring.BundleWiring;
import org.osgi.framework.wiring.FrameworkWiring;

/** The bundles that are installed, and how they hang together. */
final class Bundles {
  private final BundleContext context;

  Bundles(BundleContext context) {
    this.context = context;
  }

  List<Bundle> all() {
    return Arrays.stream(context.getBundles()).sorted(Comparator.comparingLong(Bundle::getBundleId)).toList();
  }

  /** The newest of a name. */
  Optional<Bundle> named(String name) {
    return all().stream().filter(b -> name.equals(b.getSymbolicName())).max(Comparator.comparing(Bundle::getVersion));
  }

  /** By symbolic name, or by id. @throws InstarException BUNDLE_NOT_FOUND */
  Bundle find(String which) {
    Optional<Bundle> found = named(which);
    if (found.isEmpty() && which.matches("[0-9]{1,18}")) {
      found = Optional.ofNullable(context.getBundle(Long.parseLong(which)));
    }
    String shown = which.replaceAll("[^ -~]", "?");
    return found.orElseThrow(() -> new InstarException(ErrorCode.BUNDLE_NOT_FOUND,
        "There is no bundle " + (shown.length() > 200 ? shown.substring(0, 200) + "..." : shown) + "; 'instar bundles list' and GET /v1/bundles tell which there are."));
  }

  FrameworkWiring wiring() {
    return context.getBundle(Constants.SYSTEM_BUNDLE_LOCATION).adapt(FrameworkWiring.class);
  }

  /** What has to be refreshed with these, and not these. */
  Set<Bundle> dependents(Collection<Bundle> bundles) {
    Set<Bundle> closure = bundles.isEmpty() ? new LinkedHashSet<>() : new LinkedHashSet<>(wiring().getDependencyClosure(bundles));
    bundles.forEach(closure::remove);
    return closure;
  }

  /** Why a bundle stays for as long as the node runs; empty when it needs not. */
  String stays(Bundle bundle) {
    String name = String.valueOf(bundle.getSymbolicName());
    return bundle.getBundleId() == 0 ? "it is the framework"
        : name.equals("dev.instar.listener") ? "it holds the connections of callers"
        : name.startsWith("dev.instar.api.") ? "all parts of the node are wired to it"
        : holdsNativeCode(bundle) ? "native code is loaded once in the life of a process"
        : foundation().contains(bundle) ? "deployment itself runs on it" : "";
  }

  static boolean holdsNativeCode(Bundle bundle) {
    return String.valueOf(bundle.getSymbolicName()).startsWith("dev.instar.native");
  }

  /** This bundle and all that it is wired to. */
  private Set<Bundle> foundation() {
    Set<Bundle> found = new HashSet<>();
    ArrayDeque<Bundle> open = new ArrayDeque<>(List.of(context.getBundle()));
    while (!open.isEmpty()) {
      Bundle bundle = open.remove();
      BundleWiring wiring = bundle.adapt(BundleWiring.class);
      if (found.add(bundle) && wiring != null) {
        for (BundleWire wire : wiring.getRequiredWires(null)) {
          open.add(wire.getProvider().getBundle());
        }
      }
    }
    return found;
  }

  /** What a bundle that is refreshed uses of those for whose sake it is. */
  static String uses(Bundle bundle, Collection<Bundle> of) {
    Set<String> used = new TreeSet<>();
    Set<String> whose = new TreeSet<>();
    BundleWiring wiring = bundle.adapt(BundleWiring.class);
    if (wiring != null) {
      for (BundleWire wire : wiring.getRequiredWires(null)) {
        if (of.contains(wire.getProvider().getBundle())) {
          used.add(String.valueOf(wire.getCapability().getAttributes().getOrDefault(wire.getCapability().getNamespace(), wire.getCapability().getNamespace())));
          whose.add(wire.getProvider().getBundle().getSymbolicName());
        }
      }
    }
    return used.isEmpty() ? "depends on what is refreshed" : "uses " + String.join(", ", used) + " of " + String.join(", ", whose);
  }

  /** The interfaces of the services that it offers. */
  static Set<String> offers(Bundle bundle) {
    Set<String> offered = new TreeSet<>();
    ServiceReference<?>[] services = bundle.getRegisteredServices();
    if (services != null) {
      for (ServiceReference<?> service : services) {
        offered.addAll(List.of((String[]) service.getProperty(Constants.OBJECTCLASS)));
      }
    }
    return offered;
  }

  static boolean fragment(Bundle bundle) {
    BundleRevision revision = bundle.adapt(BundleRevision.class);
    return revision != null && (revision.getTypes() & BundleRevision.TYPE_FRAGMENT) != 0;
  }

  /** Active, or waiting for the first use that activates it. */
  static boolean runs(Bundle bundle) {
    return bundle.getState() == Bundle.ACTIVE || bundle.getState() == Bundle.STARTING;
  }

  static String state(Bundle bundle) {
    return switch (bundle.getState()) {
      case Bundle.INSTALLED -> "installed";
      case Bundle.RESOLVED -> "resolved";
      case Bundle.STARTING -> "starting";
      case Bundle.ACTIVE -> "active";
      case Bundle.STOPPING -> "stopping";
      default -> "uninstalled";
    };
  }

  static String shown(Bundle bundle) {
    return bundle.getSymbolicName() + " " + bundle.getVersion();
  }
}
