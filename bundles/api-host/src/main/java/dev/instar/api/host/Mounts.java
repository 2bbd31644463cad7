package dev.instar.api.host;

import java.nio.file.Path;
import org.osgi.annotation.versioning.ProviderType;

/** mount(2) and umount2(2), in the mount namespace of the node. Thread-safe. */
@ProviderType
public interface Mounts {
  /** MS_RDONLY. */
  long READ_ONLY = 1;
  /** MS_NOSUID. */
  long NO_SUID = 2;
  /** MS_NODEV. */
  long NO_DEVICES = 4;
  /** MS_NOEXEC. */
  long NO_EXEC = 8;
  /** MS_REMOUNT. */
  long REMOUNT = 32;
  /** MS_BIND. */
  long BIND = 4096;
  /** MS_REC. */
  long RECURSIVE = 16_384;
  /** MS_PRIVATE. */
  long PRIVATE = 1 << 18;
  /** MNT_DETACH: gone from the tree at once, from the kernel when nothing uses it any more. */
  int DETACH = 2;

  /**
   * @param source as the type of file system has it
   * @param type of the file system; empty for a bind
   * @param flags of this interface
   * @param options of the type of file system; may be empty
   */
  void mount(String source, Path target, String type, long flags, String options) throws LinuxException;

  /** @param flags 0 or {@link #DETACH} */
  void unmount(Path target, int flags) throws LinuxException;
}
