package dev.instar.operations.deploy;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.operations.Change;
import dev.instar.api.operations.Plan.Action;
import dev.instar.api.operations.Plan.Step;
import dev.instar.operations.BundleSignature;
import dev.instar.operations.deploy.Deployed.Applied;
import dev.instar.operations.deploy.Deployed.Draft;
import dev.instar.operations.deploy.Deployed.Entry;
import dev.instar.operations.deploy.Work.Replacement;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;
import org.osgi.framework.Bundle;

/** Says in terms of the framework what one change is; refuses one that makes no sense for what is there. */
final class Changes implements AutoCloseable {
  static final String API = "api";
  private final Bundles bundles;
  private final Store store;
  private final Distribution distribution;
  private final long maxBytes;
  private final Optional<BundleSignature> signature;
  private final List<Path> received = new ArrayList<>();
  private Optional<BundleJar> sentJar = Optional.empty();
  private Optional<FeatureFile> sentFeature = Optional.empty();

  Changes(Bundles bundles, Store store, Distribution distribution, long maxBytes, Optional<BundleSignature> signature) {
    this.bundles = bundles;
    this.store = store;
    this.distribution = distribution;
    this.maxBytes = maxBytes;
    this.signature = signature;
  }

  /** Takes in and checks what comes with a change, to its end. Needs no place: whoever sends slowly keeps no other change waiting. */
  void receive(Change change) throws IOException {
    switch (change) {
      case Change.Install install -> sentJar = Optional.of(receive(install.jar()));
      case Change.Update update -> sentJar = Optional.of(receive(update.jar()));
      case Change.ApplyFeature apply -> {
        byte[] json = apply.json().readNBytes(FeatureFile.MAX_BYTES + 1);
        if (json.length > FeatureFile.MAX_BYTES) {
          throw new InstarException(ErrorCode.TOO_LARGE, "The feature has more than " + FeatureFile.MAX_BYTES + " bytes.", Map.of("limitBytes", FeatureFile.MAX_BYTES));
        }
        sentFeature = Optional.of(FeatureFile.read(json));
      }
      case Change.Start _, Change.Stop _, Change.Uninstall _, Change.ApplyShippedFeature _, Change.RemoveFeature _ -> { }
    }
  }

  /** Of a change that was {@link #receive received}. */
  Work of(Change change) throws IOException {
    return switch (change) {
      case Change.Install _ -> {
        BundleJar jar = sentJar.orElseThrow();
        bundles.named(jar.name()).ifPresent(there -> {
          throw new InstarException(ErrorCode.CONFLICT, "There is " + Bundles.shown(there) + " already. To put version " + jar.version() + " in its place, update it ('instar bundles update', PUT /v1/bundles/"
              + jar.name() + ").", Map.of("bundle", jar.name()));
        });
        yield put(jar, API);
      }
      case Change.Update update -> {
        Bundle former = bundles.find(update.bundle());
        BundleJar jar = sentJar.orElseThrow();
        if (!jar.name().equals(former.getSymbolicName())) {
          throw new InstarException(ErrorCode.CONFLICT, "The jar is of the bundle " + jar.name() + " and not of " + former.getSymbolicName() + ".", Map.of("bundle", jar.name()));
        }
        yield put(jar, API);
      }
      case Change.Start start -> {
        Bundle bundle = bundles.find(start.bundle());
        yield new Work("start " + Bundles.shown(bundle), List.of(), Bundles.runs(bundle) ? List.of() : List.of(bundle), List.of(),
            Bundles.runs(bundle) ? List.of(kept(bundle, "runs already")) : List.of(), draft -> draft.stopped.remove(bundle.getSymbolicName()));
      }
      case Change.Stop stop -> {
        Bundle bundle = bundles.find(stop.bundle());
        boolean runs = Bundles.runs(bundle);
        yield new Work("stop " + Bundles.shown(bundle), List.of(), List.of(), runs ? List.of(bundle) : List.of(), runs ? List.of() : List.of(kept(bundle, "does not run")),
            draft -> draft.stopped.add(bundle.getSymbolicName()));
      }
      case Change.Uninstall uninstall -> uninstall(uninstall.bundle());
      case Change.ApplyFeature _ -> apply(sentFeature.orElseThrow(), API);
      case Change.ApplyShippedFeature apply -> apply(distribution.feature(apply.name()).orElseThrow(() -> noFeature(apply.name())), API);
      case Change.RemoveFeature remove -> remove(remove.name());
    };
  }

  /** Installs a jar that was received, or puts it in the place of an older version. */
  Work put(Store.Received received, String origin) throws IOException {
    return put(signed(read(received)), origin);
  }

  /** Takes a bundle away; what was deployed and did not come back at the start is forgotten. */
  Work uninstall(String which) throws IOException {
    Optional<Entry> entry = Optional.ofNullable(store.state().bundles().get(which));
    return entry.isPresent() && bundles.named(which).isEmpty() ? forget(entry.get(), List.of()) : uninstall(bundles.find(which));
  }

  private static Work forget(Entry entry, List<Step> kept) {
    List<Step> steps = new ArrayList<>(kept);
    steps.add(new Step(Action.UNINSTALL, entry.name(), entry.version().toString(), "was deployed and does not run"));
    return new Work("forget " + entry.name() + " " + entry.version(), List.of(), List.of(), List.of(), steps, draft -> draft.bundles.remove(entry.name()));
  }

  private BundleJar receive(InputStream in) throws IOException {
    return signed(read(store.receive(in, maxBytes)));
  }

  private BundleJar read(Store.Received jar) throws IOException {
    received.add(jar.file());
    return BundleJar.read(jar.file(), jar.digest());
  }

  /** Of a copy that only the node can write. */
  private BundleJar signed(BundleJar jar) {
    signature.ifPresent(s -> s.check(jar.file(), jar.name()));
    return jar;
  }

  /** Deletes what was received for it and has not been kept. */
  @Override
  public void close() {
    received.forEach(store::discard);
  }

  private static Step kept(Bundle bundle, String why) {
    return new Step(Action.KEEP, bundle.getSymbolicName(), bundle.getVersion().toString(), why);
  }

  private Work put(BundleJar jar, String origin) {
    Optional<Bundle> former = bundles.named(jar.name());
    former.ifPresent(there -> {
      int newer = jar.version().compareTo(there.getVersion());
      if (newer <= 0) {
        throw new InstarException(ErrorCode.CONFLICT, newer == 0 ? "The node has version " + jar.version() + " of " + jar.name() + " already. Build the jar with a higher version."
            : "The node has version " + there.getVersion() + " of " + jar.name() + ", which is newer than " + jar.version() + ". To go back, uninstall that one first.", Map.of("bundle", jar.name()));
      }
    });
    boolean start = former.map(b -> Bundles.runs(b) || !store.state().stopped().contains(jar.name())).orElse(true);
    return new Work((former.isPresent() ? "update " + jar.name() + " to " + jar.version() : "install " + jar), List.of(new Replacement(former, Optional.of(jar), start)), List.of(), List.of(),
        List.of(), draft -> enter(draft, jar, former, origin));
  }

  private void enter(Draft draft, BundleJar jar, Optional<Bundle> former, String origin) {
    Entry before = draft.bundles.get(jar.name());
    Optional<String> replaced = before != null ? before.replaced() : former.flatMap(distribution::jarOf);
    draft.bundles.put(jar.name(), new Entry(jar.name(), jar.version(), jar.digest(), origin, replaced));
    draft.absent.remove(jar.name());
    if (former.isEmpty()) {
      draft.stopped.remove(jar.name());
    }
  }

  private Work uninstall(Bundle bundle) throws IOException {
    String name = bundle.getSymbolicName();
    Entry entry = store.state().bundles().get(name);
    if (entry != null && !entry.version().equals(bundle.getVersion())) {
      return forget(entry, List.of(kept(bundle, "is of the distribution")));
    }
    Optional<Path> back = entry == null ? Optional.empty() : entry.replaced().map(distribution::jar).filter(Files::exists);
    Consumer<Draft> edit = draft -> {
      draft.bundles.remove(name);
      if (entry == null) {
        draft.absent.add(name);
      }
      if (back.isEmpty()) {
        draft.stopped.remove(name);
      }
    };
    if (back.isPresent()) {
      BundleJar former = BundleJar.read(back.get(), Digest.of(Files.readAllBytes(back.get())));
      boolean start = Bundles.runs(bundle) || !store.state().stopped().contains(name);
      return new Work("uninstall " + Bundles.shown(bundle) + ", back to " + former.version() + " of the distribution", List.of(new Replacement(Optional.of(bundle), Optional.of(former), start)),
          List.of(), List.of(), List.of(), edit);
    }
    return new Work("uninstall " + Bundles.shown(bundle), List.of(new Replacement(Optional.of(bundle), Optional.empty(), false)), List.of(), List.of(), List.of(), edit);
  }

  Work apply(FeatureFile feature, String origin) throws IOException {
    List<Replacement> replacements = new ArrayList<>();
    List<Step> kept = new ArrayList<>();
    Set<String> names = new TreeSet<>();
    Set<String> added = new TreeSet<>();
    List<String> missing = new ArrayList<>();
    List<Consumer<Draft>> edits = new ArrayList<>();
    Catalogue catalogue = distribution.catalogue();
    for (String id : feature.bundles()) {
      Optional<Catalogue.Item> item = catalogue.find(id);
      if (item.isEmpty()) {
        missing.add(id);
        continue;
      }
      String name = item.get().name();
      names.add(name);
      Optional<Bundle> there = bundles.named(name);
      if (there.isPresent() && there.get().getVersion().compareTo(item.get().version()) >= 0) {
        kept.add(kept(there.get(), "is there already"));
        Optional<Path> left = left(there.get());
        if (left.isPresent()) {
          BundleJar again = BundleJar.read(left.get(), Digest.of(Files.readAllBytes(left.get())));
          edits.add(draft -> enter(draft, again, Optional.empty(), "feature " + feature.name()));
          added.add(name);
        }
        continue;
      }
      BundleJar jar;
      try (InputStream in = Files.newInputStream(item.get().file())) {
        jar = read(store.receive(in, maxBytes));
      }
      Work one = put(jar, "feature " + feature.name());
      replacements.addAll(one.replacements());
      edits.add(one.edit());
      if (there.isEmpty()) {
        added.add(name);
      }
    }
    if (!missing.isEmpty()) {
      throw new InstarException(ErrorCode.BUNDLE_UNRESOLVED, "The feature " + feature.id() + " lists what neither the distribution has nor was deployed: " + String.join(", ", missing)
          + ". Install these bundles first.", Map.of("missing", missing));
    }
    edits.add(draft -> {
      Applied before = draft.features.get(feature.name());
      if (before != null) {
        added.addAll(before.added());
        added.retainAll(names);
      }
      draft.features.put(feature.name(), new Applied(feature.name(), feature.id(), feature.description(), feature.bundles(), names, added, origin));
    });
    return new Work("apply feature " + feature.id(), replacements, List.of(), List.of(), kept, draft -> edits.forEach(e -> e.accept(draft)));
  }

  /** The jar of a bundle that was deployed, had to stay when its feature was removed, and would not come back with the node. */
  private Optional<Path> left(Bundle bundle) {
    boolean entered = store.state().bundles().containsKey(bundle.getSymbolicName());
    return entered || !Bundles.holdsNativeCode(bundle) || distribution.jarOf(bundle).isPresent() ? Optional.empty() : Distribution.file(bundle).filter(Files::exists);
  }

  Work remove(String name) throws IOException {
    Applied feature = store.state().features().get(name);
    if (feature == null) {
      if (distribution.feature(name).isPresent()) {
        throw new InstarException(ErrorCode.CONFLICT, "The feature " + name + " was not applied to the running node, so nothing came with it that could go; a node starts with it by 'instar run --feature " + name + "'.");
      }
      throw noFeature(name);
    }
    Set<String> going = new TreeSet<>(feature.added());
    store.state().features().values().stream().filter(f -> !f.name().equals(name)).forEach(f -> going.removeAll(f.names()));
    List<Replacement> replacements = new ArrayList<>();
    List<Step> kept = new ArrayList<>();
    List<Consumer<Draft>> edits = new ArrayList<>();
    for (String bundle : going) {
      Optional<Bundle> there = bundles.named(bundle);
      if (there.isPresent()) {
        Work one = uninstall(there.get());
        if (Bundles.holdsNativeCode(there.get())) {
          kept.add(kept(there.get(), "stays until the node stops, since it holds native code; not there at the next start"));
        } else {
          replacements.addAll(one.replacements());
        }
        edits.add(one.edit());
      }
    }
    edits.add(draft -> draft.features.remove(name));
    return new Work("remove feature " + feature.id(), replacements, List.of(), List.of(), kept, draft -> edits.forEach(e -> e.accept(draft)));
  }

  private InstarException noFeature(String name) {
    return new InstarException(ErrorCode.FEATURE_NOT_FOUND, "There is no feature '" + name.replaceAll("[^ -~]", "?") + "'; there are: " + String.join(", ", distribution.features().stream().map(FeatureFile::name).toList()) + ".");
  }
}
