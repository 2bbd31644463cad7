package dev.instar.api.http;

import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.invocation.CallInput;
import java.io.IOException;
import java.io.OutputStream;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.osgi.annotation.versioning.ProviderType;

/** One request and its answer. Used by one thread at a time. */
@ProviderType
public interface HttpExchange {
  /** Unique on this node; sent as {@code Instar-Request-Id} with every answer. */
  String requestId();

  String method();

  /** The value of a template's variable: percent-decoded once, with no slash, NUL, control character or dot segment in it. */
  String variable(String name);

  /** The first value of a query parameter. */
  Optional<String> query(String name);

  /** The first value of a header; names in any case. */
  Optional<String> header(String name);

  /** The path as it came, percent-encoded, without the query. */
  String path();

  /**
   * The body, of which at most {@code limit} bytes can be read. When its declared length is over the limit this throws TOO_LARGE at once;
   * else reading past the limit throws it.
   */
  CallInput body(long limit);

  /** The whole body. @throws dev.instar.api.InstarException NODE_BUSY when the node is short of memory for it */
  byte[] bodyBytes(int limit) throws IOException;

  /**
   * The whole body, if it is short and has come. Does not block, and uses nothing up: what it does not return can be read as if it had not been asked.
   *
   * @param limit in bytes; a longer one is not returned
   */
  Optional<byte[]> bodyNow(int limit);

  /** Sends the whole answer. Content-Length is set; headers that the node owns (Connection, Transfer-Encoding, …) are not taken. */
  void respond(int status, Map<String, String> headers, byte[] body) throws IOException;

  /** Sends the problem as application/problem+json. */
  void respond(Problem problem) throws IOException;

  /**
   * An answer that streams: bytes are held back until {@code holdBack} of them have come, so that a failure before that can still be a
   * problem document; fewer are while the node is short of memory. The answer is whole when {@link Streamed#finish} returns.
   */
  Streamed stream(int status, Map<String, String> headers, int holdBack);

  /** An answer under way. */
  @ProviderType
  abstract class Streamed extends OutputStream {
    /** Sets a header of the answer, as long as {@link #committed} is false. */
    public abstract void header(String name, String value);

    /** Whether the status line has gone out. */
    public abstract boolean committed();

    /** Sends what is held back and ends the answer. */
    public abstract void finish() throws IOException;
  }

  /** Work that may take long and ends soon after an interrupt. */
  @FunctionalInterface
  interface Work<T> {
    T run() throws InterruptedException;
  }

  /**
   * Does work, on this thread, that nobody but the caller wants: when the caller goes away meanwhile, and is seen to, the thread is interrupted.
   * Over HTTP/2 a stream that is reset and a connection that is closed are seen; over HTTP/1.1 a connection that is closed, or half-closed, within a
   * second or two where the body has come and nothing was sent after it.
   *
   * @throws InstarException CALLER_GONE when that has ended the work
   */
  <T> T forCaller(Work<T> work) throws InterruptedException;

  /** For {@link RouteHandler#begin}: the rest of the exchange. */
  Later later();

  /** What goes on after {@link RouteHandler#begin} has returned. One thread after another may use it; {@link #ends} and one of the two others at the same time. */
  @ProviderType
  interface Later {
    /** How to end what runs, when the caller goes away or the node stops; it is done at once where that has happened. */
    void ends(Runnable end);

    /** Sends what has been written and ends the exchange. Does not block. */
    void finish(Streamed answer);

    /** Goes on with the exchange on a virtual thread, in the way of {@link RouteHandler#handle}, unless what ran was ended: then that is answered. Does not block. */
    void resume(Rest rest);
  }

  /** The rest of an exchange. */
  @FunctionalInterface
  interface Rest {
    void run() throws IOException, InterruptedException;
  }

  /** All methods that the path takes, for OPTIONS and Allow. */
  List<String> allowed();
}
