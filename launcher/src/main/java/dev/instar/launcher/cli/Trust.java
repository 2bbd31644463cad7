package dev.instar.launcher.cli;

import dev.instar.launcher.ExitCode;
import dev.instar.launcher.Failure;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.Collection;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509ExtendedTrustManager;

/** Which certificate of a node is believed. */
final class Trust {
  private Trust() {}

  /** What is signed by one of the certificates of a PEM file, and bears the name that was asked for. */
  static SSLContext authorities(Path pem) throws Failure {
    try {
      KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
      store.load(null, null);
      int count = 0;
      for (Certificate each : certificates(pem)) {
        store.setCertificateEntry("ca" + count++, each);
      }
      if (count == 0) {
        throw new CertificateException("it has none");
      }
      TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
      factory.init(store);
      return context(factory.getTrustManagers());
    } catch (IOException e) {
      throw new Failure(ExitCode.FAILED, "The file of --ca cannot be read: " + Reason.of(e) + ".", e);
    } catch (GeneralSecurityException e) {
      throw new Failure(ExitCode.FAILED, "The file of --ca, " + pem + ", does not hold certificates in PEM form: " + e.getMessage() + ".", e);
    }
  }

  /** The one certificate that a node of this process uses, whatever names it bears: its file is known, and so is the node. */
  static SSLContext only(Path pem) throws Failure {
    try {
      return context(new TrustManager[] {new Pinned(pem)});
    } catch (GeneralSecurityException e) {
      throw new Failure(ExitCode.FAILED, "TLS cannot be used: " + e.getMessage() + ".", e);
    }
  }

  /** Nothing: for what is not asked over TLS. */
  static SSLContext nobody() {
    try {
      return context(new TrustManager[0]);
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("TLS cannot be used: " + e.getMessage(), e);
    }
  }

  private static SSLContext context(TrustManager[] managers) throws GeneralSecurityException {
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(null, managers, null);
    return context;
  }

  private static Collection<? extends Certificate> certificates(Path pem) throws IOException, CertificateException {
    try (InputStream in = Files.newInputStream(pem)) {
      return CertificateFactory.getInstance("X.509").generateCertificates(in);
    }
  }

  private static final class Pinned extends X509ExtendedTrustManager {
    private final Path pem;

    Pinned(Path pem) {
      this.pem = pem;
    }

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String type) throws CertificateException {
      try {
        if (!certificates(pem).iterator().next().equals(chain[0])) {
          throw new CertificateException("what answers has another certificate than " + pem);
        }
      } catch (IOException e) {
        throw new CertificateException(e);
      }
    }

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String type, Socket socket) throws CertificateException {
      checkServerTrusted(chain, type);
    }

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String type, SSLEngine engine) throws CertificateException {
      checkServerTrusted(chain, type);
    }

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String type) throws CertificateException {
      throw new CertificateException("this is no server");
    }

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String type, Socket socket) throws CertificateException {
      checkClientTrusted(chain, type);
    }

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String type, SSLEngine engine) throws CertificateException {
      checkClientTrusted(chain, type);
    }

    @Override
    public X509Certificate[] getAcceptedIssuers() {
      return new X509Certificate[0];
    }
  }
}
