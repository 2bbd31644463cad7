package dev.instar.operations.deploy;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.Function;
import dev.instar.api.function.FunctionRegistry;
import dev.instar.api.function.Variant;
import dev.instar.api.invocation.Invoker;
import dev.instar.api.operations.Plan;
import dev.instar.api.operations.Plan.Action;
import dev.instar.api.operations.Plan.Step;
import dev.instar.api.sandbox.BackendDescription;
import dev.instar.api.sandbox.SandboxBackend;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.Constants;
import org.osgi.framework.ServiceReference;
import org.osgi.resource.Resource;
import org.osgi.service.resolver.Resolver;

/** Finds what a piece of work does to the node, and refuses what must not or can't be done. */
final class Planner {
  /** Its class speaks Jetty, which this bundle does not. */
  private static final String HTTP_ENTRY = "dev.instar.api.http.HttpEntry";

  private final BundleContext context;
  private final Bundles bundles;
  private final Resolver resolver;
  private final Supplier<List<Function>> functions;

  Planner(BundleContext context, Bundles bundles, Resolver resolver, Supplier<List<Function>> functions) {
    this.context = context;
    this.bundles = bundles;
    this.resolver = resolver;
    this.functions = functions;
  }

  /** @throws InstarException BUNDLE_STAYS, BUNDLE_UNRESOLVED */
  Plan plan(Work work) {
    List<Bundle> formers = work.formers();
    Set<Bundle> refreshed = bundles.dependents(formers);
    for (Bundle bundle : Stream.concat(formers.stream(), work.stops().stream()).toList()) {
      stays(bundle, bundles.stays(bundle), "");
    }
    for (Bundle bundle : refreshed) {
      stays(bundle, bundles.stays(bundle), ", and it " + Bundles.uses(bundle, all(formers, refreshed)));
    }
    answers(work);
    if (!work.replacements().isEmpty()) {
      List<Bundle> stay = new ArrayList<>(bundles.all());
      stay.removeAll(formers);
      stay.removeAll(refreshed);
      // What did not resolve before does not hinder anybody.
      List<Bundle> again = refreshed.stream().filter(b -> b.getState() != Bundle.INSTALLED).toList();
      new DryRun(stay, again, work.jars().stream().<Resource>map(BundleJar::resource).toList()).check(resolver);
    }
    List<Step> steps = new ArrayList<>(work.kept());
    for (Work.Replacement one : work.replacements()) {
      String former = one.former().map(b -> "replaces " + b.getVersion()).orElse("");
      if (one.next().isPresent()) {
        String stopped = one.start() ? "" : former.isEmpty() ? "stays stopped" : "; stays stopped, as it is";
        steps.add(new Step(one.former().isPresent() ? Action.UPDATE : Action.INSTALL, one.next().get().name(), one.next().get().version().toString(), former + stopped));
      } else {
        steps.add(new Step(Action.UNINSTALL, one.former().orElseThrow().getSymbolicName(), one.former().get().getVersion().toString(), ""));
      }
    }
    for (Bundle bundle : refreshed) {
      steps.add(new Step(Action.REFRESH, String.valueOf(bundle.getSymbolicName()), bundle.getVersion().toString(), Bundles.uses(bundle, all(formers, refreshed))));
    }
    work.stops().forEach(b -> steps.add(new Step(Action.STOP, b.getSymbolicName(), b.getVersion().toString(), "")));
    work.starts().forEach(b -> steps.add(new Step(Action.START, b.getSymbolicName(), b.getVersion().toString(), "")));
    return touched(steps, all(all(formers, refreshed), work.stops()));
  }

  private static Set<Bundle> all(Collection<Bundle> some, Collection<Bundle> others) {
    Set<Bundle> all = new LinkedHashSet<>(some);
    all.addAll(others);
    return all;
  }

  private static void stays(Bundle bundle, String why, String because) {
    if (!why.isEmpty()) {
      throw new InstarException(ErrorCode.BUNDLE_STAYS, "The bundle " + bundle.getSymbolicName() + " stays for as long as the node runs, since " + why + because
          + ". To replace it, put it into the distribution and start the node again.", Map.of("bundle", bundle.getSymbolicName()));
    }
  }

  /** Whoever stops the last part that answers HTTP cannot ask the node to start it again, nor would a restart, since it stays stopped. */
  private void answers(Work work) {
    Set<Bundle> going = new LinkedHashSet<>(work.stops());
    work.replacements().stream().filter(r -> r.next().isEmpty() || !r.start()).forEach(r -> r.former().ifPresent(going::add));
    List<Bundle> entries = bundles.all().stream().filter(b -> Bundles.offers(b).contains(HTTP_ENTRY)).toList();
    if (!entries.isEmpty() && going.containsAll(entries)) {
      String name = entries.getFirst().getSymbolicName();
      throw new InstarException(ErrorCode.BUNDLE_STAYS, "The bundle " + name + " is all that answers HTTP, so nobody could ask the node to start it again. Put another version in its place"
          + " ('instar bundles update'), or stop the node.", Map.of("bundle", name));
    }
  }

  private Plan touched(List<Step> steps, Set<Bundle> disturbed) {
    List<String> backends = new ArrayList<>();
    Set<String> kinds = new LinkedHashSet<>();
    boolean everything = false;
    boolean endsConnection = false;
    for (Bundle bundle : disturbed) {
      Set<String> offered = Bundles.offers(bundle);
      endsConnection |= offered.contains(HTTP_ENTRY);
      everything |= offered.contains(Invoker.class.getName()) || offered.contains(FunctionRegistry.class.getName());
      for (BackendDescription backend : backends(bundle)) {
        backends.add(backend.name());
        kinds.addAll(backend.kinds());
      }
    }
    boolean all = everything || endsConnection;
    List<String> names = !all && backends.isEmpty() ? List.of()
        : functions.get().stream().filter(f -> all || f.activeVersion().spec().variants().stream().anyMatch(v -> runs(v, backends, kinds))).map(f -> f.name().toString()).toList();
    return new Plan(steps, backends, names.stream().limit(Plan.SHOWN_FUNCTIONS).toList(), names.size(), endsConnection);
  }

  private static boolean runs(Variant variant, List<String> backends, Set<String> kinds) {
    return variant.backend().map(backends::contains).orElseGet(() -> kinds.contains(variant.kind()));
  }

  private List<BackendDescription> backends(Bundle bundle) {
    List<BackendDescription> found = new ArrayList<>();
    ServiceReference<?>[] services = bundle.getRegisteredServices();
    for (ServiceReference<?> reference : services == null ? new ServiceReference<?>[0] : services) {
      if (List.of((String[]) reference.getProperty(Constants.OBJECTCLASS)).contains(SandboxBackend.class.getName())) {
        if (context.getService(reference) instanceof SandboxBackend backend) {
          found.add(backend.describe());
        }
        context.ungetService(reference);
      }
    }
    return found;
  }
}
