package dev.instar.wasi.pages;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.nio.file.Path;
import java.util.Optional;

/**
 * The calls of Linux' C library that copy-on-write memories are made of, and nothing more of it.
 * None is linked as critical: each may wait for the lock of the process' address space, and a critical call holds up every safepoint.
 */
public final class LibC {
  public static final int PROT_NONE = 0;
  public static final int PROT_READ = 1;
  public static final int PROT_READ_WRITE = 3;
  public static final int MAP_SHARED = 0x01;
  public static final int MAP_PRIVATE = 0x02;
  public static final int MAP_FIXED = 0x10;
  public static final int MAP_ANONYMOUS = 0x20;
  public static final int MAP_NORESERVE = 0x4000;
  public static final int ENOMEM = 12;
  private static final int ENXIO = 6;
  private static final int SEEK_DATA = 3;

  private static final int MADV_DONTNEED = 4;
  private static final int MFD_CLOEXEC = 1;
  private static final int MFD_ALLOW_SEALING = 2;
  private static final int F_ADD_SEALS = 1033;
  /** SEAL, SHRINK, GROW and WRITE: what is mapped from it can neither change nor end in SIGBUS. */
  private static final int ALL_SEALS = 1 | 2 | 4 | 8;
  private static final int O_CLOEXEC = 0x80000;
  private static final int SC_PAGESIZE = 30;

  /** ioctl(2) on /proc/pid/pagemap since Linux 6.7: {@code _IOWR('f', 16, struct pm_scan_arg)}, Documentation/admin-guide/mm/pagemap.rst. */
  private static final int PAGEMAP_SCAN = 0xC060_6610;
  private static final long PAGE_IS_FILE = 1 << 2;
  private static final long PAGE_IS_PRESENT = 1 << 3;
  private static final long PAGE_IS_SWAPPED = 1 << 4;
  private static final long PAGE_IS_PFNZERO = 1 << 5;
  private static final int SCAN_ARGUMENT = 96;
  private static final int SCAN_RANGE = 24;

  private static final Linker LINKER = Linker.nativeLinker();
  private static final Linker.Option ERRNO = Linker.Option.captureCallState("errno");
  private static final VarHandle ERRNO_VALUE = Linker.Option.captureStateLayout().varHandle(MemoryLayout.PathElement.groupElement("errno"));

  private static final MethodHandle MMAP =
      link("mmap", FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG), ERRNO);
  private static final MethodHandle MUNMAP = link("munmap", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG), ERRNO);
  private static final MethodHandle MPROTECT = link("mprotect", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT), ERRNO);
  private static final MethodHandle MADVISE = link("madvise", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT), ERRNO);
  private static final MethodHandle MEMSET = link("memset", FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_LONG));
  private static final MethodHandle MEMMOVE = link("memmove", FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG));
  private static final MethodHandle FTRUNCATE = link("ftruncate", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_LONG), ERRNO);
  private static final MethodHandle LSEEK = link("lseek", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, JAVA_LONG, JAVA_INT), ERRNO);
  private static final MethodHandle CLOSE = link("close", FunctionDescriptor.of(JAVA_INT, JAVA_INT), ERRNO);
  private static final MethodHandle UNLINK = link("unlink", FunctionDescriptor.of(JAVA_INT, ADDRESS), ERRNO);
  private static final MethodHandle MKOSTEMP = link("mkostemp", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT), ERRNO);
  private static final MethodHandle SYSCONF = link("sysconf", FunctionDescriptor.of(JAVA_LONG, JAVA_INT));
  private static final MethodHandle OPEN =
      link("open", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT), ERRNO, Linker.Option.firstVariadicArg(2));
  private static final MethodHandle IOCTL =
      link("ioctl", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_LONG, ADDRESS), ERRNO, Linker.Option.firstVariadicArg(2));
  private static final MethodHandle FCNTL =
      link("fcntl", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT), ERRNO, Linker.Option.firstVariadicArg(2));
  /** glibc has it since 2.27, musl since 1.1.20. */
  private static final Optional<MethodHandle> MEMFD_CREATE = LINKER.defaultLookup().find("memfd_create")
      .map(symbol -> LINKER.downcallHandle(symbol, FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT), ERRNO));

  /** Bytes. */
  public static final int PAGE_SIZE = (int) sysconf(SC_PAGESIZE);

  private LibC() {}

  /** A failed call, with its errno. */
  public static final class Failure extends RuntimeException {
    private static final long serialVersionUID = 1;
    public final int errno;

    Failure(String call, int errno) {
      super(call + " failed with errno " + errno);
      this.errno = errno;
    }
  }

  public static long mmap(long address, long length, int protection, int flags, int descriptor, long offset) {
    try (var arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      long result = (long) MMAP.invokeExact(state, address, length, protection, flags, descriptor, offset);
      if (result == -1) {
        throw new Failure("mmap of " + length + " bytes", errno(state));
      }
      return result;
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  public static void munmap(long address, long length) {
    try (var arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      check((int) MUNMAP.invokeExact(state, address, length), "munmap", state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  public static void mprotect(long address, long length, int protection) {
    try (var arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      check((int) MPROTECT.invokeExact(state, address, length, protection), "mprotect of " + length + " bytes", state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  /**
   * Fills. Other than the JDK's own, which keeps the JVM from a safepoint until it has ended: where each page must be made first, on a thread that has
   * a processor only when nobody else wants it, all threads of the node would wait for that.
   */
  public static void fill(long address, byte value, long length) {
    try {
      long ignored = (long) MEMSET.invokeExact(address, (int) value, length);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  /** Copies, as {@link #fill} fills; the ranges may overlap. */
  public static void move(long to, long from, long length) {
    try {
      long ignored = (long) MEMMOVE.invokeExact(to, from, length);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  /** Drops what the process has written to private pages; the next access finds the file's bytes, or zeros (madvise(2), MADV_DONTNEED). */
  public static void discard(long address, long length) {
    try (var arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      check((int) MADVISE.invokeExact(state, address, length, MADV_DONTNEED), "madvise", state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  /** Opens the table of the process' own pages, for {@link #writtenRanges}. */
  public static int pagemap() {
    return open(Path.of("/proc/self/pagemap"));
  }

  /** Opens a file for reading. */
  public static int open(Path file) {
    try (var arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      int result = (int) OPEN.invokeExact(state, arena.allocateFrom(file.toString()), O_CLOEXEC);
      check(result, "open of " + file, state);
      return result;
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  /**
   * Finds the pages of a private mapping that the process has written: those that are neither a file's nor the common page of zeros.
   *
   * @param ranges takes start and end of each range of such pages
   * @return how many ranges there are; -1 when there are more ranges than {@code ranges} takes, or more pages than {@code pages}
   */
  public static int writtenRanges(int pagemap, long start, long end, int pages, long[] ranges) {
    int room = ranges.length / 2;
    try (var arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      MemorySegment argument = arena.allocate(SCAN_ARGUMENT, 8);
      MemorySegment found = arena.allocate((long) room * SCAN_RANGE, 8);
      argument.setAtIndex(JAVA_LONG, 0, SCAN_ARGUMENT);
      argument.setAtIndex(JAVA_LONG, 2, start);
      argument.setAtIndex(JAVA_LONG, 3, end);
      argument.setAtIndex(JAVA_LONG, 5, found.address());
      argument.setAtIndex(JAVA_LONG, 6, room);
      argument.setAtIndex(JAVA_LONG, 7, pages);
      // Inverted, then required: neither of the two.
      argument.setAtIndex(JAVA_LONG, 8, PAGE_IS_FILE | PAGE_IS_PFNZERO);
      argument.setAtIndex(JAVA_LONG, 9, PAGE_IS_FILE | PAGE_IS_PFNZERO);
      argument.setAtIndex(JAVA_LONG, 10, PAGE_IS_PRESENT | PAGE_IS_SWAPPED);
      int count = (int) IOCTL.invokeExact(state, pagemap, (long) PAGEMAP_SCAN & 0xFFFF_FFFFL, argument);
      check(count, "ioctl(PAGEMAP_SCAN)", state);
      // walk_end: the scan stopped early when it ran out of room.
      if (argument.getAtIndex(JAVA_LONG, 4) != end) {
        return -1;
      }
      for (int i = 0; i < count; i++) {
        ranges[2 * i] = found.get(JAVA_LONG, (long) i * SCAN_RANGE);
        ranges[2 * i + 1] = found.get(JAVA_LONG, (long) i * SCAN_RANGE + 8);
      }
      return count;
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  public static boolean hasMemfd() {
    return MEMFD_CREATE.isPresent();
  }

  public static int memfd(String name) {
    try (var arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      int result = (int) MEMFD_CREATE.orElseThrow().invokeExact(state, arena.allocateFrom(name), MFD_CLOEXEC | MFD_ALLOW_SEALING);
      check(result, "memfd_create", state);
      return result;
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  /** Ends every change of a memfd. There must be no writable shared mapping of it any more. */
  public static void seal(int descriptor) {
    try (var arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      check((int) FCNTL.invokeExact(state, descriptor, F_ADD_SEALS, ALL_SEALS), "fcntl(F_ADD_SEALS)", state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  /** Opens a new file of mode 0600 without a name in a directory: it goes with its descriptor and its mappings. */
  public static int unlinkedFile(Path directory) {
    try (var arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      MemorySegment path = arena.allocateFrom(directory.resolve("image-XXXXXX").toString());
      int result = (int) MKOSTEMP.invokeExact(state, path, O_CLOEXEC);
      check(result, "mkostemp in " + directory, state);
      check((int) UNLINK.invokeExact(state, path), "unlink in " + directory, state);
      return result;
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  public static void ftruncate(int descriptor, long length) {
    try (var arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      check((int) FTRUNCATE.invokeExact(state, descriptor, length), "ftruncate to " + length + " bytes", state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  /** The first offset from {@code offset} on that is not in a hole of the file (lseek(2), SEEK_DATA), or {@code end} where the rest is one. */
  public static long nextData(int descriptor, long offset, long end) {
    try (var arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      long result = (long) LSEEK.invokeExact(state, descriptor, offset, SEEK_DATA);
      if (result == -1 && errno(state) == ENXIO) {
        return end;
      }
      // A file system without it has no holes to tell.
      return result == -1 ? offset : result;
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  public static void close(int descriptor) {
    try (var arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      check((int) CLOSE.invokeExact(state, descriptor), "close", state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  private static long sysconf(int name) {
    try {
      return (long) SYSCONF.invokeExact(name);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  private static MethodHandle link(String name, FunctionDescriptor descriptor, Linker.Option... options) {
    return LINKER.downcallHandle(LINKER.defaultLookup().findOrThrow(name), descriptor, options);
  }

  private static void check(int result, String call, MemorySegment state) {
    if (result == -1) {
      throw new Failure(call, errno(state));
    }
  }

  private static int errno(MemorySegment state) {
    return (int) ERRNO_VALUE.get(state, 0L);
  }

  private static RuntimeException unchecked(Throwable t) {
    if (t instanceof Error error) {
      throw error;
    }
    return t instanceof RuntimeException runtime ? runtime : new IllegalStateException(t);
  }
}
