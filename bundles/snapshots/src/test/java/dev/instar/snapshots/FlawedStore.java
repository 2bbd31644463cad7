package dev.instar.snapshots;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.data.DurableFiles;
import dev.instar.api.snapshot.GcPolicy;
import dev.instar.api.snapshot.GcResult;
import dev.instar.api.snapshot.OpenLayer;
import dev.instar.api.snapshot.SnapshotBuilder;
import dev.instar.api.snapshot.SnapshotInfo;
import dev.instar.api.snapshot.SnapshotKey;
import dev.instar.api.snapshot.SnapshotLayer;
import dev.instar.api.snapshot.SnapshotLease;
import dev.instar.api.snapshot.SnapshotStore;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;

/** A store with one flaw over one that has none. */
final class FlawedStore implements SnapshotStore {
  private final SnapshotStore whole;
  private final Flaw flaw;

  FlawedStore(SnapshotStore whole, Flaw flaw) {
    this.whole = whole;
    this.flaw = flaw;
  }

  @Override
  public SnapshotBuilder base(SnapshotKey key, String creator) {
    return new Builder(whole.base(key, creator));
  }

  @Override
  public SnapshotBuilder diff(Digest parent, SnapshotKey key, String creator) {
    if (flaw == Flaw.TAKES_ANY_PARENT) {
      return new Builder(whole.base(key, creator));
    }
    return new Builder(whole.diff(parent, key, creator));
  }

  @Override
  public Optional<SnapshotLayer> find(SnapshotKey key) {
    if (flaw == Flaw.FINDS_THE_OLDEST) {
      return whole.list().stream().map(SnapshotInfo::layer).filter(l -> l.key().equals(key)).min(Comparator.comparing(SnapshotLayer::created));
    }
    return whole.find(key);
  }

  @Override
  public SnapshotLease open(Digest id, SnapshotKey expected) {
    SnapshotKey key = flaw == Flaw.OPENS_FOR_ANY_KEY ? whole.inspect(id).map(i -> i.layer().key()).orElse(expected) : expected;
    SnapshotLease lease = whole.open(id, key);
    if (flaw == Flaw.LEASES_NOTHING) {
      lease.close();
    }
    return new SnapshotLease() {
      @Override
      public List<OpenLayer> layers() {
        return lease.layers().stream().<OpenLayer>map(Layer::new).toList();
      }

      @Override
      public void close() {
        lease.close();
      }
    };
  }

  @Override
  public List<SnapshotInfo> list() {
    return whole.list();
  }

  @Override
  public Optional<SnapshotInfo> inspect(Digest id) {
    return whole.inspect(id);
  }

  @Override
  public void verify(Digest id) {
    if (flaw != Flaw.VERIFIES_NOTHING && flaw != Flaw.SEES_NO_MISSING_FILE) {
      whole.verify(id);
    }
  }

  @Override
  public void hold(Digest id, String user) {
    if (flaw != Flaw.HOLDS_NOTHING) {
      whole.hold(id, user);
    }
  }

  @Override
  public void release(String user) {
    whole.release(user);
  }

  @Override
  public boolean remove(Digest id) {
    if (flaw == Flaw.REMOVES_BELOW_OTHERS) {
      whole.list().stream().map(SnapshotInfo::layer).filter(l -> l.parent().filter(id::equals).isPresent()).forEach(l -> whole.remove(l.id()));
      return true;
    }
    return whole.remove(id);
  }

  @Override
  public GcPolicy policy() {
    return whole.policy();
  }

  @Override
  public GcResult collect(GcPolicy policy) {
    if (flaw == Flaw.KEEPS_EVERYTHING) {
      return whole.collect(new GcPolicy(Duration.ofDays(1), Long.MAX_VALUE));
    }
    return whole.collect(flaw == Flaw.HAS_NO_BUDGET ? new GcPolicy(policy.unusedFor(), Long.MAX_VALUE) : policy);
  }

  @Override
  public void exportTo(Digest id, OutputStream archive) throws IOException {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    whole.exportTo(id, all);
    archive.write(all.toByteArray(), 0, flaw == Flaw.EXPORTS_HALF ? all.size() / 2 : all.size());
  }

  @Override
  public SnapshotLayer importFrom(InputStream archive) throws IOException {
    if (flaw != Flaw.TAKES_CUT_ARCHIVES && flaw != Flaw.TAKES_WRONG_ARCHIVES) {
      return whole.importFrom(archive);
    }
    byte[] all = archive.readAllBytes();
    try {
      return whole.importFrom(new ByteArrayInputStream(all));
    } catch (InstarException e) {
      try (SnapshotBuilder builder = whole.base(new SnapshotKey("toy", "1", new TreeMap<>(), List.of()), "made up")) {
        return builder.publish();
      }
    }
  }

  private final class Layer implements OpenLayer {
    private final OpenLayer layer;

    Layer(OpenLayer layer) {
      this.layer = layer;
    }

    @Override
    public SnapshotLayer layer() {
      return layer.layer();
    }

    @Override
    public Path memory() {
      return layer.memory();
    }

    @Override
    public void read(long offset, ByteBuffer into) {
      if (flaw == Flaw.BREAKS_WHEN_INTERRUPTED && Thread.currentThread().isInterrupted()) {
        throw new InstarException(ErrorCode.INTERNAL, "The read was interrupted.");
      }
      if (flaw == Flaw.READS_NOTHING_OF_A_DIFF && !layer().isBase()) {
        into.position(into.limit());
      } else if (flaw == Flaw.READS_UNVERIFIED) {
        try (FileChannel channel = FileChannel.open(memory())) {
          channel.read(into, offset);
        } catch (IOException e) {
          throw new IllegalStateException(e);
        }
      } else {
        layer.read(offset, into);
      }
    }

    @Override
    public void verify(long offset, long length) {
      layer.verify(offset, length);
    }

    @Override
    public Path blob(String name) {
      return flaw == Flaw.GIVES_DAMAGED_BLOBS ? memory().resolveSibling(StoredLayer.BLOB_PREFIX + name) : layer.blob(name);
    }
  }

  private final class Builder implements SnapshotBuilder {
    private final SnapshotBuilder builder;
    private boolean published;

    Builder(SnapshotBuilder builder) {
      this.builder = builder;
    }

    @Override
    public void memory(long guestAddress, ByteBuffer bytes) {
      builder.memory(flaw == Flaw.TAKES_UNALIGNED_MEMORY ? guestAddress & -PAGE_BYTES : guestAddress, bytes);
    }

    @Override
    public void memory(long guestAddress, FileChannel source, long position, long length) throws IOException {
      if (flaw == Flaw.LEAVES_THE_FILE_OUT) {
        if (position + length > source.size()) {
          throw new IOException("short");
        }
        builder.memory(guestAddress, ByteBuffer.allocate((int) length));
      } else {
        builder.memory(guestAddress, source, position, length);
      }
    }

    @Override
    public void blob(String name, InputStream content) throws IOException {
      builder.blob(name, content);
    }

    @Override
    public SnapshotLayer publish() {
      published = true;
      return builder.publish();
    }

    @Override
    public void close() {
      if (flaw == Flaw.PUBLISHES_UNASKED && !published) {
        builder.publish();
      }
      builder.close();
    }
  }

  /** For a store that is flawed in what it keeps: an empty one in place of what was there. */
  static void forget(Path layers) throws IOException {
    try (var found = Files.newDirectoryStream(layers)) {
      for (Path layer : found) {
        DurableFiles.deleteTree(layer);
      }
    }
  }
}
