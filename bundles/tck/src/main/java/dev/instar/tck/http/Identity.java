package dev.instar.tck.http;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.X509Certificate;
import java.util.Base64;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * A key and a certificate that vouches for itself, made by the JDK's keytool (about a second), for tests of TLS and of signed bundles.
 *
 * @param certificate a PEM file
 * @param key a PEM file, PKCS #8
 */
public record Identity(Path certificate, Path key, X509Certificate x509, PrivateKey secret) {
  private static final String PASSWORD = "changeit";

  /**
   * Makes one.
   *
   * @param directory for its files
   * @param name of the files and the subject
   * @param alternatives as keytool's {@code -ext SAN=} takes them, e.g. {@code dns:localhost,ip:127.0.0.1}
   */
  public static Identity make(Path directory, String name, String alternatives) throws IOException, InterruptedException, GeneralSecurityException {
    Path file = directory.resolve(name + ".p12");
    Files.deleteIfExists(file);
    Process keytool = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "keytool").toString(), "-genkeypair", "-alias", "it", "-keyalg", "EC", "-groupname", "secp256r1",
        "-dname", "CN=" + name, "-ext", "SAN=" + alternatives, "-validity", "2", "-storetype", "PKCS12", "-keystore", file.toString(), "-storepass", PASSWORD)
        .redirectErrorStream(true).start();
    String said = new String(keytool.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (!keytool.waitFor(60, TimeUnit.SECONDS) || keytool.exitValue() != 0) {
      throw new IOException("keytool failed: " + said);
    }
    KeyStore store = KeyStore.getInstance("PKCS12");
    try (InputStream in = Files.newInputStream(file)) {
      store.load(in, PASSWORD.toCharArray());
    }
    X509Certificate x509 = (X509Certificate) store.getCertificate("it");
    PrivateKey secret = (PrivateKey) store.getKey("it", PASSWORD.toCharArray());
    Path certificate = Files.writeString(directory.resolve(name + ".crt.pem"), pem("CERTIFICATE", x509.getEncoded()));
    Path key = Files.writeString(directory.resolve(name + ".key.pem"), pem("PRIVATE KEY", secret.getEncoded()));
    return new Identity(certificate, key, x509, secret);
  }

  private static String pem(String what, byte[] bytes) {
    return "-----BEGIN " + what + "-----\n" + Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(bytes) + "\n-----END " + what + "-----\n";
  }

  /** A client's that believes these and no other. */
  public static SSLContext trusting(Identity... identities) throws GeneralSecurityException, IOException {
    KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null, null);
    for (int i = 0; i < identities.length; i++) {
      store.setCertificateEntry("ca" + i, identities[i].x509());
    }
    TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    factory.init(store);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(null, factory.getTrustManagers(), null);
    return context;
  }
}
