package dev.instar.gateway;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.function.Limits;
import dev.instar.tck.http.RawHttp;
import dev.instar.tck.http.RawHttp.Answer;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A node with a small heap, in a JVM of its own, and callers who between them send more than fits and then stop. */
@Timeout(90)
class SmallHeapIT {
  private static final int CALLERS = 2000;
  private static final String INVOKE = "POST /v1/functions/u/echo/invoke HTTP/1.1\r\nHost: localhost\r\nContent-Length: ";

  @TempDir
  Path dir;

  /** The node: prints its port, lives until its standard input ends. */
  public static final class Main {
    private Main() {}

    public static void main(String[] arguments) throws Exception {
      try (Node node = new Node()) {
        node.function("u/echo", Limits.DEFAULT);
        System.out.println(node.port());
        while (System.in.read() >= 0) {
          // Nothing is meant to come.
        }
      }
      System.out.println("ended");
    }
  }

  @Test
  void callersWhoStopInTheMidstOfTheirBodiesTakeNobodysMemory() throws Exception {
    Path errors = dir.resolve("stderr");
    Process process = new ProcessBuilder(ProcessHandle.current().info().command().orElseThrow(), "-Xmx96m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp",
        System.getProperty("java.class.path"), Main.class.getName()).redirectError(errors.toFile()).start();
    List<SocketChannel> stalled = new ArrayList<>();
    try (BufferedReader said = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
      int port = Integer.parseInt(said.readLine());
      ByteBuffer part = ByteBuffer.wrap((INVOKE + "65536\r\n\r\n" + "x".repeat(65_535)).getBytes(StandardCharsets.ISO_8859_1));
      for (int i = 0; i < CALLERS; i++) {
        SocketChannel channel = SocketChannel.open(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
        stalled.add(channel);
        while (part.hasRemaining()) {
          channel.write(part);
        }
        part.rewind();
        if (i % 40 == 0) {
          // Somebody else's ordinary call, while they come.
          String body = "call " + i;
          assertEquals(body, RawHttp.exchange(port, INVOKE + body.length() + "\r\n\r\n" + body).text());
        }
      }
      Answer large = RawHttp.exchange(port, INVOKE + "65536\r\n\r\n" + "x".repeat(65_536));
      assertEquals(503, large.status(), large::toString);
      assertEquals("node-busy", large.code());
      assertEquals("1", large.headers().get("retry-after"));
      String four = "y".repeat(4096);
      assertEquals(four, RawHttp.exchange(port, INVOKE + four.length() + "\r\n\r\n" + four).text());

      for (SocketChannel channel : stalled) {
        channel.close();
      }
      // Everything comes back.
      Answer again = large;
      for (int i = 0; i < 200 && again.status() != 200; i++) {
        Thread.sleep(50);
        again = RawHttp.exchange(port, INVOKE + "65536\r\n\r\n" + "x".repeat(65_536));
      }
      assertEquals(200, again.status());
      assertEquals(65_536, again.body().length);
      process.getOutputStream().close();
      assertEquals("ended", said.readLine());
      assertTrue(process.waitFor(30, TimeUnit.SECONDS));
    } finally {
      process.destroyForcibly();
      for (SocketChannel channel : stalled) {
        channel.close();
      }
    }
    String log = Files.readString(errors);
    assertFalse(log.contains("OutOfMemoryError"), log);
  }
}
