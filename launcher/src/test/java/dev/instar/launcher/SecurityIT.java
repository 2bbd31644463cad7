package dev.instar.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.launcher.Shell.Result;
import dev.instar.launcher.Shell.Running;
import dev.instar.tck.http.Identity;
import java.io.IOException;
import java.io.OutputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.stream.Stream;
import java.util.zip.ZipFile;
import jdk.security.jarsigner.JarSigner;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Who may do what to a whole node, by the shipped command: one as it comes, and one over TLS that asks everybody for a token. */
@Timeout(300)
class SecurityIT {
  private static final String ECHO = Path.of("../examples/echo/function.wasm").toAbsolutePath().toString();
  @TempDir static Path home;
  private static Shell shell;
  private static Running open;
  private static Running secure;
  private static Path openData;
  private static Path secureData;
  private static Identity identity;

  @BeforeAll
  static void start() throws Exception {
    shell = new Shell(home, Map.of());
    openData = home.resolve("open");
    open = shell.node(openData, "--no-examples");
    identity = Identity.make(home, "node", "dns:localhost,ip:127.0.0.1");
    Path config = Files.createDirectory(home.resolve("config"));
    try (Stream<Path> files = Files.list(Path.of("target/instar/config"))) {
      for (Path file : files.toList()) {
        Files.copy(file, config.resolve(file.getFileName()));
      }
    }
    Files.writeString(config.resolve("dev.instar.listener.cfg.json"), "{\"tls-certificate\": \"" + identity.certificate() + "\", \"tls-key\": \"" + identity.key() + "\"}");
    Files.writeString(config.resolve("dev.instar.gateway.cfg.json"), "{\"access\": \"required\"}");
    Files.writeString(config.resolve("dev.instar.deployer.cfg.json"), "{\"trusted-signers\": \"" + identity.certificate() + "\"}");
    secureData = home.resolve("secure");
    secure = shell.node(secureData, "--config", config.toString());
  }

  @AfterAll
  static void stop() {
    shell.close();
  }

  private static Result to(Running node, String... arguments) throws Exception {
    List<String> all = new ArrayList<>(List.of(arguments));
    all.addAll(List.of("--url", node.url().toString()));
    if (node == secure) {
      all.addAll(List.of("--ca", identity.certificate().toString()));
    }
    return shell.with(Map.of("INSTAR_TOKEN_FILE", "")).instar(all.toArray(String[]::new));
  }

  private static String ok(Result result) {
    assertEquals(0, result.code(), result.err());
    return result.out();
  }

  private static String failed(Result result) {
    assertEquals(1, result.code(), result::out);
    return result.err();
  }

  @Test
  void theAdministratorIsWhoReadsTheTokensFile() throws Exception {
    Path token = openData.resolve("admin.token");
    assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(token)));
    for (String[] command : new String[][] {{"bundles"}, {"users", "add", "x"}}) {
      String err = failed(to(open, command));
      assertTrue(err.contains("unauthenticated") && err.contains("admin.token") && err.contains("--token-file"), err);
    }
    List<String> withToken = new ArrayList<>(List.of("users", "list", "--token-file"));
    for (Path named : List.of(token, openData)) {
      assertTrue(ok(to(open, Stream.concat(withToken.stream(), Stream.of(named.toString())).toArray(String[]::new))).contains("There are no users"));
    }
    Path wrong = Files.writeString(home.resolve("wrong.token"), "instar-admin-" + "w".repeat(43));
    assertTrue(failed(to(open, "bundles", "--token-file", wrong.toString())).contains("does not hold"));
    assertTrue(failed(to(open, "bundles", "--token-file", home.resolve("none").toString())).contains("does not exist"));
    Result clear = shell.instar("bundles", "--url", "http://192.0.2.1:8080", "--token-file", token.toString());
    assertEquals(2, clear.code());
    assertTrue(clear.err().contains("in the clear"), clear.err());
    // What needs no token needs none.
    ok(to(open, "deploy", "me/open", ECHO));
    assertEquals("x", ok(to(open, "invoke", "me/open", "--data", "x")));
    ok(to(open, "remove", "me/open"));
  }

  @Test
  void aUsersTokenIsGoodForWhatItWasMadeFor() throws Exception {
    String administrator = secureData.toString();
    assertTrue(secure.url().toString().startsWith("https://127.0.0.1:"), secure.url()::toString);
    assertTrue(failed(to(secure, "list")).contains("unauthenticated"));
    Path ann = Files.writeString(home.resolve("ann.token"), ok(to(secure, "users", "add", "ann", "--upload", "ann", "--call", "ann", "--call", "demo", "--token-file", administrator)));
    assertEquals("", ok(to(secure, "list", "--token-file", ann.toString())).lines().filter(line -> line.startsWith("demo/")).findFirst().orElse(""), "she does not see what others have");
    assertTrue(ok(to(secure, "list", "--token-file", administrator)).contains("demo/echo"), "the examples were deployed as the administrator");
    ok(to(secure, "deploy", "ann/mine", ECHO, "--token-file", ann.toString()));
    assertEquals("x", ok(to(secure, "invoke", "ann/mine", "--data", "x", "--token-file", ann.toString())));
    assertEquals("y", ok(to(secure, "invoke", "demo/echo", "--data", "y", "--token-file", ann.toString())));
    for (String[] command : new String[][] {{"deploy", "demo/echo", ECHO}, {"logs", "demo/echo"}, {"invoke", "bob/x", "--data", "x"}, {"bundles"}, {"users", "add", "bob"}}) {
      String err = failed(to(secure, Stream.concat(Stream.of(command), Stream.of("--token-file", ann.toString())).toArray(String[]::new)));
      assertTrue(err.contains("(forbidden"), err);
    }
    String listed = ok(to(secure, "users", "list", "--token-file", administrator));
    assertTrue(listed.lines().anyMatch(line -> line.matches("ann +ann +ann,demo +\\S+")), listed);
    ok(to(secure, "users", "remove", "ann", "--token-file", administrator));
    assertTrue(failed(to(secure, "invoke", "ann/mine", "--data", "x", "--token-file", ann.toString())).contains("does not hold"));
    Result stranger = shell.instar("list", "--url", secure.url().toString());
    assertTrue(stranger.code() == 1 && stranger.err().contains("--ca"), "a certificate that nobody vouches for is not believed: " + stranger.err());
  }

  @Test
  void onlySignedBundlesAreTakenWhereThatIsAsked() throws Exception {
    Manifest manifest = new Manifest();
    manifest.getMainAttributes().putValue("Manifest-Version", "1.0");
    manifest.getMainAttributes().putValue("Bundle-ManifestVersion", "2");
    manifest.getMainAttributes().putValue("Bundle-SymbolicName", "org.example.signed");
    manifest.getMainAttributes().putValue("Bundle-Version", "1.0.0");
    Path plain = home.resolve("plain.jar");
    try (JarOutputStream jar = new JarOutputStream(Files.newOutputStream(plain), manifest)) {
      jar.putNextEntry(new JarEntry("some.txt"));
      jar.write(new byte[] {1});
    }
    Path signed = home.resolve("signed.jar");
    Identity stranger = Identity.make(home, "stranger", "dns:x");
    Path strange = home.resolve("strange.jar");
    for (Map.Entry<Path, Identity> each : Map.of(signed, identity, strange, stranger).entrySet()) {
      try (ZipFile zip = new ZipFile(plain.toFile()); OutputStream out = Files.newOutputStream(each.getKey())) {
        new JarSigner.Builder(each.getValue().secret(), CertificateFactory.getInstance("X.509").generateCertPath(List.of(each.getValue().x509()))).build().sign(zip, out);
      }
    }
    String administrator = secureData.toString();
    assertTrue(failed(to(secure, "bundles", "install", plain.toString(), "--token-file", administrator)).contains("signature-refused"));
    assertTrue(failed(to(secure, "bundles", "install", strange.toString(), "--token-file", administrator)).contains("signed by CN=stranger"));
    assertFalse(ok(to(secure, "bundles", "list", "--token-file", administrator)).contains("org.example.signed"), "a refused one leaves nothing");
    ok(to(secure, "bundles", "install", signed.toString(), "--token-file", administrator));
    assertTrue(ok(to(secure, "bundles", "list", "--token-file", administrator)).contains("org.example.signed"));
    ok(to(secure, "bundles", "uninstall", "org.example.signed", "--token-file", administrator));

    // The watched directory is no way around it, and what it may not take it leaves alone.
    Path watched = secureData.resolve("deploy");
    Files.copy(plain, watched.resolve("plain.jar"));
    Files.copy(strange, watched.resolve("strange.jar"));
    Path log = secureData.resolve("node.log");
    await(() -> {
      String said = Files.readString(log);
      return said.lines().anyMatch(line -> line.contains("plain.jar") && line.contains("signature-refused")) && said.lines().anyMatch(line -> line.contains("strange.jar") && line.contains("CN=stranger"));
    }, () -> Files.readString(log));
    assertFalse(ok(to(secure, "bundles", "list", "--token-file", administrator)).contains("org.example.signed"), "a refused one leaves nothing");
    Files.delete(watched.resolve("plain.jar"));
    Files.delete(watched.resolve("strange.jar"));
    Files.copy(signed, watched.resolve("signed.jar"));
    await(() -> ok(to(secure, "bundles", "list", "--token-file", administrator)).contains("org.example.signed"), () -> Files.readString(log));
    Files.delete(watched.resolve("signed.jar"));
    await(() -> !ok(to(secure, "bundles", "list", "--token-file", administrator)).contains("org.example.signed"), () -> Files.readString(log));
  }

  private interface Question<T> {
    T ask() throws Exception;
  }

  /** Fails with what explains it. */
  private static void await(Question<Boolean> condition, Question<String> why) throws Exception {
    for (long end = System.nanoTime() + Duration.ofSeconds(60).toNanos(); !condition.ask(); Thread.sleep(50)) {
      if (System.nanoTime() > end) {
        throw new AssertionError(why.ask());
      }
    }
  }

  @Test
  void theTokenIsNowhereButInItsFile() throws Exception {
    for (Path data : List.of(openData, secureData)) {
      Running node = data == openData ? open : secure;
      String token = Files.readString(data.resolve("admin.token")).strip();
      to(node, "bundles", "--token-file", data.toString());
      to(node, "describe", "demo/echo", "--token-file", data.toString());
      StringBuilder seen = new StringBuilder();
      List<ProcessHandle> processes = Stream.concat(Stream.of(node.process().toHandle()), node.process().descendants()).toList();
      for (ProcessHandle process : processes) {
        for (String file : List.of("cmdline", "environ")) {
          Path path = Path.of("/proc", Long.toString(process.pid()), file);
          if (Files.exists(path)) {
            seen.append(Files.readString(path, StandardCharsets.ISO_8859_1));
          }
        }
      }
      node.said().forEach(seen::append);
      seen.append(Files.readString(node.err()));
      for (String path : List.of("/v1", "/readyz", "/v1/functions", "/v1/backends", "/v1/bundles", "/v1/users")) {
        seen.append(get(node, path, token));
      }
      try (Stream<Path> files = Files.walk(data)) {
        for (Path file : files.filter(Files::isRegularFile).filter(f -> !f.getFileName().toString().equals("admin.token")).toList()) {
          try {
            seen.append(Files.readString(file, StandardCharsets.ISO_8859_1));
          } catch (IOException e) {
            // Gone by now.
          }
        }
      }
      assertTrue(seen.length() > 10_000 && seen.indexOf("dev.instar") >= 0);
      assertFalse(seen.indexOf(token) >= 0, "the token shows");
    }
  }

  private static String get(Running node, String path, String token) throws Exception {
    try (HttpClient client = HttpClient.newBuilder().sslContext(Identity.trusting(identity)).build()) {
      return client.send(HttpRequest.newBuilder(URI.create(node.url() + path)).header("Authorization", "Bearer " + token).build(), HttpResponse.BodyHandlers.ofString()).body();
    }
  }

  @Test
  void nothingButThePortListens() throws Exception {
    for (Running node : List.of(open, secure)) {
      Set<String> sockets = new TreeSet<>();
      for (ProcessHandle process : Stream.concat(Stream.of(node.process().toHandle()), node.process().descendants()).toList()) {
        try (Stream<Path> descriptors = Files.list(Path.of("/proc", Long.toString(process.pid()), "fd"))) {
          for (Path descriptor : descriptors.toList()) {
            try {
              String target = Files.readSymbolicLink(descriptor).toString();
              if (target.startsWith("socket:[")) {
                sockets.add(target.substring("socket:[".length(), target.length() - 1));
              }
            } catch (IOException e) {
              // Closed by now.
            }
          }
        } catch (IOException e) {
          // It has ended by now.
        }
      }
      assertFalse(sockets.isEmpty());
      List<String> listening = new ArrayList<>();
      for (String table : List.of("tcp", "tcp6", "udp", "udp6", "unix")) {
        for (String line : Files.readAllLines(Path.of("/proc", Long.toString(node.process().pid()), "net", table))) {
          String[] fields = line.strip().split("\\s+");
          boolean unix = table.equals("unix");
          boolean listens = unix ? fields.length > 6 && fields[3].equals("00010000") : table.startsWith("udp") || fields.length > 9 && fields[3].equals("0A");
          String inode = fields.length > 9 || unix && fields.length > 6 ? fields[unix ? 6 : 9] : "";
          if (listens && sockets.contains(inode)) {
            listening.add(table + " " + fields[1]);
          }
        }
      }
      assertEquals(1, listening.size(), listening::toString);
      String port = String.format("%04X", node.url().getPort());
      assertTrue(listening.getFirst().matches("tcp 0100007F:" + port + "|tcp6 0000000000000000FFFF00000100007F:" + port), listening::toString);
    }
  }
}
