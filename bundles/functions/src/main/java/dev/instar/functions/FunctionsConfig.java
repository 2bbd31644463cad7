package dev.instar.functions;

import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

@ObjectClassDefinition(id = DurableRegistry.PID, name = "Instar functions",
    description = "How many versions are kept, and when images that nothing uses go.")
@interface FunctionsConfig {
  @AttributeDefinition(name = "Versions kept", description = "Versions of one function; publishing one more removes the oldest that is not active.",
      min = "2", max = "1000")
  int max$_$versions() default 32;

  @AttributeDefinition(name = "Image grace",
      description = "Seconds for which an image that no function uses is kept after its upload, or after the last version that used it went.",
      min = "0", max = "31536000")
  long image$_$grace$_$seconds() default 3600;

  @AttributeDefinition(name = "Wait for services",
      description = "Milliseconds for which publishing waits for the content store or the scheduler while they are being replaced.",
      min = "0", max = "600000")
  long service$_$wait$_$millis() default 10_000;
}
