package dev.instar.api.guest;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.Arrays;
import java.util.Optional;

/** Frames have one form: what is read and written again has the bytes that it came from, and is read as the same frame. */
class FrameFuzzTest {
  @FuzzTest
  void whatIsReadIsWrittenAsItCame(byte[] input) throws IOException {
    ByteArrayInputStream in = new ByteArrayInputStream(input);
    FrameReader reader = new FrameReader(in);
    int from = 0;
    while (true) {
      Optional<Frame> frame;
      try {
        frame = reader.read();
      } catch (FrameException e) {
        return;
      }
      int to = input.length - in.available();
      if (frame.isEmpty()) {
        assertEquals(from, input.length, "only at the end");
        return;
      }
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      new FrameWriter(out).write(frame.get());
      assertArrayEquals(Arrays.copyOfRange(input, from, to), out.toByteArray());
      assertEquals(frame, new FrameReader(new ByteArrayInputStream(out.toByteArray())).read());
      from = to;
    }
  }
}
