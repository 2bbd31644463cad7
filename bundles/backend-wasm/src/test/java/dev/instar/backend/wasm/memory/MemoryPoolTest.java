package dev.instar.backend.wasm.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.dylibso.chicory.runtime.Memory;
import com.dylibso.chicory.wasm.types.MemoryLimits;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

class MemoryPoolTest {
  @TempDir
  Path scratch;

  private MemoryImage image(int pages, int maximum, byte first) {
    try (var zeros = MemoryImage.zeros(new MemoryLimits(pages, maximum)); CowMemory memory = zeros.open()) {
      memory.writeByte(0, first);
      memory.writeByte(70_000, first);
      return MemoryImage.capture(memory, scratch);
    }
  }

  @Test
  void handsOutWhatCameBackAsItWasInTheImage() {
    try (var image = image(2, 4, (byte) 7); var pool = new MemoryPool(2, 2)) {
      CowMemory first = pool.take(image);
      first.fill((byte) 99, 0, 2 * Memory.PAGE_SIZE);
      first.grow(2);
      first.writeByte(200_000, (byte) 99);
      first.close();
      assertEquals(1, pool.idle());
      assertEquals(0, pool.leased());
      try (CowMemory second = pool.take(image)) {
        assertEquals(0, pool.idle());
        assertEquals(1, pool.leased());
        assertEquals(2, second.pages());
        assertEquals(7, second.read(0));
        assertEquals(7, second.read(70_000));
        assertEquals(0, second.read(1));
        second.grow(2);
        assertEquals(0, second.read(200_000));
        assertThrows(IllegalStateException.class, () -> first.read(0), "a closed lease must not see the next one's bytes");
        first.close();
        assertEquals(7, second.read(0));
        assertEquals(1, pool.leased());
      }
    }
  }

  @Test
  void keepsNoMoreThanItsBounds() {
    try (var one = image(2, 2, (byte) 1); var two = image(2, 2, (byte) 2); var pool = new MemoryPool(2, 3)) {
      var leases = new ArrayList<CowMemory>();
      for (int i = 0; i < 3; i++) {
        leases.add(pool.take(one));
        leases.add(pool.take(two));
      }
      leases.forEach(CowMemory::close);
      assertEquals(3, pool.idle());
      try (CowMemory memory = pool.take(two)) {
        assertEquals(2, memory.read(0));
      }
    }
  }

  @Test
  void refusesBeforeTheHostRunsOutOfMappings() {
    var budget = new MappingBudget(2);
    try (var one = image(2, 2, (byte) 1); var two = image(2, 2, (byte) 2); var pool = new MemoryPool(2, 2, budget)) {
      CowMemory first = pool.take(one);
      try (CowMemory second = pool.take(one)) {
        var refused = assertThrows(InstarException.class, () -> pool.take(two));
        assertEquals(ErrorCode.NODE_BUSY, refused.code());
        assertEquals(2, pool.leased());
        first.close();
        assertEquals(1, pool.idle());
        // The idle memory of the other image gives way.
        try (CowMemory third = pool.take(two)) {
          assertEquals(2, third.read(0));
          assertEquals(0, pool.idle());
        }
      }
    }
    assertEquals(0, budget.used());
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void budgetFollowsTheSysctl() throws IOException {
    int maximum = Integer.parseInt(Files.readAllLines(Path.of("/proc/sys/vm/max_map_count")).getFirst());
    assertEquals(MappingBudget.memoriesOf(maximum), MappingBudget.OF_PROCESS.limit());
    assertTrue(MappingBudget.OF_PROCESS.limit() * 3 < maximum);
  }

  @Test
  void aRetiredImageIsNotKept() {
    var image = image(2, 2, (byte) 1);
    try (var pool = new MemoryPool(4, 4)) {
      CowMemory running = pool.take(image);
      pool.take(image).close();
      assertEquals(1, pool.idle());
      pool.retire(image);
      assertEquals(0, pool.idle());
      assertThrows(IllegalStateException.class, () -> pool.take(image));
      assertEquals(1, running.read(70_000), "who runs keeps its bytes");
      running.reset();
      assertEquals(1, running.read(70_000));
      running.close();
      assertEquals(0, pool.idle());
    }
  }

  @Test
  void aClosedPoolFreesEverything() {
    var budget = new MappingBudget(10);
    try (var image = image(2, 2, (byte) 1)) {
      var pool = new MemoryPool(4, 4, budget);
      CowMemory running = pool.take(image);
      pool.take(image).close();
      pool.close();
      assertEquals(1, budget.used());
      assertThrows(IllegalStateException.class, () -> pool.take(image));
      running.close();
      assertEquals(0, budget.used());
      pool.close();
    }
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void leavesNoMappingAndNoDescriptorBehind() throws IOException {
    // Loads what the first use loads.
    useOnce(2);
    long mappings = mappingsOfImages();
    long descriptors = descriptorsOfImages();
    useOnce(100);
    assertEquals(mappings, mappingsOfImages());
    assertEquals(descriptors, descriptorsOfImages());
  }

  private void useOnce(int memories) throws IOException {
    int before = MappingBudget.OF_PROCESS.used();
    try (var image = image(2, 7, (byte) 1); var pool = new MemoryPool(50, 50)) {
      var leases = new ArrayList<CowMemory>();
      for (int i = 0; i < memories; i++) {
        CowMemory memory = pool.take(image);
        memory.writeByte(0, (byte) 5);
        memory.grow(1);
        leases.add(memory);
      }
      assertNotEquals(0, mappingsOfImages());
      leases.forEach(CowMemory::close);
      try (CowMemory memory = image.open()) {
        memory.reset();
      }
    }
    assertEquals(before, MappingBudget.OF_PROCESS.used());
  }

  private static long mappingsOfImages() throws IOException {
    try (var lines = Files.lines(Path.of("/proc/self/maps"))) {
      return lines.filter(line -> line.contains("instar-image")).count();
    }
  }

  private static long descriptorsOfImages() throws IOException {
    try (var entries = Files.list(Path.of("/proc/self/fd"))) {
      return entries.filter(entry -> {
        try {
          return Files.readSymbolicLink(entry).toString().contains("instar-image");
        } catch (IOException goneMeanwhile) {
          return false;
        }
      }).count();
    }
  }

  @Test
  void manyThreadsNeverMeetAnothersBytes() throws Exception {
    try (var pool = new MemoryPool(3, 4); var threads = Executors.newFixedThreadPool(8)) {
      var images = new MemoryImage[] {image(2, 5, (byte) 11), image(3, 3, (byte) 22)};
      var running = new ArrayList<Future<?>>();
      for (int t = 0; t < 8; t++) {
        int seed = t;
        running.add(threads.submit(() -> {
          var random = new Random(seed);
          for (int i = 0; i < 400; i++) {
            int which = random.nextInt(2);
            try (CowMemory memory = pool.take(images[which])) {
              memory.enter();
              try {
                byte expected = (byte) (which == 0 ? 11 : 22);
                assertEquals(expected, memory.read(0));
                assertEquals(expected, memory.read(70_000));
                int address = 1 + random.nextInt(60_000);
                assertEquals(0, memory.read(address));
                memory.fill((byte) seed, 0, memory.pages() * Memory.PAGE_SIZE);
                if (memory.grow(random.nextInt(3)) >= 0) {
                  memory.writeByte(memory.pages() * Memory.PAGE_SIZE - 1, (byte) 77);
                }
                assertEquals((byte) seed, memory.read(address));
              } finally {
                memory.leave();
              }
            }
          }
          return null;
        }));
      }
      for (Future<?> future : running) {
        try {
          future.get();
        } catch (ExecutionException e) {
          throw new AssertionError(e.getCause());
        }
      }
      assertEquals(0, pool.leased());
      for (MemoryImage image : images) {
        pool.retire(image);
      }
      assertEquals(0, pool.idle());
    }
  }
}
