package dev.instar.api.host;

import java.io.IOException;

/** A system call failed. The message names the call, what it was for, and the kernel's reason. */
public final class LinuxException extends IOException {
  private static final long serialVersionUID = 1;
  public static final int EPERM = 1;
  public static final int ENOENT = 2;
  public static final int EEXIST = 17;
  public static final int ENODEV = 19;
  public static final int EINVAL = 22;
  public static final int EOPNOTSUPP = 95;
  public static final int ENOBUFS = 105;

  private final int errno;

  public LinuxException(String message, int errno) {
    super(message);
    this.errno = errno;
  }

  /** The kernel's number. */
  public int errno() {
    return errno;
  }
}
