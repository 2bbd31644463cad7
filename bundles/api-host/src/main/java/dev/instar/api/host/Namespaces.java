package dev.instar.api.host;

import java.nio.file.Path;
import org.osgi.annotation.versioning.ProviderType;

/** Network and mount namespaces. Thread-safe. */
@ProviderType
public interface Namespaces {
  /** Work that changes the namespace of its thread. */
  @FunctionalInterface
  interface Work<T> {
    T run(Here here) throws Exception;
  }

  /** The thread that work runs on; not to be used by another. */
  interface Here {
    /** Puts this thread into a network namespace that is new. It has a loopback interface, which is down. */
    void newNetwork() throws LinuxException;

    /** Puts this thread into the network namespace that is bound at a file. */
    void enterNetwork(Path file) throws LinuxException;

    /** Binds the network namespace of this thread at a file, which is made; {@link #release} undoes it. */
    void bindNetwork(Path file) throws LinuxException;

    /**
     * Puts this thread, and the processes that it starts from now on, into a mount namespace that is new: what they mount is seen nowhere else, and goes with the last
     * of them.
     *
     * @param directory the current one of this thread from then on: what relative names of {@link Mounts} begin at
     */
    void newMounts(Path directory) throws LinuxException;

    /** A file descriptor of the network namespace of this thread, for messages to the kernel while {@code use} runs. */
    <T> T withNetwork(Use<T> use) throws Exception;
  }

  /** Uses a descriptor. */
  @FunctionalInterface
  interface Use<T> {
    T with(int descriptor) throws Exception;
  }

  /**
   * Runs work on a thread of the kernel of its own, which ends with it, and waits for that.
   *
   * @throws Exception what the work throws
   */
  <T> T apart(Work<T> work) throws Exception;

  /** Takes a namespace away from the file that it is bound at, and deletes the file. It ends when no process is in it any more. Nothing, if it is not there. */
  void release(Path file) throws LinuxException;
}
