package dev.instar.tck.crash;

import static dev.instar.tck.crash.RecordingFileSystem.unwrap;

import java.io.IOException;
import java.net.URI;
import java.nio.channels.FileChannel;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.AccessMode;
import java.nio.file.CopyOption;
import java.nio.file.DirectoryStream;
import java.nio.file.FileStore;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.FileAttributeView;
import java.nio.file.spi.FileSystemProvider;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Does what the default provider does, and tells the disk. Modes and times are not recorded: nothing that is kept depends on them. */
final class RecordingProvider extends FileSystemProvider {
  private final RecordingFileSystem system;
  private final RecordedDisk disk;
  private final FileSystemProvider real = FileSystems.getDefault().provider();

  RecordingProvider(RecordingFileSystem system, RecordedDisk disk) {
    this.system = system;
    this.disk = disk;
  }

  @Override
  public String getScheme() {
    return "recorded";
  }

  @Override
  public FileSystem newFileSystem(URI uri, Map<String, ?> environment) {
    throw new UnsupportedOperationException();
  }

  @Override
  public FileSystem getFileSystem(URI uri) {
    throw new UnsupportedOperationException();
  }

  @Override
  public Path getPath(URI uri) {
    throw new UnsupportedOperationException();
  }

  @Override
  public SeekableByteChannel newByteChannel(Path path, Set<? extends OpenOption> options, FileAttribute<?>... attributes) throws IOException {
    return newFileChannel(path, options, attributes);
  }

  @Override
  public FileChannel newFileChannel(Path path, Set<? extends OpenOption> options, FileAttribute<?>... attributes) throws IOException {
    Path file = unwrap(path);
    boolean writes = options.contains(StandardOpenOption.WRITE) || options.contains(StandardOpenOption.APPEND);
    synchronized (disk) {
      Optional<RecordedDisk.Node> known = disk.node(file);
      boolean makes = writes && (options.contains(StandardOpenOption.CREATE) || options.contains(StandardOpenOption.CREATE_NEW));
      if (known.isEmpty() && makes && Files.notExists(file, LinkOption.NOFOLLOW_LINKS)) {
        FileChannel[] opened = new FileChannel[1];
        RecordedDisk.Node made = disk.create(file, false, Optional.empty(), () -> opened[0] = real.newFileChannel(file, options, attributes));
        return new RecordingChannel(disk, made, opened[0], options.contains(StandardOpenOption.APPEND));
      }
      Set<OpenOption> kept = new HashSet<>(options);
      boolean cuts = writes && kept.remove(StandardOpenOption.TRUNCATE_EXISTING);
      FileChannel opened = real.newFileChannel(file, kept, attributes);
      if (known.isEmpty()) {
        if (writes) {
          opened.close();
          throw new IllegalStateException(file + " was made behind the recorder's back");
        }
        return opened;
      }
      FileChannel channel = new RecordingChannel(disk, known.get(), opened, options.contains(StandardOpenOption.APPEND));
      if (cuts) {
        channel.truncate(0);
      }
      return channel;
    }
  }

  @Override
  public DirectoryStream<Path> newDirectoryStream(Path directory, DirectoryStream.Filter<? super Path> filter) throws IOException {
    DirectoryStream<Path> stream = real.newDirectoryStream(unwrap(directory), p -> filter.accept(system.wrap(p)));
    return new DirectoryStream<>() {
      @Override
      public Iterator<Path> iterator() {
        Iterator<Path> paths = stream.iterator();
        return new Iterator<>() {
          @Override
          public boolean hasNext() {
            return paths.hasNext();
          }

          @Override
          public Path next() {
            return system.wrap(paths.next());
          }
        };
      }

      @Override
      public void close() throws IOException {
        stream.close();
      }
    };
  }

  @Override
  public void createDirectory(Path directory, FileAttribute<?>... attributes) throws IOException {
    Path path = unwrap(directory);
    synchronized (disk) {
      if (Files.exists(path, LinkOption.NOFOLLOW_LINKS) || !Files.isDirectory(path.getParent())) {
        // Fails, and changes nothing.
        real.createDirectory(path, attributes);
      }
      disk.create(path, true, Optional.empty(), () -> {
        real.createDirectory(path, attributes);
        return null;
      });
    }
  }

  @Override
  public void createSymbolicLink(Path link, Path target, FileAttribute<?>... attributes) throws IOException {
    disk.create(unwrap(link), false, Optional.of(target.toString()), () -> {
      real.createSymbolicLink(unwrap(link), unwrap(target), attributes);
      return null;
    });
  }

  @Override
  public Path readSymbolicLink(Path link) throws IOException {
    return system.wrap(real.readSymbolicLink(unwrap(link)));
  }

  @Override
  public void delete(Path path) throws IOException {
    synchronized (disk) {
      if (disk.node(unwrap(path)).isEmpty()) {
        // Fails; or it was made behind the recorder's back, and that is a fault of the test.
        real.delete(unwrap(path));
        throw new IllegalStateException(path + " was made behind the recorder's back");
      }
      disk.remove(unwrap(path), () -> {
        real.delete(unwrap(path));
        return null;
      });
    }
  }

  @Override
  public void copy(Path source, Path target, CopyOption... options) {
    throw new UnsupportedOperationException("a copy is not recorded");
  }

  @Override
  public void move(Path source, Path target, CopyOption... options) throws IOException {
    if (!List.of(options).contains(StandardCopyOption.ATOMIC_MOVE)) {
      throw new UnsupportedOperationException("a move that may copy is not recorded");
    }
    disk.rename(unwrap(source), unwrap(target), () -> {
      real.move(unwrap(source), unwrap(target), options);
      return null;
    });
  }

  @Override
  public boolean isSameFile(Path one, Path other) throws IOException {
    return real.isSameFile(unwrap(one), unwrap(other));
  }

  @Override
  public boolean isHidden(Path path) throws IOException {
    return real.isHidden(unwrap(path));
  }

  @Override
  public FileStore getFileStore(Path path) throws IOException {
    return real.getFileStore(unwrap(path));
  }

  @Override
  public void checkAccess(Path path, AccessMode... modes) throws IOException {
    real.checkAccess(unwrap(path), modes);
  }

  @Override
  public <V extends FileAttributeView> V getFileAttributeView(Path path, Class<V> type, LinkOption... options) {
    return real.getFileAttributeView(unwrap(path), type, options);
  }

  @Override
  public <A extends BasicFileAttributes> A readAttributes(Path path, Class<A> type, LinkOption... options) throws IOException {
    return real.readAttributes(unwrap(path), type, options);
  }

  @Override
  public Map<String, Object> readAttributes(Path path, String attributes, LinkOption... options) throws IOException {
    return real.readAttributes(unwrap(path), attributes, options);
  }

  @Override
  public void setAttribute(Path path, String attribute, Object value, LinkOption... options) throws IOException {
    real.setAttribute(unwrap(path), attribute, value, options);
  }
}
