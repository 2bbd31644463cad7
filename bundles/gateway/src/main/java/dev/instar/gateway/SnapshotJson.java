package dev.instar.gateway;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.instar.api.Digest;
import dev.instar.api.function.Function;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.snapshot.Extent;
import dev.instar.api.snapshot.SnapshotInfo;
import dev.instar.api.snapshot.SnapshotLayer;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

/** Snapshots as JSON. */
final class SnapshotJson {
  private SnapshotJson() {}

  /** Whose version a user of a snapshot is, by the version's uid. */
  record Functions(Map<String, User> byUid) {
    static final Functions NONE = new Functions(Map.of());

    private record User(FunctionVersion version, boolean active) {}

    static Functions of(List<Function> functions) {
      Map<String, User> byUid = new HashMap<>();
      functions.forEach(function -> function.versions().forEach(version -> byUid.put(version.uid(), new User(version, version.number() == function.active()))));
      return new Functions(byUid);
    }

    private ObjectNode describe(String user) {
      ObjectNode node = Json.object().put("uid", user);
      User known = byUid.get(user);
      if (known != null) {
        node.put("function", known.version().name().toString()).put("version", known.version().number()).put("active", known.active());
      }
      return node;
    }
  }

  /** A snapshot in a list. */
  static ObjectNode of(SnapshotInfo info, Functions functions) {
    SnapshotLayer layer = info.layer();
    ObjectNode node = Json.object().put("id", layer.id().value()).put("parent", layer.parent().map(Digest::value).orElse(null));
    node.put("backend", layer.key().backend()).put("backendVersion", layer.key().backendVersion());
    ObjectNode machine = node.putObject("machine");
    layer.key().machine().forEach(machine::put);
    ArrayNode images = node.putArray("images");
    layer.key().images().forEach(image -> images.add(image.value()));
    node.put("created", layer.created().toString()).put("creator", layer.creator()).put("memoryBytes", layer.memoryBytes());
    node.put("storedBytes", info.storedBytes()).put("lastUsed", info.lastUsed().toString()).put("leases", info.leases());
    ArrayNode users = node.putArray("users");
    new TreeSet<>(info.users()).forEach(user -> users.add(functions.describe(user)));
    ArrayNode blobs = node.putArray("blobs");
    layer.blobs().forEach((name, blob) -> blobs.addObject().put("name", name).put("digest", blob.digest().value()).put("bytes", blob.bytes()));
    return node;
  }

  /** All that is known of it. */
  static ObjectNode whole(SnapshotInfo info, Functions functions) {
    ObjectNode node = of(info, functions).put("memory", info.layer().memory().value());
    ArrayNode extents = node.putArray("extents");
    for (Extent extent : info.layer().extents()) {
      extents.addObject().put("offset", extent.offset()).put("length", extent.length()).put("guestAddress", extent.guestAddress());
    }
    return node;
  }
}
