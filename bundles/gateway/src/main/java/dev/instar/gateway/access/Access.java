package dev.instar.gateway.access;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import java.net.InetAddress;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * Who may do what: the one place that says which route needs which credential. {@link #admit} judges a request by its path before anybody looks whether
 * there is such a route, so that whatever is added below {@code /v1} is the administrator's until it is named here; {@link #permit} judges the
 * route that was found.
 *
 * <table>
 * <caption>What a request needs</caption>
 * <tr><th>path</th><th>on loopback, mode {@code open}</th><th>else</th></tr>
 * <tr><td>{@code /healthz}</td><td>nothing</td><td>nothing, and any token for what the checks have found</td></tr>
 * <tr><td>{@code /readyz}, {@code /v1}, {@code /v1/openapi.json}, {@code GET /v1/functions} and {@code GET /v1/secrets} (what one may see of them)</td><td>nothing</td><td>any token</td></tr>
 * <tr><td>routes with <code>{user}</code> outside of {@code /v1} and below {@code /v1/functions} and {@code /v1/secrets}</td><td>nothing</td><td>the right to call or to upload for that user</td></tr>
 * <tr><td>{@code /v1/images}, but for DELETE</td><td>nothing</td><td>the right to upload for some user</td></tr>
 * <tr><td>DELETE of {@code /v1/images}, reading {@code /v1/backends}, {@code /v1/cgroups}, {@code /v1/network}, {@code /v1/snapshots} (archives left out), and routes of dialects without <code>{user}</code></td><td>nothing</td><td>the administrator's token</td></tr>
 * <tr><td>{@code /ipam}</td><td>the administrator's token</td><td>the administrator's token</td></tr>
 * <tr><td>all else below {@code /v1}: bundles, features, configuration, users, swaps, what changes snapshots</td><td>the administrator's token</td><td>the administrator's token</td></tr>
 * </table>
 *
 * A credential that is not needed is not looked at.
 */
public final class Access {
  /** Whether callers on loopback need a credential for functions. */
  public enum Mode {
    /** They need none. Off loopback all need one all the same. */
    OPEN,
    /** They do. */
    REQUIRED
  }

  private enum Need {
    /** But what is answered to one who shows nothing is less. */
    NOTHING,
    /** Of anybody who has a token; what the route does is looked at later. */
    TOKEN,
    /** The administrator's, but nothing where the node is open. */
    OPERATOR,
    /** The administrator's, always. */
    ADMINISTRATOR
  }

  private static final String SCHEME = "Bearer ";
  private static final String ADMINISTRATORS = "The administrator's token is in the file " + Credentials.TOKEN
      + " of the node's data directory; the command instar finds it there, or is told with --token-file.";

  private final Guesses guesses;
  private volatile Mode mode = Mode.OPEN;
  private volatile Optional<Credentials> credentials = Optional.empty();

  /** Knows no credential until it is given some: what needs one gets NOT_READY. */
  public Access() {
    this(System::nanoTime);
  }

  Access(LongSupplier clock) {
    guesses = new Guesses(clock);
  }

  public void mode(Mode changed) {
    mode = changed;
  }

  /** The node's credentials, or none while its data directory is away. */
  public void credentials(Optional<Credentials> changed) {
    credentials = changed;
  }

  /** @throws InstarException NOT_READY while there are none */
  public Credentials credentials() {
    return credentials.orElseThrow(Access::notReady);
  }

  private static Need need(String method, List<String> path) {
    boolean reads = "GET".equals(method) || "HEAD".equals(method) || "OPTIONS".equals(method);
    if (path.isEmpty()) {
      return Need.TOKEN;
    }
    if (!"v1".equals(path.getFirst())) {
      // Whoever gives addresses away can take those of sandboxes.
      return path.size() == 1 && "healthz".equals(path.getFirst()) ? Need.NOTHING : "ipam".equals(path.getFirst()) ? Need.ADMINISTRATOR : Need.TOKEN;
    }
    if (path.size() == 1) {
      return Need.TOKEN;
    }
    return switch (path.get(1)) {
      case "functions", "openapi.json", "secrets" -> Need.TOKEN;
      case "images" -> "DELETE".equals(method) ? Need.OPERATOR : Need.TOKEN;
      case "backends", "cgroups", "network" -> reads ? Need.OPERATOR : Need.ADMINISTRATOR;
      // An archive holds what a function's memory held.
      case "snapshots" -> reads && !"archive".equals(path.getLast()) ? Need.OPERATOR : Need.ADMINISTRATOR;
      default -> Need.ADMINISTRATOR;
    };
  }

  /**
   * Finds out who asks and whether they may ask for this at all.
   *
   * @param path its segments
   * @param authorization the values of the header, asked for where one is needed; more than one is refused
   * @param loopback whether the listener can be reached from this machine only
   * @throws InstarException UNAUTHENTICATED, FORBIDDEN, TOO_MANY_ATTEMPTS, NOT_READY
   */
  public Caller admit(String method, List<String> path, Supplier<List<String>> authorization, Supplier<InetAddress> peer, boolean loopback) {
    Need need = need(method, path);
    boolean open = loopback && mode == Mode.OPEN;
    if (open && need != Need.ADMINISTRATOR) {
      return Caller.ANYONE;
    }
    List<String> given = authorization.get();
    if (need == Need.NOTHING && given.isEmpty()) {
      return Caller.STRANGER;
    }
    boolean administrator = need == Need.OPERATOR || need == Need.ADMINISTRATOR;
    Caller caller = authenticate(given, peer.get(), administrator);
    if (administrator && caller != Caller.ADMINISTRATOR) {
      throw new InstarException(ErrorCode.FORBIDDEN, "This needs the administrator's token, and the one that came is a user's. " + ADMINISTRATORS);
    }
    return caller;
  }

  private Caller authenticate(List<String> authorization, InetAddress peer, boolean administrator) {
    String help = administrator ? ADMINISTRATORS : "Ask the node's administrator for a token (instar users add), and give it with --token-file or INSTAR_TOKEN_FILE.";
    if (authorization.isEmpty()) {
      throw new InstarException(ErrorCode.UNAUTHENTICATED, "This needs " + (administrator ? "the administrator's token" : "a token") + ", as 'Authorization: Bearer <token>'. " + help);
    }
    Credentials now = credentials();
    String value = authorization.getFirst();
    Optional<Caller> caller = authorization.size() == 1 && value.regionMatches(true, 0, SCHEME, 0, SCHEME.length()) ? now.find(value.substring(SCHEME.length()).strip()) : Optional.empty();
    return caller.orElseThrow(() -> {
      Duration wait = guesses.wrong(peer);
      return wait.isZero() ? new InstarException(ErrorCode.UNAUTHENTICATED, "The token that came does not hold. " + help)
          : new InstarException(Problem.of(ErrorCode.TOO_MANY_ATTEMPTS, "Too many tokens that do not hold have come from this address. One that holds is taken all the same.").retryAfter(wait));
    });
  }

  /**
   * Whether a caller who was admitted may use the route that was found.
   *
   * @param path its segments
   * @param user the value of the route's variable <code>{user}</code>
   * @param calls whether the route does nothing but call a function of that user
   * @throws InstarException FORBIDDEN
   */
  public void permit(Caller caller, List<String> path, Optional<String> user, boolean calls) {
    if (!(caller instanceof Caller.Holder holder)) {
      return;
    }
    if (user.isPresent()) {
      if (calls ? !holder.mayCall(user.get()) : !holder.mayUpload(user.get())) {
        throw new InstarException(ErrorCode.FORBIDDEN, "The user " + holder.user().name() + " may not " + (calls ? "call" : "upload, change or look at") + " functions of '" + shown(user.get())
            + "'. The node's administrator may allow it (instar users add --" + (calls ? "call" : "upload") + ").");
      }
    } else if (!path.isEmpty() && "v1".equals(path.getFirst())) {
      if (path.size() > 1 && "images".equals(path.get(1)) && !holder.uploads()) {
        throw new InstarException(ErrorCode.FORBIDDEN, "The user " + holder.user().name() + " may not upload. The node's administrator may allow it (instar users add --upload).");
      }
    } else if (path.size() != 1 || !("healthz".equals(path.getFirst()) || "readyz".equals(path.getFirst()))) {
      throw new InstarException(ErrorCode.FORBIDDEN, "This needs the administrator's token, and the one that came is a user's. " + ADMINISTRATORS);
    }
  }

  private static String shown(String name) {
    String safe = name.replaceAll("[^ -~]", "?");
    return safe.length() > 80 ? safe.substring(0, 80) + "..." : safe;
  }

  private static InstarException notReady() {
    return new InstarException(Problem.of(ErrorCode.NOT_READY, "The node's credentials are not there at the moment: it may be starting, or they could not be read or made, which node.log says then. Try again.")
        .retryAfter(Duration.ofSeconds(1)));
  }
}
