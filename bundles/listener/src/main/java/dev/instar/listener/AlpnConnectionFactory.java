package dev.instar.listener;

import java.util.List;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLSession;
import org.eclipse.jetty.io.AbstractConnection;
import org.eclipse.jetty.io.EndPoint;
import org.eclipse.jetty.io.ssl.SslConnection;
import org.eclipse.jetty.io.ssl.SslHandshakeListener;
import org.eclipse.jetty.server.ConnectionFactory;
import org.eclipse.jetty.server.Connector;
import org.eclipse.jetty.server.NegotiatingServerConnection;
import org.eclipse.jetty.server.NegotiatingServerConnectionFactory;

/**
 * Lets the TLS handshake choose HTTP/2 or HTTP/1.1 (RFC 7301) by what the JDK offers for it. Jetty's own does the same by a service loader, which under
 * OSGi takes two bundles and weaving.
 */
final class AlpnConnectionFactory extends NegotiatingServerConnectionFactory {
  private static final String HTTP1 = "http/1.1";

  AlpnConnectionFactory() {
    super("alpn", "h2", HTTP1);
    setDefaultProtocol(HTTP1);
  }

  @Override
  protected AbstractConnection newServerConnection(Connector connector, EndPoint endPoint, SSLEngine engine, List<String> protocols, String defaultProtocol) {
    Negotiation negotiation = new Negotiation(connector, endPoint, engine, protocols, defaultProtocol);
    engine.setHandshakeApplicationProtocolSelector(negotiation::choose);
    ((SslConnection.SslEndPoint) endPoint).getSslConnection().addHandshakeListener(negotiation);
    return negotiation;
  }

  private static final class Negotiation extends NegotiatingServerConnection implements SslHandshakeListener {
    Negotiation(Connector connector, EndPoint endPoint, SSLEngine engine, List<String> protocols, String defaultProtocol) {
      super(connector, endPoint, engine, protocols, defaultProtocol);
    }

    /** The first of ours that the caller offers too; null ends the handshake, as RFC 7301 (section 3.2) wants it. */
    private String choose(SSLEngine engine, List<String> offered) {
      SSLSession session = engine.getHandshakeSession();
      for (String protocol : getProtocols()) {
        ConnectionFactory factory = getConnector().getConnectionFactory(protocol);
        boolean fits = !(factory instanceof CipherDiscriminator ciphers) || ciphers.isAcceptable(protocol, session.getProtocol(), session.getCipherSuite());
        if (offered.contains(protocol) && fits) {
          setProtocol(protocol);
          return protocol;
        }
      }
      return null;
    }

    /** Who offers nothing speaks HTTP/1.1. */
    @Override
    public void handshakeSucceeded(Event event) {
      if (getProtocol() == null) {
        setProtocol(getDefaultProtocol());
      }
    }
  }
}
