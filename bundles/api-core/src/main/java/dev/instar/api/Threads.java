package dev.instar.api;

/**
 * Threads that lead to nothing once they have ended, neither to their work nor to the class loader of the bundle that made them.
 *
 * <p>Every bundle that can be replaced makes its threads here. The framework (Felix 7.0.5, {@code m_classLocks} of its bundle class loaders) keeps a
 * thread that was about to define a class when another one had just done so, for as long as the bundle of that class is there. A thread of the JDK keeps
 * what it was to run even when it has ended, so an object of a replaced bundle would stay, and with it all of the bundle's classes. For the same reason no
 * class of a bundle extends {@link Thread}.
 *
 * <p>Platform threads made here are daemons: a node ends when it is told to, not with its last thread.
 */
public final class Threads {
  private Threads() {}

  /** Work that is let go of when it begins. From then on it is only on the thread's stack. */
  private static final class Once implements Runnable {
    private static final Runnable BEGUN = () -> {};

    private Runnable work;

    Once(Runnable work) {
      this.work = work;
    }

    @Override
    public void run() {
      Runnable mine = work;
      work = BEGUN;
      mine.run();
    }
  }

  /** A platform thread that has yet to be started. */
  public static Thread platform(String name, Runnable work) {
    return Thread.ofPlatform().daemon().name(name).unstarted(new Once(work));
  }

  /**
   * A platform thread that has yet to be started.
   *
   * @param stackBytes how much of the address space its stack gets
   */
  public static Thread platform(String name, long stackBytes, Runnable work) {
    return Thread.ofPlatform().daemon().name(name).stackSize(stackBytes).unstarted(new Once(work));
  }

  /** Starts a platform thread. */
  public static Thread startPlatform(String name, Runnable work) {
    Thread thread = platform(name, work);
    thread.start();
    return thread;
  }

  /** A virtual thread that has yet to be started. */
  public static Thread virtual(String name, Runnable work) {
    return Thread.ofVirtual().name(name).unstarted(new Once(work));
  }

  /** Starts a virtual thread. */
  public static Thread startVirtual(String name, Runnable work) {
    Thread thread = virtual(name, work);
    thread.start();
    return thread;
  }
}
