package dev.instar.secrets;

import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

@ObjectClassDefinition(id = FileSecrets.PID, name = "Instar secrets", description = "How large secrets may be, and how many. What is there stays when a bound is lowered.")
@interface Config {
  @AttributeDefinition(name = "Size", description = "Bytes of one value.", min = "1", max = "1048576")
  int max$_$bytes() default 65_536;

  @AttributeDefinition(name = "Secrets of a user", description = "Secrets of one user.", min = "1", max = "10000")
  int max$_$per$_$user() default 100;

  @AttributeDefinition(name = "Secrets", description = "Secrets of all users.", min = "1", max = "1000000")
  int max$_$total() default 10_000;
}
