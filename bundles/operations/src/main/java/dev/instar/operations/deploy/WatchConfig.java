package dev.instar.operations.deploy;

import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

@ObjectClassDefinition(name = "Instar watched directory", description = "The directory whose bundles (.jar) and features (.json) are deployed while they lie there.")
@interface WatchConfig {
  String PID = "dev.instar.watch";

  @AttributeDefinition(name = "Directory", required = false,
      description = "The directory; a relative one is below the data directory. Empty: none is watched. Nobody but the node's user and root may be able to write there.")
  String directory() default "deploy";

  @AttributeDefinition(name = "Poll in milliseconds", min = "50", max = "3600000", description = "How often it is looked at.")
  int poll$_$ms() default 500;

  @AttributeDefinition(name = "Settle in milliseconds", min = "50", max = "3600000",
      description = "For how long a file must keep its size and time of change before it is taken: one that is still being written is not.")
  int settle$_$ms() default 1000;
}
