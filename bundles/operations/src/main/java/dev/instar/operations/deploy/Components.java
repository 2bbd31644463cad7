package dev.instar.operations.deploy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import org.osgi.framework.Bundle;
import org.osgi.service.component.runtime.ServiceComponentRuntime;
import org.osgi.service.component.runtime.dto.ComponentConfigurationDTO;
import org.osgi.service.component.runtime.dto.ComponentDescriptionDTO;

/** How the components of a bundle stand with Declarative Services. */
final class Components {
  private final Supplier<Optional<ServiceComponentRuntime>> runtime;

  Components(Supplier<Optional<ServiceComponentRuntime>> runtime) {
    this.runtime = runtime;
  }

  /** Why one of them did not start. */
  Optional<String> failure(Bundle bundle) {
    return all(bundle).stream().filter(c -> c.state == ComponentConfigurationDTO.FAILED_ACTIVATION).findFirst()
        .map(c -> c.description.name + " failed to start" + Optional.ofNullable(c.failure).map(Components::cause).orElse(""));
  }

  /** Those that want a service which is not there. One that only waits for a configuration is not wanted by the operator. */
  List<String> waiting(Bundle bundle) {
    return all(bundle).stream().filter(c -> c.state == ComponentConfigurationDTO.UNSATISFIED_REFERENCE)
        .map(c -> c.description.name + " waits for " + String.join(", ", Arrays.stream(c.unsatisfiedReferences).map(r -> r.name).toList())).toList();
  }

  private List<ComponentConfigurationDTO> all(Bundle bundle) {
    List<ComponentConfigurationDTO> found = new ArrayList<>();
    runtime.get().ifPresent(scr -> {
      for (ComponentDescriptionDTO component : scr.getComponentDescriptionDTOs(bundle)) {
        found.addAll(scr.getComponentConfigurationDTOs(component));
      }
    });
    return found;
  }

  /** Of a printed stack the exception that all others come from. */
  private static String cause(String stack) {
    return ": " + stack.lines().filter(l -> l.startsWith("Caused by: ")).reduce((a, b) -> b).map(l -> l.substring("Caused by: ".length())).orElse(stack.lines().findFirst().orElse(""));
  }
}
