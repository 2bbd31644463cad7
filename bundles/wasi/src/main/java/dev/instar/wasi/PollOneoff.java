package dev.instar.wasi;

/**
 * {@code poll_oneoff}. Descriptors are always ready: files never block, output is taken at once, and of input nobody can tell without reading it, so
 * a guest that polls it reads and waits there. Only clocks are waited for; an interrupt ends the wait and the call.
 */
final class PollOneoff {
  private static final int SUBSCRIPTION = 48;
  private static final int EVENT = 32;
  /** More than a guest can have of descriptors; poll(2) has such a limit, too. */
  private static final int MAX = 4096;
  /** How long to trust the real-time clock not to be set, in nanoseconds. */
  private static final long SLICE = 1_000_000_000L;

  private final Wasi wasi;

  PollOneoff(Wasi wasi) {
    this.wasi = wasi;
  }

  /** A subscription, read before the events are written: the two arrays may overlap. */
  private record Subscription(long userdata, int type, int fd, int clock, long timeout, int flags, long start) {
    boolean isAbsolute() {
      return (flags & Flags.SUBSCRIPTION_CLOCK_ABSTIME) != 0;
    }

    /** How long to wait still; at most 0 when it is over. All values are unsigned. */
    long remaining(long now) {
      if (isAbsolute()) {
        return Long.compareUnsigned(timeout, now) <= 0 ? 0 : saturated(timeout - now);
      }
      return timeout < 0 ? Long.MAX_VALUE : timeout - (now - start);
    }

    private static long saturated(long unsigned) {
      return unsigned < 0 ? Long.MAX_VALUE : unsigned;
    }
  }

  void poll(GuestMemory memory, int in, int out, int count, int result) throws ErrnoException {
    memory.check(in, SUBSCRIPTION * Integer.toUnsignedLong(count));
    memory.check(out, EVENT * Integer.toUnsignedLong(count));
    memory.check(result, 4);
    if (count == 0 || Integer.compareUnsigned(count, MAX) > 0) {
      throw Errno.INVAL.failure();
    }
    Subscription[] subscriptions = new Subscription[count];
    for (int i = 0; i < count; i++) {
      subscriptions[i] = subscription(memory, in + SUBSCRIPTION * i);
      // One that is alone always ends in the same event.
      if (count > 1 && subscriptions[i].type() == Flags.EVENTTYPE_CLOCK) {
        wasi.noteClock();
      }
    }
    while (true) {
      CallStopped.ifInterrupted();
      int events = 0;
      long wait = Long.MAX_VALUE;
      for (Subscription subscription : subscriptions) {
        Errno error = Errno.SUCCESS;
        long bytes = 0;
        try {
          if (subscription.type() == Flags.EVENTTYPE_CLOCK) {
            long remaining = remaining(subscription);
            if (remaining > 0) {
              wait = Math.min(wait, subscription.isAbsolute() ? Math.min(remaining, SLICE) : remaining);
              continue;
            }
          } else {
            bytes = ready(subscription);
          }
        } catch (ErrnoException e) {
          error = e.errno();
        }
        event(memory, out + EVENT * events++, subscription, error, bytes);
      }
      if (events > 0) {
        memory.writeInt(result, events);
        return;
      }
      try {
        wasi.sleep(wait);
      } catch (InterruptedException e) {
        throw CallStopped.byInterrupt();
      }
    }
  }

  private Subscription subscription(GuestMemory memory, int address) throws ErrnoException {
    long userdata = memory.readLong(address);
    int type = memory.readByte(address + 8) & 0xff;
    return switch (type) {
      case Flags.EVENTTYPE_CLOCK -> {
        int clock = memory.readInt(address + 16);
        long start;
        try {
          start = wasi.process.waitable(clock);
        } catch (ErrnoException e) {
          // Reported as an event of its own.
          start = 0;
        }
        yield new Subscription(userdata, type, -1, clock, memory.readLong(address + 24), memory.readShort(address + 40) & 0xffff, start);
      }
      case Flags.EVENTTYPE_FD_READ, Flags.EVENTTYPE_FD_WRITE -> new Subscription(userdata, type, memory.readInt(address + 16), 0, 0, 0, 0);
      default -> throw Errno.INVAL.failure();
    };
  }

  private long remaining(Subscription subscription) throws ErrnoException {
    Flags.check(subscription.flags(), Flags.SUBSCRIPTION_CLOCK_ABSTIME);
    return subscription.remaining(wasi.process.waitable(subscription.clock()));
  }

  /** The bytes that can be read or written without waiting, as far as they are known. */
  private long ready(Subscription subscription) throws ErrnoException {
    boolean read = subscription.type() == Flags.EVENTTYPE_FD_READ;
    Descriptor descriptor = wasi.table().get(subscription.fd());
    descriptor.require(Rights.POLL_FD_READWRITE | (read ? Rights.FD_READ : Rights.FD_WRITE));
    if (!read) {
      return Wasi.BUFFER;
    }
    return descriptor instanceof Descriptor.OpenFile file ? Math.max(0, file.file.size() - file.offset) : wasi.availableInput();
  }

  private static void event(GuestMemory memory, int address, Subscription subscription, Errno error, long bytes) {
    memory.writeLong(address, subscription.userdata());
    memory.writeLong(address + 8, error.code() | (long) subscription.type() << 16);
    memory.writeLong(address + 16, bytes);
    memory.writeLong(address + 24, 0);
  }
}
