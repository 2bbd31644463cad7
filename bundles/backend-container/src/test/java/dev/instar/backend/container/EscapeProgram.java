package dev.instar.backend.container;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A static program for x86-64 that makes one system call after another, and says the names of those that were allowed. It opens sockets and connects none. What it
 * would change where nothing stops it is its own, or belongs to the namespaces that whoever runs it for comparison makes for it.
 */
final class EscapeProgram {
  private static final long BASE = 0x400000;
  private static final int HEADERS = 64 + 56;
  /** Where the arguments of calls are that take an address: some zeros, then texts. */
  private static final long ZEROS = BASE + 0x10000;
  private static final int ZEROS_LENGTH = 0x200;
  private static final long ROOT = ZEROS + ZEROS_LENGTH;
  private static final long TMPFS = ROOT + 2;
  private static final long TMP = TMPFS + 6;
  /** struct perf_event_attr: type software, size 112, config of the clock. */
  private static final long PERF = TMP + 5;
  /** union bpf_attr: an array of one element of four bytes with a key of four. */
  private static final long MAP = PERF + 112;
  private static final int DATA_LENGTH = (int) (MAP + 32 - ZEROS);

  private static final Map<String, long[]> CALLS = new LinkedHashMap<>();

  static {
    // The number, then its arguments.
    CALLS.put("own-process-id", new long[] {39});
    CALLS.put("tcp-socket", new long[] {41, 2, 1, 0});
    CALLS.put("memory-file", new long[] {319, TMP, 0});
    CALLS.put("vsock", new long[] {41, 40, 1, 0});
    CALLS.put("packet-socket", new long[] {41, 17, 3, 0x300});
    CALLS.put("raw-socket", new long[] {41, 2, 3, 1});
    CALLS.put("io-uring", new long[] {425, 1, ZEROS});
    CALLS.put("bpf", new long[] {321, 0, MAP, 32});
    CALLS.put("perf", new long[] {298, PERF, 0, -1, -1, 0});
    CALLS.put("keyring", new long[] {250, 0, -3, 1});
    CALLS.put("user-fault", new long[] {323, 0x80000});
    CALLS.put("file-system", new long[] {430, TMPFS, 0});
    CALLS.put("tree", new long[] {428, -100, ROOT, 0x80001});
    CALLS.put("watch-all-files", new long[] {300, 0, 0});
    CALLS.put("kernel-log", new long[] {103, 10, 0, 0});
    CALLS.put("fixed-addresses", new long[] {135, 0x40000});
    CALLS.put("io-ports", new long[] {172, 3});
    CALLS.put("host-name", new long[] {170, TMP, 4});
    CALLS.put("mount", new long[] {165, TMPFS, TMP, TMPFS, 0, 0});
    CALLS.put("user-namespace", new long[] {272, 0x10000000});
    CALLS.put("mount-namespace", new long[] {272, 0x20000});
    CALLS.put("network-namespace", new long[] {272, 0x40000000});
  }

  private EscapeProgram() {}

  /** Writes it as an ELF file of one segment, elf(5). */
  static void write(Path file) throws IOException {
    ByteArrayOutputStream code = new ByteArrayOutputStream();
    for (Map.Entry<String, long[]> call : CALLS.entrySet()) {
      long[] words = call.getValue();
      // mov rax, rdi, rsi, rdx, r10, r8
      byte[][] registers = {{0x48, (byte) 0xb8}, {0x48, (byte) 0xbf}, {0x48, (byte) 0xbe}, {0x48, (byte) 0xba}, {0x49, (byte) 0xba}, {0x49, (byte) 0xb8}};
      for (int i = 0; i < words.length; i++) {
        move(code, registers[i], words[i]);
      }
      byte[] name = (call.getKey() + "\n").getBytes(StandardCharsets.US_ASCII);
      ByteArrayOutputStream say = new ByteArrayOutputStream();
      move(say, registers[0], 1);
      move(say, registers[1], 1);
      // call over the text, whose address is then on the stack: pop rsi
      say.write((byte) 0xe8);
      say.writeBytes(ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(name.length).array());
      say.writeBytes(name);
      say.write(0x5e);
      move(say, registers[3], name.length);
      say.writeBytes(new byte[] {0x0f, 0x05});
      // syscall; test rax, rax; js over what says so
      code.writeBytes(new byte[] {0x0f, 0x05, 0x48, (byte) 0x85, (byte) 0xc0, 0x0f, (byte) 0x88});
      code.writeBytes(ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(say.size()).array());
      code.writeBytes(say.toByteArray());
    }
    // exit(0)
    code.writeBytes(new byte[] {(byte) 0xb8, 0x3c, 0, 0, 0, 0x31, (byte) 0xff, 0x0f, 0x05});
    int size = (int) (ZEROS - BASE) + DATA_LENGTH;
    ByteBuffer elf = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    elf.put(new byte[] {0x7f, 'E', 'L', 'F', 2, 1, 1}).position(16);
    elf.putShort((short) 2).putShort((short) 62).putInt(1).putLong(BASE + HEADERS).putLong(64).putLong(0).putInt(0)
        .putShort((short) 64).putShort((short) 56).putShort((short) 1).putShort((short) 0).putShort((short) 0).putShort((short) 0);
    // PT_LOAD, readable, writable and executable.
    elf.putInt(1).putInt(7).putLong(0).putLong(BASE).putLong(BASE).putLong(size).putLong(size).putLong(0x1000);
    elf.put(code.toByteArray());
    elf.position((int) (ROOT - BASE)).put("/\0tmpfs\0/tmp\0".getBytes(StandardCharsets.US_ASCII));
    elf.putInt((int) (PERF - BASE), 1).putInt((int) (PERF - BASE) + 4, 112);
    elf.putInt((int) (MAP - BASE), 2).putInt((int) (MAP - BASE) + 4, 4).putInt((int) (MAP - BASE) + 8, 4).putInt((int) (MAP - BASE) + 12, 1);
    Files.write(file, elf.array());
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  private static void move(ByteArrayOutputStream code, byte[] register, long value) {
    code.writeBytes(register);
    code.writeBytes(ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(value).array());
  }
}
