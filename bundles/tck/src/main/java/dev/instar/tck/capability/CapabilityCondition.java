package dev.instar.tck.capability;

import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.platform.commons.support.AnnotationSupport;

/** Evaluates {@link RequiresCapability}; each capability is probed once a JVM. */
final class CapabilityCondition implements ExecutionCondition {
  private static final Map<Capability, Optional<String>> PROBED = new ConcurrentHashMap<>();

  @Override
  public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
    RequiresCapability required = AnnotationSupport.findAnnotation(context.getElement(), RequiresCapability.class).orElse(null);
    if (required != null) {
      for (String id : required.value()) {
        Capability capability = Capability.of(id);
        Optional<String> missing = PROBED.computeIfAbsent(capability, Capability::missing);
        if (missing.isPresent()) {
          // The form "capability <id> is missing" is read by the launcher's test command.
          return ConditionEvaluationResult.disabled("capability " + id + " is missing: " + missing.get() + "; remedy: " + capability.remedy());
        }
      }
    }
    return ConditionEvaluationResult.enabled("");
  }
}
