package dev.instar.gateway;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Names;
import dev.instar.api.secret.SecretInfo;
import dev.instar.api.secret.SecretStore;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.concurrent.ConcurrentSkipListMap;

/** Values in memory. Stands for the bundle secrets. */
final class MemorySecrets implements SecretStore {
  final NavigableMap<String, byte[]> values = new ConcurrentSkipListMap<>();

  private static String key(String user, String name) {
    Names.check("user", user);
    Names.check("secret", name);
    return user + "/" + name;
  }

  private SecretInfo info(String key) {
    return new SecretInfo(key.substring(0, key.indexOf('/')), key.substring(key.indexOf('/') + 1), values.get(key).length, Instant.EPOCH);
  }

  @Override
  public SecretInfo put(String user, String name, byte[] value) {
    values.put(key(user, name), value.clone());
    return info(key(user, name));
  }

  @Override
  public Optional<SecretInfo> find(String user, String name) {
    return values.containsKey(key(user, name)) ? Optional.of(info(key(user, name))) : Optional.empty();
  }

  @Override
  public List<SecretInfo> list(Optional<String> user) {
    return values.keySet().stream().map(this::info).filter(info -> user.isEmpty() || user.get().equals(info.user())).toList();
  }

  @Override
  public void delete(String user, String name) {
    if (values.remove(key(user, name)) == null) {
      throw new InstarException(ErrorCode.SECRET_NOT_FOUND, "There is none.", Map.of("secret", name));
    }
  }

  @Override
  public long maxBytes() {
    return 100;
  }
}
