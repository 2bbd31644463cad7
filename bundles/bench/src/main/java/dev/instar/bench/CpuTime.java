package dev.instar.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/** The processor time of processes, from {@code /proc}. */
final class CpuTime {
  /** Linux tells these times in ticks of {@code USER_HZ}, which is 100 on every architecture that it is built for today. */
  private static final long TICK_NANOS = 10_000_000;

  private CpuTime() {}

  /** Nanoseconds that a process, all its threads, its ended children and its living descendants have used. */
  static long of(ProcessHandle process) {
    return Stream.concat(Stream.of(process), process.descendants()).mapToLong(CpuTime::alone).sum();
  }

  /** The same without living descendants. */
  static long alone(ProcessHandle process) {
    try {
      return nanos(Files.readString(Path.of("/proc", Long.toString(process.pid()), "stat")));
    } catch (IOException e) {
      // It has ended meanwhile; what it used counts for its parent once that has waited for it.
      return 0;
    }
  }

  /** utime, stime, cutime and cstime of a line of {@code /proc/<pid>/stat}. The name, the second field, may hold blanks and brackets. */
  static long nanos(String stat) {
    int name = stat.lastIndexOf(')');
    String[] fields = name < 0 ? new String[0] : stat.substring(name + 1).strip().split(" ");
    if (fields.length < 15) {
      throw new IllegalArgumentException("This is no line of /proc/<pid>/stat: " + stat);
    }
    // The state, field 3 of proc(5), is the first here.
    return (Long.parseLong(fields[11]) + Long.parseLong(fields[12]) + Long.parseLong(fields[13]) + Long.parseLong(fields[14])) * TICK_NANOS;
  }
}
