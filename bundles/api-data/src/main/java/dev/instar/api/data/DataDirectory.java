package dev.instar.api.data;

import java.nio.file.Path;
import org.osgi.annotation.versioning.ProviderType;

/**
 * The directory that holds everything this node keeps, locked by this process ({@code fcntl} lock on the file {@code lock}): a second node on
 * it refuses to start. The service is there as long as the lock is held. The place is the framework property {@code instar.data}.
 */
@ProviderType
public interface DataDirectory {
  /** Absolute. */
  Path root();

  /** A directory below the root for one owner, made (mode 0700) if it is missing. {@code name} is a single path segment. */
  Path area(String name);

  /** A directory of which nothing survives a start of the node: it is emptied when the lock is taken. */
  Path scratch(String name);
}
