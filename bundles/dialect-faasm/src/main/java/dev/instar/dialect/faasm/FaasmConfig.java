package dev.instar.dialect.faasm;

import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

@ObjectClassDefinition(name = "Instar dialect: Faasm", description = "PUT, POST and GET /f/<user>/<function>. There is one as long as a configuration of this factory is.")
@interface FaasmConfig {
  String PID = "dev.instar.dialect.faasm";

  @AttributeDefinition(name = "Upload bytes", min = "1", max = "1099511627776", description = "Bytes of one module or bundle.")
  long max$_$upload$_$bytes() default 64L << 20;

  @AttributeDefinition(name = "Wait for services in milliseconds", min = "0", max = "600000",
      description = "How long a request waits while the part of the node that it needs is starting or being replaced, before it gets not-ready (503).")
  int service$_$wait$_$ms() default 10_000;
}
