package dev.instar.launcher.node;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * Tells the service manager that has started this process how far it is (sd_notify(3)), where there is one. By {@code systemd-notify}, since Java has no
 * datagrams on Unix sockets.
 */
public final class ServiceManager {
  private static final long PATIENCE_S = 5;

  private ServiceManager() {}

  /** @param status one line for {@code systemctl status} */
  public static void ready(String status) {
    tell("--ready", "--status=" + status);
  }

  /** From now on only the limit of the stop holds. */
  public static void stopping() {
    tell("STOPPING=1");
  }

  private static void tell(String... what) {
    if (System.getenv("NOTIFY_SOCKET") == null) {
      return;
    }
    List<String> command = new ArrayList<>(List.of("systemd-notify", "--pid=" + ProcessHandle.current().pid()));
    command.addAll(List.of(what));
    try {
      Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      process.getOutputStream().close();
      if (!process.waitFor(PATIENCE_S, TimeUnit.SECONDS) || process.exitValue() != 0) {
        process.destroyForcibly();
        System.err.println("The service manager could not be told: '" + String.join(" ", command) + "' failed.");
      }
    } catch (IOException e) {
      System.err.println("The service manager could not be told: " + e.getMessage() + ".");
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
