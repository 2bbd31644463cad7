package dev.instar.data;

import dev.instar.api.data.DataDirectory;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Optional;
import org.osgi.annotation.bundle.Capability;
import org.osgi.framework.BundleContext;
import org.osgi.framework.ServiceRegistration;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.slf4j.LoggerFactory;

/**
 * Locks the data directory and offers it as a service. It registers by hand: Declarative Services would announce the service before the
 * lock is tried, and its users would see it come up broken.
 */
@Component(immediate = true, service = {})
@Capability(namespace = "osgi.service", attribute = "objectClass:List<String>=\"dev.instar.api.data.DataDirectory\"", uses = DataDirectory.class,
    effective = "active")
public final class DataDirectoryComponent {
  /** The framework property that says where the data directory is. */
  static final String PROPERTY = "instar.data";
  /** The system property that says why there is none, for whoever started the framework. */
  static final String ERROR = "dev.instar.data.error";

  private final Optional<LockedDataDirectory> directory;
  private final Optional<ServiceRegistration<DataDirectory>> registration;

  /** Never throws: what is wrong is for the operator, in one line, and no stack of the component runtime's would make it clearer. */
  @Activate
  public DataDirectoryComponent(BundleContext context) {
    directory = open(context);
    registration = directory.map(d -> context.registerService(DataDirectory.class, d, null));
  }

  private static Optional<LockedDataDirectory> open(BundleContext context) {
    try {
      String place = context.getProperty(PROPERTY);
      if (place == null || place.isBlank()) {
        throw new LockedDataDirectory.Refused("The framework property " + PROPERTY + " is not set; it names the data directory.");
      }
      LockedDataDirectory opened = LockedDataDirectory.open(Path.of(place));
      System.clearProperty(ERROR);
      return Optional.of(opened);
    } catch (InvalidPathException e) {
      return refuse("The framework property " + PROPERTY + " does not name a directory: " + e.getMessage() + ".");
    } catch (LockedDataDirectory.Refused e) {
      return refuse(e.getMessage());
    }
  }

  private static Optional<LockedDataDirectory> refuse(String why) {
    LoggerFactory.getLogger(DataDirectoryComponent.class).error("There is no data directory. {}", why);
    System.setProperty(ERROR, why);
    return Optional.empty();
  }

  @Deactivate
  void stop() {
    try {
      registration.ifPresent(ServiceRegistration::unregister);
    } finally {
      directory.ifPresent(LockedDataDirectory::close);
    }
  }
}
