package dev.instar.operations.deploy;

import dev.instar.operations.deploy.Deployed.Entry;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;
import org.osgi.framework.Bundle;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Looks after the start of a node at what the launcher has brought back of what was deployed: the log says of each bundle why it was not. */
final class Return {
  private static final Logger LOG = LoggerFactory.getLogger(Return.class);
  private final Bundles bundles;
  private final Store store;

  Return(Bundles bundles, Store store) {
    this.bundles = bundles;
    this.store = store;
  }

  void check() throws IOException {
    Set<String> given = new HashSet<>();
    for (Entry entry : store.state().bundles().values()) {
      Optional<Bundle> there = bundles.named(entry.name());
      String instead = there.map(b -> "; " + b.getVersion() + " of the distribution runs instead").orElse("");
      if (there.isPresent() && there.get().getVersion().equals(entry.version())) {
        continue;
      }
      if (there.isPresent() && there.get().getVersion().compareTo(entry.version()) > 0) {
        LOG.info("The distribution has {} {} now, which is newer than {}, which was deployed", entry.name(), there.get().getVersion(), entry.version());
        given.add(entry.name());
      } else if (!Files.exists(store.jar(entry.digest()))) {
        LOG.error("The jar of {} {}, which was deployed, is gone{}. Deploy it again.", entry.name(), entry.version(), instead);
        given.add(entry.name());
      } else if (!store.whole(entry.digest())) {
        LOG.error("The jar of {} {}, which was deployed, is damaged and was set aside{}. Deploy it again.", entry.name(), entry.version(), instead);
        store.setAside(store.jar(entry.digest()));
        given.add(entry.name());
      } else {
        // Kept: what it needs may be there at the next start.
        LOG.error("{} {}, which was deployed, does not resolve with this distribution{}. Deploy a version that does, or uninstall it.", entry.name(), entry.version(), instead);
      }
    }
    if (!given.isEmpty()) {
      store.write(store.state().with(draft -> given.forEach(draft.bundles::remove)));
    }
    Set<Path> inUse = new HashSet<>();
    bundles.all().forEach(b -> Distribution.file(b).ifPresent(inUse::add));
    store.sweep(inUse);
  }
}
