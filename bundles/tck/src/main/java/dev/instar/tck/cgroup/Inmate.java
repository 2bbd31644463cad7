package dev.instar.tck.cgroup;

import dev.instar.api.cgroup.CgroupLease;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;

/** A shell that does nothing before it is in a lease, and then runs a script in it. */
final class Inmate implements AutoCloseable {
  private final Process process;

  private Inmate(Process process) {
    this.process = process;
  }

  /** Runs the script by the fourth way in of {@link CgroupLease}: it is moved there before its first line. */
  static Inmate of(CgroupLease lease, String script) throws IOException {
    Process process = new ProcessBuilder("sh", "-c", "read go; " + script).redirectErrorStream(true).start();
    try {
      lease.enter(process.pid());
      process.getOutputStream().write("go\n".getBytes(StandardCharsets.US_ASCII));
      process.getOutputStream().flush();
    } catch (IOException | RuntimeException e) {
      process.destroyForcibly();
      throw e;
    }
    return new Inmate(process);
  }

  long pid() {
    return process.pid();
  }

  boolean alive() {
    return process.isAlive();
  }

  /** The first line that it says. */
  String line() throws IOException {
    return process.inputReader(StandardCharsets.UTF_8).readLine();
  }

  /** All that it has said, when it has ended. */
  String said() throws IOException {
    return new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
  }

  /** Its status when it has ended; 128 and the signal where it was killed. */
  int status() throws InterruptedException {
    if (!process.waitFor(30, TimeUnit.SECONDS)) {
      throw new AssertionError("process " + process.pid() + " goes on");
    }
    return process.exitValue();
  }

  @Override
  public void close() {
    process.destroyForcibly();
  }
}
