package dev.instar.gateway;

import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;
import org.osgi.service.metatype.annotations.Option;

@ObjectClassDefinition(name = "Instar gateway", description = "How many exchanges run at one time, and the limits of Instar's own API under /v1.")
@interface GatewayConfig {
  String PID = "dev.instar.gateway";
  String OPEN = "open";

  @AttributeDefinition(name = "Access", options = {@Option(label = "open", value = GatewayConfig.OPEN), @Option(label = "required", value = "required")},
      description = "Who may upload and call functions on loopback: 'open' lets everybody, 'required' asks for a token, as elsewhere in any case.")
  String access() default OPEN;

  @AttributeDefinition(name = "Exchanges", min = "1", max = "1000000",
      description = "Requests that are being answered at one time, waiting calls included; the next is refused with node-busy (503).")
  int max$_$exchanges() default 8192;

  @AttributeDefinition(name = "Reserved exchanges", min = "0", max = "10000",
      description = "Further GET and HEAD requests that are answered at that limit, so that a full node can still be looked at.")
  int reserved$_$exchanges() default 64;

  @AttributeDefinition(name = "Upload bytes", min = "1", max = "1099511627776", description = "Bytes of one artifact sent to /v1/images.")
  long max$_$upload$_$bytes() default 64L << 20;

  @AttributeDefinition(name = "Log followers", min = "0", max = "10000", description = "Requests that follow a function's log at one time.")
  int max$_$followers() default 64;

  @AttributeDefinition(name = "Wait for services in milliseconds", min = "0", max = "600000",
      description = "How long a request waits while the part of the node that it needs is starting or being replaced, before it gets not-ready (503).")
  int service$_$wait$_$ms() default 10_000;

  @AttributeDefinition(name = "Drain time in milliseconds", min = "0", max = "3600000", description = "How long running exchanges may go on when the gateway is replaced or the node stops.")
  int drain$_$ms() default 30_000;
}
