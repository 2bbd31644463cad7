package dev.instar.backend.container;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;

/**
 * The first process of a container whose calls are processes: a program of 500 bytes, since an image need not have any that waits. It says {@value #READY} when it
 * runs. Then it reads a secret of {@value #SECRET} bytes from its standard input and starts the program that its arguments name, with its own standard streams: the
 * first call needs no other program of the host. When that has ended, it writes the secret, the status as wait4(2) has it and the number of the error of execve(2), or 0, to the ends of
 * standard error and standard output, which the runtime keeps open. The processes of later calls are put beside it. It ends when nobody reads its standard error any
 * more, and before it has the secret with its standard input: when the node has gone, however it went, the container ends, too.
 *
 * <p>Its source is {@code src/main/asm/held.s}; HeldProgramTest assembles it.
 */
final class HeldProgram {
  static final char READY = 'R';
  static final int SECRET = 16;
  /** For x86-64. */
  private static final String CODE = "4989e44881ec800000004989e641c60652b801000000bf010000004c89f6ba010000000f0531db31c031ff498d341eba1000000029da0f054883f8fc"
      + "74e94885c00f8e4301000001c383fb107cd949c7461000000000b83a0000000f054885c0752c498b7c2410498d742410498b1424498d54d410b83b00"
      + "00000f05f7d841894614bf7f000000b83c0000000f054989c5b8b20100004c89ef31f60f0549c74618020000004189462041c746240100000041bf64"
      + "00000031dbb807000000498d7e18be020000004489fa0f056641837e1e000f85b2000000b83d00000048c7c7ffffffff498d7628ba010000004531d2"
      + "0f054885c07e144c39e875dc418b5e2841895e10bb01000000ebcd83fb0175a931c04989463049894638498946404989464841c6463001b80d000000"
      + "bf11000000498d763031d241ba080000000f05bb0200000041bfffffffffb803000000418b7e200f0541c74620ffffffffb801000000bf020000004c"
      + "89f6ba180000000f05b801000000bf010000004c89f6ba180000000f05e94effffff31ffb83c0000000f05";
  private static final long BASE = 0x400000;
  private static final int HEADER = 64;
  private static final int PROGRAM_HEADER = 56;

  private HeldProgram() {}

  static boolean runsHere() {
    return System.getProperty("os.arch").equals("amd64") || System.getProperty("os.arch").equals("x86_64");
  }

  /** Its instructions. */
  static byte[] code() {
    return HexFormat.of().parseHex(CODE);
  }

  /** Writes an ELF file of one segment, elf(5). */
  static void write(Path file) throws IOException {
    byte[] code = code();
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
