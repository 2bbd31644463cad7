package dev.instar.api.sandbox;

import org.osgi.annotation.versioning.ProviderType;

/** Takes what a function writes to standard error. Bounded: never blocks and never throws; what is over the limit is counted and dropped. */
@ProviderType
@FunctionalInterface
public interface GuestLog {
  void write(byte[] bytes, int offset, int length);

  /** Drops everything. */
  GuestLog NONE = (bytes, offset, length) -> {};
}
