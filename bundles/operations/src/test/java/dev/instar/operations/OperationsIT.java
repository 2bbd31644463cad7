package dev.instar.operations;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ch.qos.logback.classic.Level;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.data.DataDirectory;
import dev.instar.api.function.FunctionRegistry;
import dev.instar.api.http.HttpDialect;
import dev.instar.api.http.HttpExchange;
import dev.instar.api.http.RouteHandler;
import dev.instar.api.image.ImageStore;
import dev.instar.api.invocation.Invoker;
import dev.instar.api.operations.ConfigurationComparison;
import dev.instar.api.operations.ConfigurationInfo;
import dev.instar.api.operations.ConfigurationSetting;
import dev.instar.api.operations.Configurations;
import dev.instar.api.sandbox.BackendDescription;
import dev.instar.api.sandbox.Probe;
import dev.instar.api.sandbox.SandboxBackend;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.Dictionary;
import java.util.HashMap;
import java.util.Hashtable;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.StreamSupport;
import org.apache.felix.hc.api.HealthCheck;
import org.apache.felix.hc.api.Result;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.osgi.framework.Bundle;
import org.osgi.service.cm.Configuration;
import org.osgi.service.cm.ConfigurationAdmin;
import org.osgi.service.log.LogService;

/** Our bundle in a Felix framework with Declarative Services, ConfigAdmin and the bundle of the scheduler. */
@Timeout(60)
class OperationsIT {
  private static final String PID = "dev.instar.scheduler";
  @TempDir
  Path directory;
  private Path config;
  private final Map<String, String> properties = new HashMap<>();

  @BeforeEach
  void prepare() throws Exception {
    config = Files.createDirectory(directory.resolve("config"));
    properties.put("instar.config", config.toString());
    properties.put("instar.data", directory.resolve("data").toString());
    properties.put("instar.version", "9.8.7");
    properties.put("instar.config.poll.ms", "20");
    properties.put("instar.data", directory.resolve("data").toString());
  }

  private Framework framework() throws Exception {
    return new Framework(directory.resolve("storage"), properties);
  }

  private void write(String pid, String content) throws Exception {
    Path whole = directory.resolve("whole");
    Files.writeString(whole, content);
    Files.move(whole, config.resolve(pid + ".cfg.json"), StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }

  private static Dictionary<String, Object> configuration(Framework framework, String pid) throws Exception {
    Configuration[] found = framework.service(ConfigurationAdmin.class).listConfigurations("(service.pid=" + pid + ")");
    return found == null ? null : found[0].getProperties();
  }

  private static Object value(Framework framework, String pid, String key) throws Exception {
    Dictionary<String, Object> properties = configuration(framework, pid);
    return properties == null ? null : properties.get(key);
  }

  private static <T> void eventually(T expected, Callable<T> actual) throws Exception {
    long end = System.nanoTime() + 15_000_000_000L;
    T now = actual.call();
    while (!expected.equals(now) && System.nanoTime() < end) {
      Thread.sleep(10);
      now = actual.call();
    }
    assertEquals(expected, now);
  }

  @Test
  void filesAreInForceBeforeOtherBundlesStart() throws Exception {
    write(PID, "{\"max-idle\": 7}");
    properties.put("instar.override." + PID + "/queue", "99");
    try (Framework framework = framework()) {
      framework.install(Framework.jar("dev.instar.scheduler"));
      framework.startOperations();
      // At once: nothing is waited for.
      assertEquals(7, value(framework, PID, "max-idle"));
      assertEquals(99, value(framework, PID, "queue"));
      assertEquals(List.of(), refused(framework));
    }
  }

  @Test
  void anEditedFileTakesEffectAndAWrongOneDoesNot() throws Exception {
    write(PID, "{\"max-idle\": 7}");
    try (Framework framework = framework()) {
      framework.install(Framework.jar("dev.instar.scheduler"));
      framework.startOperations();
      write(PID, "{\"max-idle\": 8, \"queue\": 50}");
      eventually(8, () -> value(framework, PID, "max-idle"));
      write(PID, "{\"max-idel\": 9, \"max-sandboxes\": 0, \"queue\": \"many\"}");
      eventually(3, () -> refused(framework).size());
      assertEquals(List.of(
          "dev.instar.scheduler.cfg.json (line 1) has the key 'max-idel', which dev.instar.scheduler does not know; did you mean 'max-idle'?",
          "max-sandboxes in dev.instar.scheduler.cfg.json (line 1) is 0; give a whole number from 1 to 100000.",
          "queue in dev.instar.scheduler.cfg.json (line 1) is the text \"many\"; give a whole number from 1 to 1000000."), refused(framework));
      assertEquals(8, value(framework, PID, "max-idle"));
      assertTrue(framework.logged(Level.ERROR).stream().anyMatch(m -> m.contains("'max-idel'")), "not in the log");
      write(PID, "{\"max-idle\": 10,\n \"queue\"}");
      eventually(true, () -> refused(framework).size() == 1 && refused(framework).getFirst().contains("line 2"));
      assertEquals(8, value(framework, PID, "max-idle"));
      write(PID, "{\"max-idle\": 11}");
      eventually(11, () -> value(framework, PID, "max-idle"));
      assertNull(value(framework, PID, "queue"));
      assertEquals(List.of(), refused(framework));
    }
  }

  @Test
  void aDeletedFileLeavesDefaultsAndOverrides() throws Exception {
    write(PID, "{\"max-idle\": 7, \"queue\": 50}");
    properties.put("instar.override." + PID + "/queue", "99");
    try (Framework framework = framework()) {
      framework.install(Framework.jar("dev.instar.scheduler"));
      framework.startOperations();
      assertEquals(99, value(framework, PID, "queue"));
      Files.delete(config.resolve(PID + ".cfg.json"));
      eventually(true, () -> value(framework, PID, "max-idle") == null);
      assertEquals(99, value(framework, PID, "queue"));
      eventually("dev.instar.scheduler.cfg.json is gone; its defaults hold",
          () -> framework.logged(Level.INFO).stream().filter(m -> m.startsWith(PID)).reduce((a, b) -> b).orElse(""));
      assertEquals(1, framework.logged(Level.INFO).stream().filter((PID + ".cfg.json is in force")::equals).count());
    }
  }

  @Test
  void aFileThatIsWrongAtTheStartLeavesDefaultsAndOverrides() throws Exception {
    write(PID, "{\"max-idle\": -1}");
    properties.put("instar.override." + PID + "/queue", "99");
    properties.put("instar.override." + PID + "/drain-ms", "soon");
    try (Framework framework = framework()) {
      framework.install(Framework.jar("dev.instar.scheduler"));
      framework.startOperations();
      assertNull(value(framework, PID, "max-idle"));
      assertEquals(99, value(framework, PID, "queue"));
      assertEquals(List.of("max-idle in dev.instar.scheduler.cfg.json (line 1) is -1; give a whole number from 0 to 100000.",
          "The override instar.override.dev.instar.scheduler/drain-ms is \"soon\"; give a whole number from 0 to 3600000."), refused(framework));
      write(PID, "{\"max-idle\": -2}");
      eventually(true, () -> refused(framework).getFirst().contains("is -2"));
      List<String> said = framework.logged(Level.ERROR).stream().filter(m -> m.startsWith("max-idle")).toList();
      assertEquals(List.of("max-idle in dev.instar.scheduler.cfg.json (line 1) is -1; give a whole number from 0 to 100000. Until that is mended the defaults hold.",
          "max-idle in dev.instar.scheduler.cfg.json (line 1) is -2; give a whole number from 0 to 100000. Until that is mended the defaults hold."), said);
    }
  }

  @Test
  void whatAnEarlierRunLeftDoesNotCount() throws Exception {
    write(PID, "{\"max-idle\": 7}");
    write("dev.instar.many~old", "{\"size\": 2}");
    properties.put("instar.override." + PID + "/queue", "99");
    try (Framework framework = framework()) {
      framework.install(Framework.jar("dev.instar.scheduler"));
      framework.install("some", SchemaTest.XML);
      framework.startOperations();
      assertEquals(2, value(framework, "dev.instar.many~old", "size"));
    }
    Files.delete(config.resolve("dev.instar.many~old.cfg.json"));
    Files.delete(config.resolve(PID + ".cfg.json"));
    properties.remove("instar.override." + PID + "/queue");
    try (Framework framework = framework()) {
      eventually(true, () -> framework.service(HttpDialect.class) != null && framework.service(ConfigurationAdmin.class) != null);
      eventually(true, () -> configuration(framework, PID) != null && value(framework, PID, "max-idle") == null);
      assertNull(value(framework, PID, "queue"));
      assertNull(configuration(framework, "dev.instar.many~old"));
    }
  }

  @Test
  void aFileWaitsForTheBundleThatTakesIt() throws Exception {
    write("dev.instar.some", "{\"size\": 2}");
    write("dev.instar.many~a", "{\"size\": 3}");
    write("org.example.library", "{\"level\": 5, \"names\": [\"x\"]}");
    try (Framework framework = framework()) {
      framework.install(Framework.jar("dev.instar.scheduler"));
      framework.startOperations();
      assertNull(configuration(framework, "dev.instar.some"));
      assertEquals(List.of("The file dev.instar.many~a.cfg.json waits for a bundle that takes it.",
          "The file dev.instar.some.cfg.json waits for a bundle that takes it."), waiting(framework));
      assertEquals(List.of(), refused(framework));
      assertEquals(5L, value(framework, "org.example.library", "level"));
      framework.install("some", SchemaTest.XML);
      assertEquals(2, value(framework, "dev.instar.some", "size"));
      assertEquals(3, value(framework, "dev.instar.many~a", "size"));
      assertEquals(List.of(), waiting(framework));
      write("dev.instar.many~b", "{\"size\": 4}");
      eventually(4, () -> value(framework, "dev.instar.many~b", "size"));
      Files.delete(config.resolve("dev.instar.many~b.cfg.json"));
      eventually(true, () -> configuration(framework, "dev.instar.many~b") == null);
      assertEquals(3, value(framework, "dev.instar.many~a", "size"));
    }
  }

  @Test
  void bothFormsAreTakenButNotForOnePid() throws Exception {
    Files.writeString(config.resolve(PID + ".cfg"), "max-idle = 7\n");
    try (Framework framework = framework()) {
      framework.install(Framework.jar("dev.instar.scheduler"));
      framework.startOperations();
      assertEquals(7, value(framework, PID, "max-idle"));
      write(PID, "{\"max-idle\": 8}");
      eventually(List.of("The files dev.instar.scheduler.cfg and dev.instar.scheduler.cfg.json are both for dev.instar.scheduler; delete one of them."), () -> refused(framework));
      assertEquals(7, value(framework, PID, "max-idle"), "the last good stays");
      Files.delete(config.resolve(PID + ".cfg"));
      eventually(8, () -> value(framework, PID, "max-idle"));
      assertEquals(List.of(), refused(framework));
    }
  }

  @Test
  void aChangedSecretTakesEffectAndIsNotShown() throws Exception {
    Path secrets = Files.createDirectory(config.resolve("secrets"));
    Files.writeString(secrets.resolve("idle"), "7");
    write(PID, "{\"max-idle\": \"$[secret:idle]\"}");
    try (Framework framework = framework()) {
      framework.install(Framework.jar("dev.instar.scheduler"));
      framework.startOperations();
      assertEquals(7, value(framework, PID, "max-idle"));
      ConfigurationSetting shown = setting(framework, "max-idle");
      assertEquals(Optional.empty(), shown.value());
      assertTrue(shown.secret());
      assertEquals(Optional.of("$[secret:idle]"), shown.written());
      Files.writeString(secrets.resolve("idle"), "8");
      eventually(8, () -> value(framework, PID, "max-idle"));
      Files.writeString(secrets.resolve("idle"), "hunter2");
      eventually(1, () -> refused(framework).size());
      assertEquals(8, value(framework, PID, "max-idle"));
      for (Level level : List.of(Level.INFO, Level.WARN, Level.ERROR)) {
        assertTrue(framework.logged(level).stream().noneMatch(m -> m.contains("hunter2")));
      }
    }
  }

  private static ConfigurationSetting setting(Framework framework, String key) throws Exception {
    return framework.service(Configurations.class).get(PID).settings().stream().filter(s -> s.key().equals(key)).findFirst().orElseThrow();
  }

  @Test
  void aChangeIsCheckedWrittenAndInForce() throws Exception {
    write(PID, "{\n  // mine\n  \"max-idle\": 7\n}\n");
    Path file = config.resolve(PID + ".cfg.json");
    try (Framework framework = framework()) {
      framework.install(Framework.jar("dev.instar.scheduler"));
      framework.startOperations();
      Configurations configurations = framework.service(Configurations.class);
      InstarException refused = assertThrows(InstarException.class, () -> configurations.change(PID, Map.of("queue", 0, "max-idle", 8), Set.of()));
      assertEquals(ErrorCode.CONFIG_REFUSED, refused.problem().code());
      assertEquals(List.of("queue", "0", "a whole number from 1 to 1000000"), List.of(refused.problem().members().get("key"), refused.problem().members().get("value"), refused.problem().members().get("allowed")));
      assertEquals(7, value(framework, PID, "max-idle"));
      assertEquals("{\n  // mine\n  \"max-idle\": 7\n}\n", Files.readString(file));
      configurations.change(PID, Map.of("queue", 50), Set.of());
      assertEquals(50, value(framework, PID, "queue"));
      assertEquals("{\n  // mine\n  \"max-idle\": 7,\n  \"queue\": 50\n}\n", Files.readString(file));
      configurations.change(PID, Map.of(), Set.of("max-idle"));
      assertEquals("{\n  // mine\n  \"queue\": 50\n}\n", Files.readString(file));
      assertEquals(Optional.of(128), setting(framework, "max-idle").value());
      configurations.replace(PID, Map.of("max-idle", 3));
      assertEquals("{\n  \"max-idle\": 3\n}\n", Files.readString(file));
      assertNull(value(framework, PID, "queue"));
      ConfigurationComparison comparison = configurations.compare(PID + ".cfg.json", "{\"max-idle\": 4, \"queue\": 4096}".getBytes(StandardCharsets.UTF_8));
      assertEquals(List.of(new ConfigurationComparison.Change("max-idle", Optional.of(3), Optional.of(4), false)), comparison.changes());
      assertEquals(ErrorCode.CONFIG_REFUSED, assertThrows(InstarException.class, () -> configurations.compare(PID + ".cfg", new byte[0])).problem().code(), "there is one of the other form");
      assertEquals(ErrorCode.BAD_REQUEST, assertThrows(InstarException.class, () -> configurations.compare("../x.cfg", new byte[0])).problem().code());
      assertTrue(configurations.remove(PID));
      assertFalse(Files.exists(file));
      assertFalse(configurations.remove(PID));
      assertNull(value(framework, PID, "max-idle"));
      assertEquals(ConfigurationInfo.State.DEFAULT, configurations.get(PID).state());
      InstarException unknown = assertThrows(InstarException.class, () -> configurations.get("dev.instar.shceduler"));
      assertEquals(ErrorCode.CONFIG_NOT_FOUND, unknown.problem().code());
      assertTrue(unknown.problem().detail().contains("did you mean dev.instar.scheduler?"), unknown.problem().detail());
      assertThrows(InstarException.class, () -> configurations.replace(PID + "~x", Map.of()));
      // The file that has been written is not told as an edit.
      assertEquals(List.of(), framework.logged(Level.ERROR));
    }
  }

  @Test
  void aFileThatCannotBeChangedByTextIsLeftAlone() throws Exception {
    String text = "names = [\"x\"]\nmode = on\n";
    Path file = Files.writeString(config.resolve("dev.instar.some.cfg"), text);
    try (Framework framework = framework()) {
      framework.install("some", SchemaTest.XML);
      framework.startOperations();
      // Without its plain text the file would be one of typed values, and say something else.
      InstarException refused = assertThrows(InstarException.class, () -> framework.service(Configurations.class).change("dev.instar.some", Map.of(), Set.of("mode")));
      assertTrue(refused.problem().detail().contains("edit it by hand"), refused.problem().detail());
      assertEquals(text, Files.readString(file));
    }
  }

  @Test
  void oneOfAFactoryComesAndGoes() throws Exception {
    try (Framework framework = framework()) {
      framework.install("some", SchemaTest.XML);
      framework.startOperations();
      Configurations configurations = framework.service(Configurations.class);
      assertTrue(configurations.get("dev.instar.many").factory());
      assertThrows(InstarException.class, () -> configurations.replace("dev.instar.many", Map.of("size", 2)));
      assertThrows(InstarException.class, () -> configurations.replace("dev.instar.many~../x", Map.of("size", 2)));
      assertEquals(List.of("dev.instar.many~a.cfg.json"), configurations.replace("dev.instar.many~a", Map.of("size", 2)).files());
      assertEquals(2, value(framework, "dev.instar.many~a", "size"));
      assertTrue(configurations.list().stream().map(ConfigurationInfo::pid).toList().containsAll(List.of("dev.instar.many~a", "dev.instar.some")));
      assertTrue(configurations.list().stream().noneMatch(c -> c.pid().equals("dev.instar.many")), "the factory itself is listed where there is none of it");
      assertTrue(configurations.remove("dev.instar.many~a"));
      assertNull(configuration(framework, "dev.instar.many~a"));
      assertThrows(InstarException.class, () -> configurations.get("dev.instar.many~a"));
    }
  }

  @Test
  void aFolderThatCannotBeWrittenLeavesEverythingAsItWas() throws Exception {
    write(PID, "{\"max-idle\": 7}");
    try (Framework framework = framework()) {
      framework.install(Framework.jar("dev.instar.scheduler"));
      framework.startOperations();
      Configurations configurations = framework.service(Configurations.class);
      Files.setPosixFilePermissions(config, PosixFilePermissions.fromString("rwxrwxrwx"));
      InstarException refused = assertThrows(InstarException.class, () -> configurations.change(PID, Map.of("max-idle", 8), Set.of()));
      assertEquals(ErrorCode.FORBIDDEN, refused.problem().code());
      assertEquals(7, value(framework, PID, "max-idle"));
      assertEquals("{\"max-idle\": 7}", Files.readString(config.resolve(PID + ".cfg.json")));
    }
  }

  @Test
  void aNewerBundleSaysWhatIsKnown() throws Exception {
    write("dev.instar.some", "{\"size\": 20}");
    try (Framework framework = framework()) {
      framework.install("some", SchemaTest.XML);
      framework.startOperations();
      assertEquals(1, refused(framework).size());
      Bundle newer = framework.install("newer", SchemaTest.XML.replace("max=\"10\"", "max=\"20\""));
      assertEquals(List.of(), refused(framework));
      assertEquals(20, value(framework, "dev.instar.some", "size"));
      newer.uninstall();
      assertEquals(1, refused(framework).size(), "the older one is asked again");
      assertEquals(20, value(framework, "dev.instar.some", "size"), "and the last good stays");
    }
  }

  @Test
  void anEditReachesTheScheduler() throws Exception {
    write(PID, "{\"drain-ms\": 1}");
    try (Framework framework = framework()) {
      Bundle scheduler = framework.install(Framework.jar("dev.instar.scheduler"));
      framework.startOperations();
      scheduler.start();
      eventually(true, () -> framework.service(Invoker.class) != null);
      Object before = framework.service(Invoker.class);
      write(PID, "{\"drain-ms\": 2, \"in-process-threads\": 3}");
      eventually(2, () -> value(framework, PID, "drain-ms"));
      assertEquals(before, framework.service(Invoker.class), "the component was restarted");
    }
  }

  @Test
  void isReadyWhenEverythingIsThere() throws Exception {
    try (Framework framework = framework()) {
      Bundle scheduler = framework.install(Framework.jar("dev.instar.scheduler"));
      framework.startOperations();
      JsonNode answer = get(framework, "/readyz", 503);
      List<String> missing = texts(answer.get("missing"));
      assertTrue(missing.containsAll(List.of("the function registry is not there", "the image store is not there", "the scheduler is not there",
          "bundle dev.instar.scheduler is " + (scheduler.getState() == Bundle.INSTALLED ? "installed" : "resolved"))), missing::toString);
      assertEquals("ok", get(framework, "/healthz", 200).get("status").asText());
      scheduler.start();
      framework.context().registerService(FunctionRegistry.class, nothing(FunctionRegistry.class), null);
      framework.context().registerService(ImageStore.class, nothing(ImageStore.class), null);
      eventually(List.of("no backend is there that this host can run"), () -> texts(get(framework, "/readyz", 503).get("missing")));
      framework.context().registerService(SandboxBackend.class, backend("vm", new Probe.Missing("/dev/kvm", "modprobe kvm")), null);
      assertTrue(texts(get(framework, "/readyz", 503).get("missing")).contains("backend vm: /dev/kvm (modprobe kvm)"));
      framework.context().registerService(SandboxBackend.class, backend("wasm", new Probe.Usable("engine 1.2")), null);
      JsonNode ready = get(framework, "/readyz", 200);
      assertEquals("ready", ready.get("status").asText());
      assertEquals("9.8.7", ready.get("version").asText());
      JsonNode backends = get(framework, "/v1/backends", 200).get("backends");
      assertEquals("{\"name\":\"vm\",\"summary\":\"a test's\",\"kinds\":[\"wasm\"],\"shape\":\"in-process\","
          + "\"isolation\":\"virtual-machine\",\"resets\":false,"
          + "\"version\":\"1\",\"usable\":false,\"missing\":\"/dev/kvm\",\"remedy\":\"modprobe kvm\","
          + "\"generation\":1,\"state\":\"active\",\"inFlight\":0,\"idle\":0,"
          + "\"served\":0}", backends.get(0).toString());
      assertEquals("engine 1.2", backends.get(1).get("detail").asText());
    }
  }

  private static JsonNode check(Framework framework, String name) throws Exception {
    return StreamSupport.stream(get(framework, "/healthz", 200).get("checks").spliterator(), false).filter(c -> c.get("name").asText().equals(name))
        .findFirst().orElseThrow(() -> new AssertionError("no check " + name));
  }

  private static void register(Framework framework, String name, List<String> tags, HealthCheck check) {
    framework.context().registerService(HealthCheck.class, check, new Hashtable<>(Map.of(HealthCheck.NAME, name, HealthCheck.TAGS, tags.toArray(String[]::new))));
  }

  @Test
  void checksOfAnyBundleAreRun() throws Exception {
    try (Framework framework = framework()) {
      framework.startOperations();
      register(framework, "theirs", List.of(), () -> new Result(Result.Status.WARN, "one thing\nbuy another"));
      register(framework, "needed", List.of("ready"), () -> new Result(Result.Status.CRITICAL, "it is not warm\nwait"));
      register(framework, "broken", List.of("ready"), () -> {
        throw new IllegalStateException("on purpose");
      });
      assertEquals("{\"name\":\"theirs\",\"status\":\"warn\",\"message\":\"one thing\",\"remedy\":\"buy another\"}", check(framework, "theirs").toString());
      assertEquals("health-check-error", check(framework, "broken").get("status").asText());
      JsonNode ready = get(framework, "/readyz", 503);
      List<String> missing = texts(ready.get("missing"));
      assertTrue(missing.contains("it is not warm") && missing.stream().anyMatch(m -> m.contains("on purpose")) && !missing.contains("one thing"), missing::toString);
      assertTrue(texts(ready.get("remedies")).contains("wait"), ready::toString);
    }
  }

  @Test
  void aCheckThatHangsHoldsUpNobodyAndOneThread() throws Exception {
    CountDownLatch end = new CountDownLatch(1);
    AtomicInteger begun = new AtomicInteger();
    try (Framework framework = framework()) {
      framework.startOperations();
      register(framework, "hangs", List.of(), () -> {
        begun.incrementAndGet();
        try {
          end.await();
        } catch (InterruptedException e) {
          Thread.currentThread().interrupt();
        }
        return new Result(Result.Status.OK, "at last");
      });
      for (int i = 0; i < 2; i++) {
        assertEquals("critical", check(framework, "hangs").get("status").asText());
      }
      assertEquals(1, begun.get());
      end.countDown();
      eventually("at last", () -> check(framework, "hangs").get("message").asText());
    }
  }

  @Test
  void theChecksNameWhatIsInTheWay() throws Exception {
    Path root = Files.createDirectory(directory.resolve("root"));
    try (Framework framework = framework()) {
      framework.startOperations();
      assertEquals("the data directory is not there", check(framework, "data directory").get("message").asText());
      framework.context().registerService(DataDirectory.class, new DataDirectory() {
        @Override
        public Path root() {
          return root;
        }

        @Override
        public Path area(String name) {
          return root.resolve(name);
        }

        @Override
        public Path scratch(String name) {
          try {
            return Files.createDirectories(root.resolve("scratch").resolve(name));
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        }
      }, null);
      assertEquals(root + " can be written", check(framework, "data directory").get("message").asText());
      assertTrue(check(framework, "disk space").get("message").asText().endsWith(" MiB are free for " + root));
      assertEquals("warn", check(framework, "snapshot store").get("status").asText());
      assertTrue(texts(get(framework, "/readyz", 503).get("missing")).stream().noneMatch(m -> m.contains("snapshot")), "a node can do without");

      Path inTheWay = Files.createFile(root.resolve("snapshots"));
      JsonNode ready = get(framework, "/readyz", 503);
      assertTrue(texts(ready.get("missing")).contains(inTheWay + " is not a directory"), ready::toString);
      assertTrue(texts(ready.get("remedies")).contains("Move it away and restart the node."), ready::toString);
      // A file in place of its directory: for the superuser, too, it cannot be written then.
      deleteScratch(root);
      Files.createFile(root.resolve("scratch"));
      JsonNode data = check(framework, "data directory");
      assertEquals("critical", data.get("status").asText());
      assertTrue(data.get("message").asText().startsWith(root + " cannot be written: "), data::toString);
    }
  }

  @Test
  void aListenerThatIsNotAsItIsConfiguredIsTold() throws Exception {
    try (Framework framework = framework()) {
      framework.startOperations();
      System.setProperty("dev.instar.listener.port", "8080");
      assertEquals("ok", check(framework, "listener").get("status").asText());
      System.setProperty("dev.instar.listener.problem", "port 1 is taken");
      JsonNode told = check(framework, "listener");
      assertEquals("warn", told.get("status").asText());
      assertTrue(told.get("message").asText().endsWith(": port 1 is taken"), told::toString);
      System.clearProperty("dev.instar.listener.port");
      assertEquals("it does not listen: port 1 is taken", check(framework, "listener").get("message").asText());
    } finally {
      System.clearProperty("dev.instar.listener.port");
      System.clearProperty("dev.instar.listener.problem");
    }
  }

  private static void deleteScratch(Path root) throws IOException {
    Files.delete(root.resolve("scratch/health"));
    Files.delete(root.resolve("scratch"));
  }

  @Test
  void theOsgiLogReachesTheNodesLog() throws Exception {
    try (Framework framework = framework()) {
      framework.service(LogService.class).getLogger("x").error("before the bridge");
      framework.startOperations();
      framework.service(LogService.class).getLogger("x").warn("after the bridge");
      eventually(1L, () -> framework.logged(Level.ERROR).stream().filter("before the bridge"::equals).count());
      eventually(1L, () -> framework.logged(Level.WARN).stream().filter("after the bridge"::equals).count());
      assertTrue(framework.logged(Level.INFO).stream().noneMatch(m -> m.startsWith("BundleEvent")), "events are noise at this level");
    }
  }

  private static List<String> texts(JsonNode list) {
    return StreamSupport.stream(list.spliterator(), false).map(JsonNode::asText).toList();
  }

  private static List<String> refused(Framework framework) throws Exception {
    return texts(get(framework, "/readyz", 503).get("refusedConfiguration"));
  }

  private static List<String> waiting(Framework framework) throws Exception {
    return texts(get(framework, "/readyz", 503).get("waitingConfiguration"));
  }

  private static JsonNode get(Framework framework, String path, int status) throws Exception {
    RouteHandler handler = framework.service(HttpDialect.class).routes().stream().filter(r -> r.template().equals(path)).findFirst().orElseThrow()
        .handler();
    int[] answered = new int[1];
    JsonNode[] body = new JsonNode[1];
    ObjectMapper json = new ObjectMapper();
    HttpExchange exchange = (HttpExchange) Proxy.newProxyInstance(OperationsIT.class.getClassLoader(), new Class<?>[] {HttpExchange.class},
        (proxy, method, args) -> {
      if (args.length == 1 && args[0] instanceof Problem problem) {
        answered[0] = problem.code().status();
        body[0] = json.valueToTree(problem.members());
      } else if (args.length == 3) {
        answered[0] = (int) args[0];
        body[0] = json.readTree((byte[]) args[2]);
      } else {
        throw new UnsupportedOperationException(method + Arrays.toString(args));
      }
      return null;
    });
    try {
      handler.handle(exchange);
    } catch (InstarException e) {
      exchange.respond(e.problem());
    }
    assertEquals(status, answered[0], () -> path + ": " + body[0]);
    return body[0];
  }

  private static <T> T nothing(Class<T> type) {
    return type.cast(Proxy.newProxyInstance(OperationsIT.class.getClassLoader(), new Class<?>[] {type},
        (proxy, method, args) -> switch (method.getName()) {
      case "hashCode" -> System.identityHashCode(proxy);
      case "equals" -> proxy == args[0];
      case "find" -> Optional.empty();
      default -> throw new UnsupportedOperationException(method.toString());
    }));
  }

  private static SandboxBackend backend(String name, Probe probe) {
    BackendDescription description = new BackendDescription(name, "a test's", Set.of("wasm"), BackendDescription.Shape.IN_PROCESS,
        BackendDescription.Isolation.VIRTUAL_MACHINE, false, "1");
    return (SandboxBackend) Proxy.newProxyInstance(OperationsIT.class.getClassLoader(), new Class<?>[] {SandboxBackend.class},
        (proxy, method, args) -> switch (method.getName()) {
      case "hashCode" -> System.identityHashCode(proxy);
      case "equals" -> proxy == args[0];
      case "describe" -> description;
      case "probe" -> probe;
      default -> throw new UnsupportedOperationException(method.toString());
    });
  }
}
