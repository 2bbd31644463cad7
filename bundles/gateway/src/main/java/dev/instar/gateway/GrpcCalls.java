package dev.instar.gateway;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.FunctionName;
import dev.instar.api.http.InvocationExchange;
import dev.instar.api.invocation.Outcome;
import dev.instar.api.invocation.Rpc;
import dev.instar.gateway.access.Access;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import org.eclipse.jetty.http.HttpField;
import org.eclipse.jetty.http.HttpFields;

/**
 * Calls by gRPC. Their path is the method's, so the function is named beside it: by the metadata {@code instar-function: USER/FUNCTION}, or else by the host
 * that is asked for, {@code FUNCTION.USER.NODE}, as Knative and with it vHive have it.
 */
final class GrpcCalls {
  private static final String FUNCTION = "instar-function";
  private static final String OWN_PREFIX = "instar-";
  private static final String TIMEOUT = "grpc-timeout";
  private static final Pattern ADDRESS = Pattern.compile("[0-9.]*|\\[.*");
  /** The credential is for the node, and a function has no use for it but a bad one; the rest is the connection's, or said anew. */
  private static final Set<String> NOT_PASSED = Set.of("authorization", "host", "content-length", "connection", "keep-alive", "proxy-connection", "proxy-authorization", "transfer-encoding", "te",
      "trailer", "upgrade", "expect", TIMEOUT);

  private final Access access;
  private final Supplier<InvocationExchange> invocations;

  GrpcCalls(Access access, Supplier<InvocationExchange> invocations) {
    this.access = access;
    this.invocations = invocations;
  }

  void answer(Exchange exchange, GrpcAnswer answer) throws IOException, InterruptedException {
    List<String> path = exchange.named().map(name -> List.of("v1", "functions", name.user(), name.function(), "invoke")).orElse(List.of("v1", "functions"));
    // Whoever may not call learns nothing else.
    exchange.admitted(access.admit(exchange.method(), path, exchange::authorization, exchange::peer, exchange.onLoopback()));
    FunctionName name = exchange.named().orElseThrow(() -> new InstarException(ErrorCode.BAD_REQUEST, "The call names no function: give the metadata '" + FUNCTION
        + ": USER/FUNCTION', or the host FUNCTION.USER.localhost, or one like it that the node has."));
    access.permit(exchange.caller(), path, Optional.of(name.user()), true);
    Optional<Duration> timeout = exchange.header(TIMEOUT).map(GrpcStatus::timeout);
    if (timeout.isPresent() && timeout.get().isZero()) {
      throw new InstarException(ErrorCode.TIMED_OUT, "The call's time was up when it came.");
    }
    RequestPath.segments(exchange.path());
    Outcome outcome = invocations.get().call(exchange, name, timeout, answer, new Rpc(exchange.path(), metadata(exchange.headers()), answer));
    switch (outcome) {
      case Outcome.Completed done -> answer.finish();
      case Outcome.Failed failed -> throw new InstarException(failed.problem());
    }
  }

  /** @throws InstarException BAD_REQUEST for a value that gRPC has no place for */
  private static List<Rpc.Field> metadata(HttpFields headers) {
    List<Rpc.Field> passed = headers.stream().filter(field -> !field.getLowerCaseName().startsWith(OWN_PREFIX) && !NOT_PASSED.contains(field.getLowerCaseName()) && field.getLowerCaseName().charAt(0) != ':')
        .map(field -> new Rpc.Field(field.getLowerCaseName(), Optional.ofNullable(field.getValue()).orElse(""))).toList();
    for (Rpc.Field field : passed) {
      if (!field.value().chars().allMatch(c -> c >= ' ' && c <= '~')) {
        throw new InstarException(ErrorCode.BAD_REQUEST, "The metadata '" + field.name() + "' has characters other than printable ASCII; give it a name that ends with '-bin', and its bytes in base64.");
      }
    }
    return passed;
  }

  /**
   * Whom a gRPC call is for.
   *
   * @param host that was asked for, without a port
   * @throws InstarException BAD_NAME, BAD_REQUEST
   */
  static Optional<FunctionName> named(HttpFields headers, String host) {
    List<HttpField> given = headers.stream().filter(field -> field.getLowerCaseName().equals(FUNCTION)).toList();
    if (given.size() > 1) {
      throw new InstarException(ErrorCode.BAD_REQUEST, "The metadata '" + FUNCTION + "' came more than once.");
    }
    if (given.size() == 1) {
      return Optional.of(FunctionName.parse(Optional.ofNullable(given.getFirst().getValue()).orElse("")));
    }
    String[] labels = host == null || ADDRESS.matcher(host).matches() ? new String[0] : host.split("\\.", 3);
    return labels.length == 3 ? Optional.of(new FunctionName(labels[1], labels[0])) : Optional.empty();
  }
}
