package dev.instar.api.http;

/**
 * @param method an HTTP method, upper case. A route for GET answers HEAD too
 * @param template a path of literal segments and {@code {variables}}, e.g. <code>/f/{user}/{function}</code>; a variable takes one
 *     non-empty segment. A trailing slash in a request's path is ignored
 * @param handler takes what matches
 */
public record Route(String method, String template, RouteHandler handler) {}
