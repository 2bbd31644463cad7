package dev.instar.backend.container;

import dev.instar.api.invocation.Rpc;
import java.io.IOException;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * The node's end of a connection to a function: one exchange after another. One thread sends while another reads; {@link #close} may come from any. What the
 * function says is held to be well-formed and short, and becomes nothing of the node's own answer.
 */
sealed interface Connection extends AutoCloseable permits HttpConnection, Http2Connection {
  /** What every answer to a gRPC call ends with. */
  String GRPC_STATUS = "grpc-status";

  /**
   * What is asked.
   *
   * @param host what the function sees as the Host
   * @param length of the body, where it is known
   * @param deadline for the function to know
   */
  record Request(String host, String invocation, OptionalLong length, Instant deadline, Optional<Rpc> rpc) {}

  /**
   * How the function answers.
   *
   * @param fields what may go on to a gRPC caller
   * @param last whether nothing follows
   */
  record Head(int status, List<Rpc.Field> fields, boolean last) {}

  /** What the peer has sent is not HTTP as it may be here. */
  final class MalformedException extends IOException {
    private static final long serialVersionUID = 1;

    MalformedException(String message) {
      super(message);
    }
  }

  /** The peer does not speak this version of HTTP. */
  final class OtherProtocolException extends IOException {
    private static final long serialVersionUID = 1;
  }

  /** Takes a piece of the body. */
  interface Taker {
    void take(byte[] bytes, int length) throws IOException;
  }

  void sendHead(Request request) throws IOException;

  /** A piece of the body. */
  void send(byte[] bytes, int length) throws IOException;

  void sendEnd() throws IOException;

  /** Waits for the head of the final answer; what comes before it is passed over. */
  Head readHead() throws IOException;

  /** Passes the body of the answer on as it comes. What {@code to} throws goes to the caller. */
  void readBody(Taker to) throws IOException;

  /** What has come after the body, for a gRPC caller. */
  List<Rpc.Field> trailers();

  /** Whether another exchange may follow on it: the peer wants so, has not closed it meanwhile, and has said nothing that nobody asked for. */
  boolean reusable();

  @Override
  void close();
}
