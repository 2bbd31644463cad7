package dev.instar.backend.container;

import dev.instar.api.invocation.Rpc;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.SocketException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.eclipse.jetty.http.HttpField;
import org.eclipse.jetty.http.HttpFields;
import org.eclipse.jetty.http.HttpURI;
import org.eclipse.jetty.http.HttpVersion;
import org.eclipse.jetty.http.MetaData;
import org.eclipse.jetty.http2.ErrorCode;
import org.eclipse.jetty.http2.Flags;
import org.eclipse.jetty.http2.WindowRateControl;
import org.eclipse.jetty.http2.frames.DataFrame;
import org.eclipse.jetty.http2.frames.FrameType;
import org.eclipse.jetty.http2.frames.GoAwayFrame;
import org.eclipse.jetty.http2.frames.HeadersFrame;
import org.eclipse.jetty.http2.frames.PingFrame;
import org.eclipse.jetty.http2.frames.PushPromiseFrame;
import org.eclipse.jetty.http2.frames.ResetFrame;
import org.eclipse.jetty.http2.frames.SettingsFrame;
import org.eclipse.jetty.http2.frames.WindowUpdateFrame;
import org.eclipse.jetty.http2.hpack.HpackEncoder;
import org.eclipse.jetty.http2.hpack.HpackException;
import org.eclipse.jetty.http2.parser.Parser;
import org.eclipse.jetty.io.ByteBufferPool;

/**
 * The node's end of HTTP/2 in clear text, by prior knowledge (RFC 9113, section 3.3), one stream after another. Jetty takes the frames and headers apart; the
 * rest is small, since there is one exchange at a time: who waits for an answer reads the connection, and tells the sender of the windows that he has read. So
 * nothing piles up here, whatever the function sends and however slowly its caller takes it.
 */
final class Http2Connection implements Connection {
  private static final byte[] PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".getBytes(StandardCharsets.US_ASCII);
  /** What a peer must take in one frame (RFC 9113, section 4.2). */
  private static final int FRAME = 16 << 10;
  private static final int WINDOW = 65_535;
  /** Of one answer's fields, as much as the node's own answer may hold beside its own. */
  private static final int HEADERS = 6 << 10;
  private static final int SENT_HEADERS = 1 << 20;
  /** Printable characters have up to 19 bits in HPACK. */
  private static final int LETTER = 3;
  /** Heads before the final one. */
  private static final int INTERIM = 16;
  /** Frames that cost the function nothing and carry nothing: a server may answer thousands of calls a second, each with a RST_STREAM at its end. */
  private static final int CONTROL_FRAMES_PER_SECOND = 20_000;
  private static final int LAST_STREAM = 1 << 30;
  /** Fields that belong to a connection, or to the node. */
  private static final Set<String> OWNED = Set.of("connection", "keep-alive", "proxy-connection", "transfer-encoding", "te", "trailer", "upgrade", "host", "content-length", "date", "server");
  private static final String OWN_PREFIX = "instar-";

  private final SocketChannel channel;
  private final InputStream in;
  private final OutputStream out;
  private final Parser parser;
  private final byte[] buffer = new byte[FRAME];
  private final HpackEncoder encoder = new HpackEncoder();

  /** Who writes. */
  private final ReentrantLock writing = new ReentrantLock();
  /** The windows for what is sent, and the stream. */
  private final ReentrantLock flow = new ReentrantLock();
  private final Condition widened = flow.newCondition();
  private long connectionWindow = WINDOW;
  private long streamWindow;
  private int initialWindow = WINDOW;
  private boolean noMore;
  private int stream = -1;

  // Of the reader alone.
  private final Deque<Event> events = new ArrayDeque<>();
  private boolean greeted;
  private boolean goingAway;
  /** Whether all of the answer has come, and whether it has been taken. */
  private boolean over = true;
  private boolean answered = true;
  private int unacknowledged;
  /** Of the body, where its length was told; below 0 where it was not. */
  private long left = -1;
  private List<Rpc.Field> trailers = List.of();
  private IOException failure;

  /** What has come of the stream. */
  private sealed interface Event {
    record Fields(MetaData data, boolean last) implements Event {}

    record Bytes(ByteBuffer bytes, int flow, boolean last) implements Event {}
  }

  /** @param timeoutMillis for the connection to be made */
  Http2Connection(InetSocketAddress address, int timeoutMillis) throws IOException {
    channel = SocketChannel.open();
    try {
      channel.socket().setTcpNoDelay(true);
      channel.socket().connect(address, timeoutMillis);
      in = channel.socket().getInputStream();
      out = channel.socket().getOutputStream();
      encoder.setMaxHeaderListSize(SENT_HEADERS);
      parser = new Parser(new ByteBufferPool.NonPooling(), HEADERS, WindowRateControl.fromEventsPerSecond(CONTROL_FRAMES_PER_SECOND));
      parser.init(new Reader());
      ByteBuffer hello = ByteBuffer.allocate(PREFACE.length + 9 + 12).put(PREFACE);
      header(hello, 12, FrameType.SETTINGS, Flags.NONE, 0);
      setting(hello, SettingsFrame.ENABLE_PUSH, 0);
      setting(hello, SettingsFrame.MAX_HEADER_LIST_SIZE, HEADERS);
      write(hello);
    } catch (IOException e) {
      channel.close();
      throw e;
    }
  }

  private static void header(ByteBuffer to, int length, FrameType type, int flags, int stream) {
    to.put((byte) (length >> 16)).put((byte) (length >> 8)).put((byte) length).put((byte) type.getType()).put((byte) flags).putInt(stream);
  }

  private static void setting(ByteBuffer to, int key, int value) {
    to.putShort((short) key).putInt(value);
  }

  private void write(ByteBuffer frames) throws IOException {
    writing.lock();
    try {
      out.write(frames.array(), 0, frames.position());
    } catch (ClosedChannelException e) {
      throw e;
    } catch (IOException e) {
      throw greeted ? e : new OtherProtocolException();
    } finally {
      writing.unlock();
    }
  }

  @Override
  public void sendHead(Request request) throws IOException {
    over = false;
    answered = false;
    HttpFields.Mutable fields = HttpFields.build();
    request.rpc().ifPresentOrElse(rpc -> {
      rpc.metadata().forEach(field -> fields.add(field.name(), field.value()));
      fields.put("grpc-timeout", Math.clamp(Duration.between(Instant.now(), request.deadline()).toMillis(), 1, 99_999_999) + "m");
    }, () -> {
      fields.put("content-type", "application/octet-stream");
      request.length().ifPresent(length -> fields.put("content-length", Long.toString(length)));
    });
    fields.put("te", "trailers");
    fields.put("instar-request-id", request.invocation());
    String path = request.rpc().map(Rpc::method).orElse("/");
    MetaData data = new MetaData.Request("POST", HttpURI.build().scheme("http").authority(request.host()).pathQuery(path), HttpVersion.HTTP_2, fields);
    writing.lock();
    try {
      int id;
      flow.lock();
      try {
        stream += 2;
        id = stream;
        streamWindow = initialWindow;
      } finally {
        flow.unlock();
      }
      ByteBuffer block = ByteBuffer.allocate(size(fields) + LETTER * path.length());
      encoder.encode(block, data);
      block.flip();
      ByteBuffer frames = ByteBuffer.allocate(block.remaining() + 9 * (2 + block.remaining() / FRAME));
      for (boolean first = true; first || block.hasRemaining(); first = false) {
        int length = Math.min(FRAME, block.remaining());
        header(frames, length, first ? FrameType.HEADERS : FrameType.CONTINUATION, length == block.remaining() ? Flags.END_HEADERS : Flags.NONE, id);
        frames.put(block.slice(block.position(), length));
        block.position(block.position() + length);
      }
      write(frames);
    } catch (HpackException e) {
      throw new IOException(e);
    } finally {
      writing.unlock();
    }
  }

  /** More than the fields take, with those of the request line but its path. */
  private static int size(HttpFields fields) {
    int size = 2048;
    for (HttpField field : fields) {
      size += LETTER * (field.getName().length() + field.getValue().length()) + 32;
    }
    return size;
  }

  @Override
  public void send(byte[] bytes, int length) throws IOException {
    for (int at = 0; at < length;) {
      int most = await(Math.min(FRAME, length - at));
      ByteBuffer frame = ByteBuffer.allocate(9 + most);
      header(frame, most, FrameType.DATA, Flags.NONE, stream());
      write(frame.put(bytes, at, most));
      at += most;
    }
  }

  @Override
  public void sendEnd() throws IOException {
    ByteBuffer frame = ByteBuffer.allocate(9);
    header(frame, 0, FrameType.DATA, Flags.END_STREAM, stream());
    write(frame);
  }

  private int stream() {
    flow.lock();
    try {
      return stream;
    } finally {
      flow.unlock();
    }
  }

  /** Waits until some of it may be sent. */
  private int await(int wanted) throws IOException {
    flow.lock();
    try {
      while (!noMore && Math.min(connectionWindow, streamWindow) <= 0) {
        widened.await();
      }
      if (noMore) {
        throw new IOException("the stream is over");
      }
      int granted = (int) Math.min(wanted, Math.min(connectionWindow, streamWindow));
      connectionWindow -= granted;
      streamWindow -= granted;
      return granted;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException(e);
    } finally {
      flow.unlock();
    }
  }

  private void widen(int id, long by) {
    flow.lock();
    try {
      if (id == 0) {
        connectionWindow += by;
      } else if (id == stream) {
        streamWindow += by;
      }
      widened.signalAll();
    } finally {
      flow.unlock();
    }
  }

  private void endSending() {
    flow.lock();
    try {
      noMore = true;
      widened.signalAll();
    } finally {
      flow.unlock();
    }
  }

  @Override
  public Head readHead() throws IOException {
    trailers = List.of();
    for (int heads = 0; heads <= INTERIM; heads++) {
      if (!(next() instanceof Event.Fields(MetaData data, boolean last)) || !(data instanceof MetaData.Response response)) {
        throw new MalformedException("it sent a body or trailers before the head of its answer");
      }
      if (response.getStatus() == 101) {
        throw new MalformedException("it wants to change to another protocol");
      }
      if (response.getStatus() >= 200) {
        left = response.getContentLength();
        answered = ended(last, 0);
        return new Head(response.getStatus(), passed(response.getHttpFields()), last);
      }
    }
    throw new MalformedException("it sent more than " + INTERIM + " answers that were not final");
  }

  @Override
  public void readBody(Taker to) throws IOException {
    while (!answered) {
      switch (next()) {
        case Event.Bytes(ByteBuffer bytes, int length, boolean last) -> {
          byte[] piece = new byte[bytes.remaining()];
          bytes.get(piece);
          if (piece.length > 0) {
            to.take(piece, piece.length);
          }
          answered = ended(last, piece.length);
          acknowledge(length, last);
        }
        case Event.Fields(MetaData data, boolean last) -> {
          if (!last || data.isResponse()) {
            throw new MalformedException("its trailers do not end its answer");
          }
          trailers = passed(data.getHttpFields());
          answered = ended(true, 0);
        }
      }
    }
  }

  /** Counts a piece of the body. @return {@code last} */
  private boolean ended(boolean last, int length) throws IOException {
    if (left >= 0) {
      left -= length;
      if (left < 0 || last && left > 0) {
        throw new MalformedException("its answer has another length than its Content-Length says");
      }
    }
    return last;
  }

  @Override
  public List<Rpc.Field> trailers() {
    return trailers;
  }

  private static List<Rpc.Field> passed(HttpFields fields) throws MalformedException {
    List<Rpc.Field> passed = new ArrayList<>();
    for (HttpField field : fields) {
      String name = field.getName().toLowerCase(Locale.ROOT);
      String value = field.getValue() == null ? "" : field.getValue();
      if (!value.chars().allMatch(c -> c >= ' ' && c <= '~')) {
        throw new MalformedException("a field of its answer has characters other than printable ASCII");
      }
      if (!name.startsWith(OWN_PREFIX) && !OWNED.contains(name)) {
        passed.add(new Rpc.Field(name, value));
      }
    }
    return passed;
  }

  /** The next that has come of this exchange's stream. */
  private Event next() throws IOException {
    while (events.isEmpty()) {
      if (failure != null) {
        throw failure;
      }
      int length;
      try {
        length = in.read(buffer);
      } catch (SocketException e) {
        // A server of HTTP/1 that closes before it has read all resets the connection, and its answer may be lost with that.
        throw greeted ? e : new OtherProtocolException();
      }
      if (length < 0) {
        throw greeted ? new EOFException("it closed the connection") : new OtherProtocolException();
      }
      parse(length);
    }
    return events.removeFirst();
  }

  /** What an event holds of the buffer is used before the next read. */
  private void parse(int length) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(buffer, 0, length);
    while (bytes.hasRemaining() && failure == null) {
      parser.parse(bytes);
    }
  }

  /** Grants as much again as was taken, in pieces of half a window. */
  private void acknowledge(int length, boolean last) throws IOException {
    unacknowledged += length;
    if (unacknowledged >= WINDOW / 2) {
      ByteBuffer frames = ByteBuffer.allocate(26);
      header(frames, 4, FrameType.WINDOW_UPDATE, Flags.NONE, 0);
      frames.putInt(unacknowledged);
      if (!last) {
        header(frames, 4, FrameType.WINDOW_UPDATE, Flags.NONE, stream());
        frames.putInt(unacknowledged);
      }
      write(frames);
      unacknowledged = 0;
    }
  }

  /** What Jetty has taken apart. Runs on the reader's thread. */
  private final class Reader implements Parser.Listener {
    @Override
    public void onData(DataFrame frame) {
      if (frame.getStreamId() == stream() && !over) {
        over = frame.isEndStream();
        events.add(new Event.Bytes(frame.getByteBuffer(), frame.flowControlLength(), frame.isEndStream()));
      } else {
        unacknowledged += frame.flowControlLength();
      }
    }

    @Override
    public void onHeaders(HeadersFrame frame) {
      if (frame.getStreamId() == stream() && !over) {
        over = frame.isEndStream();
        events.add(new Event.Fields(frame.getMetaData(), frame.isEndStream()));
      }
    }

    @Override
    public void onReset(ResetFrame frame) {
      // Behind a whole answer it says that the rest of the body is not wanted.
      if (frame.getStreamId() == stream() && !over) {
        endSending();
        failure = new MalformedException("it reset the stream with the code " + frame.getError() + " of HTTP/2");
      }
    }

    @Override
    public void onSettings(SettingsFrame frame) {
      greeted = true;
      if (frame.isReply()) {
        return;
      }
      writing.lock();
      try {
        frame.getSettings().forEach((key, value) -> {
          if (key == SettingsFrame.HEADER_TABLE_SIZE) {
            encoder.setMaxTableCapacity(Math.max(0, value));
            encoder.setTableCapacity(Math.clamp(value, 0, 4096));
          } else if (key == SettingsFrame.INITIAL_WINDOW_SIZE) {
            int before = initialWindow;
            initialWindow = value;
            widen(stream(), (long) value - before);
          }
        });
        ByteBuffer reply = ByteBuffer.allocate(9);
        header(reply, 0, FrameType.SETTINGS, Flags.ACK, 0);
        write(reply);
      } catch (IOException e) {
        failure = e;
      } finally {
        writing.unlock();
      }
    }

    @Override
    public void onPing(PingFrame frame) {
      if (!frame.isReply()) {
        ByteBuffer reply = ByteBuffer.allocate(17);
        header(reply, 8, FrameType.PING, Flags.ACK, 0);
        try {
          write(reply.put(frame.getPayload()));
        } catch (IOException e) {
          failure = e;
        }
      }
    }

    @Override
    public void onWindowUpdate(WindowUpdateFrame frame) {
      widen(frame.getStreamId(), frame.getWindowDelta());
    }

    @Override
    public void onGoAway(GoAwayFrame frame) {
      goingAway = true;
      if (frame.getLastStreamId() < stream()) {
        failure = new MalformedException("it refuses the call (GOAWAY with the code " + frame.getError() + " of HTTP/2)");
      }
    }

    @Override
    public void onPushPromise(PushPromiseFrame frame) {
      failure = new MalformedException("it pushes what nobody has asked for");
    }

    @Override
    public void onStreamFailure(int streamId, int error, String reason) {
      failure = new MalformedException("a frame of its answer is malformed (" + reason + ")");
    }

    @Override
    public void onConnectionFailure(int error, String reason) {
      failure = greeted ? new MalformedException("it broke the rules of HTTP/2 (" + ErrorCode.toString(error, "code " + error) + ", " + reason + ")") : new OtherProtocolException();
    }
  }

  @Override
  public boolean reusable() {
    // What has come between two calls is of the connection: settings, pings, the reset of what was answered early, its end.
    try {
      OptionalInt come;
      do {
        come = available();
        if (come.isPresent() && come.getAsInt() < 0) {
          return false;
        }
        parse(come.orElse(0));
      } while (come.isPresent());
      events.clear();
      return answered && failure == null && !goingAway && !noMore && channel.isOpen() && stream < LAST_STREAM;
    } catch (IOException e) {
      return false;
    }
  }

  /** Reads what is there; empty when nothing is. */
  private OptionalInt available() throws IOException {
    channel.configureBlocking(false);
    int length = channel.read(ByteBuffer.wrap(buffer));
    channel.configureBlocking(true);
    return length == 0 ? OptionalInt.empty() : OptionalInt.of(length);
  }

  @Override
  public void close() {
    endSending();
    try {
      channel.close();
    } catch (IOException e) {
      // It is gone.
    }
  }
}
