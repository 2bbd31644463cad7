package dev.instar.gateway;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import org.junit.jupiter.api.Test;

class HeldBytesTest {
  private static final int LARGE = 10_000;

  @Test
  void smallArraysAreNotCounted() {
    HeldBytes heap = new HeldBytes(0);
    assertTrue(heap.lease().resize(0, HeldBytes.FREE));
    assertFalse(heap.lease().resize(0, HeldBytes.FREE + 1));
    assertEquals(0, heap.held());
  }

  @Test
  void aLeaseIsRefusedBeyondTheBudgetAndKeepsWhatItHas() {
    HeldBytes heap = new HeldBytes(2 * LARGE);
    HeldBytes.Lease first = heap.lease();
    assertTrue(first.resize(0, LARGE));
    assertFalse(first.resize(LARGE, 2 * LARGE + 1));
    assertTrue(first.resize(LARGE, 2 * LARGE));
    HeldBytes.Lease second = heap.lease();
    assertFalse(second.resize(0, LARGE));
    assertTrue(first.resize(2 * LARGE, 0));
    assertTrue(second.resize(0, LARGE));
    assertEquals(LARGE, heap.held());
    first.close();
    second.close();
    second.close();
    assertEquals(0, heap.held());
    assertFalse(second.resize(0, LARGE), "a sandbox that was given up writes on");
    assertEquals(0, heap.held());
  }

  @Test
  void nothingIsLostWhenLeasesCloseUnderTheirWriters() throws Exception {
    HeldBytes heap = new HeldBytes(50L * LARGE);
    for (int round = 0; round < 200; round++) {
      HeldBytes.Lease lease = heap.lease();
      List<Thread> threads = new ArrayList<>();
      for (int t = 0; t < 2; t++) {
        threads.add(Thread.ofVirtual().start(() -> {
          for (int i = 0; i < 50; i++) {
            if (lease.resize(0, LARGE) && ThreadLocalRandom.current().nextBoolean()) {
              lease.resize(LARGE, 0);
            }
          }
        }));
      }
      threads.add(Thread.ofVirtual().start(lease::close));
      for (Thread thread : threads) {
        thread.join();
      }
      assertEquals(0, heap.held());
    }
  }
}
