package dev.instar.wasi;

import java.nio.charset.StandardCharsets;
import java.util.List;

/** Arguments, environment, clocks, random numbers and the end of the process. */
final class ProcessCalls {
  private static final int CLOCK_REALTIME = 0;
  private static final int CLOCK_MONOTONIC = 1;
  private static final int CLOCK_PROCESS_CPUTIME = 2;
  private static final int CLOCK_THREAD_CPUTIME = 3;

  private final Wasi wasi;
  private final List<byte[]> arguments;
  private final List<byte[]> environment;

  ProcessCalls(Wasi wasi) {
    this.wasi = wasi;
    this.arguments = wasi.settings().arguments().stream().map(ProcessCalls::terminated).toList();
    this.environment = wasi.settings().environment().entrySet().stream().map(e -> terminated(e.getKey() + "=" + e.getValue())).toList();
  }

  private static byte[] terminated(String text) {
    return (text + "\0").getBytes(StandardCharsets.UTF_8);
  }

  void argsGet(GuestMemory memory, int pointers, int strings) {
    strings(memory, arguments, pointers, strings);
  }

  void argsSizesGet(GuestMemory memory, int count, int size) {
    sizes(memory, arguments, count, size);
  }

  void environGet(GuestMemory memory, int pointers, int strings) {
    strings(memory, environment, pointers, strings);
  }

  void environSizesGet(GuestMemory memory, int count, int size) {
    sizes(memory, environment, count, size);
  }

  private static void strings(GuestMemory memory, List<byte[]> strings, int pointers, int buffer) {
    int pointer = pointers;
    int at = buffer;
    for (byte[] string : strings) {
      memory.writeInt(pointer, at);
      memory.write(at, string, 0, string.length);
      pointer += 4;
      at += string.length;
    }
  }

  private static void sizes(GuestMemory memory, List<byte[]> strings, int count, int size) {
    memory.writeInt(count, strings.size());
    memory.writeInt(size, strings.stream().mapToInt(s -> s.length).sum());
  }

  void clockResGet(GuestMemory memory, int id, int result) throws ErrnoException {
    time(id);
    memory.writeLong(result, 1);
  }

  void clockTimeGet(GuestMemory memory, int id, int result) throws ErrnoException {
    memory.writeLong(result, time(id));
    wasi.noteClock();
  }

  private long time(int id) throws ErrnoException {
    return switch (id) {
      case CLOCK_REALTIME -> wasi.clocks().realtime();
      case CLOCK_MONOTONIC -> wasi.clocks().monotonic();
      // A guest has one thread.
      case CLOCK_PROCESS_CPUTIME, CLOCK_THREAD_CPUTIME -> wasi.cpuTime();
      default -> throw Errno.INVAL.failure();
    };
  }

  /** The clocks that one can wait for. */
  long waitable(int id) throws ErrnoException {
    if (id == CLOCK_PROCESS_CPUTIME || id == CLOCK_THREAD_CPUTIME) {
      throw Errno.NOTSUP.failure();
    }
    return time(id);
  }

  void exit(int code) {
    throw new ProcExit(code);
  }

  /** There are no signals here; a program that wants to end has {@code proc_exit}. */
  void raise(int signal) throws ErrnoException {
    throw (signal < 0 || signal > Flags.SIGNAL_LAST ? Errno.INVAL : Errno.NOSYS).failure();
  }

  void yield() {
    CallStopped.ifInterrupted();
    Thread.yield();
  }

  void randomGet(GuestMemory memory, int address, int length) {
    long room = Integer.toUnsignedLong(length);
    memory.check(address, room);
    if (room > 0) {
      wasi.noteRandom();
    }
    for (long done = 0; done < room; ) {
      CallStopped.ifInterrupted();
      byte[] chunk = new byte[(int) Math.min(room - done, Wasi.BUFFER)];
      wasi.settings().random().nextBytes(chunk);
      memory.write(address + (int) done, chunk, 0, chunk.length);
      done += chunk.length;
    }
  }
}
