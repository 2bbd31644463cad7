package dev.instar.listener;

import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

@ObjectClassDefinition(name = "Instar listener",
    description = "Where the node listens, and the limits that hold before anybody looks at a request. Only port and bind make it listen anew; TLS for a port that had none, or none for one that had, "
        + "takes a restart of the node.")
@interface ListenerConfig {
  String PID = "dev.instar.listener";

  @AttributeDefinition(name = "Name", description = "What an HttpEntry names that serves this listener only.")
  String name() default "main";

  @AttributeDefinition(name = "Port", min = "0", max = "65535", description = "TCP port; 0 takes a free one.")
  int port() default 8080;

  @AttributeDefinition(name = "Address",
      description = "Address or host name to listen on. One off loopback takes tls-certificate and tls-key; every caller there needs a token.")
  String bind() default "127.0.0.1";

  @AttributeDefinition(name = "Certificate",
      description = "PEM file with the node's certificate, then those that vouch for it. Empty: no TLS. This and the key are read again when a file changes; connections that are open stay.")
  String tls$_$certificate() default "";

  @AttributeDefinition(name = "Key", description = "PEM file with the key of that certificate, not encrypted (-----BEGIN PRIVATE KEY-----).")
  String tls$_$key() default "";

  @AttributeDefinition(name = "Hosts",
      description = "Names under which callers, or a proxy, reach the node, beside the loopback's, the address and those of the certificate. A request for another Host is refused (421).")
  String[] hosts() default {};

  @AttributeDefinition(name = "Header bytes", min = "1024", max = "1048576", description = "Request line and headers of one request; more is refused with header-too-large (431).")
  int max$_$header$_$bytes() default 16 << 10;

  @AttributeDefinition(name = "Header time in milliseconds", min = "100", max = "3600000",
      description = "From the first byte of an HTTP/1 request to the end of its headers; then the connection is closed.")
  int header$_$timeout$_$ms() default 10_000;

  @AttributeDefinition(name = "Idle time in milliseconds", min = "100", max = "86400000",
      description = "How long a connection may stand still between requests or in the midst of a body. Does not apply while a function computes.")
  int idle$_$timeout$_$ms() default 30_000;

  @AttributeDefinition(name = "Data rate", min = "0", max = "1073741824",
      description = "Bytes per second that a caller must send of a body, or take of an answer, while the node waits for it; 0: no limit.")
  int min$_$bytes$_$per$_$second() default 512;

  @AttributeDefinition(name = "Data rate grace in milliseconds", min = "0", max = "3600000", description = "How long the node waits for a caller before the data rate is asked for.")
  int data$_$rate$_$grace$_$ms() default 10_000;

  @AttributeDefinition(name = "Connections", min = "1", max = "1000000", description = "Connections open at one time; more wait until one is closed.")
  int max$_$connections() default 10_000;

  @AttributeDefinition(name = "Wait for the gateway in milliseconds", min = "0", max = "600000",
      description = "How long a request waits while the gateway is starting or being replaced, before it gets not-ready (503).")
  int entry$_$wait$_$ms() default 10_000;

  @AttributeDefinition(name = "Stop time in milliseconds", min = "0", max = "3600000",
      description = "How long running exchanges may go on when the node stops or the address changes; then their connections are closed.")
  int stop$_$timeout$_$ms() default 30_000;

  @AttributeDefinition(name = "HTTP/2 streams", min = "1", max = "100000", description = "Requests at one time on one HTTP/2 connection.")
  int http2$_$max$_$streams() default 128;

  @AttributeDefinition(name = "HTTP/2 control frames per second", min = "1", max = "1000000",
      description = "RST_STREAM, SETTINGS, PING, PRIORITY, CONTINUATION and empty frames that one connection may send in a second; past it the connection is closed.")
  int http2$_$max$_$control$_$frames() default 128;
}
