package dev.instar.backend.container;

import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

@ObjectClassDefinition(name = "Container backend", description = "Runs functions in Linux containers, made by an OCI runtime. Applies to functions that are prepared from the change on.")
@interface ContainerConfig {
  String PID = "dev.instar.backend.container";

  @AttributeDefinition(name = "Runtime", required = false,
      description = "The OCI runtime: a name on the PATH, such as crun, runc or runsc, or a file. Empty: crun, or runc where there is no crun.")
  String runtime() default "";

  @AttributeDefinition(name = "Processes", min = "1", max = "1000000", description = "Processes and threads of one container at one time.")
  int max$_$processes() default 256;
}
