package dev.instar.scheduler;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.instar.api.invocation.CallInput;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

class LimitedInputTest {
  private final byte[] body = "a body".getBytes();
  private int parkings;

  private LimitedInput input(CallInput input) {
    return new LimitedInput(input, 1000, new Parking() {
      @Override
      public void park() {
        parkings++;
      }

      @Override
      public void unpark() {}
    });
  }

  @Test
  void aBodyThatIsThereIsReadToItsEndWithoutWaiting() throws IOException {
    assertArrayEquals(body, input(CallInput.of(body)).readAllBytes());
    assertArrayEquals(new byte[0], input(CallInput.of(new byte[0])).readAllBytes());
    assertEquals(0, parkings);
  }

  @Test
  void whereTheLengthIsNotKnownTheEndIsWaitedFor() throws IOException {
    assertArrayEquals(body, input(new CallInput(new ByteArrayInputStream(body), OptionalLong.empty())).readAllBytes());
    assertEquals(1, parkings);
  }
}
