package dev.instar.api.http;

/**
 * Where credentials are asked for, the gateway judges a route by its path and by this record: below <code>/v1</code> all but its public part is the
 * administrator's; a route with the variable <code>{user}</code> is for those who may do that with this user's functions; all others are the
 * administrator's.
 *
 * @param method an HTTP method, upper case. A route for GET answers HEAD too
 * @param template a path of literal segments and {@code {variables}}, e.g. <code>/f/{user}/{function}</code>; a variable takes one
 *     non-empty segment. A trailing slash in a request's path is ignored
 * @param handler takes what matches
 * @param calls whether it calls a function of <code>{user}</code> and does nothing else, so that the right to call is enough; else it takes the right to
 *     upload
 */
public record Route(String method, String template, RouteHandler handler, boolean calls) {
  /** One that the right to call is not enough for. */
  public Route(String method, String template, RouteHandler handler) {
    this(method, template, handler, false);
  }
}
