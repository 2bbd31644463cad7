package dev.instar.placement;

import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;
import org.osgi.service.metatype.annotations.Option;

@ObjectClassDefinition(id = LabelledPlacement.PID, name = "Instar placement", description = "Which variant of a function takes a call, where more than one can.")
@interface PlacementConfig {
  @AttributeDefinition(name = "Order", description = "For functions whose label placement does not say it: in-order, the first variant that can run; idle-first, the first that has an idle "
      + "sandbox, else the first that is prepared, else the first.", options = {@Option("in-order"), @Option("idle-first")})
  String order() default LabelledPlacement.IN_ORDER;
}
