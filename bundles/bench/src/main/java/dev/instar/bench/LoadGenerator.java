package dev.instar.bench;

import io.netty.bootstrap.Bootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoop;
import io.netty.channel.IoHandlerFactory;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.epoll.Epoll;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.epoll.EpollSocketChannel;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.handler.codec.http.HttpContent;
import io.netty.handler.codec.http.HttpObject;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.HttpResponseDecoder;
import io.netty.handler.codec.http.LastHttpContent;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.HdrHistogram.Histogram;

/**
 * Sends requests whose answers must be what was sent, over HTTP/1.1 connections that stay open, and looks at each answer. One thread does it all: it
 * shares the machine with the server that it measures.
 *
 * <p>A body is {@value #BODY} random bytes that no other request has, so that an answer of another call is told from the right one.
 */
final class LoadGenerator implements AutoCloseable {
  static final int BODY = 64;
  /** How long an answer may take after the load has ended; a server that needs longer is broken. */
  private static final Duration PATIENCE = Duration.ofSeconds(30);
  private static final int OK = 200;

  private final MultiThreadIoEventLoopGroup group;
  private final Class<? extends SocketChannel> channelType;

  LoadGenerator() {
    // Its timers are finer than the millisecond of NIO's selectors, which an open load needs.
    boolean epoll = Epoll.isAvailable();
    IoHandlerFactory io = epoll ? EpollIoHandler.newFactory() : NioIoHandler.newFactory();
    group = new MultiThreadIoEventLoopGroup(1, io);
    channelType = epoll ? EpollSocketChannel.class : NioSocketChannel.class;
  }

  /** As many requests as the server answers: each connection sends the next when it has the answer to the last. */
  Load closed(URI url, int connections, Duration time, Runnable begins, Runnable ends) throws IOException, InterruptedException {
    return run(new Closed(url, time, begins, ends), connections);
  }

  /**
   * {@code rate} requests per second at random moments (a Poisson process), whether the server keeps up or not. The latency of a request counts from
   * the moment that was drawn for it, also when it had to wait for a connection.
   */
  Load open(URI url, int connections, Duration time, double rate) throws IOException, InterruptedException {
    return run(new Open(url, time, rate), connections);
  }

  private Load run(Stretch stretch, int connections) throws IOException, InterruptedException {
    EventLoop loop = group.next();
    List<Connection> opened = new ArrayList<>();
    for (int i = 0; i < connections; i++) {
      opened.add(connect(stretch));
    }
    loop.execute(() -> stretch.begin(loop, opened));
    try {
      return stretch.done.get(stretch.time.plus(PATIENCE).toMillis(), TimeUnit.MILLISECONDS);
    } catch (TimeoutException e) {
      throw new IOException(stretch.url + " has left requests without an answer for " + PATIENCE.toSeconds() + " s.");
    } catch (ExecutionException e) {
      throw new IOException(e.getCause().getMessage(), e.getCause());
    } finally {
      opened.forEach(c -> c.channel.close());
      group.next().submit(() -> {}).await();
    }
  }

  private Connection connect(Stretch stretch) throws IOException, InterruptedException {
    Connection connection = new Connection(stretch);
    ChannelFuture connected = bootstrap(connection).connect(stretch.url.getHost(), stretch.url.getPort()).await();
    if (!connected.isSuccess()) {
      throw new IOException("No connection to " + stretch.url + ": " + connected.cause().getMessage(), connected.cause());
    }
    connection.channel = connected.channel();
    return connection;
  }

  private Bootstrap bootstrap(Connection connection) {
    return new Bootstrap().group(group).channel(channelType).option(ChannelOption.TCP_NODELAY, true).handler(new ChannelInitializer<>() {
      @Override
      protected void initChannel(Channel channel) {
        channel.pipeline().addLast(new HttpResponseDecoder(), connection);
      }
    });
  }

  @Override
  public void close() {
    group.shutdownGracefully(0, 1, TimeUnit.SECONDS).awaitUninterruptibly();
  }

  /** One stretch of load. All but its making and {@link #done} belongs to the thread of the loop. */
  private abstract static sealed class Stretch {
    final URI url;
    final Duration time;
    final byte[] head;
    final SplittableRandom random = new SplittableRandom();
    final CompletableFuture<Load> done = new CompletableFuture<>();
    final Histogram latencies = new Histogram(3);
    EventLoop loop;
    long began;
    long nanos;
    int busy;
    long sent;
    long right;
    long wrong;
    long refused;
    long lost;
    long inTime;
    String firstFault = "";

    Stretch(URI url, Duration time) {
      this.url = url;
      this.time = time;
      head = ("POST " + url.getPath() + " HTTP/1.1\r\nHost: " + url.getAuthority() + "\r\nContent-Type: application/octet-stream\r\nContent-Length: " + BODY + "\r\n\r\n")
          .getBytes(StandardCharsets.US_ASCII);
    }

    void begin(EventLoop loop, List<Connection> connections) {
      this.loop = loop;
      began = System.nanoTime();
      loop.schedule(this::over, time.toNanos(), TimeUnit.NANOSECONDS);
    }

    void over() {
      nanos = System.nanoTime() - began;
      endIfIdle();
    }

    boolean running() {
      return nanos == 0;
    }

    void endIfIdle() {
      if (!running() && busy == 0) {
        done.complete(new Load(sent, right, wrong, refused, lost, inTime, nanos, latencies, firstFault));
      }
    }

    void fault(String what) {
      if (firstFault.isEmpty()) {
        firstFault = what;
      }
    }

    /** The connection has its answer, or is open anew. */
    abstract void free(Connection connection);
  }

  private static final class Closed extends Stretch {
    private final Runnable begins;
    private final Runnable ends;

    Closed(URI url, Duration time, Runnable begins, Runnable ends) {
      super(url, time);
      this.begins = begins;
      this.ends = ends;
    }

    @Override
    void begin(EventLoop loop, List<Connection> connections) {
      begins.run();
      super.begin(loop, connections);
      connections.forEach(this::free);
    }

    @Override
    void over() {
      ends.run();
      super.over();
    }

    @Override
    void free(Connection connection) {
      if (running()) {
        connection.send(System.nanoTime());
      }
    }
  }

  private static final class Open extends Stretch {
    private final double rate;
    private final ArrayDeque<Connection> idle = new ArrayDeque<>();
    private final ArrayDeque<Long> waiting = new ArrayDeque<>();
    private long next;

    Open(URI url, Duration time, double rate) {
      super(url, time);
      this.rate = rate;
    }

    @Override
    void begin(EventLoop loop, List<Connection> connections) {
      super.begin(loop, connections);
      idle.addAll(connections);
      next = began + gap();
      tick();
    }

    private long gap() {
      return (long) (-Math.log(1 - random.nextDouble()) / rate * 1e9);
    }

    private void tick() {
      if (running()) {
        sendDue(System.nanoTime());
        loop.schedule(this::tick, Math.max(next - System.nanoTime(), 0), TimeUnit.NANOSECONDS);
      }
    }

    private void sendDue(long now) {
      while (next <= now) {
        waiting.add(next);
        next += gap();
        send();
      }
    }

    /** What was due counts, also when this thread comes late. */
    @Override
    void over() {
      sendDue(began + time.toNanos());
      super.over();
    }

    private void send() {
      if (!waiting.isEmpty() && !idle.isEmpty()) {
        idle.poll().send(waiting.poll());
      }
    }

    @Override
    void free(Connection connection) {
      idle.push(connection);
      send();
    }

    @Override
    void endIfIdle() {
      if (waiting.isEmpty()) {
        super.endIfIdle();
      }
    }
  }

  /** One connection, with at most one request in flight. */
  private final class Connection extends SimpleChannelInboundHandler<HttpObject> {
    private final Stretch stretch;
    private final byte[] body = new byte[BODY];
    private Channel channel;
    private boolean inFlight;
    private long due;
    private int status;
    private int received;
    private boolean same;

    Connection(Stretch stretch) {
      this.stretch = stretch;
    }

    void send(long due) {
      this.due = due;
      inFlight = true;
      received = 0;
      status = 0;
      same = true;
      stretch.random.nextBytes(body);
      ByteBuf request = channel.alloc().directBuffer(stretch.head.length + BODY);
      request.writeBytes(stretch.head).writeBytes(body);
      stretch.sent++;
      stretch.busy++;
      channel.writeAndFlush(request, channel.voidPromise());
    }

    /** In one pipeline after the other, when a connection is lost. */
    @Override
    public boolean isSharable() {
      return true;
    }

    @Override
    protected void channelRead0(ChannelHandlerContext context, HttpObject part) {
      if (part instanceof HttpResponse response) {
        status = response.status().code();
      }
      if (part instanceof HttpContent content) {
        compare(content.content());
      }
      if (part instanceof LastHttpContent) {
        answered(part);
      }
    }

    private void compare(ByteBuf bytes) {
      int count = bytes.readableBytes();
      if (received + count > BODY) {
        same = false;
      } else {
        for (int i = 0; i < count; i++) {
          same &= bytes.getByte(bytes.readerIndex() + i) == body[received + i];
        }
      }
      received += count;
    }

    private void answered(HttpObject last) {
      if (!inFlight) {
        return;
      }
      if (last.decoderResult().isFailure()) {
        stretch.lost++;
        stretch.fault("an answer that is not HTTP: " + last.decoderResult().cause());
      } else if (status != OK) {
        stretch.refused++;
        stretch.fault("status " + status);
      } else if (!same || received != BODY) {
        stretch.wrong++;
        stretch.fault(received + " bytes that are not those of the request");
      } else {
        stretch.right++;
        long now = System.nanoTime();
        stretch.latencies.recordValue(Math.max(now - due, 0));
        if (stretch.running()) {
          stretch.inTime++;
        }
      }
      end();
      stretch.free(this);
      stretch.endIfIdle();
    }

    private void end() {
      inFlight = false;
      stretch.busy--;
    }

    @Override
    public void channelInactive(ChannelHandlerContext context) {
      if (inFlight) {
        stretch.lost++;
        stretch.fault("the connection was closed before an answer");
        end();
      }
      if (!stretch.done.isDone() && stretch.running()) {
        bootstrap(this).connect(stretch.url.getHost(), stretch.url.getPort()).addListener((ChannelFuture again) -> {
          if (again.isSuccess()) {
            channel = again.channel();
            stretch.free(this);
          } else {
            stretch.done.completeExceptionally(new IOException("No connection to " + stretch.url + ": " + again.cause().getMessage()));
          }
        });
      }
      stretch.endIfIdle();
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
      stretch.fault(cause.toString());
      context.close();
    }
  }
}
