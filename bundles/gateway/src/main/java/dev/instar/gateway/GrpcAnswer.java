package dev.instar.gateway;

import dev.instar.api.Problem;
import dev.instar.api.invocation.Rpc;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.util.List;
import org.eclipse.jetty.http.HttpFields;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.server.Response;

/**
 * The answer to a gRPC call: metadata and messages as they come, and a status at the end, the function's or the node's. Where nothing has come before it the
 * status is all of the answer.
 */
final class GrpcAnswer extends OutputStream implements Rpc.Answer {
  private static final String TYPE = "application/grpc";

  /** Writes to the caller. */
  interface Writer {
    void write(boolean last, ByteBuffer bytes) throws IOException;
  }

  private final Response response;
  private final String id;
  private final Writer writer;
  private final HttpFields.Mutable trailers = HttpFields.build();
  private boolean begun;
  private boolean ended;

  /** @param id of the request */
  GrpcAnswer(Response response, String id, Writer writer) {
    this.response = response;
    this.id = id;
    this.writer = writer;
  }

  /** Whether a request is a gRPC call: over HTTP/2, a POST, and of gRPC's media type, of which gRPC-Web's is none. */
  static boolean isFor(String method, String contentType) {
    return "POST".equals(method) && contentType != null && contentType.startsWith(TYPE) && (contentType.length() == TYPE.length() || "+; ".indexOf(contentType.charAt(TYPE.length())) >= 0);
  }

  @Override
  public void begin(List<Rpc.Field> metadata) throws IOException {
    put(metadata, response.getHeaders());
    head();
    response.setTrailersSupplier(() -> trailers);
    begun = true;
    writer.write(false, ByteBuffer.allocate(0));
  }

  private void head() {
    response.setStatus(200);
    HttpFields.Mutable fields = response.getHeaders();
    if (!fields.contains(HttpHeader.CONTENT_TYPE)) {
      fields.put(HttpHeader.CONTENT_TYPE, TYPE);
    }
    fields.put("instar-request-id", id);
  }

  private static void put(List<Rpc.Field> metadata, HttpFields.Mutable to) {
    for (Rpc.Field field : metadata) {
      if (!Exchange.isOwned(field.name())) {
        Exchange.check(field.name(), field.value());
        to.add(field.name(), field.value());
      }
    }
  }

  /** Kept until the call has ended for the node, too. */
  @Override
  public void end(List<Rpc.Field> last) {
    put(last, trailers);
  }

  /** Sends the function's status. */
  void finish() throws IOException {
    if (!trailers.contains("grpc-status")) {
      throw new IllegalStateException("the function's status has not come");
    }
    last();
  }

  /** Sends the node's word instead of the function's. */
  void fail(Problem problem) throws IOException {
    trailers.clear();
    trailers.put("grpc-status", Integer.toString(GrpcStatus.of(problem)));
    trailers.put("grpc-message", GrpcStatus.message(problem.detail()));
    trailers.put("instar-error", problem.code().code());
    last();
  }

  private void last() throws IOException {
    if (ended) {
      return;
    }
    ended = true;
    if (!begun) {
      trailers.forEach(response.getHeaders()::add);
      head();
    }
    writer.write(true, ByteBuffer.allocate(0));
  }

  @Override
  public void write(int b) throws IOException {
    write(new byte[] {(byte) b}, 0, 1);
  }

  @Override
  public void write(byte[] bytes, int offset, int length) throws IOException {
    if (!begun) {
      begin(List.of());
    }
    writer.write(false, ByteBuffer.wrap(bytes, offset, length));
  }
}
