package dev.instar.linux;

import com.sun.jna.LastErrorException;
import com.sun.jna.NativeLong;
import dev.instar.api.Threads;
import dev.instar.api.host.LinuxException;
import dev.instar.api.host.Mounts;
import dev.instar.api.host.Namespaces;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import org.osgi.service.component.annotations.Component;

/** {@link Namespaces}. */
@Component
public final class LinuxNamespaces implements Namespaces {
  private static final String OWN = "/proc/thread-self/ns/net";

  @Override
  public <T> T apart(Work<T> work) throws Exception {
    FutureTask<T> task = new FutureTask<>(() -> work.run(new OfThread()));
    // Of the platform: a virtual thread's carrier would stay in the namespace.
    Thread thread = Threads.startPlatform("instar-apart", task);
    boolean interrupted = false;
    try {
      while (true) {
        try {
          return task.get();
        } catch (InterruptedException e) {
          interrupted = true;
          thread.interrupt();
        } catch (ExecutionException e) {
          if (e.getCause() instanceof Exception cause) {
            throw cause;
          }
          if (e.getCause() instanceof Error error) {
            throw error;
          }
          throw e;
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  @Override
  public void release(Path file) throws LinuxException {
    try {
      LibC.umount2(file.toString(), Mounts.DETACH);
    } catch (LastErrorException e) {
      // Nothing is bound there, or there is no such file.
      if (e.getErrorCode() != LinuxException.EINVAL && e.getErrorCode() != LinuxException.ENOENT) {
        throw LibC.failure("unmount " + file, e);
      }
    }
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      throw new LinuxException("delete " + file + ": " + e.getMessage(), LinuxException.EPERM);
    }
  }

  private static final class OfThread implements Here {
    @Override
    public void newNetwork() throws LinuxException {
      try {
        LibC.unshare(LibC.CLONE_NEWNET);
      } catch (LastErrorException e) {
        throw LibC.failure("make a network namespace", e);
      }
    }

    @Override
    public void enterNetwork(Path file) throws LinuxException {
      int descriptor = descriptor(file.toString());
      try {
        LibC.setns(descriptor, LibC.CLONE_NEWNET);
      } catch (LastErrorException e) {
        throw LibC.failure("enter the network namespace at " + file, e);
      } finally {
        LibC.close(descriptor);
      }
    }

    @Override
    public void bindNetwork(Path file) throws LinuxException {
      try {
        Files.createFile(file);
        LibC.mount(OWN, file.toString(), null, new NativeLong(Mounts.BIND), null);
      } catch (LastErrorException e) {
        file.toFile().delete();
        throw LibC.failure("bind a network namespace at " + file, e);
      } catch (IOException e) {
        throw new LinuxException("make " + file + ": " + e, LinuxException.EPERM);
      }
    }

    @Override
    public void newMounts(Path directory) throws LinuxException {
      try {
        LibC.unshare(LibC.CLONE_NEWNS);
        LibC.mount("none", "/", null, new NativeLong(Mounts.RECURSIVE | Mounts.PRIVATE), null);
        LibC.chdir(directory.toString());
      } catch (LastErrorException e) {
        throw LibC.failure("make a mount namespace", e);
      }
    }

    @Override
    public <T> T withNetwork(Use<T> use) throws Exception {
      int descriptor = descriptor(OWN);
      try {
        return use.with(descriptor);
      } finally {
        LibC.close(descriptor);
      }
    }

    private static int descriptor(String file) throws LinuxException {
      try {
        return LibC.open(file, LibC.O_RDONLY | LibC.O_CLOEXEC);
      } catch (LastErrorException e) {
        throw LibC.failure("open " + file, e);
      }
    }
  }
}
