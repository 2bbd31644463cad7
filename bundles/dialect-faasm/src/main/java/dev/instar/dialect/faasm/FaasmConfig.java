package dev.instar.dialect.faasm;

import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

@ObjectClassDefinition(name = "Instar dialect: Faasm", description = "Upload, call and fetch functions at /f/<user>/<function>. Each file is one dialect that is switched on.")
@interface FaasmConfig {
  @AttributeDefinition(description = "Bytes of a module or bundle that is uploaded.", min = "1024", max = "1099511627776")
  long max$_$upload$_$bytes() default 64L << 20;

  @AttributeDefinition(description = "How long a request waits while the part of the node that it needs is starting or being replaced, before it gets not-ready (503).",
      min = "0", max = "600000")
  long service$_$wait$_$ms() default 10_000;
}
