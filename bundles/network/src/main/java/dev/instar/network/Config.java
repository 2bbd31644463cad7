package dev.instar.network;

import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

@ObjectClassDefinition(id = NetworkComponent.PID, name = "Instar network", description = "The network namespaces that sandboxes get, and what may go out of them.")
@interface Config {
  @AttributeDefinition(name = "Networks", description = "Address ranges for sandboxes, of 16 to 29 bits each. They are cut into bridges of at most "
      + "1021 sandboxes, and must not be in use on this host.")
  String[] networks() default {"10.62.0.0/16", "10.63.0.0/16"};

  @AttributeDefinition(name = "Ready", description = "Namespaces that are made before a sandbox wants one.", min = "1", max = "4096")
  int ready() default 32;

  @AttributeDefinition(name = "Most", description = "Namespaces in use and ready together.", min = "1", max = "30000")
  int max$_$slots() default 1000;

  @AttributeDefinition(name = "Denied", description = "Addresses that no function may open connections to, whatever its policy says. The node itself, other sandboxes and "
      + "link-local addresses (169.254.0.0/16, where clouds keep credentials) are denied always. The default leaves the public Internet; shorten it where functions are to reach a private network.")
  String[] denied() default {"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16", "169.254.0.0/16",
      "172.16.0.0/12", "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3"};

  @AttributeDefinition(name = "Name servers", description = "Resolvers for sandboxes; they may be asked even where their address is denied. Empty: those of the host that "
      + "are not on the host itself.")
  String[] nameservers() default {};
}
