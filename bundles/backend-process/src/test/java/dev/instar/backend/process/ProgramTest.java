package dev.instar.backend.process;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class ProgramTest {
  @TempDir
  Path directory;

  private void check(String head) throws Exception {
    Path program = directory.resolve("program");
    Files.write(program, head.getBytes(StandardCharsets.ISO_8859_1));
    Program.check(program, "/no/such/directory:/usr/bin:/bin");
  }

  @ParameterizedTest
  @ValueSource(strings = {"#!/bin/sh\n", "#! /bin/sh\n", "#!/bin/sh -e\necho", "#!/bin/sh", "#!/usr/bin/env sh\n", "#!/usr/bin/env -S sh -e\n",
      "#!/usr/bin/env A=b sh\n"})
  void whatTheKernelRunsIsTaken(String head) throws Exception {
    check(head);
  }

  private void refused(String why, String head) {
    InstarException e = assertThrows(InstarException.class, () -> check(head));
    assertEquals(ErrorCode.MODULE_REFUSED, e.code());
    assertEquals("The executable cannot run here: " + why + ".", e.problem().detail());
  }

  @Test
  void whatTheKernelDoesNotRunIsRefusedByName() {
    refused("it begins neither with the magic number of ELF nor with '#!'", "");
    refused("it begins neither with the magic number of ELF nor with '#!'", "echo hello\n");
    refused("the interpreter '/no/such/python9' of its first line is not on this node", "#!/no/such/python9 -u\n");
    refused("the interpreter '/usr/bin' of its first line is not on this node", "#!/usr/bin\n");
    refused("the interpreter 'python9' of its first line is not in the search path /no/such/directory:/usr/bin:/bin", "#!/usr/bin/env python9\n");
    refused("the interpreter 'python3' of its first line is not an absolute path", "#!python3\n");
    refused("the interpreter '' of its first line is not an absolute path", "#!\n");
    refused("its first line ends with a carriage return, which the kernel takes for a part of the interpreter's name; give it Unix line ends",
        "#!/bin/sh\r\n");
    refused("its first line is longer than 255 bytes, which the kernel does not read", "#!/bin/sh " + "x".repeat(300));
    refused("the interpreter '/a??[31m' of its first line is not on this node", "#!/a\0\033[31m\n");
  }

  @Test
  void anElfProgramOfThisMachineIsTaken() throws Exception {
    Program.check(Path.of("/bin/sh"), "/bin");
  }

  @Test
  void anElfProgramOfAnotherMachineIsRefused() throws Exception {
    byte[] shell = Files.readAllBytes(Path.of("/bin/sh"));
    for (int at : new int[] {4, 5, 18, 19}) {
      byte[] other = shell.clone();
      other[at] ^= 3;
      refused("it is an ELF program for another machine than this node's (" + System.getProperty("os.arch") + ")",
          new String(other, StandardCharsets.ISO_8859_1));
    }
    refused("it is an ELF program for another machine than this node's (" + System.getProperty("os.arch") + ")", "\177ELF\2\1\1");
  }

  /** A copy can be "busy" while other threads start processes that have inherited the descriptor it was written with. */
  @Test
  void copiesAreStartedWhileOthersAreWritten() throws Exception {
    try (Bench bench = new Bench(directory); ExecutorService threads = Executors.newFixedThreadPool(4)) {
      List<Future<Void>> ends = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        Callable<Void> body = () -> {
          for (int j = 0; j < 15; j++) {
            bench.start(bench.prepare(Bench.GREETING + "cat >/dev/null\n", Map.of()), Duration.ofSeconds(30)).close();
          }
          return null;
        };
        ends.add(threads.submit(body));
      }
      for (Future<Void> end : ends) {
        end.get();
      }
    }
  }

  @Test
  void aVariableThatTheLocaleCannotHandOverIsRefused() {
    InstarException e = assertThrows(InstarException.class, () -> Environment.of(Map.of("GREETING", "wörld"), "/bin", StandardCharsets.US_ASCII));
    assertEquals(ErrorCode.MODULE_REFUSED, e.code());
    assertTrue(e.problem().detail().contains("'GREETING'") && e.problem().detail().contains("LC_ALL=C.UTF-8"), e.problem().detail());
    assertEquals("wörld", Environment.of(Map.of("GREETING", "wörld"), "/bin", StandardCharsets.UTF_8).in(directory, "m").get("GREETING"));
  }
}
