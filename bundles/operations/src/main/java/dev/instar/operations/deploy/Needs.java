package dev.instar.operations.deploy;

import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.felix.utils.resource.CapabilitySet;
import org.apache.felix.utils.resource.SimpleFilter;
import org.osgi.framework.Constants;
import org.osgi.framework.namespace.BundleNamespace;
import org.osgi.framework.namespace.ExecutionEnvironmentNamespace;
import org.osgi.framework.namespace.PackageNamespace;
import org.osgi.framework.wiring.BundleCapability;
import org.osgi.framework.wiring.BundleRequirement;
import org.osgi.resource.Capability;
import org.osgi.resource.Requirement;

/** Requirements: what meets them, and how they are told to people. */
final class Needs {
  private static final Pattern AT_LEAST = Pattern.compile("\\((?:bundle-)?version>=([^)]+)\\)");
  private static final Pattern BELOW = Pattern.compile("\\(!\\((?:bundle-)?version>=([^)]+)\\)\\)");
  private static final Pattern UP_TO = Pattern.compile("\\((?:bundle-)?version<=([^)]+)\\)");
  private static final Pattern EQUAL = Pattern.compile("\\((?:bundle-)?version=([^)]+)\\)");

  private Needs() {}

  /** Whether a capability meets a requirement, be they of bundles that are there or of jars. */
  static boolean met(Requirement requirement, Capability capability) {
    if (!requirement.getNamespace().equals(capability.getNamespace())) {
      return false;
    }
    if (requirement instanceof BundleRequirement of && capability instanceof BundleCapability by) {
      return of.matches(by);
    }
    String filter = requirement.getDirectives().get(Constants.FILTER_DIRECTIVE);
    return filter == null || CapabilitySet.matches(capability, SimpleFilter.parse(filter));
  }

  /** Whether the framework looks at it when it resolves. */
  static boolean effective(Requirement requirement) {
    return Constants.EFFECTIVE_RESOLVE.equals(requirement.getDirectives().getOrDefault(Constants.EFFECTIVE_DIRECTIVE, Constants.EFFECTIVE_RESOLVE))
        && !PackageNamespace.RESOLUTION_DYNAMIC.equals(requirement.getDirectives().get(Constants.RESOLUTION_DIRECTIVE));
  }

  static boolean mandatory(Requirement requirement) {
    return effective(requirement) && !Constants.RESOLUTION_OPTIONAL.equals(requirement.getDirectives().get(Constants.RESOLUTION_DIRECTIVE));
  }

  /** What is needed, and what there is of it instead. */
  static String told(Requirement requirement, Collection<Capability> there) {
    String filter = requirement.getDirectives().getOrDefault(Constants.FILTER_DIRECTIVE, "");
    String space = requirement.getNamespace();
    return switch (space) {
      case PackageNamespace.PACKAGE_NAMESPACE -> "package " + value(filter, space) + range(filter) + instead(requirement, filter, there, PackageNamespace.CAPABILITY_VERSION_ATTRIBUTE);
      case BundleNamespace.BUNDLE_NAMESPACE -> "bundle " + value(filter, space) + range(filter) + instead(requirement, filter, there, BundleNamespace.CAPABILITY_BUNDLE_VERSION_ATTRIBUTE);
      case ExecutionEnvironmentNamespace.EXECUTION_ENVIRONMENT_NAMESPACE -> value(filter, space) + range(filter) + ", and the node runs on Java " + Runtime.version().feature();
      default -> "capability " + space + (filter.isEmpty() ? "" : " " + filter);
    };
  }

  private static String value(String filter, String attribute) {
    Matcher matcher = Pattern.compile("\\(" + Pattern.quote(attribute) + "=([^)]*)\\)").matcher(filter);
    return matcher.find() ? matcher.group(1) : filter;
  }

  private static String range(String filter) {
    Matcher equal = EQUAL.matcher(filter);
    if (equal.find()) {
      return " " + equal.group(1);
    }
    Matcher least = AT_LEAST.matcher(filter);
    Matcher below = BELOW.matcher(filter);
    Matcher upTo = UP_TO.matcher(filter);
    String from = least.find() ? least.group(1) : "";
    if (below.find()) {
      return " [" + (from.isEmpty() ? "0" : from) + "," + below.group(1) + ")";
    }
    return upTo.find() ? " [" + (from.isEmpty() ? "0" : from) + "," + upTo.group(1) + "]" : from.isEmpty() ? "" : " " + from + " or later";
  }

  private static String instead(Requirement requirement, String filter, Collection<Capability> there, String attribute) {
    Object wanted = value(filter, requirement.getNamespace());
    TreeSet<String> versions = new TreeSet<>();
    for (Capability capability : there) {
      Map<String, Object> attributes = capability.getAttributes();
      Object name = attributes.get(requirement.getNamespace());
      if (capability.getNamespace().equals(requirement.getNamespace()) && (wanted.equals(name) || name instanceof List<?> names && names.contains(wanted))) {
        versions.add(String.valueOf(attributes.get(attribute)));
      }
    }
    return versions.isEmpty() ? "" : " (the node has " + String.join(", ", versions) + ")";
  }
}
