package dev.instar.logs;

import dev.instar.api.data.DurableFiles;
import dev.instar.api.function.FunctionName;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.RandomAccessFile;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import java.util.function.Consumer;

/**
 * The log files: {@code logs/<user>/<function>.log} and, once it was full, the one before it as {@code .log.1}. Not synced: a log line
 * is no promise. Written by one thread.
 */
final class LogFiles {
  private static final int LONGEST_LINE_BYTES = 128 << 10; // 8 KiB of text, each byte escaped to six

  private final Path area;
  /** Files that this run has written to, which therefore end with a line. */
  private final Set<FunctionName> whole = new HashSet<>();

  LogFiles(Path area) {
    this.area = area;
  }

  private Path file(FunctionName name) {
    return area.resolve(name.user()).resolve(name.function() + ".log");
  }

  private Path old(FunctionName name) {
    return area.resolve(name.user()).resolve(name.function() + ".log.1");
  }

  /** Adds whole lines. */
  void append(FunctionName name, Iterable<byte[]> lines, long fileBytes) throws IOException {
    Path file = file(name);
    if (!Files.isDirectory(file.getParent(), LinkOption.NOFOLLOW_LINKS)) {
      DurableFiles.createDirectories(file.getParent());
    }
    var next = lines.iterator();
    byte[] line = next.hasNext() ? next.next() : null;
    while (line != null) {
      long size = mend(name, file);
      if (size > 0 && size + line.length > fileBytes) {
        DurableFiles.moveUnsynced(file, old(name));
        size = 0;
      }
      try (OutputStream out = Files.newOutputStream(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.APPEND,
          LinkOption.NOFOLLOW_LINKS);
          OutputStream buffered = new BufferedOutputStream(out, 64 << 10)) {
        do {
          buffered.write(line);
          size += line.length;
          line = next.hasNext() ? next.next() : null;
        } while (line != null && size + line.length <= fileBytes);
      }
    }
  }

  /** Ends a line that a killed node has left without its end. @return the file's size */
  private long mend(FunctionName name, Path file) throws IOException {
    if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
      return 0;
    }
    if (whole.add(name) && Files.size(file) > 0) {
      try (RandomAccessFile end = new RandomAccessFile(file.toFile(), "rw")) {
        end.seek(end.length() - 1);
        if (end.read() != '\n') {
          end.write('\n');
        }
      }
    }
    return Files.size(file);
  }

  /** All entries that are there, oldest first. What is no entry is passed over. */
  void read(FunctionName name, Consumer<Stamped> entries) throws IOException {
    for (Path file : new Path[] {old(name), file(name)}) {
      if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
        continue;
      }
      try (InputStream in = new BufferedInputStream(new FileInputStream(file.toFile()), 64 << 10)) {
        byte[] line = new byte[1024];
        int filled = 0;
        boolean tooLong = false;
        for (int b; (b = in.read()) >= 0;) {
          if (b == '\n') {
            if (!tooLong) {
              LogLines.read(line, 0, filled).ifPresent(entries);
            }
            filled = 0;
            tooLong = false;
          } else if (filled == LONGEST_LINE_BYTES) {
            tooLong = true;
          } else {
            if (filled == line.length) {
              line = Arrays.copyOf(line, Math.min(LONGEST_LINE_BYTES, line.length * 2));
            }
            line[filled++] = (byte) b;
          }
        }
      }
    }
  }

  void delete(FunctionName name) throws IOException {
    whole.remove(name);
    Files.deleteIfExists(file(name));
    Files.deleteIfExists(old(name));
    try {
      Files.deleteIfExists(area.resolve(name.user()));
    } catch (DirectoryNotEmptyException | NoSuchFileException e) {
      // The user has other functions.
    }
  }
}
