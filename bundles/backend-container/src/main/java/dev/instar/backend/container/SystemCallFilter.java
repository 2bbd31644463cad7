package dev.instar.backend.container;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * Which system calls a container may make: those of Docker's default profile. In two forms: as the machine code of the kernel's filter (classic BPF over
 * struct seccomp_data, seccomp(2)), which saves crun to compile it at each start, and as what the OCI runtime specification has for it.
 */
final class SystemCallFilter {
  private static final String ALLOWED = "system-calls-x86-64.txt";
  /** What makes or finds shared memory, semaphores and queues that belong to no process. */
  private static final Set<String> STAYING = Set.of("shmget", "semget", "msgget", "mq_open");
  private static final int ARCHITECTURE = 0xc000003e; // AUDIT_ARCH_X86_64
  private static final int X32 = 0x40000000; // numbers of the x32 interface have this bit
  private static final int CLONE = 56;
  private static final int CLONE3 = 435;
  private static final int PERSONALITY = 135;
  private static final int SOCKET = 41;
  private static final int EPERM = 1;
  private static final int ENOSYS = 38;
  private static final int AF_VSOCK = 40;
  /** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET. */
  private static final int NAMESPACES = 0x7e020000;
  /** Linux, with short inodes, without randomised addresses, both; and the question. */
  private static final int[] PERSONALITIES = {0, 8, 0x20000, 0x20008, 0xffffffff};

  // <linux/bpf_common.h>, <linux/seccomp.h>
  private static final int LOAD = 0x20;
  private static final int JUMP = 0x05;
  private static final int EQUAL = 0x15;
  private static final int AT_LEAST = 0x35;
  private static final int ANY_BIT = 0x45;
  private static final int RETURN = 0x06;
  private static final int ALLOW = 0x7fff0000;
  private static final int ERROR = 0x00050000;
  private static final int KILL_PROCESS = 0x80000000;
  private static final int NUMBER = 0;
  private static final int ARCH = 4;
  private static final int FIRST_ARGUMENT = 16; // its lower half

  private final TreeMap<Integer, String> allowed = new TreeMap<>();
  private final ByteBuffer code = ByteBuffer.allocate(8 * 4096).order(ByteOrder.LITTLE_ENDIAN);

  private SystemCallFilter(boolean stays) {
    try (BufferedReader lines = new BufferedReader(new InputStreamReader(SystemCallFilter.class.getResourceAsStream(ALLOWED), StandardCharsets.US_ASCII))) {
      lines.lines().filter(line -> !line.startsWith("#")).map(line -> line.split(" ")).filter(l -> stays || !STAYING.contains(l[1]))
          .forEach(l -> allowed.put(Integer.parseInt(l[0]), l[1]));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * The instructions, in the base64 that the annotation {@code run.oci.seccomp_bpf_data} takes.
   *
   * @param stays whether calls may make what stays in the kernel when their processes have gone
   */
  static String compiled(boolean stays) {
    SystemCallFilter filter = new SystemCallFilter(stays);
    filter.compile();
    return Base64.getEncoder().encodeToString(Arrays.copyOf(filter.code.array(), filter.code.position()));
  }

  private void compile() {
    put(LOAD, 0, 0, ARCH);
    put(EQUAL, 1, 0, ARCHITECTURE);
    // The 32-bit interface has other numbers; a program that uses it is another machine's.
    put(RETURN, 0, 0, KILL_PROCESS);
    put(LOAD, 0, 0, NUMBER);
    put(AT_LEAST, 0, 1, X32);
    put(RETURN, 0, 0, ERROR | EPERM);
    // What is newer than this list is as if the kernel were older, which programs know how to live with.
    put(AT_LEAST, 0, 1, allowed.lastKey() + 1);
    put(RETURN, 0, 0, ERROR | ENOSYS);
    put(EQUAL, 0, 1, CLONE3);
    put(RETURN, 0, 0, ERROR | ENOSYS);
    put(EQUAL, 0, 4, CLONE);
    put(LOAD, 0, 0, FIRST_ARGUMENT);
    put(ANY_BIT, 0, 1, NAMESPACES);
    put(RETURN, 0, 0, ERROR | EPERM);
    put(RETURN, 0, 0, ALLOW);
    put(EQUAL, 0, 4, SOCKET);
    put(LOAD, 0, 0, FIRST_ARGUMENT);
    put(EQUAL, 0, 1, AF_VSOCK);
    put(RETURN, 0, 0, ERROR | EPERM);
    put(RETURN, 0, 0, ALLOW);
    put(EQUAL, 0, 2 + 2 * PERSONALITIES.length, PERSONALITY);
    put(LOAD, 0, 0, FIRST_ARGUMENT);
    for (int personality : PERSONALITIES) {
      put(EQUAL, 0, 1, personality);
      put(RETURN, 0, 0, ALLOW);
    }
    put(RETURN, 0, 0, ERROR | EPERM);
    search(new ArrayList<>(allowed.keySet()));
  }

  /** A binary search: some nine comparisons for each system call instead of hundreds. Returns in all its ends. */
  private void search(List<Integer> numbers) {
    if (numbers.size() <= 4) {
      for (int number : numbers) {
        put(EQUAL, 0, 1, number);
        put(RETURN, 0, 0, ALLOW);
      }
      put(RETURN, 0, 0, ERROR | EPERM);
      return;
    }
    int middle = numbers.size() / 2;
    // A conditional jump reaches 255 instructions; the unconditional one, over the upper half, any number.
    put(AT_LEAST, 1, 0, numbers.get(middle));
    int jump = code.position();
    put(JUMP, 0, 0, 0);
    search(numbers.subList(middle, numbers.size()));
    code.putInt(jump + 4, (code.position() - jump - 8) / 8);
    search(numbers.subList(0, middle));
  }

  private void put(int operation, int ifTrue, int ifFalse, int operand) {
    code.putShort((short) operation).put((byte) ifTrue).put((byte) ifFalse).putInt(operand);
  }

  /** As {@code linux.seccomp} of the specification has it. */
  static Map<String, Object> profile(boolean stays) {
    List<Object> rules = new ArrayList<>();
    rules.add(Map.of("names", List.copyOf(new SystemCallFilter(stays).allowed.values()), "action", "SCMP_ACT_ALLOW"));
    rules.add(Map.of("names", List.of("clone3"), "action", "SCMP_ACT_ERRNO", "errnoRet", ENOSYS));
    rules.add(rule("clone", Map.of("index", 0, "value", NAMESPACES, "valueTwo", 0, "op", "SCMP_CMP_MASKED_EQ")));
    rules.add(rule("socket", Map.of("index", 0, "value", AF_VSOCK, "op", "SCMP_CMP_NE")));
    for (int personality : PERSONALITIES) {
      rules.add(rule("personality", Map.of("index", 0, "value", Integer.toUnsignedLong(personality), "op", "SCMP_CMP_EQ")));
    }
    return Map.of("defaultAction", "SCMP_ACT_ERRNO", "defaultErrnoRet", EPERM, "architectures", List.of("SCMP_ARCH_X86_64"), "syscalls", rules);
  }

  private static Map<String, Object> rule(String name, Map<String, Object> argument) {
    return Map.of("names", List.of(name), "action", "SCMP_ACT_ALLOW", "args", List.of(argument));
  }
}
