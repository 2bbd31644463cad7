package dev.instar.listener;

import dev.instar.api.ErrorCode;
import dev.instar.api.Problem;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.URISyntaxException;
import java.util.HashSet;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import org.eclipse.jetty.http.HttpField;
import org.eclipse.jetty.http.HttpFields;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.server.Request;

/**
 * Keeps web pages of others from using a caller's browser against the node. A page whose name its owner lets point at the node (DNS rebinding) is
 * betrayed by the Host that the browser sends; a page that sends here across sites, by the origin that the browser adds. Whoever is no browser may say
 * what he likes in both: these are no credentials.
 *
 * <p>The node's names are those of the loopback, the address that the connection came to, the one it listens on, those of its certificate, and those that
 * are configured. A browser asks for the origin's consent (CORS) before it lets a page read an answer, and gets none here.
 */
final class Site {
  private static final Pattern ADDRESS = Pattern.compile("[0-9]{1,3}(\\.[0-9]{1,3}){3}|\\[[0-9A-Fa-f:.]+]");
  private static final int SHOWN = 80;

  private final Set<String> names = new HashSet<>(Set.of("localhost", "127.0.0.1", "[::1]"));
  // The part of a certificate's wildcard name from its first dot on.
  private final Set<String> parents = new HashSet<>();
  // As configured: behind a proxy that keeps the origin and not the host, pages of these are our own.
  private final Set<String> configured = new HashSet<>();

  /** @param certified the DNS names of the certificate */
  Site(Settings settings, Set<String> certified) {
    for (String name : settings.hosts()) {
      configured.add(name.toLowerCase(Locale.ROOT));
    }
    names.addAll(configured);
    names.add(settings.bind().toLowerCase(Locale.ROOT));
    for (String name : certified) {
      if (name.startsWith("*.")) {
        parents.add(name.substring(1));
      } else {
        names.add(name);
      }
    }
  }

  /** What is to be said against the request, if anything. */
  Optional<Problem> objection(Request request) {
    String host = request.getHttpURI().getHost();
    if (host != null && !host.isEmpty() && !isOurs(host, request)) {
      return Optional.of(Problem.of(ErrorCode.WRONG_HOST, "'" + shown(host) + "' is not a name of this node. If it should be, add it to hosts in " + ListenerConfig.PID + ".cfg.json."));
    }
    String method = request.getMethod();
    if ("GET".equals(method) || "HEAD".equals(method) || "OPTIONS".equals(method)) {
      return Optional.empty();
    }
    HttpFields fields = request.getHeaders();
    for (HttpField field : fields) {
      if (field.getHeader() == HttpHeader.ORIGIN && !isOurPage(field.getValue(), request) || "Sec-Fetch-Site".equalsIgnoreCase(field.getName()) && !isSameSite(field.getValue())) {
        return Optional.of(Problem.of(ErrorCode.CROSS_SITE, "The request was made by a web page of another site (" + field.getName() + ": " + shown(String.valueOf(field.getValue()))
            + "), which this node takes no changes and calls from."));
      }
    }
    return Optional.empty();
  }

  private boolean isOurs(String given, Request request) {
    String host = given.toLowerCase(Locale.ROOT);
    if (host.endsWith(".")) {
      host = host.substring(0, host.length() - 1);
    }
    if (names.contains(host) || host.endsWith(".localhost")) {
      return true;
    }
    int dot = host.indexOf('.');
    if (dot > 0 && parents.contains(host.substring(dot))) {
      return true;
    }
    if (!ADDRESS.matcher(host).matches()) {
      return false;
    }
    try {
      // Not getByName, which asks the resolver about 999.0.0.1.
      InetAddress address = InetAddress.ofLiteral(host);
      return address.isLoopbackAddress() || request.getConnectionMetaData().getLocalSocketAddress() instanceof InetSocketAddress local && address.equals(local.getAddress());
    } catch (IllegalArgumentException e) {
      return false;
    }
  }

  /** {@code none} is a person's own doing: a bookmark, a typed address. */
  private static boolean isSameSite(String value) {
    return "same-origin".equals(value) || "none".equals(value);
  }

  private boolean isOurPage(String origin, Request request) {
    try {
      URI page = new URI(String.valueOf(origin));
      if (page.getHost() == null || page.getScheme() == null) {
        return false;
      }
      if (configured.contains(page.getHost().toLowerCase(Locale.ROOT))) {
        return true;
      }
      int secure = "https".equalsIgnoreCase(page.getScheme()) ? 443 : 80;
      int port = request.getHttpURI().getPort();
      return page.getHost().equalsIgnoreCase(request.getHttpURI().getHost()) && (page.getPort() < 0 ? secure : page.getPort()) == (port <= 0 ? secure : port);
    } catch (URISyntaxException e) {
      return false;
    }
  }

  private static String shown(String text) {
    String safe = text.replaceAll("[^ -~]", "?");
    return safe.length() > SHOWN ? safe.substring(0, SHOWN) + "..." : safe;
  }
}
