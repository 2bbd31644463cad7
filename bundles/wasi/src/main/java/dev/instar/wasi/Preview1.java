package dev.instar.wasi;

import java.util.List;

/** The functions of the import module {@code wasi_snapshot_preview1}, independent of an engine. */
public final class Preview1 {
  public static final String MODULE = "wasi_snapshot_preview1";

  @FunctionalInterface
  interface Body {
    void run(Wasi wasi, GuestMemory memory, long[] args) throws ErrnoException;
  }

  /** One function. All but {@code proc_exit} return an {@code errno} as i32. */
  public static final class Function {
    private final String name;
    private final String parameters;
    private final Body body;

    private Function(String name, String parameters, Body body) {
      this.name = name;
      this.parameters = parameters;
      this.body = body;
    }

    public String name() {
      return name;
    }

    /** A letter a parameter: {@code i} for i32, {@code I} for i64. */
    public String parameters() {
      return parameters;
    }

    public boolean returnsErrno() {
      return !name.equals("proc_exit");
    }

    /**
     * Serves one call.
     *
     * @param args of i32 parameters the low half counts
     * @throws GuestEnd when the guest is not to go on
     */
    public Errno call(Wasi wasi, GuestMemory memory, long... args) {
      try {
        body.run(wasi, memory, args);
        return Errno.SUCCESS;
      } catch (ErrnoException e) {
        e.shortage().ifPresent(wasi::note);
        return e.errno();
      }
    }
  }

  private static final List<Function> FUNCTIONS = List.of(
      new Function("args_get", "ii", (w, m, a) -> w.process.argsGet(m, i(a, 0), i(a, 1))),
      new Function("args_sizes_get", "ii", (w, m, a) -> w.process.argsSizesGet(m, i(a, 0), i(a, 1))),
      new Function("environ_get", "ii", (w, m, a) -> w.process.environGet(m, i(a, 0), i(a, 1))),
      new Function("environ_sizes_get", "ii", (w, m, a) -> w.process.environSizesGet(m, i(a, 0), i(a, 1))),
      new Function("clock_res_get", "ii", (w, m, a) -> w.process.clockResGet(m, i(a, 0), i(a, 1))),
      new Function("clock_time_get", "iIi", (w, m, a) -> w.process.clockTimeGet(m, i(a, 0), i(a, 2))),
      new Function("fd_advise", "iIIi", (w, m, a) -> w.fd.advise(i(a, 0), a[1], a[2], i(a, 3))),
      new Function("fd_allocate", "iII", (w, m, a) -> w.fd.allocate(i(a, 0), a[1], a[2])),
      new Function("fd_close", "i", (w, m, a) -> w.fd.close(i(a, 0))),
      new Function("fd_datasync", "i", (w, m, a) -> w.fd.sync(i(a, 0), Rights.FD_DATASYNC)),
      new Function("fd_fdstat_get", "ii", (w, m, a) -> w.fd.fdstatGet(m, i(a, 0), i(a, 1))),
      new Function("fd_fdstat_set_flags", "ii", (w, m, a) -> w.fd.fdstatSetFlags(i(a, 0), i(a, 1))),
      new Function("fd_fdstat_set_rights", "iII", (w, m, a) -> w.fd.fdstatSetRights(i(a, 0), a[1], a[2])),
      new Function("fd_filestat_get", "ii", (w, m, a) -> w.fd.filestatGet(m, i(a, 0), i(a, 1))),
      new Function("fd_filestat_set_size", "iI", (w, m, a) -> w.fd.filestatSetSize(i(a, 0), a[1])),
      new Function("fd_filestat_set_times", "iIIi", (w, m, a) -> w.fd.filestatSetTimes(i(a, 0), a[1], a[2], i(a, 3))),
      new Function("fd_pread", "iiiIi", (w, m, a) -> w.fd.pread(m, i(a, 0), i(a, 1), i(a, 2), a[3], i(a, 4))),
      new Function("fd_prestat_get", "ii", (w, m, a) -> w.fd.prestatGet(m, i(a, 0), i(a, 1))),
      new Function("fd_prestat_dir_name", "iii", (w, m, a) -> w.fd.prestatDirName(m, i(a, 0), i(a, 1), i(a, 2))),
      new Function("fd_pwrite", "iiiIi", (w, m, a) -> w.fd.pwrite(m, i(a, 0), i(a, 1), i(a, 2), a[3], i(a, 4))),
      new Function("fd_read", "iiii", (w, m, a) -> w.fd.read(m, i(a, 0), i(a, 1), i(a, 2), i(a, 3))),
      new Function("fd_readdir", "iiiIi", (w, m, a) -> w.fd.readdir(m, i(a, 0), i(a, 1), i(a, 2), a[3], i(a, 4))),
      new Function("fd_renumber", "ii", (w, m, a) -> w.fd.renumber(i(a, 0), i(a, 1))),
      new Function("fd_seek", "iIii", (w, m, a) -> w.fd.seek(m, i(a, 0), a[1], i(a, 2), i(a, 3))),
      new Function("fd_sync", "i", (w, m, a) -> w.fd.sync(i(a, 0), Rights.FD_SYNC)),
      new Function("fd_tell", "ii", (w, m, a) -> w.fd.tell(m, i(a, 0), i(a, 1))),
      new Function("fd_write", "iiii", (w, m, a) -> w.fd.write(m, i(a, 0), i(a, 1), i(a, 2), i(a, 3))),
      new Function("path_create_directory", "iii", (w, m, a) -> w.path.createDirectory(m, i(a, 0), i(a, 1), i(a, 2))),
      new Function("path_filestat_get", "iiiii", (w, m, a) -> w.path.filestatGet(m, i(a, 0), i(a, 1), i(a, 2), i(a, 3), i(a, 4))),
      new Function("path_filestat_set_times", "iiiiIIi",
          (w, m, a) -> w.path.filestatSetTimes(m, i(a, 0), i(a, 1), i(a, 2), i(a, 3), a[4], a[5], i(a, 6))),
      new Function("path_link", "iiiiiii", (w, m, a) -> w.path.link(m, i(a, 0), i(a, 1), i(a, 2), i(a, 3), i(a, 4), i(a, 5), i(a, 6))),
      new Function("path_open", "iiiiiIIii",
          (w, m, a) -> w.path.open(m, i(a, 0), i(a, 1), i(a, 2), i(a, 3), i(a, 4), a[5], a[6], i(a, 7), i(a, 8))),
      new Function("path_readlink", "iiiiii", (w, m, a) -> w.path.readlink(m, i(a, 0), i(a, 1), i(a, 2), i(a, 3), i(a, 4), i(a, 5))),
      new Function("path_remove_directory", "iii", (w, m, a) -> w.path.removeDirectory(m, i(a, 0), i(a, 1), i(a, 2))),
      new Function("path_rename", "iiiiii", (w, m, a) -> w.path.rename(m, i(a, 0), i(a, 1), i(a, 2), i(a, 3), i(a, 4), i(a, 5))),
      new Function("path_symlink", "iiiii", (w, m, a) -> w.path.symlink(m, i(a, 0), i(a, 1), i(a, 2), i(a, 3), i(a, 4))),
      new Function("path_unlink_file", "iii", (w, m, a) -> w.path.unlinkFile(m, i(a, 0), i(a, 1), i(a, 2))),
      new Function("poll_oneoff", "iiii", (w, m, a) -> w.poll.poll(m, i(a, 0), i(a, 1), i(a, 2), i(a, 3))),
      new Function("proc_exit", "i", (w, m, a) -> w.process.exit(i(a, 0))),
      new Function("proc_raise", "i", (w, m, a) -> w.process.raise(i(a, 0))),
      new Function("random_get", "ii", (w, m, a) -> w.process.randomGet(m, i(a, 0), i(a, 1))),
      new Function("sched_yield", "", (w, m, a) -> w.process.yield()),
      new Function("sock_accept", "iii", (w, m, a) -> w.fd.notSocket(i(a, 0))),
      new Function("sock_recv", "iiiiii", (w, m, a) -> w.fd.notSocket(i(a, 0))),
      new Function("sock_send", "iiiii", (w, m, a) -> w.fd.notSocket(i(a, 0))),
      new Function("sock_shutdown", "ii", (w, m, a) -> w.fd.notSocket(i(a, 0))));

  private Preview1() {}

  /** All of them. */
  public static List<Function> functions() {
    return FUNCTIONS;
  }

  private static int i(long[] args, int index) {
    return (int) args[index];
  }
}
