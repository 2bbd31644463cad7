package dev.instar.linux;

import com.sun.jna.LastErrorException;
import com.sun.jna.Library;
import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import com.sun.jna.NativeLong;
import com.sun.jna.Pointer;
import dev.instar.api.host.LinuxException;
import java.util.Map;

/** Functions of the C library, as JNA binds them directly: the cheapest that it has. Numbers are those of all architectures that Linux has today. */
final class LibC {
  static final int O_RDONLY = 0;
  static final int O_CLOEXEC = 0x80000;
  static final int CLONE_NEWNS = 0x00020000;
  static final int CLONE_NEWNET = 0x40000000;
  static final int AF_NETLINK = 16;
  static final int SOCK_RAW = 3;
  static final int SOCK_CLOEXEC = 0x80000;
  static final int SOL_SOCKET = 1;
  static final int SO_RCVTIMEO = 20;
  static final int SOL_NETLINK = 270;
  static final int NETLINK_ADD_MEMBERSHIP = 1;
  static final int MSG_TRUNC = 0x20;

  static {
    Native.register(NativeLibrary.getInstance("c", Map.of(Library.OPTION_STRING_ENCODING, "UTF-8")));
  }

  private LibC() {}

  static native int unshare(int flags) throws LastErrorException;

  static native int setns(int descriptor, int type) throws LastErrorException;

  static native int mount(String source, String target, String type, NativeLong flags, String options) throws LastErrorException;

  static native int chdir(String directory) throws LastErrorException;

  static native int umount2(String target, int flags) throws LastErrorException;

  static native int open(String file, int flags) throws LastErrorException;

  static native int close(int descriptor) throws LastErrorException;

  static native int socket(int domain, int type, int protocol) throws LastErrorException;

  static native int setsockopt(int descriptor, int level, int option, byte[] value, int length) throws LastErrorException;

  static native NativeLong send(int descriptor, Pointer bytes, NativeLong length, int flags) throws LastErrorException;

  static native NativeLong recv(int descriptor, Pointer bytes, NativeLong length, int flags) throws LastErrorException;

  static native String strerror(int errno);

  /** @param call the call and what it was for */
  static LinuxException failure(String call, LastErrorException e) {
    return new LinuxException(call + ": " + strerror(e.getErrorCode()), e.getErrorCode());
  }
}
