package dev.instar.tck.network;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A little world beyond a host, for the network namespace that a test has of its own: a public address, a private one, and a cloud's metadata service. */
final class Outside implements AutoCloseable {
  static final String PUBLIC = "198.51.100.7";
  static final String OTHER = "198.51.100.8";
  static final String PRIVATE = "10.99.0.7";
  static final String METADATA = "169.254.169.254";
  /** Of the host, on the wire to the world. */
  static final String UPLINK = "203.0.113.1";
  static final int PORT = 80;
  static final int OTHER_PORT = 81;
  private static final String NAMESPACE = "outside";
  /** Says who has connected, and counts what comes after that. */
  private static final String SERVER = """
      import socket, socketserver, sys, threading
      class H(socketserver.BaseRequestHandler):
        def handle(self):
          self.request.sendall((self.client_address[0] + '\\n').encode())
          n = 0
          while True:
            data = self.request.recv(65536)
            if not data: break
            n += len(data)
          self.request.sendall((str(n) + '\\n').encode())
      class S(socketserver.ThreadingTCPServer):
        allow_reuse_address = len(sys.argv) > 2
        daemon_threads = True
      for port in sys.argv[1].split(','):
        threading.Thread(target=S(('0.0.0.0', int(port)), H).serve_forever).start()
      print('ready', flush=True)
      """;

  private final List<Process> processes = new ArrayList<>();

  Outside() throws Exception {
    run("ip", "netns", "add", NAMESPACE);
    run("ip", "link", "add", "uplink", "type", "veth", "peer", "name", "eth0", "netns", NAMESPACE);
    run("ip", "addr", "add", UPLINK + "/24", "dev", "uplink");
    run("ip", "link", "set", "uplink", "up");
    run("ip", "link", "set", "lo", "up");
    run("ip", "route", "add", "default", "via", "203.0.113.2");
    for (String command : new String[] {"addr add 203.0.113.2/24 dev eth0", "link set eth0 up", "link set lo up", "addr add " + PUBLIC + "/32 dev lo",
        "addr add " + OTHER + "/32 dev lo", "addr add " + PRIVATE + "/32 dev lo", "addr add " + METADATA + "/32 dev lo"}) {
      run(("ip -n " + NAMESPACE + " " + command).split(" "));
    }
    serve(Path.of("/run/netns", NAMESPACE), PORT, OTHER_PORT);
  }

  /** Listens in a namespace until {@link #close}. */
  Process serve(Path namespace, int... ports) throws Exception {
    List<String> numbers = new ArrayList<>();
    for (int port : ports) {
      numbers.add(Integer.toString(port));
    }
    Process server = start(namespace, python(), "-c", SERVER, String.join(",", numbers));
    BufferedReader said = new BufferedReader(new InputStreamReader(server.getInputStream(), StandardCharsets.UTF_8));
    String line = said.readLine();
    if (!"ready".equals(line)) {
      throw new IOException("the server in " + namespace + " did not start: " + line + "\n" + String.join("\n", said.readAllLines()));
    }
    return server;
  }

  /** A shim of a version manager would take far longer to start. */
  static String python() {
    return Files.isExecutable(Path.of("/usr/bin/python3")) ? "/usr/bin/python3" : "python3";
  }

  Process start(Path namespace, String... command) throws IOException {
    List<String> all = new ArrayList<>(List.of("nsenter", "--net=" + namespace));
    all.addAll(List.of(command));
    Process process = new ProcessBuilder(all).redirectErrorStream(true).start();
    processes.add(process);
    return process;
  }

  static String run(String... command) throws Exception {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    process.getOutputStream().close();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
    if (!process.waitFor(30, TimeUnit.SECONDS) || process.exitValue() != 0) {
      throw new IOException("'" + String.join(" ", command) + "' failed: " + said);
    }
    return said;
  }

  @Override
  public void close() throws Exception {
    for (Process process : processes) {
      process.destroyForcibly();
      process.waitFor();
    }
    run("ip", "netns", "del", NAMESPACE);
    // The kernel takes the rest of a namespace away when it comes to it; its end of the wire is what would be in the way of the next.
    new ProcessBuilder("ip", "link", "del", "uplink").start().waitFor();
  }
}
