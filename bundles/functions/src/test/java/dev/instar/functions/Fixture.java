package dev.instar.functions;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.FunctionListener;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Image;
import dev.instar.api.function.Limits;
import dev.instar.api.function.Variant;
import dev.instar.api.image.ImageDetails;
import dev.instar.api.image.ImageInfo;
import dev.instar.api.image.ImageStore;
import dev.instar.api.invocation.Preparer;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;

/** The registry's neighbours, in memory: what they were asked is on record. */
final class Fixture {
  static final FunctionName NAME = new FunctionName("alice", "hello");

  /** Images by digest; adding is {@link #image}. */
  static final class Images implements ImageStore {
    final Map<Digest, Image> stored = new ConcurrentHashMap<>();
    final List<Set<Digest>> collected = new CopyOnWriteArrayList<>();
    volatile Runnable beforeCollect = () -> {};

    Digest image(String content) {
      return image(content, Variant.WASM);
    }

    Digest image(String content, String kind) {
      Digest digest = Digest.of(content.getBytes(StandardCharsets.UTF_8));
      stored.put(digest, new Image(digest, kind, content.length(), Path.of("/nowhere"), Optional.empty()));
      return digest;
    }

    @Override
    public Image add(InputStream content, long limit, Optional<String> user) {
      throw new UnsupportedOperationException();
    }

    @Override
    public Optional<Image> find(Digest digest) {
      return Optional.ofNullable(stored.get(digest));
    }

    @Override
    public InputStream open(Digest digest) {
      return new ByteArrayInputStream(new byte[0]);
    }

    @Override
    public List<ImageInfo> list() {
      throw new UnsupportedOperationException();
    }

    @Override
    public Optional<ImageDetails> inspect(Digest digest) {
      throw new UnsupportedOperationException();
    }

    @Override
    public boolean remove(Digest digest) {
      return stored.remove(digest) != null;
    }

    @Override
    public int collect(Set<Digest> keep, long graceSeconds) {
      beforeCollect.run();
      collected.add(Set.copyOf(keep));
      int before = stored.size();
      if (graceSeconds > 0) {
        // All that is here was added a moment ago.
        return 0;
      }
      stored.keySet().retainAll(keep);
      return before - stored.size();
    }
  }

  /** Prepares, or fails as a test says. */
  static final class Prepares implements Preparer {
    final List<FunctionVersion> prepared = new CopyOnWriteArrayList<>();
    final List<FunctionVersion> forgotten = new CopyOnWriteArrayList<>();
    volatile Step step = v -> {};

    interface Step {
      void run(FunctionVersion version) throws InterruptedException;
    }

    @Override
    public void prepare(FunctionVersion version) throws InterruptedException {
      prepared.add(version);
      step.run(version);
    }

    @Override
    public void forget(FunctionVersion version) {
      forgotten.add(version);
    }
  }

  /** Writes down what it hears. */
  static final class Hears implements FunctionListener {
    final List<String> heard = new CopyOnWriteArrayList<>();

    @Override
    public void versionRemoved(FunctionVersion version) {
      heard.add("removed " + version.number());
    }

    @Override
    public void versionDeactivated(FunctionVersion version) {
      heard.add("deactivated " + version.number());
    }
  }

  private Fixture() {}

  static FunctionSpec spec(Digest digest) {
    return new FunctionSpec(List.of(new Variant(digest, Variant.WASM, Optional.empty())), Limits.DEFAULT, Map.of(), Map.of());
  }

  static ErrorCode code(org.junit.jupiter.api.function.Executable action) {
    return org.junit.jupiter.api.Assertions.assertThrows(InstarException.class, action).code();
  }
}
