package dev.instar.listener;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Who the node is over TLS: a certificate, those between it and one that callers know, and its key, from two PEM files.
 *
 * @param store with the one entry
 * @param names the DNS names of the certificate, lower case
 */
record PemIdentity(KeyStore store, Set<String> names) {
  /** Of a key store that lives in memory only. */
  static final String PASSWORD = "in memory";

  private static final Pattern KEY = Pattern.compile("-----BEGIN PRIVATE KEY-----([A-Za-z0-9+/=\\s]+)-----END PRIVATE KEY-----");
  private static final Pattern OTHER_KEY = Pattern.compile("-----BEGIN ((?:RSA |EC |ENCRYPTED )PRIVATE KEY)-----");
  private static final int DNS_NAME = 2;

  /** @throws InstarException BAD_REQUEST when a file is not what it must be; the detail says which, and what to do */
  static PemIdentity read(Settings.Tls files) {
    List<X509Certificate> chain = chain(files.certificate());
    PrivateKey key = key(files.key(), chain.getFirst().getPublicKey().getAlgorithm());
    if (!fit(key, chain.getFirst().getPublicKey())) {
      throw wrong(files.key(), "is not the key of the first certificate in " + files.certificate(), null);
    }
    try {
      KeyStore store = KeyStore.getInstance("PKCS12");
      store.load(null, null);
      store.setKeyEntry("node", key, PASSWORD.toCharArray(), chain.toArray(Certificate[]::new));
      return new PemIdentity(store, names(chain.getFirst()));
    } catch (GeneralSecurityException | IOException e) {
      throw wrong(files.certificate(), "cannot be used: " + e.getMessage(), e);
    }
  }

  /** Tells other files, and ones that were changed or replaced, as far as their attributes do. */
  static String stamp(Settings.Tls files) {
    StringBuilder stamp = new StringBuilder(files.toString());
    for (Path file : List.of(files.certificate(), files.key())) {
      try {
        BasicFileAttributes attributes = Files.readAttributes(file, BasicFileAttributes.class);
        stamp.append(attributes.lastModifiedTime()).append(' ').append(attributes.size()).append(' ').append(attributes.fileKey()).append('\n');
      } catch (IOException e) {
        stamp.append("unreadable\n");
      }
    }
    return stamp.toString();
  }

  private static List<X509Certificate> chain(Path file) {
    try {
      Collection<? extends Certificate> all = CertificateFactory.getInstance("X.509").generateCertificates(new ByteArrayInputStream(bytes(file)));
      if (all.isEmpty()) {
        throw wrong(file, "has no certificate (-----BEGIN CERTIFICATE-----)", null);
      }
      return all.stream().map(X509Certificate.class::cast).toList();
    } catch (GeneralSecurityException e) {
      throw wrong(file, "holds no certificates in PEM form: " + e.getMessage(), e);
    }
  }

  private static PrivateKey key(Path file, String algorithm) {
    String text = new String(bytes(file), StandardCharsets.ISO_8859_1);
    Matcher pem = KEY.matcher(text);
    if (!pem.find()) {
      Matcher other = OTHER_KEY.matcher(text);
      throw wrong(file, other.find() ? "holds a key in the form '" + other.group(1) + "'; bring it into the one that is read, with 'openssl pkcs8 -topk8 -nocrypt -in " + file.getFileName() + "'"
          : "has no private key (-----BEGIN PRIVATE KEY-----)", null);
    }
    try {
      return KeyFactory.getInstance(algorithm).generatePrivate(new PKCS8EncodedKeySpec(Base64.getMimeDecoder().decode(pem.group(1))));
    } catch (GeneralSecurityException | IllegalArgumentException e) {
      throw wrong(file, "holds no key of the certificate's kind, " + algorithm, e);
    }
  }

  private static boolean fit(PrivateKey key, PublicKey certified) {
    String algorithm = switch (certified.getAlgorithm()) {
      case "RSA" -> "SHA256withRSA";
      case "EC" -> "SHA256withECDSA";
      default -> certified.getAlgorithm();
    };
    try {
      Signature signature = Signature.getInstance(algorithm);
      signature.initSign(key);
      signature.update((byte) 1);
      byte[] signed = signature.sign();
      signature.initVerify(certified);
      signature.update((byte) 1);
      return signature.verify(signed);
    } catch (GeneralSecurityException e) {
      return false;
    }
  }

  private static Set<String> names(X509Certificate certificate) throws GeneralSecurityException {
    Set<String> names = new TreeSet<>();
    if (certificate.getSubjectAlternativeNames() != null) {
      for (List<?> name : certificate.getSubjectAlternativeNames()) {
        if (name.get(0).equals(DNS_NAME)) {
          names.add(name.get(1).toString().toLowerCase(Locale.ROOT));
        }
      }
    }
    return Set.copyOf(names);
  }

  private static byte[] bytes(Path file) {
    try {
      return Files.readAllBytes(file);
    } catch (IOException e) {
      throw wrong(file, Files.exists(file) ? "cannot be read by the node's user" : "does not exist", e);
    }
  }

  /** Nothing of a key's content gets into it. */
  private static InstarException wrong(Path file, String how, Exception cause) {
    return new InstarException(Problem.of(ErrorCode.BAD_REQUEST, "The listener cannot speak TLS: " + file + " " + how + ". See tls-certificate and tls-key in " + ListenerConfig.PID + ".cfg.json."), cause);
  }
}
