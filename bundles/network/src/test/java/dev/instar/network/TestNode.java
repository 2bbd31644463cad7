package dev.instar.network;

import dev.instar.api.data.DataDirectory;
import dev.instar.api.host.Namespaces;
import dev.instar.api.host.Netlink;
import dev.instar.linux.LinuxNamespaces;
import dev.instar.linux.LinuxNetlink;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.annotation.Annotation;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.Function;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;

/** A node as far as this bundle sees it. */
final class TestNode {
  static final String NETWORKS = "10.62.0.0/16,10.63.0.0/16";
  private final Path root;
  private final Function<String, Optional<Program>> programs;
  private volatile int state = Bundle.ACTIVE;

  TestNode(Path root, Function<String, Optional<Program>> programs) {
    this.root = root;
    this.programs = programs;
  }

  NetworkComponent start(int ready, int most) {
    return start(NETWORKS, ready, most);
  }

  NetworkComponent start(String networks, int ready, int most) {
    state = Bundle.ACTIVE;
    Netlink netlink = new LinuxNetlink();
    Namespaces namespaces = new LinuxNamespaces();
    Bundle system = (Bundle) Proxy.newProxyInstance(Bundle.class.getClassLoader(), new Class<?>[] {Bundle.class}, (proxy, method, arguments) -> state);
    BundleContext context = (BundleContext) Proxy.newProxyInstance(BundleContext.class.getClassLoader(), new Class<?>[] {BundleContext.class},
        (proxy, method, arguments) -> system);
    return new NetworkComponent(data(), netlink, namespaces, config(networks, ready, most), context, programs);
  }

  void end(NetworkComponent component) throws InterruptedException {
    state = Bundle.STOPPING;
    component.deactivate();
  }

  Path area() {
    return data().area("network");
  }

  private DataDirectory data() {
    return new DataDirectory() {
      @Override
      public Path root() {
        return root;
      }

      @Override
      public Path area(String name) {
        try {
          return Files.createDirectories(root.resolve(name));
        } catch (IOException e) {
          throw new UncheckedIOException(e);
        }
      }

      @Override
      public Path scratch(String name) {
        return area(name);
      }
    };
  }

  private static Config config(String networks, int ready, int most) {
    return new Config() {
      @Override
      public String[] networks() {
        return networks.split(",");
      }

      @Override
      public int ready() {
        return ready;
      }

      @Override
      public int max$_$slots() {
        return most;
      }

      @Override
      public String[] denied() {
        return new String[] {"10.0.0.0/8", "192.168.0.0/16"};
      }

      @Override
      public String[] nameservers() {
        return new String[0];
      }

      @Override
      public Class<? extends Annotation> annotationType() {
        return Config.class;
      }
    };
  }
}
