package dev.instar.wasmtime;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Where the library may be. */
final class Finder {
  private static final List<String> LIBRARIES = List.of("/usr/local/lib", "/usr/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64");
  private static final List<String> PYTHONS = List.of("/usr/local/lib", "/usr/lib");

  private final Path own;
  private final Path home;

  /**
   * @param own the node's own directory for native libraries
   * @param home of the user
   */
  Finder(Path own, Path home) {
    this.own = own;
    this.home = home;
  }

  /** Files that are there, the best first. */
  List<Path> files() {
    List<Path> found = new ArrayList<>();
    add(found, own.resolve("libwasmtime.so"));
    // What pip --target makes.
    add(found, wheel(own));
    LIBRARIES.forEach(directory -> add(found, Path.of(directory, "libwasmtime.so")));
    List<Path> pythons = new ArrayList<>(List.of(home.resolve(".local/lib")));
    PYTHONS.forEach(directory -> pythons.add(Path.of(directory)));
    for (Path python : pythons) {
      for (Path version : list(python, "python3*")) {
        add(found, wheel(version.resolve("site-packages")));
        add(found, wheel(version.resolve("dist-packages")));
      }
    }
    return found;
  }

  private static Path wheel(Path packages) {
    String machine = System.getProperty("os.arch").equals("amd64") ? "x86_64" : System.getProperty("os.arch");
    return packages.resolve("wasmtime/linux-" + machine + "/_libwasmtime.so");
  }

  private static void add(List<Path> found, Path file) {
    if (Files.isRegularFile(file)) {
      found.add(file.toAbsolutePath().normalize());
    }
  }

  private static List<Path> list(Path directory, String glob) {
    if (!Files.isDirectory(directory)) {
      return List.of();
    }
    try (var entries = Files.newDirectoryStream(directory, glob)) {
      List<Path> all = new ArrayList<>();
      entries.forEach(all::add);
      return all.stream().sorted().toList().reversed();
    } catch (IOException e) {
      return List.of();
    }
  }

  /** The version, where the wheel that a file belongs to tells it; else the one major version that is accepted. */
  static String version(Path file) {
    Path packages = file.getParent() == null || file.getParent().getParent() == null ? null : file.getParent().getParent().getParent();
    if (packages != null && file.endsWith(wheel(Path.of("")))) {
      for (Path info : list(packages, "wasmtime-*.dist-info")) {
        String name = info.getFileName().toString();
        return name.substring("wasmtime-".length(), name.length() - ".dist-info".length());
      }
    }
    return Integer.toString(CApi.MAJOR);
  }
}
