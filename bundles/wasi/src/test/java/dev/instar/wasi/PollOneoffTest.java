package dev.instar.wasi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PollOneoffTest {
  private static final int IN = 8192;
  private static final int OUT = 200_000;

  @TempDir
  Path temp;

  private long now = 1_000_000_000_000L;
  private long slept;
  private Guest guest;
  private int count;

  record Event(long userdata, Errno error, int type, long bytes) {}

  @BeforeEach
  void start() {
    Clocks clocks = new Clocks() {
      @Override
      public long realtime() {
        return now + 500;
      }

      @Override
      public long monotonic() {
        return now;
      }

      @Override
      public long cpu() {
        return now;
      }

      @Override
      public void sleep(long nanos) throws InterruptedException {
        if (Thread.interrupted()) {
          throw new InterruptedException();
        }
        assertTrue(nanos > 0);
        slept += nanos;
        now += nanos;
      }
    };
    guest = new Guest(
        new WasiSettings(List.of(), Map.of(), Optional.of(LowerTree.empty()), temp.resolve("scratch"), FileQuota.DEFAULT, ByteBudget.UNLIMITED,
            clocks, new SecureRandom()));
  }

  private void clock(int id, long timeout, int flags) {
    int at = subscribe(0);
    guest.memory.writeInt(at + 16, id);
    guest.memory.writeLong(at + 24, timeout);
    guest.memory.writeShort(at + 40, (short) flags);
  }

  private void fd(int type, int fd) {
    guest.memory.writeInt(subscribe(type) + 16, fd);
  }

  private int subscribe(int type) {
    int at = IN + 48 * count++;
    guest.memory.writeLong(at, 100 + count);
    guest.memory.writeByte(at + 8, (byte) type);
    return at;
  }

  private List<Event> poll() {
    guest.ok("poll_oneoff", IN, OUT, count, Guest.RESULT);
    List<Event> events = new ArrayList<>();
    for (int i = 0; i < guest.result(); i++) {
      int at = OUT + 32 * i;
      events.add(new Event(guest.memory.readLong(at), Errno.values()[guest.memory.readShort(at + 8)], guest.memory.readByte(at + 10),
          guest.memory.readLong(at + 16)));
    }
    return events;
  }

  @Test
  void aSleepIsToldOnceAndOnlyWhereThereIsOne() throws Exception {
    List<Long> told = new ArrayList<>();
    guest.wasi.waits(wait -> {
      long before = slept;
      wait.await();
      told.add(slept - before);
    });
    clock(1, 5_000_000_000L, 0);
    assertEquals(1, poll().size());
    assertEquals(List.of(5_000_000_000L), told);
    count = 0;
    clock(1, 0, 0);
    assertEquals(1, poll().size());
    assertEquals(1, told.size());
  }

  @Test
  void waitsForTheFirstClock() {
    clock(1, 5_000_000_000L, 0);
    clock(1, 2_500_000_000L, 0);
    assertEquals(List.of(new Event(102, Errno.SUCCESS, 0, 0)), poll());
    assertEquals(2_500_000_000L, slept);
  }

  @Test
  void absoluteTimesOfBothClocks() {
    clock(1, now + 1000, 1);
    clock(0, now + 1000, 1);
    assertEquals(List.of(new Event(102, Errno.SUCCESS, 0, 0)), poll());
    assertEquals(500, slept, "the real-time clock is 500 ns ahead");
  }

  @Test
  void timesThatArePast() {
    clock(1, 0, 0);
    clock(1, now, 1);
    clock(0, 5, 1);
    clock(1, 10, 0);
    assertEquals(List.of(101L, 102L, 103L), poll().stream().map(Event::userdata).toList());
    assertEquals(0, slept);
  }

  @Test
  void hugeTimesAreWaitedFor() {
    clock(1, -1, 0);
    clock(1, Long.MIN_VALUE, 1);
    clock(0, Long.MAX_VALUE, 0);
    clock(1, 7_000_000_000L, 0);
    assertEquals(List.of(104L), poll().stream().map(Event::userdata).toList());
  }

  @Test
  void descriptorsAreReadyAndClocksThatAreNotStayAway() {
    guest.connect("input");
    int file = guest.opened("x", Flags.OFLAGS_CREAT);
    guest.write(file, "abc");
    guest.ok("fd_seek", file, 1, 0, Guest.RESULT);
    clock(1, 1000, 0);
    fd(1, 0);
    fd(2, 1);
    fd(1, file);
    fd(2, file);
    List<Event> events = poll();
    assertEquals(List.of(102L, 103L, 104L, 105L), events.stream().map(Event::userdata).toList());
    assertEquals(List.of(1, 2, 1, 2), events.stream().map(Event::type).toList());
    assertEquals(5, events.get(0).bytes());
    assertEquals(2, events.get(2).bytes());
    assertEquals(0, slept);
  }

  @Test
  void errorsAreEvents() {
    fd(1, 77);
    fd(2, 0);
    fd(1, 1);
    fd(1, Guest.ROOT);
    clock(9, 1, 0);
    clock(2, 1, 0);
    clock(1, 1, 2);
    assertEquals(List.of(Errno.BADF, Errno.NOTCAPABLE, Errno.NOTCAPABLE, Errno.NOTCAPABLE, Errno.INVAL, Errno.NOTSUP, Errno.INVAL),
        poll().stream().map(Event::error).toList());
  }

  @Test
  void countsAndPointers() {
    assertEquals(Errno.INVAL, guest.call("poll_oneoff", IN, OUT, 0, Guest.RESULT));
    assertEquals(Errno.INVAL, guest.call("poll_oneoff", IN, OUT, 4097, Guest.RESULT));
    assertThrows(GuestTrap.class, () -> guest.call("poll_oneoff", IN, OUT, -1, Guest.RESULT));
    assertThrows(GuestTrap.class, () -> guest.call("poll_oneoff", 4 << 20, OUT, 1, Guest.RESULT));
    subscribe(3);
    assertEquals(Errno.INVAL, guest.call("poll_oneoff", IN, OUT, 1, Guest.RESULT));
  }

  @Test
  void eventsMayOverlapSubscriptions() {
    fd(2, 1);
    fd(2, 2);
    fd(2, 1);
    guest.ok("poll_oneoff", IN, IN, 3, Guest.RESULT);
    assertEquals(3, guest.result());
    assertEquals(103, guest.memory.readLong(IN + 64));
  }

  @Test
  void anInterruptEndsTheWait() {
    clock(1, 1_000_000_000_000_000L, 0);
    Thread main = Thread.currentThread();
    main.interrupt();
    CallStopped stopped = assertThrows(CallStopped.class, this::poll);
    assertEquals(InterruptedException.class, stopped.getCause().getClass());
  }

  @Test
  void aRealWaitCanBeInterrupted() throws Exception {
    Guest real = Guest.over(LowerTree.empty(), temp.resolve("scratch"));
    real.memory.writeByte(IN + 8, (byte) 0);
    real.memory.writeInt(IN + 16, 1);
    real.memory.writeLong(IN + 24, Long.MAX_VALUE);
    var ended = new java.util.concurrent.CompletableFuture<Throwable>();
    Thread thread = Thread.ofPlatform().start(() -> {
      try {
        real.call("poll_oneoff", IN, OUT, 1, Guest.RESULT);
        ended.complete(null);
      } catch (Throwable e) {
        ended.complete(e);
      }
    });
    while (thread.getState() != Thread.State.TIMED_WAITING) {
      Thread.sleep(1);
    }
    thread.interrupt();
    assertTrue(ended.get(30, java.util.concurrent.TimeUnit.SECONDS) instanceof CallStopped);
  }
}
