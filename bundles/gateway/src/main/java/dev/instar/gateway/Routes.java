package dev.instar.gateway;

import dev.instar.api.http.HttpDialect;
import dev.instar.api.http.Route;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * An immutable table of routes: a tree of path segments. A literal segment goes before a variable, whichever dialect either comes from.
 *
 * <pre>
 *   ├─ f ── {} ── {}            PUT POST GET   (faasm)
 *   └─ v1 ─┬─ images            POST           (instar)
 *          └─ functions ─┬─     GET
 *                        └─ {} ── {} ── …
 * </pre>
 */
final class Routes {
  static final Routes NONE = new Routes(new Node());

  /** A path's place in the table. */
  static final class Node {
    private final Map<String, Node> literals = new HashMap<>();
    private Optional<Node> variable = Optional.empty();
    private final Map<String, Bound> methods = new TreeMap<>();
    private List<String> allowed = List.of();

    List<String> allowed() {
      return allowed;
    }
  }

  /** A route and the names of the variables on the way to it. */
  private record Bound(Route route, List<String> variables) {}

  /**
   * What a path leads to.
   *
   * @param values of the variables, in their order
   */
  record Match(Node node, List<String> values) {
    /** For HEAD the route of GET answers. */
    Optional<Route> route(String method) {
      return Optional.ofNullable(bound(method)).map(Bound::route);
    }

    /** The value of a variable, where the method's route has it. */
    Optional<String> value(String method, String variable) {
      int index = variables(method).indexOf(variable);
      return index < 0 ? Optional.empty() : Optional.of(values.get(index));
    }

    List<String> variables(String method) {
      Bound bound = bound(method);
      return bound == null ? List.of() : bound.variables();
    }

    private Bound bound(String method) {
      Bound bound = node.methods.get(method);
      return bound == null && "HEAD".equals(method) ? node.methods.get("GET") : bound;
    }
  }

  private final Node root;

  private Routes(Node root) {
    this.root = root;
  }

  /** Builds the table; routes of a dialect that is later in the list must not be in it already. */
  static Routes of(List<HttpDialect> dialects, Map<HttpDialect, List<Route>> routes) {
    Node root = new Node();
    for (HttpDialect dialect : dialects) {
      for (Route route : routes.get(dialect)) {
        Node node = root;
        List<String> variables = new ArrayList<>();
        for (String segment : template(route.template())) {
          if (variable(segment)) {
            variables.add(segment.substring(1, segment.length() - 1));
            if (node.variable.isEmpty()) {
              node.variable = Optional.of(new Node());
            }
            node = node.variable.get();
          } else {
            node = node.literals.computeIfAbsent(segment, s -> new Node());
          }
        }
        node.methods.put(route.method(), new Bound(route, List.copyOf(variables)));
        node.allowed = allowed(node.methods.keySet());
      }
    }
    return new Routes(root);
  }

  Optional<Match> match(List<String> segments) {
    List<String> values = new ArrayList<>(4);
    return descend(root, segments, 0, values).map(node -> new Match(node, values));
  }

  private static Optional<Node> descend(Node node, List<String> segments, int depth, List<String> values) {
    if (depth == segments.size()) {
      return node.methods.isEmpty() ? Optional.empty() : Optional.of(node);
    }
    Node literal = node.literals.get(segments.get(depth));
    if (literal != null) {
      Optional<Node> found = descend(literal, segments, depth + 1, values);
      if (found.isPresent()) {
        return found;
      }
    }
    if (node.variable.isPresent()) {
      values.add(segments.get(depth));
      Optional<Node> found = descend(node.variable.get(), segments, depth + 1, values);
      if (found.isPresent()) {
        return found;
      }
      values.removeLast();
    }
    return Optional.empty();
  }

  private static List<String> allowed(Set<String> methods) {
    Set<String> all = new TreeSet<>(methods);
    if (all.contains("GET")) {
      all.add("HEAD");
    }
    all.add("OPTIONS");
    return List.copyOf(all);
  }

  /**
   * What two routes must not have in common: the method and the template with its variables' names left out.
   *
   * @throws IllegalArgumentException when the template or method is none
   */
  static String key(Route route) {
    StringBuilder key = new StringBuilder(route.method()).append(' ');
    if (route.method().isEmpty() || !route.method().chars().allMatch(c -> c >= 'A' && c <= 'Z')) {
      throw new IllegalArgumentException("'" + route.method() + "' is not a method in upper case");
    }
    Set<String> names = new HashSet<>();
    for (String segment : template(route.template())) {
      if (variable(segment)) {
        if (!names.add(segment)) {
          throw new IllegalArgumentException("the template '" + route.template() + "' has the variable " + segment + " twice");
        }
        key.append("/{}");
      } else {
        key.append('/').append(segment);
      }
    }
    return key.toString();
  }

  private static boolean variable(String segment) {
    return segment.length() > 2 && segment.charAt(0) == '{' && segment.charAt(segment.length() - 1) == '}';
  }

  private static List<String> template(String template) {
    if (!template.startsWith("/") || (template.length() > 1 && (template.endsWith("/") || template.contains("//")))) {
      throw new IllegalArgumentException("the template '" + template + "' must begin with a slash, not end with one, and have no empty segment");
    }
    List<String> segments = new ArrayList<>();
    for (String segment : template.substring(1).split("/")) {
      if (!segment.isEmpty()) {
        if (!variable(segment) && (segment.indexOf('{') >= 0 || segment.indexOf('}') >= 0)) {
          throw new IllegalArgumentException("in the template '" + template + "' a variable does not fill its segment");
        }
        segments.add(segment);
      }
    }
    return segments;
  }
}
