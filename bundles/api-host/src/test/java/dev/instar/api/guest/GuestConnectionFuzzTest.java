package dev.instar.api.guest;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.invocation.CallInput;
import dev.instar.api.sandbox.Call;
import dev.instar.api.sandbox.GuestLog;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.SequenceInputStream;
import java.time.Instant;
import java.util.Set;

/** Whatever a guest says, a call ends: by an answer, by a failure that the function reported, or by an exception of the stream, after which nothing more goes over it. */
class GuestConnectionFuzzTest {
  private static final Set<ErrorCode> REPORTED = Set.of(ErrorCode.FUNCTION_FAILED, ErrorCode.FUNCTION_TRAPPED, ErrorCode.OUT_OF_MEMORY);

  @FuzzTest
  void aCallEnds(byte[] input) throws Exception {
    boolean greets = input.length == 0 || (input[0] & 1) == 0;
    ByteArrayOutputStream greeting = new ByteArrayOutputStream();
    if (greets) {
      // Or nothing but greetings would be tried.
      FrameWriter writer = new FrameWriter(greeting);
      writer.write(new Frame.Hello(Frame.VERSION, Frame.VERSION));
      writer.write(new Frame.Ready());
    }
    GuestConnection connection = new GuestConnection("fuzz", new SequenceInputStream(new ByteArrayInputStream(greeting.toByteArray()), new ByteArrayInputStream(input)),
        OutputStream.nullOutputStream());
    Instant deadline = Instant.now().plusSeconds(60);
    try {
      connection.handshake(deadline, GuestLog.NONE);
      connection.call(new Call("i", CallInput.of(new byte[] {1, 2, 3}), OutputStream.nullOutputStream(), GuestLog.NONE, deadline));
    } catch (InstarException e) {
      assertTrue(REPORTED.contains(e.code()), e.getMessage());
    } catch (IOException e) {
      assertFalse(connection.usable());
    } finally {
      connection.close();
    }
  }
}
