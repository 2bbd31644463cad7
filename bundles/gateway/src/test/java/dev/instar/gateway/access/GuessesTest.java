package dev.instar.gateway.access;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.InetAddress;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class GuessesTest {
  private final AtomicLong clock = new AtomicLong(Long.MAX_VALUE - 5);
  private final Guesses guesses = new Guesses(clock::get);

  private static InetAddress address(String text) throws Exception {
    return InetAddress.getByName(text);
  }

  private void use(String address) throws Exception {
    for (int i = 0; i < Guesses.BURST; i++) {
      assertEquals(Duration.ZERO, guesses.wrong(address(address)), "try " + i);
    }
  }

  @Test
  void anAddressHasSomeAtOnceAndThenSomeAMinute() throws Exception {
    use("192.0.2.1");
    Duration wait = guesses.wrong(address("192.0.2.1"));
    assertTrue(wait.isPositive() && wait.compareTo(Duration.ofMinutes(1).dividedBy(Guesses.PER_MINUTE)) <= 0, wait::toString);
    assertEquals(Duration.ZERO, guesses.wrong(address("192.0.2.2")), "another address is not concerned");
    clock.addAndGet(wait.toNanos());
    assertEquals(Duration.ZERO, guesses.wrong(address("192.0.2.1")));
    assertTrue(guesses.wrong(address("192.0.2.1")).isPositive());
    clock.addAndGet(Duration.ofMinutes(2).toNanos());
    use("192.0.2.1");
  }

  @Test
  void aHostWithSixtyFourBitsOfAddressesIsOne() throws Exception {
    use("2001:db8:1:2::1");
    assertTrue(guesses.wrong(address("2001:db8:1:2:ffff::9")).isPositive());
    assertEquals(Duration.ZERO, guesses.wrong(address("2001:db8:1:3::1")));
  }

  @Test
  void manyAddressesTakeABoundedPlace() throws Exception {
    for (int i = 0; i < 3 * Guesses.ADDRESSES; i++) {
      guesses.wrong(InetAddress.getByAddress(new byte[] {10, (byte) (i >> 16), (byte) (i >> 8), (byte) i}));
    }
    assertEquals(Guesses.ADDRESSES, guesses.remembered());
  }
}
