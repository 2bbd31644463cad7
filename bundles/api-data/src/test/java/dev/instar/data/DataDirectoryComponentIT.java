package dev.instar.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.data.DataDirectory;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.osgi.framework.BundleContext;
import org.osgi.framework.ServiceRegistration;

class DataDirectoryComponentIT {
  @TempDir Path dir;
  private final List<Object> registered = new ArrayList<>();

  /** The three methods of a bundle's context that the component uses. */
  private BundleContext context(String place) {
    return (BundleContext) Proxy.newProxyInstance(getClass().getClassLoader(), new Class<?>[] {BundleContext.class}, (self, method, args) ->
        switch (method.getName()) {
      case "getProperty" -> place;
      case "registerService" -> {
        registered.add(args[1]);
        yield Proxy.newProxyInstance(getClass().getClassLoader(), new Class<?>[] {ServiceRegistration.class}, (r, unregister, none) -> {
          registered.remove(args[1]);
          return null;
        });
      }
      default -> throw new UnsupportedOperationException(method.getName());
    });
  }

  @Test
  void itIsAServiceFromLockToStop() throws Exception {
    DataDirectoryComponent component = new DataDirectoryComponent(context(dir.resolve("data").toString()));
    assertEquals(dir.resolve("data").toRealPath(), ((DataDirectory) registered.getFirst()).root());
    assertNull(System.getProperty(DataDirectoryComponent.ERROR));
    component.stop();
    assertEquals(List.of(), registered);
    new DataDirectoryComponent(context(dir.resolve("data").toString())).stop();
  }

  @Test
  void withoutThePropertyThereIsNoServiceAndTheReasonNamesIt() {
    for (String place : new String[] {null, " ", "a\0b"}) {
      DataDirectoryComponent component = new DataDirectoryComponent(context(place));
      assertEquals(List.of(), registered);
      assertTrue(System.clearProperty(DataDirectoryComponent.ERROR).contains("instar.data"));
      component.stop();
    }
  }

  @Test
  void aDirectoryHeldByAnotherProcessIsRefusedWithItsIdAndFreedByItsDeath() throws Exception {
    Process other = new ProcessBuilder(ProcessHandle.current().info().command().orElseThrow(), "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp",
        System.getProperty("java.class.path"),
        Holder.class.getName(), dir.resolve("data").toString()).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    try {
      BufferedReader said = new BufferedReader(new InputStreamReader(other.getInputStream(), StandardCharsets.UTF_8));
      assertEquals("locked", said.readLine());
      new DataDirectoryComponent(context(dir.resolve("data").toString())).stop();
      assertEquals(List.of(), registered);
      String reason = System.clearProperty(DataDirectoryComponent.ERROR);
      assertTrue(reason.contains("lock is held by process " + other.pid()), reason);
    } finally {
      other.destroyForcibly().waitFor();
    }
    DataDirectoryComponent component = new DataDirectoryComponent(context(dir.resolve("data").toString()));
    assertEquals(1, registered.size());
    component.stop();
  }

  /** Holds the lock until it is killed. */
  public static final class Holder {
    public static void main(String[] args) throws Exception {
      LockedDataDirectory.open(Path.of(args[0]));
      System.out.println("locked");
      System.in.read();
    }
  }
}
