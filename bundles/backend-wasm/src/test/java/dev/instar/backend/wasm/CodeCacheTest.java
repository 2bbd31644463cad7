package dev.instar.backend.wasm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.Digest;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.backend.wasm.compile.Code;
import dev.instar.tck.capability.RequiresCapability;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CodeCacheTest {
  private static final Digest MODULE = Digest.of(new byte[] {1});

  @TempDir
  Path root;

  private Path directory;

  @BeforeEach
  void name() {
    directory = root.resolve("code-cache");
  }

  private CodeCache cache(long limit) throws IOException {
    return new CodeCache(directory, "compiler-1", limit);
  }

  private static Code code(int size) {
    Map<String, byte[]> classes = new LinkedHashMap<>();
    classes.put("z.First", new byte[size]);
    classes.put("a.Second", new byte[] {1, 2, 3});
    return new Code(classes, Set.of(7, 3));
  }

  private List<Path> files() throws IOException {
    try (Stream<Path> all = Files.list(directory)) {
      return all.toList();
    }
  }

  @Test
  void keepsClassesInTheirOrder() throws IOException {
    cache(1 << 20).store(MODULE, code(100));
    Code found = cache(1 << 20).find(MODULE).orElseThrow();
    assertEquals(List.of("z.First", "a.Second"), List.copyOf(found.classes().keySet()));
    assertArrayEquals(new byte[] {1, 2, 3}, found.classes().get("a.Second"));
    assertEquals(Set.of(3, 7), found.interpreted());
    assertEquals(1, files().size());
  }

  @Test
  void isTheNodesAlone() throws IOException {
    Files.createDirectories(directory);
    Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxrwxrwx"));
    cache(1 << 20);
    assertEquals("rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(directory)));
    cache(1 << 20).store(MODULE, code(10));
    assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(files().getFirst())));
  }

  @Test
  void otherModulesAndCompilersFindNothing() throws IOException {
    cache(1 << 20).store(MODULE, code(100));
    assertEquals(Optional.empty(), cache(1 << 20).find(Digest.of(new byte[] {2})));
    assertEquals(Optional.empty(), new CodeCache(directory, "compiler-2", 1 << 20).find(MODULE));
    // Nor does one that was copied to another's name.
    String other = files().getFirst().getFileName().toString().replace(MODULE.hex(), Digest.of(new byte[] {2}).hex());
    Files.copy(files().getFirst(), directory.resolve(other));
    assertEquals(Optional.empty(), cache(1 << 20).find(Digest.of(new byte[] {2})));
  }

  @Test
  void whatIsDamagedIsDeleted() throws IOException {
    CodeCache cache = cache(1 << 20);
    cache.store(MODULE, code(20));
    byte[] whole = Files.readAllBytes(files().getFirst());
    Path file = files().getFirst();
    for (int i = 0; i < whole.length; i++) {
      byte[] damaged = whole.clone();
      damaged[i] ^= 1;
      Files.write(file, damaged);
      assertEquals(Optional.empty(), cache.find(MODULE), "byte " + i);
      assertEquals(List.of(), files());
      Files.write(file, Arrays.copyOf(whole, i));
      assertEquals(Optional.empty(), cache.find(MODULE), "cut after " + i);
      assertEquals(List.of(), files());
    }
  }

  @Test
  void whatIsNoFileIsDeletedAndNotRead() throws IOException {
    CodeCache cache = cache(1 << 20);
    cache.store(MODULE, code(20));
    Path file = files().getFirst();
    Path elsewhere = Files.move(file, root.resolve("elsewhere"));
    Files.createSymbolicLink(file, elsewhere);
    assertEquals(Optional.empty(), cache.find(MODULE));
    assertEquals(List.of(), files());
    assertTrue(Files.exists(elsewhere), "the link is deleted, not what it leads to");
    Files.createDirectory(file);
    assertEquals(Optional.empty(), cache.find(MODULE));
    assertEquals(List.of(), files());
  }

  @Test
  void whatWasUsedLeastRecentlyGoesFirst() throws IOException {
    CodeCache cache = cache(4500);
    Digest[] modules = new Digest[4];
    for (int i = 0; i < 3; i++) {
      modules[i] = Digest.of(new byte[] {(byte) i});
      cache.store(modules[i], code(1000));
      for (Path file : files()) {
        if (file.toString().contains(modules[i].hex())) {
          Files.setLastModifiedTime(file, FileTime.fromMillis(1000L * (i + 1)));
        }
      }
    }
    assertTrue(cache.find(modules[0]).isPresent());
    modules[3] = Digest.of(new byte[] {3});
    cache.store(modules[3], code(1000));
    assertTrue(cache.find(modules[0]).isPresent(), "used a moment ago");
    assertEquals(Optional.empty(), cache.find(modules[1]), "the oldest");
    assertTrue(cache.find(modules[2]).isPresent());
    assertTrue(cache.find(modules[3]).isPresent());
    cache.limit(0);
    assertEquals(List.of(), files());
    cache.store(modules[0], code(10));
    assertEquals(List.of(), files());
  }

  @Test
  void whatAKilledNodeLeftIsSwept() throws IOException {
    Files.createDirectories(directory);
    Files.write(directory.resolve(".abandoned.1.tmp"), new byte[10]);
    cache(1 << 20);
    assertEquals(List.of(), files());
  }

  @Test
  @RequiresCapability("wabt")
  void aNodeCompilesOnceAndAgainAfterDamage() throws IOException {
    byte[] module = Wat.file("command/env");
    String fresh = "4 functions compiled, 0 interpreted";
    assertEquals(fresh, coded(module));
    assertEquals(fresh + ", from the cache", coded(module));
    Path file = files().getFirst();
    byte[] whole = Files.readAllBytes(file);
    whole[whole.length / 2] ^= 1;
    Files.write(file, whole);
    assertEquals(fresh, coded(module));
    assertEquals(fresh + ", from the cache", coded(module));
  }

  /** What a node of its own says of a module's code. */
  private String coded(byte[] module) {
    try (TestNode node = new TestNode(root)) {
      PreparedFunction prepared = node.prepare(module);
      String code = prepared.describe().get("code");
      TestNode.once(prepared, "PATH").good();
      return code;
    }
  }
}
