package dev.instar.wasi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

class Preview1Test {
  /** Name and lowered parameters of each function, from wasi_snapshot_preview1.witx; a result that is not an errno is one more pointer. */
  private static final String SPECIFICATION = """
      args_get ii
      args_sizes_get ii
      clock_res_get ii
      clock_time_get iIi
      environ_get ii
      environ_sizes_get ii
      fd_advise iIIi
      fd_allocate iII
      fd_close i
      fd_datasync i
      fd_fdstat_get ii
      fd_fdstat_set_flags ii
      fd_fdstat_set_rights iII
      fd_filestat_get ii
      fd_filestat_set_size iI
      fd_filestat_set_times iIIi
      fd_pread iiiIi
      fd_prestat_dir_name iii
      fd_prestat_get ii
      fd_pwrite iiiIi
      fd_read iiii
      fd_readdir iiiIi
      fd_renumber ii
      fd_seek iIii
      fd_sync i
      fd_tell ii
      fd_write iiii
      path_create_directory iii
      path_filestat_get iiiii
      path_filestat_set_times iiiiIIi
      path_link iiiiiii
      path_open iiiiiIIii
      path_readlink iiiiii
      path_remove_directory iii
      path_rename iiiiii
      path_symlink iiiii
      path_unlink_file iii
      poll_oneoff iiii
      proc_exit i
      proc_raise i
      random_get ii
      sched_yield\s
      sock_accept iii
      sock_recv iiiiii
      sock_send iiiii
      sock_shutdown ii
      """;

  @Test
  void theTableIsTheSpecifications() {
    String table = Preview1.functions().stream().map(f -> f.name() + " " + f.parameters() + "\n").sorted().collect(Collectors.joining());
    assertEquals(SPECIFICATION, table);
  }

  @Test
  void onlyProcExitReturnsNothing() {
    assertEquals(List.of("proc_exit"), Preview1.functions().stream().filter(f -> !f.returnsErrno()).map(Preview1.Function::name).toList());
  }

  @Test
  void theCodesAreTheSpecifications() {
    assertEquals(List.of(0, 1, 8, 20, 21, 28, 29, 31, 32, 33, 37, 44, 51, 52, 54, 55, 57, 58, 63, 70, 75, 76),
        List.of(Errno.SUCCESS, Errno.TOOBIG, Errno.BADF, Errno.EXIST, Errno.FAULT, Errno.INVAL, Errno.IO, Errno.ISDIR, Errno.LOOP, Errno.MFILE,
            Errno.NAMETOOLONG, Errno.NOENT, Errno.NOSPC, Errno.NOSYS, Errno.NOTDIR, Errno.NOTEMPTY, Errno.NOTSOCK, Errno.NOTSUP, Errno.PERM,
                Errno.SPIPE,
            Errno.XDEV, Errno.NOTCAPABLE).stream().map(Errno::code).toList());
    assertEquals(77, Errno.values().length);
    assertNotEquals(0, Rights.ALL & 1 << 13, "path_open is bit 13");
  }
}
