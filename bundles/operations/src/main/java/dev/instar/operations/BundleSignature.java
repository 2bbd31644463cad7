package dev.instar.operations;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.CodeSigner;
import java.security.GeneralSecurityException;
import java.security.cert.CertPath;
import java.security.cert.CertPathValidator;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.PKIXParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.jar.Manifest;
import java.util.stream.Collectors;

/**
 * Checks that a jar is, to the last byte that a framework could use, what one of the trusted signers signed ({@code jarsigner}). Every entry is read and
 * verified; one that was added, changed, taken away or is there twice fails the jar, and so does a manifest whose headers the signature does not cover.
 *
 * <p>The file must be one that nobody can change between this check and its use: copy it first, then check the copy.
 */
public final class BundleSignature {
  /** What is read of one jar, unpacked; more is no bundle. */
  private static final long MOST_BYTES = 2L << 30;
  private static final String MAIN_ATTRIBUTES = "-Digest-Manifest-Main-Attributes:";

  private final Path file;
  private final Set<X509Certificate> trusted;

  private BundleSignature(Path file, Set<X509Certificate> trusted) {
    this.file = file;
    this.trusted = trusted;
  }

  /**
   * Trusts the signers that a PEM file has, and those whom one of them vouches for.
   *
   * @throws InstarException CONFLICT when it cannot be read or has none: nothing could be trusted then
   */
  public static BundleSignature trusting(Path pem) {
    try (InputStream in = Files.newInputStream(pem)) {
      Set<X509Certificate> trusted = CertificateFactory.getInstance("X.509").generateCertificates(in).stream().map(X509Certificate.class::cast).collect(Collectors.toSet());
      if (trusted.isEmpty()) {
        throw new InstarException(ErrorCode.CONFLICT, "The file of trusted signers, " + pem + ", has no certificate (-----BEGIN CERTIFICATE-----).");
      }
      return new BundleSignature(pem, trusted);
    } catch (IOException | GeneralSecurityException e) {
      throw new InstarException(Problem.of(ErrorCode.CONFLICT, "The file of trusted signers, " + pem + ", cannot be used: "
          + (e instanceof IOException ? "it cannot be read" : "it holds no certificates in PEM form") + "."), e);
    }
  }

  /**
   * Returns when the jar is signed as it must be.
   *
   * @param name of the jar for people
   * @throws InstarException SIGNATURE_REFUSED, with what is wrong
   */
  public void check(Path jar, String name) {
    try (JarFile open = new JarFile(jar.toFile(), true)) {
      Manifest manifest = open.getManifest();
      if (manifest == null) {
        throw refused(name, "it has no manifest", null);
      }
      Set<String> entries = new HashSet<>();
      int signed = 0;
      long bytes = 0;
      Set<CertPath> believed = new HashSet<>();
      for (JarEntry entry : open.stream().toList()) {
        String path = entry.getName();
        if (!entries.add(path)) {
          throw refused(name, "it has the entry " + shown(path) + " twice", null);
        }
        bytes += read(open, entry, MOST_BYTES - bytes, name);
        if (!entry.isDirectory() && !ofSignature(path)) {
          signed++;
          believe(entry, believed, name);
        } else if (path.toUpperCase(Locale.ROOT).endsWith(".SF") && ofSignature(path)) {
          coversHeaders(open, entry, name);
        }
      }
      if (signed == 0 || believed.isEmpty()) {
        throw refused(name, "nothing in it is signed", null);
      }
      Set<String> missing = new TreeSet<>(manifest.getEntries().keySet());
      missing.removeAll(entries);
      if (!missing.isEmpty()) {
        throw refused(name, "the entry " + shown(missing.iterator().next()) + " was signed and is gone", null);
      }
    } catch (SecurityException e) {
      throw refused(name, "it is not what was signed: " + shown(String.valueOf(e.getMessage())), e);
    } catch (IOException | IllegalArgumentException e) {
      throw refused(name, "it is no jar that can be read: " + shown(String.valueOf(e.getMessage())), e);
    }
  }

  /** Signers are known only of what has been read to its end. */
  private static long read(JarFile jar, JarEntry entry, long left, String name) throws IOException {
    byte[] buffer = new byte[64 << 10];
    long total = 0;
    try (InputStream in = jar.getInputStream(entry)) {
      for (int n; (n = in.read(buffer)) >= 0;) {
        total += n;
        if (total > left) {
          throw refused(name, "it is larger than " + MOST_BYTES + " bytes when it is unpacked", null);
        }
      }
    }
    return total;
  }

  /** What the signature itself consists of (JAR File Specification, "Signed JAR File"). */
  private static boolean ofSignature(String path) {
    String upper = path.toUpperCase(Locale.ROOT);
    if (!upper.startsWith("META-INF/") || upper.indexOf('/', "META-INF/".length()) >= 0) {
      return false;
    }
    return upper.equals("META-INF/MANIFEST.MF") || upper.endsWith(".SF") || upper.endsWith(".DSA") || upper.endsWith(".RSA") || upper.endsWith(".EC") || upper.startsWith("META-INF/SIG-");
  }

  /** A signer's file may leave the manifest's headers out, and those name the activator. */
  private static void coversHeaders(JarFile jar, JarEntry entry, String name) throws IOException {
    try (BufferedReader lines = new BufferedReader(new InputStreamReader(jar.getInputStream(entry), StandardCharsets.UTF_8))) {
      for (String line; (line = lines.readLine()) != null && !line.isEmpty();) {
        if (line.contains(MAIN_ATTRIBUTES)) {
          return;
        }
      }
    }
    throw refused(name, shown(entry.getName()) + " does not cover the headers of the manifest", null);
  }

  private void believe(JarEntry entry, Set<CertPath> believed, String name) {
    CodeSigner[] signers = entry.getCodeSigners();
    if (signers == null || signers.length == 0) {
      throw refused(name, "the entry " + shown(entry.getName()) + " is not signed", null);
    }
    List<String> names = new ArrayList<>();
    for (CodeSigner signer : signers) {
      CertPath path = signer.getSignerCertPath();
      if (believed.contains(path) || vouchedFor(path)) {
        believed.add(path);
        return;
      }
      names.add(((X509Certificate) path.getCertificates().getFirst()).getSubjectX500Principal().getName());
    }
    throw refused(name, "the entry " + shown(entry.getName()) + " is signed by " + shown(String.join(" and ", names)) + ", whom no certificate in " + file + " vouches for today", null);
  }

  private boolean vouchedFor(CertPath path) {
    X509Certificate leaf = (X509Certificate) path.getCertificates().getFirst();
    try {
      leaf.checkValidity();
      if (trusted.contains(leaf)) {
        return true;
      }
      List<Certificate> below = new ArrayList<>();
      for (Certificate each : path.getCertificates()) {
        if (trusted.contains(each)) {
          break;
        }
        below.add(each);
      }
      PKIXParameters parameters = new PKIXParameters(trusted.stream().map(c -> new TrustAnchor(c, null)).collect(Collectors.toSet()));
      // Lists of what was revoked would have to be fetched from elsewhere; who is trusted no more is taken out of the file.
      parameters.setRevocationEnabled(false);
      CertPathValidator.getInstance("PKIX").validate(CertificateFactory.getInstance("X.509").generateCertPath(below), parameters);
      return leaf.getKeyUsage() == null || leaf.getKeyUsage()[0];
    } catch (GeneralSecurityException e) {
      return false;
    }
  }

  private static String shown(String text) {
    String safe = text.replaceAll("[^ -~]", "?");
    return safe.length() > 200 ? safe.substring(0, 200) + "..." : safe;
  }

  private static InstarException refused(String name, String why, Exception cause) {
    return new InstarException(Problem.of(ErrorCode.SIGNATURE_REFUSED, "The bundle " + shown(name) + " was refused: " + why
        + ". This node takes only what a signer that it trusts has signed (jarsigner)."), cause);
  }
}
