package dev.instar.listener;

import dev.instar.api.InstarException;
import dev.instar.api.operations.ConfigurationProblem;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.Map;
import java.util.Optional;

/** Whether a listener that is open could be opened otherwise: the address is one of this host, the port is free, and the certificate can be used. */
record Trial(Settings now) {
  static final String NO_TLS_HERE = "TLS comes to a port that is open, or goes from it, only with a restart of the node, or with another port.";
  private static final String CERTIFICATE = "tls-certificate";

  /** @param values by the keys of {@link ListenerConfig} */
  Optional<ConfigurationProblem> objection(Map<String, Object> values) {
    String bind = String.valueOf(values.get("bind"));
    String certificate = String.valueOf(values.get(CERTIFICATE));
    Settings then;
    try {
      then = now.at(bind, (Integer) values.get("port"), Settings.tls(certificate, String.valueOf(values.get("tls-key"))));
      then.tls().ifPresent(PemIdentity::read);
    } catch (InstarException e) {
      return problem(e, CERTIFICATE, certificate, "the file of a certificate, and tls-key that of its key");
    }
    boolean same = now.sameAddress(then);
    if (same && now.tls().isPresent() != then.tls().isPresent()) {
      return Optional.of(new ConfigurationProblem(NO_TLS_HERE, Optional.of(CERTIFICATE), Optional.of(certificate), Optional.of("as it is, or a change together with port")));
    }
    try {
      HttpListener.checkAddress(then);
      if (!same) {
        new ServerSocket(then.port(), 1, InetAddress.getByName(bind)).close();
      }
    } catch (InstarException e) {
      return problem(e, "bind", bind, "an address of this host; one off loopback with tls-certificate and tls-key");
    } catch (IOException e) {
      boolean other = !now.bind().equals(bind);
      return problem(HttpListener.cannotOpen(then, e), other ? "bind" : "port", other ? bind : Integer.toString(then.port()), other ? "an address of this host on which the port is free" : "a port that is free");
    }
    return Optional.empty();
  }

  private static Optional<ConfigurationProblem> problem(InstarException e, String key, String value, String allowed) {
    return Optional.of(new ConfigurationProblem(e.problem().detail(), Optional.of(key), Optional.of(value), Optional.of(allowed)));
  }
}
