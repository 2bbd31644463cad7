package dev.instar.backend.container;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.function.Limits;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** What a container that has failed has used up of what no cgroup counts, as far as that still shows: room for files, their number, descriptors. */
final class UsedUp {
  private UsedUp() {}

  /** For when something has failed: it runs a program of the host. @param first the first process of the container */
  static Optional<InstarException> find(ProcessHandle first, Limits limits) throws InterruptedException {
    String root = "/proc/" + first.pid() + "/root";
    for (String line : free(root + "/", root + "/tmp", root + "/dev/shm").lines().toList()) {
      String[] blocksAndFiles = line.split(" ");
      if (blocksAndFiles[0].equals("0")) {
        return Optional.of(met(ErrorCode.FILES_FULL, "The function failed after it had filled its files: they may hold " + Specification.fileBytes(limits)
            + " bytes. Let it write less, or deploy it with a larger limit.", "limitBytes", Specification.fileBytes(limits)));
      }
      if (blocksAndFiles[1].equals("0")) {
        return Optional.of(met(ErrorCode.TOO_MANY_FILES, "The function failed after it had made " + limits.madeFiles() + " files, which are as many as it may.", "limitCount", limits.madeFiles()));
      }
    }
    int most = Specification.openFiles(limits);
    return Stream.concat(Stream.of(first), first.descendants()).anyMatch(process -> descriptors(process) >= most)
        ? Optional.of(met(ErrorCode.OUT_OF_FILES, "The function failed while one of its processes had " + most + " files open, which are as many as it may.", "limitCount", most)) : Optional.empty();
  }

  private static InstarException met(ErrorCode code, String detail, String member, long limit) {
    return new InstarException(Problem.of(code, detail, Map.of(member, limit)));
  }

  /** A line for each file system: its free blocks, and how many files more it takes. */
  private static String free(String... paths) throws InterruptedException {
    String[] command = Stream.concat(Stream.of("stat", "--file-system", "--format=%f %d"), Stream.of(paths)).toArray(String[]::new);
    try {
      Process process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
      process.getOutputStream().close();
      try {
        return process.waitFor(1, TimeUnit.SECONDS) ? new String(process.getInputStream().readAllBytes(), StandardCharsets.US_ASCII) : "";
      } finally {
        process.destroyForcibly();
      }
    } catch (IOException e) {
      return "";
    }
  }

  private static int descriptors(ProcessHandle process) {
    int count = 0;
    try (DirectoryStream<Path> open = Files.newDirectoryStream(Path.of("/proc", Long.toString(process.pid()), "fd"))) {
      for (Path descriptor : open) {
        count++;
      }
    } catch (IOException e) {
      // It has ended.
    }
    return count;
  }
}
