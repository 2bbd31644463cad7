package dev.instar.backend.wasm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.FuzzTest;
import com.sun.management.ThreadMXBean;
import dev.instar.api.Digest;
import dev.instar.api.data.ChecksummedBytes;
import dev.instar.api.data.DurableFiles;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** A file of the cache with a checksum that fits, but with any contents: it is deleted, or found in one form that can be stored again. */
class CodeCacheFuzzTest {
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();
  private static final String COMPILER = "compiler-1";
  private static final Digest MODULE = Digest.of(new byte[] {1});

  @FuzzTest
  void whatIsFoundCanBeStored(byte[] contents) throws IOException {
    Path directory = Files.createTempDirectory("fuzz-code");
    try {
      CodeCache cache = new CodeCache(directory, COMPILER, 1 << 20);
      Path file = directory.resolve(MODULE.hex() + "-" + Digest.of(COMPILER.getBytes(StandardCharsets.UTF_8)).hex().substring(0, 16) + ".code");
      Files.write(file, file(contents));
      // The fuzzer instruments a class when it is loaded, which allocates more than the reading.
      ChecksummedBytes.read(file);
      long before = THREADS.getCurrentThreadAllocatedBytes();
      var found = cache.find(MODULE);
      long allocated = THREADS.getCurrentThreadAllocatedBytes() - before;
      assertTrue(allocated < (16 << 20) + 256L * contents.length, () -> allocated + " bytes allocated");
      if (found.isEmpty()) {
        assertFalse(Files.exists(file), "what is damaged is deleted");
        return;
      }
      cache.store(MODULE, found.get());
      byte[] stored = Files.readAllBytes(file);
      // Names may be told at greater length than they were found; of the code there is no more than was found.
      assertTrue(found.get().classes().values().stream().mapToInt(c -> c.length).sum() <= contents.length);
      var again = cache.find(MODULE).orElseThrow();
      assertEquals(found.get().interpreted(), again.interpreted());
      assertEquals(found.get().classes().keySet(), again.classes().keySet());
      cache.store(MODULE, again);
      assertArrayEquals(stored, Files.readAllBytes(file));
    } finally {
      DurableFiles.deleteTree(directory);
    }
  }

  private static byte[] file(byte[] contents) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    DataOutputStream out = new DataOutputStream(bytes);
    out.writeUTF(COMPILER);
    out.writeUTF(MODULE.value());
    out.write(contents);
    out.write(Digest.sha256().digest(bytes.toByteArray()));
    return bytes.toByteArray();
  }
}
