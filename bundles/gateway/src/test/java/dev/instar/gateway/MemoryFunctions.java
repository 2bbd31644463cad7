package dev.instar.gateway;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.Function;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionRegistry;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.image.ImageStore;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.ConcurrentSkipListMap;

/** A registry that forgets. Stands for the bundle functions. */
public final class MemoryFunctions implements FunctionRegistry {
  private final Map<FunctionName, Function> functions = new ConcurrentSkipListMap<>();
  private final ImageStore images;
  private volatile Optional<InstarException> refusal = Optional.empty();

  /** @param images of the functions */
  MemoryFunctions(ImageStore images) {
    this.images = images;
  }

  /** The next publications fail so. */
  public void refuse(InstarException e) {
    refusal = Optional.of(e);
  }

  @Override
  public Optional<Function> find(FunctionName name) {
    return Optional.ofNullable(functions.get(name));
  }

  @Override
  public List<Function> list() {
    return List.copyOf(functions.values());
  }

  @Override
  public synchronized FunctionVersion publish(FunctionName name, FunctionSpec spec, boolean activate) {
    if (refusal.isPresent()) {
      throw refusal.get();
    }
    Function old = functions.get(name);
    List<FunctionVersion> versions = new ArrayList<>(old == null ? List.of() : old.versions());
    int number = versions.isEmpty() ? 1 : versions.getLast().number() + 1;
    FunctionVersion version = new FunctionVersion(name, number, UUID.randomUUID().toString(), Instant.now(), spec);
    versions.add(version);
    boolean active = activate || old == null;
    functions.put(name, new Function(name, versions, active ? number : old.active(), !active ? old.previous() : old == null ? Optional.empty() : Optional.of(old.active())));
    return version;
  }

  @Override
  public synchronized Function activate(FunctionName name, int number) {
    Function old = need(name);
    need(old, number);
    functions.put(name, new Function(name, old.versions(), number, Optional.of(old.active())));
    return functions.get(name);
  }

  @Override
  public synchronized Function rollBack(FunctionName name) {
    Function old = need(name);
    return activate(name, old.previous().orElseThrow(() -> new InstarException(ErrorCode.CONFLICT, "There is no version to go back to.")));
  }

  @Override
  public synchronized Function removeVersion(FunctionName name, int number) {
    Function old = need(name);
    need(old, number);
    if (old.active() == number) {
      throw new InstarException(ErrorCode.CONFLICT, "The version is active.");
    }
    functions.put(name, new Function(name, old.versions().stream().filter(v -> v.number() != number).toList(), old.active(), old.previous().filter(p -> p != number)));
    return functions.get(name);
  }

  @Override
  public synchronized void removeImage(Digest digest) {
    List<String> users = functions.values().stream().flatMap(function -> function.versions().stream())
        .filter(version -> version.spec().variants().stream().anyMatch(variant -> variant.digest().equals(digest))).map(FunctionVersion::label).toList();
    if (!users.isEmpty()) {
      throw new InstarException(ErrorCode.CONFLICT, "It is in use.", Map.of("functions", users));
    }
    if (!images.remove(digest)) {
      throw new InstarException(ErrorCode.IMAGE_NOT_FOUND, "There is no image " + digest + ".");
    }
  }

  @Override
  public synchronized void remove(FunctionName name) {
    need(name);
    functions.remove(name);
  }

  private Function need(FunctionName name) {
    return find(name).orElseThrow(() -> new InstarException(ErrorCode.FUNCTION_NOT_FOUND, "There is no function " + name + "."));
  }

  private static void need(Function function, int number) {
    if (function.version(number).isEmpty()) {
      throw new InstarException(ErrorCode.VERSION_NOT_FOUND, "There is no version " + number + ".");
    }
  }
}
