package dev.instar.api.secret;

import dev.instar.api.InstarException;
import java.util.List;
import java.util.Optional;
import org.osgi.annotation.versioning.ConsumerType;

/**
 * Values that functions need and nobody may see: passwords, keys, tokens. Third parties implement this (a vault, a cloud's own), register it as an OSGi service
 * beside the {@code LeaseProvider} of the kind {@link SecretLease#KIND} that lends from it, and pass the suite {@code dev.instar.tck.secret.SecretStoreSuite}.
 *
 * <h2>Vocabulary</h2>
 * A <i>secret</i> is a value of any bytes with a name, and belongs to one user. A function version names secrets of its own user; each of its sandboxes <i>has
 * them on loan</i>. User and name follow {@link dev.instar.api.Names}.
 *
 * <h2>Life cycle</h2>
 * <pre>
 *   put ──▶ there ──put──▶ there, with the new value ──delete──▶ gone
 *             └──take (LeaseProvider), with a sandbox──▶ SecretLease ──current() false once the secret is put or deleted
 * </pre>
 * What has returned from {@link #put} and {@link #delete} survives {@code kill -9} and power loss; what has not returned has happened whole or not at all. A
 * reader finds the old value or the new one, never a part. A version may be published only while its secrets are there ({@code LeaseProvider.check}); a secret
 * may be deleted at any time, and sandboxes that would need it are refused their start then. Sandboxes see a new value when they are started; those that have an old one
 * get no further call.
 *
 * <h2>Values</h2>
 * No method of this interface gives a value back, and no implementation writes one into a message, a log or {@code toString}. What can be told of a secret is its name, size
 * and time. The only way out is the lease.
 *
 * <h2>Replacement</h2>
 * Leases that were taken before the service goes stay of use, and know it when their values change by the successor's hand.
 *
 * <h2>Threads and cost</h2>
 * All methods may come from any thread, concurrently, also for one secret. {@link #put} and {@link #delete} take as long as the disk takes; taking a lease is on the way of each cold
 * start of a function with secrets, and reads some small files.
 *
 * <h2>Failures</h2>
 * Only {@link InstarException}, with the codes that each method names. A failure of the storage is INTERNAL and leaves everything as it was.
 */
@ConsumerType
public interface SecretStore {
  /**
   * Makes the secret have this value.
   *
   * @param value the caller's own; it may be overwritten once this has returned
   * @throws InstarException BAD_NAME, TOO_LARGE with the member {@code limitBytes}, CONFLICT when the user, or the node, has as many secrets as are kept, NO_SPACE
   */
  SecretInfo put(String user, String name, byte[] value);

  /** What can be told of it. @throws InstarException BAD_NAME */
  Optional<SecretInfo> find(String user, String name);

  /** Those of one user, or of all, in the order of users and names. @throws InstarException BAD_NAME */
  List<SecretInfo> list(Optional<String> user);

  /** Forgets it. @throws InstarException BAD_NAME, SECRET_NOT_FOUND with the member {@code secret} */
  void delete(String user, String name);

  /** The largest value that is taken, in bytes. */
  long maxBytes();
}
