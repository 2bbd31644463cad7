package dev.instar.backend.wasm.compile;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;

class FramesTest {
  private static byte[] answer(long number, byte kind, byte[] payload) throws IOException {
    var out = new ByteArrayOutputStream();
    Frames.answer(out, number, kind, to -> to.write(payload));
    return out.toByteArray();
  }

  private static Frames.Answer read(byte[] bytes, long number, int most) throws IOException {
    return Frames.answer(new ByteArrayInputStream(bytes), number, most);
  }

  @Test
  void requestsAndAnswersComeAsTheyWent() throws IOException {
    var out = new ByteArrayOutputStream();
    Frames.request(out, new Frames.Request(7, 64, 1000, new byte[] {1, 2, 3}));
    Frames.Request request = Frames.request(new DataInputStream(new ByteArrayInputStream(out.toByteArray())));
    assertEquals(7, request.number());
    assertEquals(64, request.functionsPerClass());
    assertEquals(1000, request.codeLimit());
    assertArrayEquals(new byte[] {1, 2, 3}, request.module());
    Frames.Answer answer = read(answer(7, Frames.CODE, new byte[] {9, 8}), 7, 2);
    assertEquals(Frames.CODE, answer.kind());
    assertArrayEquals(new byte[] {9, 8}, answer.payload());
  }

  @Test
  void everyChangedByteAndEveryCutIsNoticed() throws IOException {
    byte[] whole = answer(1, Frames.CODE, new byte[] {1, 2, 3, 4, 5});
    for (int i = 0; i < whole.length; i++) {
      byte[] changed = whole.clone();
      changed[i] ^= 4;
      assertThrows(IOException.class, () -> read(changed, 1, 100), "byte " + i);
      int length = i;
      assertThrows(EOFException.class, () -> read(Arrays.copyOf(whole, length), 1, 100), "cut after " + i);
    }
  }

  @Test
  void whatIsLongerThanItMayBeIsNotRead() throws IOException {
    byte[] long5 = answer(1, Frames.CODE, new byte[5]);
    assertTrue(assertThrows(Frames.Nonsense.class, () -> read(long5, 1, 4)).getMessage().contains("5 bytes; 4 are allowed"));
    for (int length : new int[] {-1, Integer.MIN_VALUE, Integer.MAX_VALUE}) {
      var out = new ByteArrayOutputStream();
      out.writeBytes(Arrays.copyOf(long5, 13));
      new DataOutputStream(out).writeInt(length);
      assertThrows(IOException.class, () -> read(out.toByteArray(), 1, 1 << 30));
    }
  }

  @Test
  void answersToOthersAreRefused() throws IOException {
    byte[] second = answer(2, Frames.CODE, new byte[0]);
    assertThrows(Frames.Nonsense.class, () -> read(second, 1, 10));
    byte[] early = answer(1, Frames.READY, new byte[0]);
    assertThrows(Frames.Nonsense.class, () -> read(early, 1, 10));
    byte[] late = answer(0, Frames.CODE, new byte[0]);
    assertThrows(Frames.Nonsense.class, () -> read(late, 0, 10));
  }

  @Test
  void codeThatClaimsMoreThanThereIsAllocatesNothing() throws IOException {
    Map<String, byte[]> classes = new LinkedHashMap<>();
    classes.put("b.Two", new byte[] {1});
    classes.put("a.One", new byte[] {2, 3});
    var out = new ByteArrayOutputStream();
    new Code(classes, Set.of(5, 1)).write(new DataOutputStream(out));
    byte[] whole = out.toByteArray();
    Code read = Code.read(new DataInputStream(new ByteArrayInputStream(whole)));
    assertEquals(Set.of(1, 5), read.interpreted());
    assertEquals(classes.keySet().toString(), read.classes().keySet().toString());
    Random random = new Random(5);
    for (int i = 0; i < 5000; i++) {
      byte[] changed = whole.clone();
      for (int n = random.nextInt(4); n >= 0; n--) {
        changed[random.nextInt(changed.length)] = (byte) random.nextInt();
      }
      try {
        Code.read(new DataInputStream(new ByteArrayInputStream(changed)));
      } catch (IOException e) {
        assertTrue(e.getMessage() == null || !e.getMessage().isEmpty());
      }
    }
  }
}
