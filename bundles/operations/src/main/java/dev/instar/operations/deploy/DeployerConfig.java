package dev.instar.operations.deploy;

import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

@ObjectClassDefinition(name = "Instar deployer", description = "Bundles that are deployed into the running node.")
@interface DeployerConfig {
  String PID = "dev.instar.deployer";

  @AttributeDefinition(name = "Bundle bytes", min = "1024", max = "1073741824", description = "Bytes of one bundle's jar.")
  long max$_$bundle$_$bytes() default 64L << 20;

  @AttributeDefinition(name = "Start time in milliseconds", min = "100", max = "600000",
      description = "How long a bundle that replaces another may take until it offers the services of that one; past it the other is started again.")
  int start$_$ms() default 15_000;

  @AttributeDefinition(name = "Wait in milliseconds", min = "0", max = "3600000",
      description = "How long a change waits for the one before it, before it gets node-busy (503).")
  int wait$_$ms() default 60_000;

  @AttributeDefinition(name = "Trusted signers",
      description = "PEM file with the certificates of those who sign bundles (jarsigner). Empty: bundles need no signature. Else one that none of them signed, or that was changed after that, is refused.")
  String trusted$_$signers() default "";
}
