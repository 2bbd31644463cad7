package dev.instar.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.launcher.Shell.Result;
import dev.instar.launcher.Shell.Running;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The configuration of a shipped node, as an operator handles it. */
class ConfigIT {
  private static final Path EXAMPLES = Path.of("target/instar/examples").toAbsolutePath();

  @TempDir
  Path home;
  private Path config;
  private Shell shell;

  @BeforeEach
  void login() {
    config = home.resolve("config");
    shell = new Shell(home, Map.of("IDLE_SECONDS", "44"));
  }

  @AfterEach
  void logout() {
    shell.close();
  }

  private Running start() throws Exception {
    Running node = shell.node(home.resolve("data"), "--no-examples", "--config", config.toString());
    shell = shell.with(Map.of("INSTAR_URL", node.url().toString()));
    return node;
  }

  @Test
  void anOperatorsDay() throws Exception {
    Running node = start();
    Path scheduler = config.resolve("dev.instar.scheduler.cfg.json");
    assertTrue(ok("config", "list").lines().anyMatch(l -> l.matches("dev[.]instar[.]scheduler +dev[.]instar[.]scheduler[.]cfg[.]json +file +0 .*")));
    assertEquals("128\n", ok("config", "get", "scheduler", "max-idle"));
    assertEquals("dev.instar.scheduler max-idle is 9.\n", ok("config", "set", "scheduler", "max-idle=9"));
    assertTrue(Files.readString(scheduler).contains("// Sandboxes alive at one time") && Files.readString(scheduler).contains("\"max-idle\": 9"), "comments stay");
    assertTrue(ok("config", "diff").lines().anyMatch(l -> l.matches("dev[.]instar[.]scheduler +max-idle +9 +128 +file")));

    // What does not fit is refused with key, value and range, and changes nothing.
    String before = Files.readString(scheduler);
    Result refused = shell.instar("config", "set", "scheduler", "max-idle=10", "max-sandboxes=0");
    assertEquals(1, refused.code());
    assertTrue(refused.err().matches("instar: The configuration was refused: max-sandboxes in dev[.]instar[.]scheduler[.]cfg[.]json [(]line [0-9]+[)] is 0; give a whole number from 1 to 100000[.] [(]config-refused, .*\n"), refused.err());
    assertEquals(before, Files.readString(scheduler));

    // A file that is proposed, with the node and without.
    Path proposed = Files.writeString(Files.createDirectory(home.resolve("proposed")).resolve("dev.instar.scheduler.cfg.json"), "{\"max-idle\": 11}");
    assertTrue(ok("config", "diff", proposed.toString()).lines().anyMatch(l -> l.matches("max-idle +9 +11")));
    assertEquals("dev.instar.scheduler.cfg.json fits.\n", ok("config", "validate", proposed.toString()));
    Files.writeString(proposed, "{\"max-idle\": -1}");
    Result invalid = shell.instar("config", "validate", proposed.toString());
    assertEquals(1, invalid.code());
    assertEquals("max-idle in dev.instar.scheduler.cfg.json (line 1) is -1; give a whole number from 0 to 100000.\n", invalid.err());
    assertTrue(ok("config", "validate", config.toString()).lines().allMatch(l -> l.endsWith(" fits.")));

    // Values from the environment and from secrets; these are shown to nobody.
    Files.writeString(Files.createDirectory(config.resolve("secrets")).resolve("idle"), "33\n");
    ok("config", "set", "scheduler", "max-idle=$[secret:idle]", "idle-seconds=$[env:IDLE_SECONDS;default=1]");
    assertEquals("(secret)\n", ok("config", "get", "scheduler", "max-idle"));
    assertEquals("44\n", ok("config", "get", "scheduler", "idle-seconds"));

    // The other form; both for one PID are refused by name, and what was in force stays.
    Path cfg = Files.writeString(config.resolve("dev.instar.scheduler.cfg"), "max-idle = 12\n");
    await(() -> ok("config", "list", "-o", "json").contains("dev.instar.scheduler.cfg and dev.instar.scheduler.cfg.json are both for"));
    assertEquals("(secret)\n", ok("config", "get", "scheduler", "max-idle"));
    Files.delete(scheduler);
    await(() -> ok("config", "get", "scheduler", "max-idle").equals("12\n"));
    assertEquals("dev.instar.scheduler max-idle is 128, the default.\n", ok("config", "reset", "scheduler", "max-idle"));
    assertEquals("", Files.readString(cfg));
    ok("config", "reset", "scheduler");
    assertFalse(Files.exists(cfg));

    // What the node was started with wins.
    Result port = shell.instar("config", "set", "listener", "port=1");
    assertEquals(0, port.code());
    assertTrue(port.err().startsWith("note: port stays what the node was started with"), port.err());

    // What only the part can tell is asked before anything is written.
    String written = Files.readString(config.resolve("dev.instar.listener.cfg.json"));
    Result bind = shell.instar("config", "set", "listener", "bind=192.0.2.1");
    assertTrue(bind.code() == 1 && bind.err().contains("does not open on 192.0.2.1 in clear text") && bind.err().contains("(config-refused"), bind.err());
    assertEquals(written, Files.readString(config.resolve("dev.instar.listener.cfg.json")));
    assertEquals("127.0.0.1\n", ok("config", "get", "listener", "bind"));

    // A factory.
    ok("config", "set", "dialect.faasm~second", "max-upload-bytes=5");
    assertTrue(Files.exists(config.resolve("dev.instar.dialect.faasm~second.cfg.json")));
    ok("config", "reset", "dialect.faasm~second");
    assertFalse(ok("config", "list").contains("~second"));
    node.stop("TERM");
  }

  @Test
  void noCallIsLostWhenPartsAreChanged() throws Exception {
    Running node = start();
    // The upload may have to wait for all the commands, on a machine that is slow.
    ok("deploy", "me/echo", EXAMPLES.resolve("echo/function.wasm").toString(), "--timeout", "10m");
    ok("config", "set", "listener", "idle-timeout-ms=600000");
    byte[] half = "x".repeat(70_000).getBytes(StandardCharsets.US_ASCII);
    List<String> wrong = new CopyOnWriteArrayList<>();
    AtomicInteger answered = new AtomicInteger();
    AtomicBoolean enough = new AtomicBoolean();
    List<Thread> callers = new ArrayList<>();
    // An upload that is half sent, and callers on connections that stay.
    try (Socket held = new Socket(node.url().getHost(), node.url().getPort())) {
      held.getOutputStream().write(("POST /f/me/echo HTTP/1.1\r\nHost: " + node.url().getAuthority() + "\r\nConnection: close\r\nContent-Length: " + 2 * half.length + "\r\n\r\n").getBytes(StandardCharsets.US_ASCII));
      held.getOutputStream().write(half);
      held.getOutputStream().flush();
      for (int i = 0; i < 2; i++) {
        callers.add(Thread.ofVirtual().start(() -> call(node.url(), enough, answered, wrong)));
      }
      for (String change : List.of("logs file-bytes=2097152", "scheduler max-idle=17", "gateway max-followers=17", "functions max-versions=17", "images max-depth=17", "snapshots budget-mib=4097",
          "backend.wasm functions=49999", "dialect.faasm~main service-wait-ms=9999", "listener idle-timeout-ms=599999")) {
        int before = answered.get();
        ok(("config set " + change).split(" "));
        await(() -> answered.get() > before + 5 || !wrong.isEmpty());
      }
      enough.set(true);
      for (Thread caller : callers) {
        caller.join();
      }
      assertEquals(List.of(), wrong);
      held.getOutputStream().write(half);
      held.getOutputStream().flush();
      String answer = new String(held.getInputStream().readAllBytes(), StandardCharsets.US_ASCII);
      assertTrue(answer.startsWith("HTTP/1.1 200 "), answer.substring(0, Math.min(answer.length(), 500)));
      assertEquals(2 * half.length, answer.substring(answer.indexOf("\r\n\r\n")).chars().filter(c -> c == 'x').count());
    } finally {
      enough.set(true);
    }
    node.stop("TERM");
  }

  /** Calls on one connection, each answer checked. */
  private static void call(URI node, AtomicBoolean enough, AtomicInteger answered, List<String> wrong) {
    try (Socket socket = new Socket(node.getHost(), node.getPort())) {
      InputStream in = socket.getInputStream();
      for (int i = 0; !enough.get(); i++) {
        String body = "call-" + i;
        socket.getOutputStream().write(("POST /f/me/echo HTTP/1.1\r\nHost: " + node.getAuthority() + "\r\nContent-Length: " + body.length() + "\r\n\r\n" + body).getBytes(StandardCharsets.US_ASCII));
        socket.getOutputStream().flush();
        StringBuilder answer = new StringBuilder();
        while (!answer.toString().contains("\r\n\r\n") || !answer.toString().endsWith(body)) {
          int c = in.read();
          if (c < 0 || answer.length() > 10_000) {
            wrong.add("instead of an answer: " + answer);
            return;
          }
          answer.append((char) c);
        }
        if (!answer.toString().startsWith("HTTP/1.1 200 ")) {
          wrong.add(answer.toString());
        }
        answered.incrementAndGet();
      }
    } catch (IOException e) {
      wrong.add(e.toString());
    }
  }

  private String ok(String... command) throws Exception {
    Result result = shell.instar(command);
    assertEquals(0, result.code(), result.err());
    return result.out();
  }

  private interface Condition {
    boolean holds() throws Exception;
  }

  private static void await(Condition condition) throws Exception {
    long end = System.nanoTime() + 60_000_000_000L;
    while (!condition.holds()) {
      assertTrue(System.nanoTime() < end, "it has not come to that");
      Thread.sleep(100);
    }
  }
}
