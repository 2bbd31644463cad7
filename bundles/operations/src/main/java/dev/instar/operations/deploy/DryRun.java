package dev.instar.operations.deploy;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.osgi.framework.Bundle;
import org.osgi.framework.Version;
import org.osgi.framework.namespace.IdentityNamespace;
import org.osgi.framework.wiring.BundleRevision;
import org.osgi.framework.wiring.BundleWiring;
import org.osgi.resource.Capability;
import org.osgi.resource.Requirement;
import org.osgi.resource.Resource;
import org.osgi.resource.Wiring;
import org.osgi.service.resolver.HostedCapability;
import org.osgi.service.resolver.ResolutionException;
import org.osgi.service.resolver.ResolveContext;
import org.osgi.service.resolver.Resolver;

/**
 * Whether bundles would resolve, found by the resolver that the framework uses itself, over the wirings that there are: those of the bundles that
 * stay are as they are, those that are refreshed and those that come are resolved anew. It changes nothing.
 */
final class DryRun extends ResolveContext {
  private final Map<Resource, Wiring> wirings = new HashMap<>();
  private final Set<Resource> mandatory = new LinkedHashSet<>();
  private final List<Resource> all = new ArrayList<>();

  /**
   * @param stay bundles that nothing happens to
   * @param again bundles that are refreshed
   * @param come what is installed
   */
  DryRun(Collection<Bundle> stay, Collection<Bundle> again, Collection<Resource> come) {
    for (Bundle bundle : stay) {
      BundleRevision revision = bundle.adapt(BundleRevision.class);
      if (revision != null) {
        all.add(revision);
        BundleWiring wiring = bundle.adapt(BundleWiring.class);
        if (wiring != null) {
          wirings.put(revision, wiring);
        }
      }
    }
    for (Bundle bundle : again) {
      BundleRevision revision = bundle.adapt(BundleRevision.class);
      if (revision != null) {
        all.add(revision);
        mandatory.add(revision);
      }
    }
    all.addAll(come);
    mandatory.addAll(come);
  }

  /** @throws InstarException BUNDLE_UNRESOLVED with what is missing */
  void check(Resolver resolver) {
    List<String> missing = new ArrayList<>();
    for (Resource resource : mandatory) {
      for (Requirement requirement : resource.getRequirements(null)) {
        if (Needs.mandatory(requirement) && providers(requirement).isEmpty()) {
          missing.add(name(resource) + " needs " + Needs.told(requirement, capabilities(requirement.getNamespace())));
        }
      }
    }
    if (missing.isEmpty()) {
      try {
        resolver.resolve(this);
        return;
      } catch (ResolutionException e) {
        // What is there, but can't be had by itself or together: the resolver's own words.
        missing.add(e.getMessage());
      }
    }
    throw new InstarException(ErrorCode.BUNDLE_UNRESOLVED, "It would not resolve, so nothing was changed: " + String.join("; ", missing)
        + ". Deploy what provides that first, or all of it as one feature.", Map.of("missing", missing));
  }

  static String name(Resource resource) {
    for (Capability identity : resource.getCapabilities(IdentityNamespace.IDENTITY_NAMESPACE)) {
      return identity.getAttributes().get(IdentityNamespace.IDENTITY_NAMESPACE) + " " + identity.getAttributes().get(IdentityNamespace.CAPABILITY_VERSION_ATTRIBUTE);
    }
    return resource.toString();
  }

  private List<Capability> capabilities(String namespace) {
    List<Capability> found = new ArrayList<>();
    for (Resource resource : all) {
      Wiring wiring = wirings.get(resource);
      found.addAll(wiring == null ? resource.getCapabilities(namespace) : wiring.getResourceCapabilities(namespace));
    }
    return found;
  }

  private List<Capability> providers(Requirement requirement) {
    List<Capability> found = new ArrayList<>(capabilities(requirement.getNamespace()));
    found.removeIf(c -> !Needs.met(requirement, c));
    // As the framework prefers them: what is resolved already, then the highest version, then the oldest.
    found.sort(Comparator.comparing((Capability c) -> !wirings.containsKey(c.getResource())).thenComparing(DryRun::version, Comparator.reverseOrder())
        .thenComparing(c -> c.getResource() instanceof BundleRevision r ? r.getBundle().getBundleId() : Long.MAX_VALUE));
    return found;
  }

  private static Version version(Capability capability) {
    return capability.getAttributes().get("version") instanceof Version version ? version : Version.emptyVersion;
  }

  @Override
  public Collection<Resource> getMandatoryResources() {
    return mandatory;
  }

  @Override
  public List<Capability> findProviders(Requirement requirement) {
    return providers(requirement);
  }

  @Override
  public int insertHostedCapability(List<Capability> capabilities, HostedCapability hosted) {
    capabilities.add(hosted);
    return capabilities.size() - 1;
  }

  @Override
  public boolean isEffective(Requirement requirement) {
    return Needs.effective(requirement);
  }

  @Override
  public Map<Resource, Wiring> getWirings() {
    return wirings;
  }
}
