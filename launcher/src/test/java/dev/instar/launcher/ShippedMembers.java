package dev.instar.launcher;

import java.io.IOException;
import java.io.InputStream;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassModel;
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

/** What the classes of the shipped bundles refer to. */
final class ShippedMembers {
  private ShippedMembers() {}

  /** @param inClass such as {@code dev/instar/api/Threads.class} */
  record Use(String inClass, String member) {
    @Override
    public String toString() {
      return inClass + ": " + member;
    }
  }

  /** Which of ours use one of these, such as {@code java/lang/Thread.ofVirtual}. */
  static List<Use> uses(Set<String> members) throws IOException {
    List<Use> found = new ArrayList<>();
    forEach((name, model) -> {
      for (PoolEntry constant : model.constantPool()) {
        if (constant instanceof MemberRefEntry member && members.contains(member.owner().asInternalName() + "." + member.name().stringValue())) {
          found.add(new Use(name, member.name().stringValue()));
        }
      }
    });
    return found;
  }

  /** Which of ours extend this one directly. */
  static List<String> subclasses(String superclass) throws IOException {
    List<String> found = new ArrayList<>();
    forEach((name, model) -> {
      if (model.superclass().filter(s -> s.asInternalName().equals(superclass)).isPresent()) {
        found.add(name);
      }
    });
    return found;
  }

  private interface Visitor {
    void visit(String name, ClassModel model);
  }

  private static void forEach(Visitor visitor) throws IOException {
    try (Stream<Path> jars = Files.list(Path.of("target/instar/bundles"))) {
      for (Path path : jars.filter(j -> j.getFileName().toString().startsWith("dev.instar.")).toList()) {
        try (JarFile jar = new JarFile(path.toFile())) {
          for (JarEntry entry : jar.stream().filter(e -> e.getName().startsWith("dev/instar/") && e.getName().endsWith(".class")).toList()) {
            try (InputStream in = jar.getInputStream(entry)) {
              visitor.visit(entry.getName(), ClassFile.of().parse(in.readAllBytes()));
            }
          }
        }
      }
    }
  }
}
