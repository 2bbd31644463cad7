package dev.instar.backend.container;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;

/**
 * The first process of a container whose calls are processes beside it: a program of 240 bytes, since an image need not have any that waits. It ignores
 * SIGCHLD, so that the kernel itself takes away what is orphaned in the container, says {@value #READY} when it runs, and ends with its standard input:
 * when the node has gone, however it went, the container ends, too.
 *
 * <pre>
 *   rt_sigaction(SIGCHLD, {SIG_IGN}, 0, 8); write(1, "R", 1);
 *   do n = read(0, buffer, 1); while (n > 0 || n == -EINTR);
 *   exit(0);
 * </pre>
 */
final class HeldProgram {
  static final char READY = 'R';
  /** For x86-64, in the order above. */
  private static final String CODE = "4883ec40" + "48c7042401000000" + "48c744240800000000" + "48c744241000000000" + "48c744241800000000"
      + "b80d000000" + "bf11000000" + "4889e6" + "31d2" + "41ba08000000" + "0f05"
      + "c6042452" + "b801000000" + "bf01000000" + "4889e6" + "ba01000000" + "0f05"
      + "31c0" + "31ff" + "4889e6" + "ba01000000" + "0f05" + "4885c0" + "7fed" + "4883f8fc" + "74e7"
      + "b83c000000" + "31ff" + "0f05";
  private static final long BASE = 0x400000;
  private static final int HEADER = 64;
  private static final int PROGRAM_HEADER = 56;

  private HeldProgram() {}

  static boolean runsHere() {
    return System.getProperty("os.arch").equals("amd64") || System.getProperty("os.arch").equals("x86_64");
  }

  /** Writes an ELF file of one segment, elf(5). */
  static void write(Path file) throws IOException {
    byte[] code = HexFormat.of().parseHex(CODE);
    int size = HEADER + PROGRAM_HEADER + code.length;
    ByteBuffer elf = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    elf.put(new byte[] {0x7f, 'E', 'L', 'F', 2, 1, 1}).position(16);
    // An executable for x86-64 that begins behind the headers, with one program header.
    elf.putShort((short) 2).putShort((short) 62).putInt(1).putLong(BASE + HEADER + PROGRAM_HEADER).putLong(HEADER).putLong(0).putInt(0)
        .putShort((short) HEADER).putShort((short) PROGRAM_HEADER).putShort((short) 1).putShort((short) 0).putShort((short) 0).putShort((short) 0);
    // PT_LOAD, readable and executable, the whole file.
    elf.putInt(1).putInt(5).putLong(0).putLong(BASE).putLong(BASE).putLong(size).putLong(size).putLong(0x1000);
    Files.write(file, elf.put(code).array());
  }
}
