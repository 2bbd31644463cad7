package dev.instar.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.lang.classfile.ClassFile;
import java.lang.classfile.constantpool.MemberRefEntry;
import java.lang.classfile.constantpool.PoolEntry;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** What is renamed or synced by a shipped bundle is so by {@code dev.instar.api.data} alone: one place to be right, and to be tested. */
class OneWayToStoreTest {
  private static final Set<String> ITS_OWN = Set.of("java/nio/file/Files.move", "java/nio/channels/FileChannel.force", "java/io/FileDescriptor.sync",
      "java/io/File.renameTo");

  @Test
  void noOtherBundleRenamesOrSyncs() throws IOException {
    List<String> wrong = new ArrayList<>();
    List<String> right = new ArrayList<>();
    try (Stream<Path> jars = Files.list(Path.of("target/instar/bundles"))) {
      for (Path path : jars.filter(j -> j.getFileName().toString().startsWith("dev.instar.")).toList()) {
        try (JarFile jar = new JarFile(path.toFile())) {
          for (JarEntry entry : jar.stream().filter(e -> e.getName().startsWith("dev/instar/") && e.getName().endsWith(".class")).toList()) {
            try (InputStream in = jar.getInputStream(entry)) {
              for (PoolEntry constant : ClassFile.of().parse(in.readAllBytes()).constantPool()) {
                if (constant instanceof MemberRefEntry member && ITS_OWN.contains(member.owner().asInternalName() + "." + member.name().stringValue())) {
                  (entry.getName().startsWith("dev/instar/api/data/") ? right : wrong).add(entry.getName() + ": " + member.name().stringValue());
                }
              }
            }
          }
        }
      }
    }
    assertEquals(List.of(), wrong);
    assertTrue(right.size() >= 2, () -> "only " + right + " was seen: the search finds nothing");
  }
}
