package dev.instar.backend.wasm.wasi;

import java.util.ArrayList;
import java.util.List;

/** The calls of WASI preview 1: names and signatures as in the witx file, and what each does. */
public final class WasiCalls {
  /** What they are imported from. */
  public static final String MODULE = "wasi_snapshot_preview1";

  /** A call that gives an error number. */
  @FunctionalInterface
  private interface Numbered {
    int call(Wasi wasi, GuestMemory memory, Arguments arguments);
  }

  /** The arguments of a call. */
  private record Arguments(long[] values) {
    int i(int n) {
      return (int) values[n];
    }

    long l(int n) {
      return values[n];
    }
  }

  /** All of them. */
  public static final List<HostCall<Wasi>> ALL = all();

  private WasiCalls() {}

  private static List<HostCall<Wasi>> all() {
    List<HostCall<Wasi>> calls = new ArrayList<>();
    add(calls, "args_get", "ii", (w, m, a) -> w.args(m, a.i(0), a.i(1)));
    add(calls, "args_sizes_get", "ii", (w, m, a) -> w.argsSizes(m, a.i(0), a.i(1)));
    add(calls, "clock_res_get", "ii", (w, m, a) -> w.clockResolution(m, a.i(0), a.i(1)));
    add(calls, "clock_time_get", "iIi", (w, m, a) -> w.clockTime(m, a.i(0), a.i(2)));
    add(calls, "environ_get", "ii", (w, m, a) -> w.environ(m, a.i(0), a.i(1)));
    add(calls, "environ_sizes_get", "ii", (w, m, a) -> w.environSizes(m, a.i(0), a.i(1)));
    add(calls, "fd_advise", "iIIi", (w, m, a) -> w.advise(a.i(0), a.l(1), a.l(2)));
    add(calls, "fd_allocate", "iII", (w, m, a) -> w.allocateSpace(a.i(0), a.l(1), a.l(2)));
    add(calls, "fd_close", "i", (w, m, a) -> w.close(a.i(0)));
    add(calls, "fd_datasync", "i", (w, m, a) -> w.sync(a.i(0)));
    add(calls, "fd_fdstat_get", "ii", (w, m, a) -> w.descriptorStatus(m, a.i(0), a.i(1)));
    add(calls, "fd_fdstat_set_flags", "ii", (w, m, a) -> w.setFlags(a.i(0), a.i(1)));
    add(calls, "fd_fdstat_set_rights", "iII", (w, m, a) -> w.setRights(a.i(0), a.l(1)));
    add(calls, "fd_filestat_get", "ii", (w, m, a) -> w.fileStatus(m, a.i(0), a.i(1)));
    add(calls, "fd_filestat_set_size", "iI", (w, m, a) -> w.setSize(a.i(0), a.l(1)));
    add(calls, "fd_filestat_set_times", "iIIi", (w, m, a) -> w.setTimes(a.i(0), a.l(1), a.l(2), a.i(3)));
    add(calls, "fd_pread", "iiiIi", (w, m, a) -> w.readAt(m, a.i(0), a.i(1), a.i(2), a.l(3), a.i(4)));
    add(calls, "fd_prestat_get", "ii", (w, m, a) -> w.preopened(m, a.i(0), a.i(1)));
    add(calls, "fd_prestat_dir_name", "iii", (w, m, a) -> w.preopenedName(m, a.i(0), a.i(1), a.i(2)));
    add(calls, "fd_pwrite", "iiiIi", (w, m, a) -> w.writeAt(m, a.i(0), a.i(1), a.i(2), a.l(3), a.i(4)));
    add(calls, "fd_read", "iiii", (w, m, a) -> w.read(m, a.i(0), a.i(1), a.i(2), a.i(3)));
    add(calls, "fd_readdir", "iiiIi", (w, m, a) -> w.list(m, a.i(0), a.i(1), a.i(2), a.l(3), a.i(4)));
    add(calls, "fd_renumber", "ii", (w, m, a) -> w.renumber(a.i(0), a.i(1)));
    add(calls, "fd_seek", "iIii", (w, m, a) -> w.seek(m, a.i(0), a.l(1), a.i(2), a.i(3)));
    add(calls, "fd_sync", "i", (w, m, a) -> w.sync(a.i(0)));
    add(calls, "fd_tell", "ii", (w, m, a) -> w.tell(m, a.i(0), a.i(1)));
    add(calls, "fd_write", "iiii", (w, m, a) -> w.write(m, a.i(0), a.i(1), a.i(2), a.i(3)));
    add(calls, "path_create_directory", "iii", (w, m, a) -> w.createDirectory(m, a.i(0), a.i(1), a.i(2)));
    add(calls, "path_filestat_get", "iiiii", (w, m, a) -> w.pathStatus(m, a.i(0), a.i(1), a.i(2), a.i(3), a.i(4)));
    add(calls, "path_filestat_set_times", "iiiiIIi",
        (w, m, a) -> w.setPathTimes(m, a.i(0), a.i(1), a.i(2), a.i(3), a.l(4), a.l(5), a.i(6)));
    add(calls, "path_link", "iiiiiii", (w, m, a) -> w.hardLink(m, a.i(0), a.i(1), a.i(2), a.i(3), a.i(4), a.i(5), a.i(6)));
    add(calls, "path_open", "iiiiiIIii",
        (w, m, a) -> w.open(m, a.i(0), a.i(1), a.i(2), a.i(3), a.i(4), a.l(5), a.i(7), a.i(8)));
    add(calls, "path_readlink", "iiiiii", (w, m, a) -> w.readLink(m, a.i(0), a.i(1), a.i(2), a.i(3), a.i(4), a.i(5)));
    add(calls, "path_remove_directory", "iii", (w, m, a) -> w.removeDirectory(m, a.i(0), a.i(1), a.i(2)));
    add(calls, "path_rename", "iiiiii", (w, m, a) -> w.rename(m, a.i(0), a.i(1), a.i(2), a.i(3), a.i(4), a.i(5)));
    add(calls, "path_symlink", "iiiii", (w, m, a) -> w.createLink(m, a.i(0), a.i(1), a.i(2), a.i(3), a.i(4)));
    add(calls, "path_unlink_file", "iii", (w, m, a) -> w.unlink(m, a.i(0), a.i(1), a.i(2)));
    add(calls, "poll_oneoff", "iiii", (w, m, a) -> w.poll(m, a.i(0), a.i(1), a.i(2), a.i(3)));
    add(calls, "proc_raise", "i", (w, m, a) -> w.raise(a.i(0)));
    add(calls, "random_get", "ii", (w, m, a) -> w.random(m, a.i(0), a.i(1)));
    add(calls, "sched_yield", "", (w, m, a) -> 0);
    add(calls, "sock_accept", "iii", (w, m, a) -> w.noSocket(a.i(0)));
    add(calls, "sock_recv", "iiiiii", (w, m, a) -> w.noSocket(a.i(0)));
    add(calls, "sock_send", "iiiii", (w, m, a) -> w.noSocket(a.i(0)));
    add(calls, "sock_shutdown", "ii", (w, m, a) -> w.noSocket(a.i(0)));
    calls.add(new HostCall<>(MODULE, "proc_exit", HostCall.signature("i>"), (w, m, a) -> new long[] {w.exit((int) a[0])}));
    return List.copyOf(calls);
  }

  private static void add(List<HostCall<Wasi>> calls, String name, String parameters, Numbered body) {
    calls.add(new HostCall<>(MODULE, name, HostCall.signature(parameters + ">i"), (wasi, memory, arguments) -> {
      try {
        return new long[] {body.call(wasi, memory, new Arguments(arguments))};
      } catch (Errno.Failure e) {
        return new long[] {e.errno().number()};
      }
    }));
  }
}
