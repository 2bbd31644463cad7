package dev.instar.bench;

import java.nio.ByteBuffer;
import java.util.List;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.Promise;
import org.eclipse.jetty.util.VirtualThreads;
import org.eclipse.jetty.util.thread.QueuedThreadPool;

/**
 * The least that a Jetty can do: reads a body and writes it back. Threads and connector are as in the node's listener (16 platform threads, one acceptor,
 * two selectors); what the listener adds in limits and guards is left out.
 */
public final class EchoServer {
  private EchoServer() {}

  /**
   * Says its port on standard output and ends with standard input, that is, with the process that started it.
   *
   * @param arguments {@code virtual}: each request on a virtual thread, as in the node; else on the thread that read it
   */
  public static void main(String[] arguments) throws Exception {
    QueuedThreadPool threads = new QueuedThreadPool(16, 4);
    threads.setVirtualThreadsExecutor(VirtualThreads.getNamedVirtualThreadsExecutor("http-"));
    Server server = new Server(threads);
    HttpConfiguration http = new HttpConfiguration();
    http.setSendServerVersion(false);
    // As many selectors as the node's listener has.
    ServerConnector connector = new ServerConnector(server, 1, Math.max(1, Runtime.getRuntime().availableProcessors() / 4), new HttpConnectionFactory(http));
    connector.setHost("127.0.0.1");
    server.addConnector(connector);
    server.setHandler(List.of(arguments).contains("virtual") ? new Blocking() : new NonBlocking());
    server.start();
    System.out.println("port " + connector.getLocalPort() + " jetty " + Server.getVersion());
    System.in.readAllBytes();
    System.exit(0);
  }

  private static void answer(Response response, ByteBuffer body, Callback callback) {
    response.getHeaders().put(HttpHeader.CONTENT_TYPE, "application/octet-stream").put(HttpHeader.CONTENT_LENGTH, body.remaining());
    response.write(true, body, callback);
  }

  private static final class Blocking extends Handler.Abstract {
    @Override
    public boolean handle(Request request, Response response, Callback callback) throws Exception {
      answer(response, Content.Source.asByteBuffer(request), callback);
      return true;
    }
  }

  private static final class NonBlocking extends Handler.Abstract.NonBlocking {
    @Override
    public boolean handle(Request request, Response response, Callback callback) {
      Content.Source.asByteBuffer(request, Promise.from(body -> answer(response, body, callback), callback::failed));
      return true;
    }
  }
}
