package dev.instar.wasi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ProcessCallsTest {
  @TempDir
  Path temp;

  private Guest guest(List<String> arguments, Map<String, String> environment) {
    return new Guest(new WasiSettings(arguments, environment, Optional.empty(), temp, FileQuota.DEFAULT, ByteBudget.UNLIMITED, Clocks.system(),
        new SecureRandom()));
  }

  @Test
  void argumentsAndEnvironment() {
    Map<String, String> environment = new LinkedHashMap<>();
    environment.put("A", "1=2");
    environment.put("ä", "");
    Guest guest = guest(List.of("prog", "", "ü x"), environment);
    guest.ok("args_sizes_get", Guest.RESULT, Guest.RESULT + 4);
    assertEquals(3, guest.memory.readInt(Guest.RESULT));
    assertEquals(11, guest.memory.readInt(Guest.RESULT + 4));
    guest.ok("args_get", Guest.RESULT, Guest.DATA);
    assertEquals("prog\0\0ü x\0", guest.string(Guest.DATA, 11));
    assertEquals(Guest.DATA + 5, guest.memory.readInt(Guest.RESULT + 4));
    assertEquals(Guest.DATA + 6, guest.memory.readInt(Guest.RESULT + 8));
    guest.ok("environ_sizes_get", Guest.RESULT, Guest.RESULT + 4);
    assertEquals(2, guest.memory.readInt(Guest.RESULT));
    assertEquals(10, guest.memory.readInt(Guest.RESULT + 4));
    guest.ok("environ_get", Guest.RESULT, Guest.DATA);
    assertEquals("A=1=2\0ä=\0", guest.string(Guest.DATA, 10));
    assertThrows(GuestTrap.class, () -> guest.call("args_get", (4 << 20) - 4, Guest.DATA));
    assertThrows(GuestTrap.class, () -> guest.call("environ_get", Guest.RESULT, (4 << 20) - 4));
    assertThrows(GuestTrap.class, () -> guest.call("args_sizes_get", -1, 0));
  }

  @Test
  void whatIsNoCStringIsRefused() {
    assertThrows(IllegalArgumentException.class, () -> guest(List.of("a\0b"), Map.of()));
    assertThrows(IllegalArgumentException.class, () -> guest(List.of(), Map.of("A=B", "c")));
    assertThrows(IllegalArgumentException.class, () -> guest(List.of(), Map.of("", "c")));
    assertThrows(IllegalArgumentException.class, () -> guest(List.of(), Map.of("A", "\0")));
  }

  @ParameterizedTest
  @CsvSource({"0, SUCCESS", "1, SUCCESS", "2, SUCCESS", "3, SUCCESS", "4, INVAL", "-1, INVAL"})
  void clocks(int id, Errno expected) {
    Guest guest = guest(List.of(), Map.of());
    assertEquals(expected, guest.call("clock_res_get", id, Guest.RESULT));
    assertEquals(expected, guest.call("clock_time_get", id, 0, Guest.RESULT + 8));
    if (expected == Errno.SUCCESS) {
      assertTrue(guest.memory.readLong(Guest.RESULT) > 0, "a resolution");
      long first = guest.memory.readLong(Guest.RESULT + 8);
      guest.ok("clock_time_get", id, 1000, Guest.RESULT + 8);
      assertTrue(id == 0 || guest.memory.readLong(Guest.RESULT + 8) >= first, "does not go back");
    }
    assertThrows(GuestTrap.class, () -> guest.call("clock_time_get", 0, 0, -7));
  }

  @Test
  void realtimeIsTheTime() {
    Guest guest = guest(List.of(), Map.of());
    long before = System.currentTimeMillis();
    guest.ok("clock_time_get", 0, 0, Guest.RESULT);
    long time = guest.memory.readLong(Guest.RESULT) / 1_000_000;
    assertTrue(before <= time && time <= System.currentTimeMillis(), time + " is not after " + before);
  }

  @Test
  void exitCarriesTheCode() {
    assertEquals(42, assertThrows(ProcExit.class, () -> guest(List.of(), Map.of()).call("proc_exit", 42)).code());
    assertEquals(-1, assertThrows(ProcExit.class, () -> guest(List.of(), Map.of()).call("proc_exit", 0xffffffffL)).code());
  }

  @Test
  void signals() {
    Guest guest = guest(List.of(), Map.of());
    assertEquals(Errno.NOSYS, guest.call("proc_raise", 6));
    assertEquals(Errno.INVAL, guest.call("proc_raise", 31));
    assertEquals(Errno.INVAL, guest.call("proc_raise", -1));
    assertEquals(Errno.SUCCESS, guest.call("sched_yield"));
  }

  @Test
  void random() {
    Guest guest = guest(List.of(), Map.of());
    guest.ok("random_get", Guest.DATA, 200_000);
    guest.ok("random_get", Guest.DATA, 0);
    guest.ok("random_get", 4 << 20, 0);
    assertNotEquals(guest.memory.readLong(Guest.DATA), guest.memory.readLong(Guest.DATA + 199_992));
    assertNotEquals(0, guest.memory.readLong(Guest.DATA + 199_992));
    assertEquals(0, guest.memory.readLong(Guest.DATA + 200_000));
    assertThrows(GuestTrap.class, () -> guest.call("random_get", 0, -1));
    assertThrows(GuestTrap.class, () -> guest.call("random_get", -1, 2));
  }
}
