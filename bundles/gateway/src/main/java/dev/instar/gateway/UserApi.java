package dev.instar.gateway;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.http.HttpExchange;
import dev.instar.api.http.Route;
import dev.instar.gateway.Json.JsonObject;
import dev.instar.gateway.access.Access;
import dev.instar.gateway.access.Credentials;
import dev.instar.gateway.access.User;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeSet;

/** The part of Instar's own API by which the administrator says who else may upload and call. */
final class UserApi {
  private static final String ALL = "/v1/users";

  private final Access access;

  UserApi(Access access) {
    this.access = access;
  }

  List<Route> routes() {
    return List.of(
        new Route("GET", ALL, x -> Json.respond(x, "users", access.credentials().users().stream().map(UserApi::json))),
        new Route("POST", ALL, this::add),
        new Route("DELETE", ALL + "/{name}", this::remove));
  }

  private void add(HttpExchange x) throws IOException {
    JsonObject body = Json.body(x).onlyFields("name", "upload", "call");
    String name = body.string("name");
    Credentials.Added added = access.credentials().add(name, names(body, "upload", name), names(body, "call", name));
    Json.respond(x, 201, Map.of("Location", ALL + "/" + name, "Cache-Control", "no-store"), json(added.user()).put("token", added.token()));
  }

  /** Whoever names nobody means the user himself. */
  private static SortedSet<String> names(JsonObject body, String field, String name) {
    if (!body.has(field)) {
      return new TreeSet<>(Set.of(name));
    }
    return new TreeSet<>(body.strings(field, "a list of user names"));
  }

  private void remove(HttpExchange x) throws IOException {
    String name = x.variable("name");
    if (!access.credentials().remove(name)) {
      throw new InstarException(ErrorCode.USER_NOT_FOUND, "There is no user '" + Json.shown(name) + "'; GET " + ALL + " lists them.");
    }
    x.respond(204, Map.of(), new byte[0]);
  }

  /** Without the token's sum: nobody needs it. */
  private static ObjectNode json(User user) {
    ObjectNode node = Json.object().put("name", user.name());
    ArrayNode upload = node.putArray("upload");
    user.upload().forEach(upload::add);
    ArrayNode call = node.putArray("call");
    user.call().forEach(call::add);
    return node.put("created", user.created().toString());
  }
}
