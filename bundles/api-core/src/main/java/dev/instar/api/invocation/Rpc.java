package dev.instar.api.invocation;

import java.io.IOException;
import java.util.List;
import java.util.Objects;

/**
 * What a gRPC call has beside its messages (gRPC over HTTP/2, the document PROTOCOL-HTTP2). The messages, framed as gRPC frames them, are the call's input
 * and output; nobody on the way takes them apart.
 *
 * @param method the path that was asked for, {@code /package.Service/Method}
 * @param metadata what the caller says beside the messages, in its order; neither what belongs to the connection, nor a credential for the node
 * @param answer takes what the function says beside its messages
 */
public record Rpc(String method, List<Field> metadata, Answer answer) {
  public Rpc {
    Objects.requireNonNull(method);
    metadata = List.copyOf(metadata);
    Objects.requireNonNull(answer);
  }

  /**
   * One piece of metadata. A name may come more than once.
   *
   * @param name in lower case
   * @param value printable ASCII; bytes, of names that end with {@code -bin}, as base64
   */
  public record Field(String name, String value) {
    public Field {
      Objects.requireNonNull(name);
      Objects.requireNonNull(value);
    }
  }

  /** Told on the thread of the call, in the order of its methods. What one throws ends the call, as what the output throws does. */
  public interface Answer {
    /** The function has begun to answer; left out by one that answers with a status alone. */
    void begin(List<Field> metadata) throws IOException;

    /** The function has answered. @param trailers {@code grpc-status} and what else the function says at the end */
    void end(List<Field> trailers) throws IOException;
  }
}
