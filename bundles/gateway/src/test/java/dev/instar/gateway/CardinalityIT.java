package dev.instar.gateway;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import dev.instar.tck.http.RawHttp;
import java.util.function.IntFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.slf4j.LoggerFactory;

/** Names that do not exist cost the node nothing when it has answered: no entry of a table, no line of its log. */
@Timeout(60)
class CardinalityIT {
  private static final int NAMES = 100_000;
  private static final int BATCH = 200;

  @Test
  void unknownNamesAndPathsLeaveNothingBehind() throws Exception {
    Logger root = (Logger) LoggerFactory.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME);
    ListAppender<ILoggingEvent> lines = new ListAppender<>();
    lines.start();
    try (Node node = new Node(); RawHttp http = new RawHttp(node.port())) {
      IntFunction<String> request = n -> switch (n % 5) {
        case 0 -> "GET /nowhere/" + Integer.toHexString(n) + "/" + n;
        case 1 -> "POST /v1/functions/user" + n + "/f" + n + "/invoke";
        case 2 -> "GET /v1/functions/user" + n + "/f" + n + "/logs";
        case 3 -> "DELETE /v1/functions/user/f" + n;
        default -> "GET /v1/images/sha256:" + String.format("%064x", n);
      } + " HTTP/1.1\r\nHost: h" + n + ".localhost\r\nX-" + n + ": " + n + "\r\nContent-Length: 0\r\n\r\n";
      ask(http, request, 0, 10_000); // what is loaded and compiled once is no leak
      long before = used();
      root.addAppender(lines);
      ask(http, request, 10_000, NAMES);
      root.detachAppender(lines);
      long each = (used() - before) / NAMES;
      assertTrue(each < 20, each + " bytes are left of each name");
      assertEquals(0, lines.list.size(), () -> lines.list.getFirst().toString());
    }
  }

  private static void ask(RawHttp http, IntFunction<String> request, int from, int count) throws Exception {
    for (int n = from; n < from + count; n += BATCH) {
      StringBuilder batch = new StringBuilder();
      for (int i = 0; i < BATCH; i++) {
        batch.append(request.apply(n + i));
      }
      http.send(batch.toString());
      for (int i = 0; i < BATCH; i++) {
        assertEquals(404, http.answer().status());
      }
    }
  }

  /** The least of several looks, since one may come while something else is under way. */
  private static long used() throws InterruptedException {
    long least = Long.MAX_VALUE;
    for (int i = 0; i < 4; i++) {
      System.gc();
      Thread.sleep(20);
      least = Math.min(least, Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory());
    }
    return least;
  }
}
