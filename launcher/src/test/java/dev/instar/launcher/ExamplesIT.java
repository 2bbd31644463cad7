package dev.instar.launcher;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.Random;
import java.util.zip.GZIPInputStream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The committed modules of the examples, uploaded to a whole node and called with real input; answers are held against what the JDK computes. */
class ExamplesIT {
  private static final Path EXAMPLES = Path.of("../examples");

  @RegisterExtension
  static final PaxNode NODE = new PaxNode();

  private static final HttpClient HTTP = HttpClient.newHttpClient();

  @BeforeAll
  static void upload() throws Exception {
    for (String line : Files.readAllLines(EXAMPLES.resolve("deploy.txt"))) {
      String[] example = line.split("\t");
      HttpRequest put = HttpRequest.newBuilder(NODE.url().resolve("/f/demo/" + example[0])).PUT(HttpRequest.BodyPublishers.ofFile(EXAMPLES.resolve(example[1]))).build();
      HttpResponse<String> answer = HTTP.send(put, HttpResponse.BodyHandlers.ofString());
      assertEquals(201, answer.statusCode(), answer::body);
    }
  }

  @AfterAll
  static void close() {
    HTTP.close();
  }

  private static HttpResponse<byte[]> call(String example, byte[] input) throws IOException, InterruptedException {
    HttpRequest post = HttpRequest.newBuilder(NODE.url().resolve("/f/demo/" + example)).POST(HttpRequest.BodyPublishers.ofByteArray(input)).build();
    return HTTP.send(post, HttpResponse.BodyHandlers.ofByteArray());
  }

  private static byte[] answer(String example, byte[] input) throws IOException, InterruptedException {
    HttpResponse<byte[]> answer = call(example, input);
    assertEquals(200, answer.statusCode(), () -> new String(answer.body(), StandardCharsets.UTF_8));
    return answer.body();
  }

  private static String text(String example, String input) throws IOException, InterruptedException {
    return new String(answer(example, input.getBytes(StandardCharsets.UTF_8)), StandardCharsets.UTF_8);
  }

  private static String sha256(byte[] content) throws Exception {
    return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
  }

  static java.util.List<String> samples() throws IOException {
    return Files.readAllLines(EXAMPLES.resolve("expected.txt"));
  }

  @ParameterizedTest
  @MethodSource("samples")
  void answersItsSampleAsRecorded(String line) throws Exception {
    String[] sample = line.split("\t");
    assertEquals(sample[2], sha256(answer(sample[0], Files.readAllBytes(EXAMPLES.resolve(sample[1])))));
  }

  @Test
  void echoesAnyBytesOfAnySize() throws Exception {
    for (int size : new int[] {0, 1, 65_536, 65_537, 1 << 20}) {
      byte[] input = new byte[size];
      new Random(size).nextBytes(input);
      assertArrayEquals(input, answer("echo", input));
      assertArrayEquals(input, answer("echo-command", input));
    }
    // Less than the 16 MiB that the JDK's client takes of an answer while it still sends.
    byte[] large = new byte[12 << 20];
    new Random(1).nextBytes(large);
    assertArrayEquals(large, answer("echo-command", large));
  }

  @Test
  void countsWords() throws Exception {
    assertEquals("{\"lines\":2,\"words\":5,\"bytes\":21,\"top\":[[\"a\",3],[\"b\",1],[\"cc\",1]]}", text("wordcount", "a b a\ncc           a\n").strip());
  }

  @Test
  void hashes() throws Exception {
    byte[] license = Files.readAllBytes(Path.of("../LICENSE"));
    assertEquals(sha256(license) + "\n", new String(answer("sha256", license), StandardCharsets.US_ASCII));
    assertEquals(sha256(new byte[0]) + "\n", text("sha256", ""));
  }

  @Test
  void deflates() throws Exception {
    byte[] license = Files.readAllBytes(Path.of("../LICENSE"));
    byte[] packed = answer("deflate", license);
    assertTrue(packed.length * 2 < license.length, () -> packed.length + " bytes of " + license.length);
    try (GZIPInputStream unpacked = new GZIPInputStream(new ByteArrayInputStream(packed))) {
      assertArrayEquals(license, unpacked.readAllBytes());
    }
  }

  @Test
  void makesThumbnails() throws Exception {
    byte[] photo = Files.readAllBytes(EXAMPLES.resolve("thumbnail/sample-input.jpg"));
    BufferedImage full = ImageIO.read(new ByteArrayInputStream(photo));
    BufferedImage small = ImageIO.read(new ByteArrayInputStream(answer("thumbnail", photo)));
    assertEquals(128, Math.max(small.getWidth(), small.getHeight()));
    assertEquals((double) full.getWidth() / full.getHeight(), (double) small.getWidth() / small.getHeight(), 0.05);
  }

  @Test
  void transformsJson() throws Exception {
    assertEquals(502, call("json-transform", "{\"orders\":[".getBytes(StandardCharsets.UTF_8)).statusCode());
    String totals = text("json-transform", "{\"orders\":[{\"customer\":\"a\",\"item\":\"x\",\"qty\":2,\"price\":1.5},"
        + "{\"customer\":\"b\\u00e9\",\"item\":\"y\",\"qty\":1,\"price\":10},{\"customer\":\"a\",\"item\":\"z\",\"qty\":1,\"price\":1}]}");
    assertTrue(totals.indexOf("b\u00e9") < totals.indexOf("\"a\""), totals);
  }

  @Test
  void startsFromItsTableOfPrimes() throws Exception {
    assertEquals("pi(1000000)=78498", text("primes", "1000000").strip());
    assertEquals("pi(2)=1", text("primes", "2").strip());
  }

  @Test
  void aFailureOfAnExampleIsShownWithItsExitCode() throws Exception {
    HttpResponse<byte[]> answer = call("thumbnail", "no picture".getBytes(StandardCharsets.US_ASCII));
    String problem = new String(answer.body(), StandardCharsets.UTF_8);
    assertEquals(502, answer.statusCode(), problem);
    assertTrue(problem.contains("\"function-failed\"") && problem.contains("\"exitCode\":1"), problem);
  }
}
