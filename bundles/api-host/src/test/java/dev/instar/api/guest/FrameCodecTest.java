package dev.instar.api.guest;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.guest.Frame.Status;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class FrameCodecTest {
  static List<Frame> frames() {
    return List.of(
        new Frame.Hello(1, 1), new Frame.Hello(0, 65535), new Frame.Ready(), new Frame.Ping(Long.MIN_VALUE), new Frame.Pong(-1), new Frame.Bye(""),
        new Frame.Bye("wörld 🦋"),
        new Frame.Call(1, Map.of()), new Frame.Call(-1, Map.of("deadline-ms", "500", "invocation", "", "ä", "1", "zzz", "ö".repeat(1000))),
        new Frame.Input(7, data(1)), new Frame.Input(7, data(Frame.MAX_DATA)), new Frame.InputEnd(7), new Frame.Cancel(7),
        new Frame.Credit(7, Integer.MAX_VALUE),
        new Frame.Output(7, data(65_000)), new Frame.Log(0, data(3)), new Frame.Log(7, data(3)),
        new Frame.Result(7, Status.ANSWERED, 0, ""), new Frame.Result(7, Status.FAILED, -7, "no"),
        new Frame.Result(7, Status.TRAPPED, 0, "x".repeat(Frame.MAX_TEXT)),
        new Frame.Result(Integer.MAX_VALUE, Status.OUT_OF_MEMORY, 0, ""));
  }

  private static ByteBuffer data(int size) {
    byte[] bytes = new byte[size];
    new Random(size).nextBytes(bytes);
    return ByteBuffer.wrap(bytes);
  }

  private static byte[] encode(Frame... frames) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    FrameWriter writer = new FrameWriter(out);
    for (Frame frame : frames) {
      writer.write(frame);
    }
    return out.toByteArray();
  }

  private static FrameReader reader(byte[] bytes) {
    return new FrameReader(new ByteArrayInputStream(bytes));
  }

  private static FrameReader hex(String hex) {
    return reader(HexFormat.of().parseHex(hex.replace(" ", "")));
  }

  @ParameterizedTest
  @MethodSource("frames")
  void everyFrameComesBackAsItWent(Frame frame) throws IOException {
    FrameReader reader = reader(encode(frame));
    assertEquals(Optional.of(frame), reader.read());
    assertEquals(Optional.empty(), reader.read());
  }

  @Test
  void aStreamOfFramesComesBackInPiecesOfAnySize() throws IOException {
    byte[] all = encode(frames().toArray(Frame[]::new));
    Random random = new Random(1);
    FrameReader reader = new FrameReader(new FilterInputStream(new ByteArrayInputStream(all)) {
      @Override
      public int read(byte[] b, int offset, int length) throws IOException {
        return in.read(b, offset, Math.min(length, 1 + random.nextInt(100)));
      }
    });
    for (Frame frame : frames()) {
      assertEquals(Optional.of(frame), reader.read());
    }
    assertEquals(Optional.empty(), reader.read());
  }

  /** The bytes of docs/guest-protocol.md, written out by hand. */
  @ParameterizedTest
  @CsvSource({
      "00000008 01 494e5354 0001 0001, Hello[lowest=1; highest=1]",
      "00000000 02, Ready[]",
      "00000004 13 00000007, Cancel[call=7]",
      "00000008 14 00000007 00008000, Credit[call=7; bytes=32768]",
      "0000000b 22 00000007 01 00000007 6e6f, Result[call=7; status=FAILED; exitCode=7; message=no]",
      "00000011 10 00000001 0001 0003 6b6579 0004 77657274, Call[call=1; metadata={key=wert}]"})
  void theBytesAreThoseOfTheSpecification(String hex, String frame) throws IOException {
    Frame read = hex(hex).read().orElseThrow();
    assertEquals(frame.replace(';', ','), read.toString());
    assertArrayEquals(HexFormat.of().parseHex(hex.replace(" ", "")), encode(read));
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
      "00010001 20 00000001 | a frame's length is 65537, over 65536",
      "ffffffff 20 00000001 | a frame's length is 4294967295, over 65536",
      "48656c6c 6f20776f726c64 | a frame's length is 1214606444, over 65536 "
          + "(it begins with the text 'Hello': does something print to the standard output?)",
      "00000000 00 | a frame has the unknown type 0x00",
      "00000000 30 | a frame has the unknown type 0x30",
      "00000004 ff 00000000 | a frame has the unknown type 0xff",
      "00000001 02 00 | a frame READY has a payload of 1 bytes",
      "00000007 01 494e5354 0001 00 | a frame HELLO has a payload of 7 bytes",
      "00000008 01 494e5355 0001 0001 | a frame HELLO has the magic number 0x494e5355",
      "00000008 01 494e5354 0002 0001 | a frame HELLO has the versions 2 to 1",
      "00000004 20 00000001 | a frame OUTPUT has a payload of 4 bytes",
      "00000005 20 00000000 01 | a frame OUTPUT is for call 0",
      "00000008 14 00000001 00000000 | a frame CREDIT is for 0 bytes",
      "00000008 14 00000001 80000000 | a frame CREDIT is for 2147483648 bytes",
      "00000009 22 00000001 04 00000000 | a frame RESULT has the status 4",
      "00000009 22 00000001 00 00000001 | a frame RESULT has the status ANSWERED and the exit code 1",
      "00000009 22 00000001 01 00000000 | a frame RESULT has the status FAILED and the exit code 0",
      "0000000a 22 00000001 00 00000000 ff | the text of a frame RESULT is not UTF-8",
      "00000006 10 00000001 0001 | the metadata of a frame CALL is cut off",
      "0000000a 10 00000001 0001 0001 6100 | the metadata of a frame CALL is cut off",
      "00000007 10 00000001 0000 00 | a frame CALL has 1 bytes after its metadata",
      "00000010 10 00000001 0002 0001 62 0000 0001 61 0000 | the keys of the metadata of a frame CALL are not in ascending order",
      "00000010 10 00000001 0002 0001 61 0000 0001 61 0000 | the keys of the metadata of a frame CALL are not in ascending order",
      "00000000 | the stream ended inside a frame's header",
      "00000008 03 00000000 | the stream ended inside a frame PING"})
  void aWrongFrameIsRefusedByName(String hex, String message) {
    assertEquals(message, assertThrows(FrameException.class, () -> hex(hex).read()).getMessage());
  }

  @Test
  void keysAreOrderedAsUnsignedBytes() throws IOException {
    // 'z' is 0x7a, 'ä' begins with 0xc3: a signed comparison has them the other way round.
    assertEquals("00000011" + "10" + "00000001" + "0002" + "00017a" + "0000" + "0002c3a4" + "0000",
        HexFormat.of().formatHex(encode(new Frame.Call(1, Map.of("z", "", "ä", "")))));
  }

  @Test
  void aLongTextIsCutBetweenCharacters() throws IOException {
    Frame.Bye bye = (Frame.Bye) reader(encode(new Frame.Bye("x" + "ö".repeat(Frame.MAX_TEXT)))).read().orElseThrow();
    assertEquals("x" + "ö".repeat((Frame.MAX_TEXT - 1) / 2), bye.reason());
  }

  @Test
  void whatDoesNotFitIsNotWritten() {
    assertThrows(IllegalArgumentException.class, () -> encode(new Frame.Output(1, data(Frame.MAX_DATA + 1))));
    assertThrows(IllegalArgumentException.class, () -> encode(new Frame.Output(1, data(0))));
    assertThrows(IllegalArgumentException.class, () -> encode(new Frame.Call(1, Map.of("a", "x".repeat(Frame.MAX_PAYLOAD)))));
  }

  @Test
  void aHugeLengthAllocatesNothing() {
    InputStream endless = new InputStream() {
      private final byte[] header = HexFormat.of().parseHex("7fffffff20");
      private int at;

      @Override
      public int read() {
        return header[Math.min(at++, 4)] & 0xff;
      }
    };
    assertThrows(FrameException.class, () -> new FrameReader(endless).read());
  }

  /** Seeded mutations of good streams: each ends in frames, a clean end or a FrameException, and what was accepted encodes to what was read. */
  @Test
  void mutatedStreamsAreReadOrRefused() throws IOException {
    byte[][] seeds = frames().stream().filter(f -> !(f instanceof Frame.Output)).map(f -> {
      try {
        return encode(f, new Frame.Ping(1));
      } catch (IOException e) {
        throw new AssertionError(e);
      }
    }).filter(b -> b.length < 5000).toArray(byte[][]::new);
    int refused = 0;
    int accepted = 0;
    for (int seed = 0; seed < 10_000; seed++) {
      Random random = new Random(seed);
      byte[] mutated = mutate(seeds[random.nextInt(seeds.length)].clone(), random);
      FrameReader reader = reader(mutated);
      List<Frame> read = new ArrayList<>();
      try {
        for (Optional<Frame> frame = reader.read(); frame.isPresent(); frame = reader.read()) {
          read.add(frame.get());
        }
        accepted++;
      } catch (FrameException e) {
        assertTrue(e.getMessage().length() < 300, e.getMessage());
        refused++;
      } catch (RuntimeException e) {
        throw new AssertionError("seed " + seed + ", " + HexFormat.of().formatHex(mutated), e);
      }
      // The form is canonical: there is one encoding of what was read.
      byte[] again = encode(read.toArray(Frame[]::new));
      assertArrayEquals(again, Arrays.copyOf(mutated, again.length), "seed " + seed);
    }
    assertTrue(refused > 2_500 && accepted > 250, "refused " + refused + ", accepted " + accepted);
  }

  private static byte[] mutate(byte[] bytes, Random random) {
    byte[] result = bytes;
    for (int n = 1 + random.nextInt(3); n > 0; n--) {
      switch (random.nextInt(5)) {
        case 0 -> result[random.nextInt(result.length)] ^= (byte) (1 << random.nextInt(8));
        case 1 -> result[random.nextInt(result.length)] = (byte) random.nextInt();
        case 2 -> result = Arrays.copyOf(result, 1 + random.nextInt(result.length));
        case 3 -> result[Math.min(result.length - 1, random.nextInt(16))] = (byte) (random.nextBoolean() ? 0 : random.nextInt(0x40));
        default -> {
          int from = random.nextInt(result.length);
          System.arraycopy(bytes, 0, result, from, Math.min(bytes.length, result.length - from));
        }
      }
    }
    return result;
  }

  @Test
  void theExampleOfTheSpecificationIsRight() throws IOException {
    String document = Files.readString(Path.of("../../docs/guest-protocol.md"));
    String example = document.substring(document.indexOf("```", document.indexOf("## Example")) + 3, document.lastIndexOf("```"));
    StringBuilder hex = new StringBuilder();
    for (String line : example.lines().toList()) {
      for (String word : line.replaceFirst("^(host|guest)", "").strip().split(" +")) {
        if (!word.matches("[0-9a-f]+")) {
          break;
        }
        hex.append(word);
      }
    }
    FrameReader reader = hex(hex.toString());
    for (Frame frame : List.of(new Frame.Hello(1, 1), new Frame.Hello(1, 1), new Frame.Ready(),
        new Frame.Call(1, Map.of("invocation", "r-1", "deadline-ms", "30000")),
        new Frame.Input(1, ByteBuffer.wrap(new byte[] {'h', 'i'})), new Frame.InputEnd(1),
        new Frame.Output(1, ByteBuffer.wrap(new byte[] {'h', 'i'})),
        new Frame.Result(1, Status.ANSWERED, 0, ""))) {
      assertEquals(Optional.of(frame), reader.read());
    }
    assertEquals(Optional.empty(), reader.read());
  }
}
