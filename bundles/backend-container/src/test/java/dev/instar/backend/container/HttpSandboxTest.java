package dev.instar.backend.container;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.Image;
import dev.instar.api.function.Limits;
import dev.instar.api.invocation.CallInput;
import dev.instar.api.invocation.Rpc;
import dev.instar.api.sandbox.Call;
import dev.instar.api.sandbox.GuestLog;
import dev.instar.api.sandbox.RpcCallable;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.tck.capability.RequiresCapability;
import java.io.OutputStream;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Functions that listen on a port, in a network namespace that was lent. */
@RequiresCapability("container")
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class HttpSandboxTest {
  /** A server that answers each connection with what the handler writes, whose standard input is the body. */
  private static final String SERVER = """
      cat >/serve <<'END'
      #!/bin/sh
      while read -r line; do
        line=${line%%?}
        [ -z "$line" ] && break
        case $line in Content-Length:*) length=${line#*: };; esac
      done
      head -c ${length:-0} | /handle
      END
      cat >/handle <<'END'
      #!/bin/sh
      %s
      END
      chmod +x /serve /handle
      %s
      exec nc -ll -p 8080 -e /serve
      """;
  private static VethLease network;
  @TempDir
  Path directory;
  private Bench bench;

  @BeforeAll
  static void lend() throws Exception {
    network = VethLease.make(1);
  }

  @AfterAll
  static void giveBack() {
    network.close();
  }

  @BeforeEach
  void open() throws Exception {
    bench = new Bench(directory, "");
  }

  @AfterEach
  void close() throws Exception {
    bench.close();
  }

  private Sandbox start(String script, Duration most) throws Exception {
    return bench.start(bench.prepare(bench.busybox.script(script), Map.of("port", "8080"), Limits.DEFAULT), most, network);
  }

  private Sandbox serve(String handler, String before) throws Exception {
    return start(SERVER.formatted(handler, before), Duration.ofSeconds(30));
  }

  private static String answer(String body) {
    return "printf 'HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: %s\\r\\n\\r\\n%s' ${#body} \"$body\"".replace("body", body);
  }

  private InstarException fails(Sandbox sandbox, ErrorCode code) {
    InstarException e = assertThrows(InstarException.class, () -> bench.call(sandbox, "x"));
    assertEquals(code, e.code(), e.problem().detail());
    return e;
  }

  @Test
  void callsArePostsAndTheServerStaysFromCallToCall() throws Exception {
    Sandbox sandbox = serve("body=$(cat); echo \"logged $body\" >&2; " + answer("body"), "sleep 0.3");
    assertEquals("one", bench.call(sandbox, "one"));
    assertEquals("two", bench.call(sandbox, "two"));
    assertEquals("", bench.call(sandbox, ""));
    assertTrue(sandbox.reusable());
    for (long until = System.nanoTime() + Duration.ofSeconds(10).toNanos(); !bench.logged().contains("logged two") && System.nanoTime() < until;) {
      Thread.sleep(10);
    }
    assertTrue(bench.logged().contains("logged one") && bench.logged().contains("logged two"), bench.logged());
  }

  @Test
  void theContainerKnowsItsResolvers() throws Exception {
    Sandbox sandbox = serve("body=$(cat /etc/resolv.conf); " + answer("body"), "");
    assertEquals("nameserver " + network.gateway().getHostAddress(), bench.call(sandbox, ""));
  }

  @Test
  void aStatusThatIsNoSuccessIsTheFunctionsFailure() throws Exception {
    Sandbox sandbox = serve("printf 'HTTP/1.1 500 Oops\\r\\nConnection: close\\r\\nContent-Length: 4\\r\\nX-Instar: forged\\r\\n\\r\\nwhy?'", "");
    InstarException e = fails(sandbox, ErrorCode.FUNCTION_FAILED);
    assertEquals(500, e.problem().members().get("status"));
    assertTrue(e.problem().detail().contains("why?"), e.problem().detail());
    assertTrue(sandbox.reusable());
  }

  @Test
  void aFailureWithAllDescriptorsInUseIsToldAsThat() throws Exception {
    Limits d = Limits.DEFAULT;
    Limits few = new Limits(d.memoryBytes(), d.tableElements(), d.stackBytes(), d.timeout(), d.runTime(), d.inputBytes(), d.outputBytes(), d.logBytes(), 20, d.fileBytes(), d.madeFiles(),
        d.concurrency());
    String open = "n=0; while [ $n -lt 30 ]; do touch /f$n; n=$((n+1)); done; /bin/busybox tail -f /f* >/dev/null 2>&1 &";
    Sandbox sandbox = bench.start(bench.prepare(bench.busybox.script(SERVER.formatted("printf 'HTTP/1.1 500 Oops\\r\\nConnection: close\\r\\nContent-Length: 0\\r\\n\\r\\n'", open)),
        Map.of("port", "8080"), few), Duration.ofSeconds(30), network);
    InstarException e = fails(sandbox, ErrorCode.OUT_OF_FILES);
    assertEquals(20L, e.problem().members().get("limitCount"));
  }

  @Test
  void anAnswerMayBeChunkedOrEndWithItsConnection() throws Exception {
    for (var one : Map.of("printf 'HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n4\\r\\none \\r\\n3;x=y\\r\\ntwo\\r\\n0\\r\\nA: b\\r\\n\\r\\n'", "one two",
        "printf 'HTTP/1.0 200 OK\\r\\n\\r\\nto the '; sleep 0.1; printf end", "to the end").entrySet()) {
      try (Sandbox sandbox = serve(one.getKey(), "")) {
        assertEquals(one.getValue(), bench.call(sandbox, ""));
      }
    }
  }

  @Test
  void whatIsNoHttpIsNamed() throws Exception {
    Sandbox sandbox = serve("printf 'SSH-2.0-x\\r\\n\\r\\n'", "");
    assertTrue(fails(sandbox, ErrorCode.SANDBOX_CRASHED).problem().detail().contains("status line"));
  }

  @Test
  void aGrpcCallToAServerOfHttp1IsRefusedAndAPlainOneGoesOn() throws Exception {
    Sandbox sandbox = serve("body=hi; " + answer("body"), "");
    Rpc rpc = new Rpc("/a.B/C", List.of(), new Rpc.Answer() {
      @Override
      public void begin(List<Rpc.Field> metadata) {
        throw new AssertionError(metadata);
      }

      @Override
      public void end(List<Rpc.Field> trailers) {
        throw new AssertionError(trailers);
      }
    });
    Call call = new Call("rpc", CallInput.of(new byte[] {0, 0, 0, 0, 0}), OutputStream.nullOutputStream(), GuestLog.NONE, Instant.now().plusSeconds(30));
    assertEquals(ErrorCode.GRPC_UNSUPPORTED, assertThrows(InstarException.class, () -> ((RpcCallable) sandbox).call(call, rpc)).code());
    assertEquals("hi", bench.call(sandbox, ""));
  }

  @Test
  void whatNeverEndsIsEnded() throws Exception {
    for (var one : Map.of("exec yes \"$(printf 'HTTP/1.1 100 Continue\\r\\n\\r')\"", "not final",
        "printf 'HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n'; exec yes A:b", "trailers").entrySet()) {
      try (Sandbox sandbox = serve(one.getKey(), "")) {
        String detail = fails(sandbox, ErrorCode.SANDBOX_CRASHED).problem().detail();
        assertTrue(detail.contains(one.getValue()), detail);
      }
    }
    assertEquals(500, fails(serve("printf 'HTTP/1.1 500 Oops\\r\\n\\r\\n'; exec yes", ""), ErrorCode.FUNCTION_FAILED).problem().members().get("status"));
  }

  @Test
  void aPortThatIsNeverOpenedIsItsOwnErrorAndLeavesNothing() throws Exception {
    InstarException e = assertThrows(InstarException.class, () -> start("echo still thinking; sleep 3600", Duration.ofSeconds(2)));
    assertEquals(ErrorCode.PORT_NOT_OPENED, e.code());
    assertEquals(8080, e.problem().members().get("port"));
    assertTrue(e.problem().detail().contains("still thinking"), e.problem().detail());
  }

  @Test
  void aCrashAtTheStartTellsHowAndTheLastWords() throws Exception {
    InstarException e = assertThrows(InstarException.class, () -> start("echo no such module >&2; exit 3", Duration.ofSeconds(30)));
    assertEquals(ErrorCode.SANDBOX_CRASHED, e.code());
    assertTrue(e.problem().detail().contains("exit status 3") && e.problem().detail().contains("no such module"), e.problem().detail());
  }

  @Test
  void aCrashInACallTellsHow() throws Exception {
    Sandbox sandbox = start("""
        printf '#!/bin/sh\\nkill -9 $(cat /pid)\\nsleep 5\\n' >/crash
        chmod +x /crash
        nc -ll -p 8080 -e /crash & echo $! >/pid
        wait
        exit 9""", Duration.ofSeconds(30));
    InstarException e = fails(sandbox, ErrorCode.SANDBOX_CRASHED);
    assertEquals(9, e.problem().members().get("exitStatus"), e.problem().detail());
    assertFalse(sandbox.reusable());
  }

  @Test
  void aKillEndsACallAndTheContainer() throws Exception {
    Sandbox sandbox = serve("sleep 3600", "");
    CompletableFuture<Throwable> end = new CompletableFuture<>();
    Thread.ofVirtual().start(() -> {
      try {
        bench.call(sandbox, "");
        end.complete(new AssertionError("answered"));
      } catch (Throwable e) {
        end.complete(e);
      }
    });
    Thread.sleep(300);
    sandbox.kill();
    assertEquals(ErrorCode.TIMED_OUT, assertInstanceOf(InstarException.class, end.get(10, TimeUnit.SECONDS)).code());
    assertFalse(sandbox.reusable());
  }

  @Test
  void withoutANetworkItIsRefusedByName() throws Exception {
    Image image = bench.busybox.script("exec nc -ll -p 8080 -e cat");
    assertEquals(ErrorCode.NETWORK_UNAVAILABLE, assertThrows(InstarException.class,
        () -> bench.start(bench.prepare(image, Map.of("port", "8080"), Limits.DEFAULT), Duration.ofSeconds(5))).code());
  }
}
