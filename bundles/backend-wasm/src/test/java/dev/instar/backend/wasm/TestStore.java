package dev.instar.backend.wasm;

import dev.instar.api.data.DataDirectory;
import dev.instar.api.snapshot.SnapshotStore;
import dev.instar.snapshots.SnapshotStoreComponent;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.util.Optional;

/** The node's own snapshot store, as Declarative Services would make and end it. */
final class TestStore implements AutoCloseable {
  private final SnapshotStoreComponent component;

  TestStore(Path directory) {
    try {
      Constructor<?> activate = SnapshotStoreComponent.class.getConstructors()[0];
      Class<?> config = activate.getParameterTypes()[1];
      DataDirectory data = TestNode.data(directory);
      component = (SnapshotStoreComponent) activate.newInstance(data, Proxy.newProxyInstance(config.getClassLoader(), new Class<?>[] {config},
          (proxy, method, arguments) -> method.getDefaultValue()));
    } catch (ReflectiveOperationException e) {
      throw new AssertionError(e);
    }
  }

  SnapshotStore store() {
    return component;
  }

  /** What a store does otherwise. */
  interface Twist {
    /** The answer to a call; where it is empty the store itself is asked. */
    Optional<Object> call(SnapshotStore real, String method, Object... arguments) throws Exception;
  }

  SnapshotStore twisted(Twist twist) {
    return twisted(SnapshotStore.class, component, (real, method, arguments) -> twist.call(component, method, arguments));
  }

  /** The same for what a store gives. */
  static <T> T twisted(Class<T> type, T real, Twist twist) {
    return type.cast(Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, (proxy, method, arguments) -> {
      Object[] given = arguments == null ? new Object[0] : arguments;
      Optional<Object> answer = twist.call(null, method.getName(), given);
      if (answer.isPresent()) {
        return answer.get();
      }
      try {
        return method.invoke(real, given);
      } catch (InvocationTargetException e) {
        throw e.getCause();
      }
    }));
  }

  @Override
  public void close() {
    try {
      Method stop = SnapshotStoreComponent.class.getDeclaredMethod("stop");
      stop.setAccessible(true);
      stop.invoke(component);
    } catch (ReflectiveOperationException e) {
      throw new AssertionError(e);
    }
  }
}
