package dev.instar.launcher;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * What a process holds at one moment, as the kernel counts it.
 *
 * @param rssKib resident memory, shared pages included
 * @param descriptors open file descriptors
 * @param images descriptors of memory images among them
 * @param mappings lines of its memory map
 * @param guests mappings of memory images among them
 */
record Resources(long rssKib, long descriptors, long images, long mappings, long guests, long threads) {
  static Resources of(long pid) throws IOException {
    Path process = Path.of("/proc", Long.toString(pid));
    List<String> status = Files.readAllLines(process.resolve("status"));
    List<String> maps = Files.readAllLines(process.resolve("maps"));
    List<Path> descriptors;
    try (Stream<Path> all = Files.list(process.resolve("fd"))) {
      descriptors = all.toList();
    }
    return new Resources(figure(status, "VmRSS:"), descriptors.size(), descriptors.stream().filter(Resources::isImage).count(), maps.size(),
        maps.stream().filter(line -> line.contains("memfd:instar-image")).count(), figure(status, "Threads:"));
  }

  private static boolean isImage(Path descriptor) {
    try {
      return Files.readSymbolicLink(descriptor).toString().contains("memfd:instar-image");
    } catch (IOException e) {
      // Closed meanwhile.
      return false;
    }
  }

  private static long figure(List<String> status, String key) {
    String line = status.stream().filter(l -> l.startsWith(key)).findFirst().orElseThrow();
    return Long.parseLong(line.substring(key.length()).replace("kB", "").strip());
  }

  @Override
  public String toString() {
    return "RSS " + rssKib / 1024 + " MiB, descriptors " + descriptors + " (" + images + " images), mappings " + mappings + " (" + guests
        + " of images), threads " + threads;
  }
}
