package dev.instar.snapshots;

import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

@ObjectClassDefinition(id = SnapshotStoreComponent.PID, name = "Instar snapshots",
    description = "How much is kept of initialised functions. What goes is made again when it is needed.")
@interface SnapshotsConfig {
  @AttributeDefinition(name = "Budget", description = "MiB that all layers may take on the disk, a function about its memory, pages of zeros "
      + "left out; past it go those that nothing holds, then the longest unused, but for what is open or has just come.", min = "1", max = "1048576")
  int budget$_$mib() default 4096;

  @AttributeDefinition(name = "Age", description = "Hours after which a layer goes that nothing holds and nothing has opened. Looked at after each publication.",
      min = "1", max = "87600")
  int max$_$age$_$hours() default 168;

  @AttributeDefinition(name = "Import size", description = "MiB that an imported archive may hold when it is unpacked.", min = "1", max = "1048576")
  int max$_$import$_$mib() default 4096;

  @AttributeDefinition(name = "Storing speed", description = "MiB per second in which a layer is written and summed, with a rest after each 64 KiB, so that calls "
      + "find a processor. A disk may be slower. Imports take what they get.", min = "1", max = "65536")
  int store$_$mib$_$per$_$second() default 64;
}
