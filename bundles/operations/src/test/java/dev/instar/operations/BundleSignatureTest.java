package dev.instar.operations;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.tck.http.Identity;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.CertificateFactory;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;
import jdk.security.jarsigner.JarSigner;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BundleSignatureTest {
  private static final String MANIFEST = "Manifest-Version: 1.0\r\nBundle-SymbolicName: x\r\nBundle-Activator: x.Good\r\n\r\n";
  @TempDir static Path made;
  private static Identity trusted;
  private static Identity other;
  @TempDir Path dir;

  @BeforeAll
  static void make() throws Exception {
    trusted = Identity.make(made, "trusted", "dns:signer");
    other = Identity.make(made, "other", "dns:signer");
  }

  private static Map<String, byte[]> content() {
    Map<String, byte[]> content = new LinkedHashMap<>();
    content.put("META-INF/MANIFEST.MF", MANIFEST.getBytes(StandardCharsets.UTF_8));
    content.put("x/", new byte[0]);
    content.put("x/Good.class", new byte[] {1, 2, 3});
    content.put("META-INF/services/x", "x.Good".getBytes(StandardCharsets.UTF_8));
    return content;
  }

  private Path jar(Map<String, byte[]> content) throws IOException {
    Path file = Files.createTempFile(dir, "bundle", ".jar");
    try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(file))) {
      for (Map.Entry<String, byte[]> each : content.entrySet()) {
        zip.putNextEntry(new ZipEntry(each.getKey()));
        zip.write(each.getValue());
      }
    }
    return file;
  }

  private Path signed(Path jar, Identity... signers) throws Exception {
    Path from = jar;
    for (Identity signer : signers) {
      Path to = Files.createTempFile(dir, "signed", ".jar");
      try (ZipFile zip = new ZipFile(from.toFile()); OutputStream out = Files.newOutputStream(to)) {
        new JarSigner.Builder(signer.secret(), CertificateFactory.getInstance("X.509").generateCertPath(List.of(signer.x509()))).signerName(signer == trusted ? "T" : "O").build().sign(zip, out);
      }
      from = to;
    }
    return from;
  }

  /** The same jar with its entries changed behind the signer's back. */
  private Path changed(Path jar, Consumer<Map<String, byte[]>> change) throws IOException {
    Map<String, byte[]> content = new LinkedHashMap<>();
    try (ZipFile zip = new ZipFile(jar.toFile())) {
      for (ZipEntry each : zip.stream().map(ZipEntry.class::cast).toList()) {
        try (InputStream in = zip.getInputStream(each)) {
          content.put(each.getName(), in.readAllBytes());
        }
      }
    }
    change.accept(content);
    return jar(content);
  }

  private static void refused(String why, Path jar) {
    InstarException e = assertThrows(InstarException.class, () -> BundleSignature.trusting(trusted.certificate()).check(jar, "some.jar"));
    assertEquals(ErrorCode.SIGNATURE_REFUSED, e.code());
    assertTrue(e.problem().detail().contains("some.jar") && e.problem().detail().contains(why), e.problem().detail());
  }

  @Test
  void whatATrustedSignerSignedIsTaken() throws Exception {
    BundleSignature signature = BundleSignature.trusting(trusted.certificate());
    signature.check(signed(jar(content()), trusted), "some.jar");
    signature.check(signed(jar(content()), other, trusted), "signed by two");
  }

  @Test
  void whatNobodyOrAStrangerSignedIsRefused() throws Exception {
    refused("is not signed", jar(content()));
    refused("is signed by CN=other", signed(jar(content()), other));
    refused("nothing in it is signed", jar(Map.of("META-INF/MANIFEST.MF", MANIFEST.getBytes(StandardCharsets.UTF_8))));
  }

  @Test
  void anythingThatWasChangedAfterwardsIsRefused() throws Exception {
    Path good = signed(jar(content()), trusted);
    refused("not what was signed", changed(good, c -> c.put("x/Good.class", new byte[] {1, 2, 4})));
    refused("x/Evil.class is not signed", changed(good, c -> c.put("x/Evil.class", new byte[] {1})));
    refused("META-INF/services/y is not signed", changed(good, c -> c.put("META-INF/services/y", new byte[] {1})));
    refused("META-INF/versions/25/x/Good.class is not signed", changed(good, c -> c.put("META-INF/versions/25/x/Good.class", new byte[] {1})));
    refused("META-INF/a.SF/x is not signed", changed(good, c -> c.put("META-INF/a.SF/x", new byte[] {1})));
    refused("x/Good.class was signed and is gone", changed(good, c -> c.remove("x/Good.class")));
    refused("", changed(good, c -> c.compute("META-INF/MANIFEST.MF", (k, v) -> new String(v, StandardCharsets.UTF_8).replace("x.Good", "x.Evil").getBytes(StandardCharsets.UTF_8))));
    refused("", changed(good, c -> c.compute("META-INF/MANIFEST.MF", (k, v) -> new String(v, StandardCharsets.UTF_8).replace("Bundle-Activator: x.Good\r\n", "").getBytes(StandardCharsets.UTF_8))));
    refused("", changed(good, c -> c.compute("META-INF/T.SF", (k, v) -> new String(v, StandardCharsets.UTF_8).replace("Created-By", "Created-Bx").getBytes(StandardCharsets.UTF_8))));
    refused("is not signed", changed(good, c -> c.remove("META-INF/T.EC")));
    refused("is not signed", changed(good, c -> c.remove("META-INF/T.SF")));
    refused("does not cover the headers", changed(good, c -> c.put("META-INF/Z.SF", "Signature-Version: 1.0\r\n\r\n".getBytes(StandardCharsets.UTF_8))));
  }

  @Test
  void whatIsThereTwiceIsRefused() throws Exception {
    Path good = signed(jar(content()), trusted);
    // ZipOutputStream writes no name twice, so one is written under another name of the same length and renamed in the bytes.
    Path twice = changed(good, c -> c.put("x/Gooe.class", new byte[] {6, 6, 6}));
    Files.write(twice, new String(Files.readAllBytes(twice), StandardCharsets.ISO_8859_1).replace("x/Gooe.class", "x/Good.class").getBytes(StandardCharsets.ISO_8859_1));
    refused("", twice);
  }

  @Test
  void whatIsNoJarIsRefused() throws Exception {
    refused("no jar that can be read", Files.write(dir.resolve("text.jar"), new byte[] {1, 2, 3}));
    refused("no jar that can be read", dir.resolve("none.jar"));
    byte[] good = Files.readAllBytes(signed(jar(content()), trusted));
    ByteArrayOutputStream half = new ByteArrayOutputStream();
    half.write(good, 0, good.length / 2);
    refused("no jar that can be read", Files.write(dir.resolve("half.jar"), half.toByteArray()));
    refused("no manifest", jar(Map.of("x", new byte[1])));
  }

  @Test
  void trustThatCannotBeReadTrustsNobody() throws Exception {
    for (Path wrong : List.of(dir.resolve("none.pem"), Files.writeString(dir.resolve("empty.pem"), ""), Files.writeString(dir.resolve("bad.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))) {
      InstarException e = assertThrows(InstarException.class, () -> BundleSignature.trusting(wrong));
      assertEquals(ErrorCode.CONFLICT, e.code());
      assertTrue(e.problem().detail().contains(wrong.toString()), e.problem().detail());
    }
  }
}
