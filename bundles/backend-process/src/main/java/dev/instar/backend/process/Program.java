package dev.instar.backend.process;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;

/** The file that is run: an ELF program, or a script whose first line names its interpreter. */
final class Program {
  /** What the kernel reads of a first line: BINPRM_BUF_SIZE in linux/binfmts.h. */
  private static final int FIRST_LINE = 256;

  private static final String ELF = "\177ELF";
  private static final Path OWN = Path.of("/proc/self/exe");
  /** Up to the end of e_machine. */
  private static final int ELF_HEAD = 20;

  private Program() {}

  /** @throws InstarException MODULE_REFUSED when the kernel would not run it, so that a deployer hears of it before the first call */
  static void check(Path program, String searchPath) {
    byte[] head;
    try (InputStream in = Files.newInputStream(program)) {
      head = in.readNBytes(FIRST_LINE);
    } catch (IOException e) {
      throw refused("it cannot be read");
    }
    String text = new String(head, StandardCharsets.ISO_8859_1);
    if (text.startsWith(ELF)) {
      checkMachine(head);
      return;
    }
    if (!text.startsWith("#!")) {
      throw refused("it begins neither with the magic number of ELF nor with '#!'");
    }
    int end = text.indexOf('\n');
    if (end < 0 && head.length == FIRST_LINE) {
      throw refused("its first line is longer than " + (FIRST_LINE - 1) + " bytes, which the kernel does not read");
    }
    String line = text.substring(2, end < 0 ? text.length() : end);
    if (line.endsWith("\r")) {
      throw refused("its first line ends with a carriage return, "
          + "which the kernel takes for a part of the interpreter's name; give it Unix line ends");
    }
    String[] words = line.strip().split("[ \t]+");
    if (!words[0].startsWith("/")) {
      throw refused("the interpreter '" + shown(words[0]) + "' of its first line is not an absolute path");
    }
    if (!isProgram(words[0])) {
      throw refused("the interpreter '" + shown(words[0]) + "' of its first line is not on this node");
    }
    if (words[0].endsWith("/env")) {
      checkEnv(words, searchPath);
    }
  }

  /**
   * Compares class, byte order and e_machine (elf(5)) with those of the program that runs this node. The JDK starts processes the way of execvp(3),
   * which hands what the kernel does not know as a program to the shell: it must not come so far.
   */
  private static void checkMachine(byte[] program) {
    byte[] own;
    try (InputStream in = Files.newInputStream(OWN)) {
      own = in.readNBytes(ELF_HEAD);
    } catch (IOException e) {
      throw refused("it is an ELF program, which only Linux runs");
    }
    if (program.length < ELF_HEAD || !Arrays.equals(program, 4, 6, own, 4, 6) || !Arrays.equals(program, 18, ELF_HEAD, own, 18, ELF_HEAD)) {
      throw refused("it is an ELF program for another machine than this node's (" + System.getProperty("os.arch") + ")");
    }
  }

  /** {@code #!/usr/bin/env name}: the name is looked up in the PATH that the function will see. Options other than -S are left to env. */
  private static void checkEnv(String[] words, String searchPath) {
    int at = 1;
    while (at < words.length && (words[at].equals("-S") || words[at].indexOf('=') > 0)) {
      at++;
    }
    if (at == words.length || words[at].startsWith("-")) {
      return;
    }
    for (String directory : searchPath.split(File.pathSeparator)) {
      if (isProgram(words[at].startsWith("/") ? words[at] : directory + "/" + words[at])) {
        return;
      }
    }
    throw refused("the interpreter '" + shown(words[at]) + "' of its first line is not in the search path " + searchPath);
  }

  private static boolean isProgram(String path) {
    try {
      return Files.isRegularFile(Path.of(path)) && Files.isExecutable(Path.of(path));
    } catch (InvalidPathException e) {
      return false;
    }
  }

  /** A copy and no link, since the content store's file is read-only and shared, and a mode belongs to the file. */
  static Path copy(Path program, Path directory) throws IOException {
    Path copy = directory.resolve("program");
    Files.copy(program, copy);
    Files.setPosixFilePermissions(copy, PosixFilePermissions.fromString("rwx------"));
    return copy;
  }

  private static InstarException refused(String why) {
    return new InstarException(ErrorCode.MODULE_REFUSED, "The executable cannot run here: " + why + ".");
  }

  private static String shown(String text) {
    String safe = text.replaceAll("[^ -~]", "?");
    return safe.length() > 80 ? safe.substring(0, 80) + "..." : safe;
  }
}
