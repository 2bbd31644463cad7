package dev.instar.operations.deploy;

import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

@ObjectClassDefinition(name = "Instar deployer", description = "Bundles that are deployed into the running node.")
@interface DeployerConfig {
  String PID = "dev.instar.deployer";

  @AttributeDefinition(name = "Bundle bytes", min = "1024", max = "1073741824", description = "Bytes of one bundle's jar.")
  long max$_$bundle$_$bytes() default 64L << 20;

  @AttributeDefinition(name = "Trusted signers", required = false,
      description = "A PEM file of certificates; where it is named, a bundle from outside the distribution is taken only when one of them, or somebody whom one vouches for, has signed it (jarsigner). Empty: signatures are not looked at.")
  String trusted$_$signers() default "";

  @AttributeDefinition(name = "Start time in milliseconds", min = "100", max = "600000",
      description = "How long a bundle that replaces another may take until it offers the services of that one; past it the other is started again.")
  int start$_$ms() default 15_000;

  @AttributeDefinition(name = "Wait in milliseconds", min = "0", max = "3600000",
      description = "How long a change waits for the one before it, before it gets node-busy (503).")
  int wait$_$ms() default 60_000;
}
