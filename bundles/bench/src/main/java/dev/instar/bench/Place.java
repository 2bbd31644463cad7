package dev.instar.bench;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Comparator;
import java.util.Deque;
import java.util.stream.Stream;

/**
 * A temporary directory and the processes that work in it. Closed once, by whoever comes first: the command or the end of this JVM (Ctrl-C). Processes
 * end in the reverse order of their start, then the directory goes.
 */
final class Place implements AutoCloseable {
  private final Path directory;
  private final Deque<AutoCloseable> open = new ArrayDeque<>();
  private boolean closed;

  Place() throws IOException {
    directory = Files.createTempDirectory("instar-bench-");
    Runtime.getRuntime().addShutdownHook(new Thread(this::close, "instar-bench-stop"));
  }

  Path directory() {
    return directory;
  }

  /** Closes it with the rest; at once when this is closed already. */
  synchronized <T extends AutoCloseable> T keep(T resource) throws Failure {
    if (closed) {
      close(resource);
      throw new Failure("Stopped.");
    }
    open.push(resource);
    return resource;
  }

  /** Whether the command is being ended; what fails then is no news. */
  synchronized boolean closed() {
    return closed;
  }

  /** A file of the directory with the content of a resource of this package. */
  Path unpack(String resource, Path folder) throws IOException {
    Path file = folder.resolve(Path.of(resource).getFileName());
    try (InputStream in = Place.class.getResourceAsStream(resource)) {
      Files.copy(in, file);
    }
    return file;
  }

  @Override
  public synchronized void close() {
    if (closed) {
      return;
    }
    closed = true;
    open.forEach(Place::close);
    close(new Tree(directory));
  }

  /** A folder that goes with all that is in it, if it is there. */
  record Tree(Path path) implements AutoCloseable {
    @Override
    public void close() throws IOException {
      if (!Files.exists(path)) {
        return;
      }
      try (Stream<Path> files = Files.walk(path)) {
        for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
          Files.deleteIfExists(file);
        }
      }
    }
  }

  private static void close(AutoCloseable resource) {
    try {
      resource.close();
    } catch (Exception e) {
      System.err.println("instar: something could not be cleaned up: " + e);
    }
  }
}
