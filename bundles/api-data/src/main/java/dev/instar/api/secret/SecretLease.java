package dev.instar.api.secret;

import dev.instar.api.lease.Lease;
import java.util.Map;
import org.osgi.annotation.versioning.ConsumerType;

/**
 * The secrets of one sandbox: those that its function version names, as they were when the sandbox was started. A backend puts each into a file of its name in
 * {@link #DIRECTORY} that the function can read and nobody can write, in memory and not on a disk, and takes it away with the sandbox. {@link #current} is false
 * once one of them was put anew or deleted.
 */
@ConsumerType
public interface SecretLease extends Lease {
  /** The kind of lease, as a backend's description and {@code LeaseProvider} name it. A backend that does not ask for it gets no function with secrets. */
  String KIND = "secrets";

  /** Where functions find them; that of OpenFaaS. */
  String DIRECTORY = "/var/openfaas/secrets";

  /** The values by their names, to be read during the start of the sandbox: they are zeroes once the lease is closed. Never to be logged, shown or put on a command line. */
  Map<String, byte[]> values();
}
