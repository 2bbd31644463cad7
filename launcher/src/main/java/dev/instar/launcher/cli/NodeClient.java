package dev.instar.launcher.cli;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import dev.instar.launcher.Distribution;
import dev.instar.launcher.ExitCode;
import dev.instar.launcher.Failure;
import java.io.IOException;
import java.io.InputStream;
import java.net.ConnectException;
import java.net.ProtocolException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpConnectTimeoutException;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.channels.UnresolvedAddressException;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Executors;
import java.util.function.Consumer;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;

/** Talks to a node over its API; a failure is a {@link Failure} with the words of the node. */
final class NodeClient implements AutoCloseable {
  /** More of an error's body is not read. */
  private static final int PROBLEM_BYTES = 256 << 10;

  private final URI node;
  private final Credential credential;
  private final HttpClient http;

  /** Without a credential. */
  NodeClient(URI node) {
    this(node, Credential.NONE, Optional.empty());
  }

  /** @param trust what vouches for an https:// node, where that is not the JDK's own list */
  NodeClient(URI node, Credential credential, Optional<SSLContext> trust) {
    this.node = node;
    this.credential = credential;
    HttpClient.Builder builder = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(Duration.ofSeconds(5)).executor(Executors.newVirtualThreadPerTaskExecutor());
    // Else the JDK's own list of authorities is read, for nothing.
    trust.or(() -> "http".equals(node.getScheme()) ? Optional.of(Trust.nobody()) : Optional.empty()).ifPresent(builder::sslContext);
    http = builder.build();
  }

  URI node() {
    return node;
  }

  JsonNode get(String path) throws Failure, InterruptedException {
    return json("GET", path, BodyPublishers.noBody(), "");
  }

  JsonNode delete(String path) throws Failure, InterruptedException {
    return json("DELETE", path, BodyPublishers.noBody(), "");
  }

  JsonNode post(String path, JsonNode body) throws Failure, InterruptedException {
    return json("POST", path, BodyPublishers.ofString(body.toString()), "application/json");
  }

  JsonNode patch(String path, JsonNode body) throws Failure, InterruptedException {
    return json("PATCH", path, BodyPublishers.ofString(body.toString()), "application/json");
  }

  JsonNode upload(String path, BodyPublisher artifact) throws Failure, InterruptedException {
    return json("POST", path, artifact, "application/octet-stream");
  }

  /** A change of the node itself, with a file as its body or none. */
  JsonNode send(String method, String path, BodyPublisher body) throws Failure, InterruptedException {
    return json(method, path, body, "application/octet-stream");
  }

  private JsonNode json(String method, String path, BodyPublisher body, String contentType) throws Failure, InterruptedException {
    try (InputStream answer = stream(method, path, body, contentType)) {
      byte[] bytes = answer.readAllBytes();
      return bytes.length == 0 ? MissingNode.getInstance() : Output.JSON.readTree(bytes);
    } catch (JsonProcessingException e) {
      throw notJson(path, e);
    } catch (IOException e) {
      throw failure(e);
    }
  }

  /**
   * The elements of an array in the answer, as they arrive: one at a time is kept, however many there are.
   *
   * @param field the array's name in the answer's object
   */
  void each(String path, String field, Consumer<JsonNode> action) throws Failure, InterruptedException {
    try (InputStream answer = stream("GET", path, BodyPublishers.noBody(), ""); JsonParser json = Output.JSON.createParser(answer)) {
      if (json.nextToken() != JsonToken.START_OBJECT) {
        return;
      }
      for (String name; (name = json.nextFieldName()) != null;) {
        if (json.nextToken() == JsonToken.START_ARRAY && name.equals(field)) {
          while (json.nextToken() != JsonToken.END_ARRAY) {
            action.accept(json.readValueAsTree());
          }
        } else {
          json.skipChildren();
        }
      }
    } catch (JsonProcessingException e) {
      throw notJson(path, e);
    } catch (IOException e) {
      throw failure(e);
    }
  }

  private Failure notJson(String path, JsonProcessingException e) {
    return new Failure(ExitCode.FAILED, "What answers at " + node + " is no Instar node: its answer to " + path + " is not JSON.", e);
  }

  /** The body of a successful answer, as it arrives. */
  InputStream stream(String method, String path, BodyPublisher body, String contentType) throws Failure, InterruptedException {
    HttpRequest.Builder request = request(path).method(method, body).header("User-Agent", "instar/" + Distribution.version());
    if (!contentType.isEmpty()) {
      request.header("Content-Type", contentType);
    }
    try {
      HttpResponse<InputStream> response = http.send(request.build(), BodyHandlers.ofInputStream());
      if (response.statusCode() / 100 == 2) {
        return response.body();
      }
      try (InputStream in = response.body()) {
        throw refused(response, in.readNBytes(PROBLEM_BYTES));
      }
    } catch (IOException e) {
      throw failure(e);
    }
  }

  private HttpRequest.Builder request(String path) {
    HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(node + path));
    credential.header().ifPresent(value -> request.header("Authorization", value));
    return request;
  }

  /** Whether the node says that it is ready; why not, if not. */
  JsonNode readiness() throws Failure, InterruptedException {
    try {
      HttpResponse<byte[]> response = http.send(request("/readyz").timeout(Duration.ofSeconds(10)).build(), BodyHandlers.ofByteArray());
      if (response.statusCode() == 200) {
        return MissingNode.getInstance();
      }
      JsonNode answer = Output.JSON.readTree(response.body());
      return answer.isMissingNode() ? Output.JSON.createObjectNode().put("status", response.statusCode()) : answer;
    } catch (JsonProcessingException e) {
      return Output.JSON.createObjectNode().put("detail", "its answer is not JSON");
    } catch (IOException e) {
      throw failure(e);
    }
  }

  private Failure refused(HttpResponse<?> response, byte[] body) {
    JsonNode problem;
    try {
      problem = Output.JSON.readTree(body);
    } catch (IOException e) {
      problem = MissingNode.getInstance();
    }
    if (!problem.path("code").isTextual()) {
      return new Failure(ExitCode.FAILED, "What answers at " + node + " ended the request with HTTP status " + response.statusCode() + " and no further word; is it an Instar node?");
    }
    String title = problem.path("title").asText();
    // Of several nodes on a machine the usual place has the token of one.
    String detail = problem.path("detail").asText() + (response.statusCode() == 401 ? credential.file().map(f -> " The token that was sent is that of " + f + ".").orElse("") : "");
    String code = problem.path("code").asText();
    String id = response.headers().firstValue("Instar-Request-Id").map(i -> ", request " + i).orElse("");
    return new Refused(code, Output.printable((title.isEmpty() ? "" : title + ": ") + detail + " (" + code + id + ")"));
  }

  private Failure failure(IOException e) {
    for (Throwable t = e; t != null; t = t.getCause()) {
      if (t instanceof SSLException) {
        return new Failure(ExitCode.FAILED, "No secure connection to " + node + ": " + t.getMessage() + ". Name the certificate that vouches for the node with --ca, and the node as that certificate does.", e);
      }
      // The JDK says so by one or the other, as much of the status line as came.
      if (t instanceof ProtocolException || String.valueOf(t.getMessage()).contains("parsing HTTP/1.1 status line")) {
        return new Failure(ExitCode.FAILED, "What answers at " + node + " does not speak HTTP." + (node.toString().startsWith("https:") ? "" : " A node with TLS is named by an https:// URL, with --ca for its certificate."), e);
      }
      if (t instanceof ConnectException || t instanceof HttpConnectTimeoutException || t instanceof UnresolvedAddressException) {
        return new Failure(ExitCode.UNREACHABLE, "No node answers at " + node + ". Start one with 'instar run', or name another with --url or INSTAR_URL.", e);
      }
    }
    return new Failure(ExitCode.FAILED, "The connection to " + node + " broke: " + e.getMessage() + ". The node may have stopped; its log says more.", e);
  }

  @Override
  public void close() {
    http.shutdownNow();
  }

  /** The node refused, with a stable code. */
  static final class Refused extends Failure {
    private static final long serialVersionUID = 1;
    private final String code;

    Refused(String code, String message) {
      super(ExitCode.FAILED, message);
      this.code = code;
    }

    String code() {
      return code;
    }
  }
}
