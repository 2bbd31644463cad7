package dev.instar.backend.process;

import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.AttributeType;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

@ObjectClassDefinition(name = "Process backend",
    description = "Runs functions as child processes of the node. It isolates nothing: for development only.")
@interface ProcessConfig {
  String PID = "dev.instar.backend.process";

  @AttributeDefinition(name = "Search path",
      description = "The PATH that functions see, and where the interpreter of '#!/usr/bin/env …' is looked for. Empty: the node's own.",
      required = false)
  String path() default "";

  @AttributeDefinition(name = "Grace on closing",
      description = "How many milliseconds an idle process has to end by itself after the end of its input, before it is killed.",
      type = AttributeType.INTEGER, min = "0", max = "1000")
  int close$_$grace$_$ms() default 500;
}
