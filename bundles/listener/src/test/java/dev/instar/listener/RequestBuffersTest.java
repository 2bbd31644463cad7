package dev.instar.listener;

import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.eclipse.jetty.io.RetainableByteBuffer;
import org.junit.jupiter.api.Test;

class RequestBuffersTest {
  private final RequestBuffers buffers = new RequestBuffers();

  @Test
  void memoryThatWasReadIntoIsNeverHandedOutAgain() {
    RetainableByteBuffer first = buffers.acquire(8192, false);
    byte[] memory = first.getByteBuffer().array();
    first.release();
    for (int i = 0; i < 100; i++) {
      RetainableByteBuffer next = buffers.acquire(8192, false);
      assertNotSame(memory, next.getByteBuffer().array());
      next.release();
    }
    assertThrows(IllegalStateException.class, first::release);
  }

  @Test
  void buffersForAnswersArePooled() {
    RetainableByteBuffer first = buffers.acquire(8192, true);
    first.release();
    assertSame(first.getByteBuffer(), buffers.acquire(8192, true).getByteBuffer());
  }
}
