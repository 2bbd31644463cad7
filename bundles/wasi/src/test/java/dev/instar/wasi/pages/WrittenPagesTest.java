package dev.instar.wasi.pages;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class WrittenPagesTest {
  private static final String PACKAGE = WrittenPages.class.getPackageName() + ".";

  /** Its own classes of this package, as another version of the bundle has. */
  private static final class Version extends URLClassLoader {
    Version() {
      super(new URL[] {WrittenPages.class.getProtectionDomain().getCodeSource().getLocation()}, WrittenPagesTest.class.getClassLoader());
    }

    @Override
    protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
      synchronized (getClassLoadingLock(name)) {
        Class<?> loaded = findLoadedClass(name);
        return loaded != null ? loaded : name.startsWith(PACKAGE) ? findClass(name) : super.loadClass(name, resolve);
      }
    }
  }

  @Test
  void allVersionsOfTheBundleShareOneDescriptor() throws Exception {
    assumeTrue(Files.isDirectory(Path.of("/proc/self/fd")));
    boolean told = WrittenPages.forEach(0, 0, (start, end) -> {});
    long open = told ? 1 : 0;
    assertEquals(open, descriptors());
    for (int i = 0; i < 3; i++) {
      try (Version version = new Version()) {
        assertNotSame(WrittenPages.class, Class.forName(WrittenPages.class.getName(), true, version));
      }
    }
    assertEquals(open, descriptors());
  }

  private static long descriptors() throws IOException {
    try (Stream<Path> all = Files.list(Path.of("/proc/self/fd"))) {
      return all.filter(WrittenPagesTest::isPagemap).count();
    }
  }

  private static boolean isPagemap(Path descriptor) {
    try {
      return Files.readSymbolicLink(descriptor).endsWith("pagemap");
    } catch (IOException e) {
      // Closed meanwhile, as the one that lists them.
      return false;
    }
  }
}
