package dev.instar.tck.capability;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Skips a test where this machine lacks what it needs, with the reason and the remedy. The test command counts these skips, and with
 * {@code CI=true} fails on those whose capability is not listed in {@code cnf/host-capabilities}.
 */
@Target({ElementType.TYPE, ElementType.METHOD})
@Retention(RetentionPolicy.RUNTIME)
@ExtendWith(CapabilityCondition.class)
public @interface RequiresCapability {
  /** Names of {@link Capability} constants, in lower case with dashes. */
  String[] value();
}
