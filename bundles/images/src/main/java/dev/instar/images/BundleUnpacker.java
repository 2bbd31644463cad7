package dev.instar.images;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.data.DurableFiles;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Unpacks one uploaded bundle into the view that functions see: {@code function.wasm} and, where there is one, {@code rootfs/}.
 *
 * <p><b>Why nothing gets out.</b> The archive is unpacked whole into an empty directory of ours. Each path is split into segments that are
 * checked one by one, and a table of what was made says what each parent is: an entry below anything but a directory is refused. Not one
 * symbolic link exists on disk while files are written; links are made last, after each was walked segment by segment through all
 * the others and found to stay inside. Only then the two parts that count are moved out and the rest is deleted.
 *
 * <p><b>Cost.</b> One pass over the archive. Not synced: the view is a cache and does not outlive the node's run.
 */
final class BundleUnpacker {
  static final String PROGRAM = "function.wasm";
  static final String ROOTFS = "rootfs";
  private static final int LINK_HOPS = 40; // as the kernel, path_resolution(7)
  private static final int LINK_STEPS = 200_000;

  private final ArchiveLimits limits;
  private final EntryPaths paths;
  private final Unpacking.FileOpener opener;
  private final Path tree;
  private final Map<String, TarReader.Type> made = new HashMap<>();
  private final Map<String, String> links = new HashMap<>();
  private final Map<String, String> spelling = new HashMap<>();
  private long copied;
  private int steps;

  private BundleUnpacker(ArchiveLimits limits, Unpacking.FileOpener opener, Path tree) {
    this.limits = limits;
    paths = new EntryPaths(limits, false);
    this.opener = opener;
    this.tree = tree;
  }

  /**
   * Unpacks {@code packed} (a gzip'd tar) into {@code view}, which must not exist and of which nothing remains after a failure.
   *
   * @throws InstarException ARCHIVE_REFUSED, UNSUPPORTED_ARTIFACT, NO_SPACE
   */
  static void unpack(InputStream packed, Path view, ArchiveLimits limits, Unpacking.FileOpener opener) throws IOException {
    Path tree = view.resolveSibling(view.getFileName() + ".tree");
    Unpacking.make(view, tree, () -> new BundleUnpacker(limits, opener, tree).run(packed, view));
  }

  private void run(InputStream packed, Path view) throws IOException {
    try (GzipReader unzipped = new GzipReader(packed, limits)) {
      TarReader tar = new TarReader(unzipped);
      for (var next = tar.next(); next.isPresent(); next = tar.next()) {
        take(next.get(), tar);
      }
    }
    String base = findProgram();
    String rootfs = base + ROOTFS;
    if (made.containsKey(rootfs) && made.get(rootfs) != TarReader.Type.DIRECTORY) {
      throw Refusal.entry(spelling.get(rootfs), "is no directory");
    }
    for (String link : links.keySet()) {
      boolean seen = link.startsWith(rootfs + "/");
      checkLink(link, seen ? rootfs + "/" : "");
      if (seen) {
        Files.createSymbolicLink(tree.resolve(link), Path.of(links.get(link)));
      }
    }
    Path program = tree.resolve(base + PROGRAM);
    try (InputStream in = Files.newInputStream(program)) {
      if (Kind.of(in.readNBytes(Kind.MAGIC_BYTES)).filter(k -> k == Kind.WASM).isEmpty()) {
        throw new InstarException(ErrorCode.UNSUPPORTED_ARTIFACT, "The bundle's " + PROGRAM
            + " is not a WebAssembly module: it does not begin with \\0asm.");
      }
    }
    DurableFiles.moveUnsynced(program, view.resolve(PROGRAM));
    if (made.containsKey(rootfs)) {
      DurableFiles.moveUnsynced(tree.resolve(rootfs), view.resolve(ROOTFS));
    }
  }

  /** The directory (empty, or ending in a slash) that holds the one {@code function.wasm}, at the top or one below. */
  private String findProgram() {
    List<String> found = new ArrayList<>();
    boolean top = made.containsKey(PROGRAM);
    for (String path : made.keySet()) {
      String[] segments = path.split("/");
      // Beside a program at the top, rootfs/function.wasm is one of its files.
      if (segments[segments.length - 1].equals(PROGRAM) && (segments.length == 1 || segments.length == 2 && !(top && segments[0].equals(ROOTFS)))) {
        found.add(path);
      }
    }
    if (found.isEmpty()) {
      throw Refusal.archive("has no " + PROGRAM + " at its top or in one directory there");
    }
    if (found.size() > 1) {
      found.sort(null);
      throw Refusal.archive("has more than one " + PROGRAM + ": '" + Refusal.shown(found.get(0)) + "' and '" + Refusal.shown(found.get(1)) + "'");
    }
    String path = found.getFirst();
    if (made.get(path) != TarReader.Type.FILE) {
      throw Refusal.entry(spelling.get(path), "is no regular file");
    }
    return path.substring(0, path.length() - PROGRAM.length());
  }

  private void take(TarReader.Entry entry, TarReader tar) throws IOException {
    String name = entry.name();
    List<String> segments = paths.segments(name, name);
    if (segments.isEmpty()) {
      if (entry.type() != TarReader.Type.DIRECTORY) {
        throw Refusal.entry(name, "has no name");
      }
      return;
    }
    if ((entry.mode() & 06000) != 0) {
      throw Refusal.entry(name, "is set-uid or set-gid");
    }
    String path = String.join("/", segments);
    for (int i = 1; i < segments.size(); i++) {
      parent(name, String.join("/", segments.subList(0, i)));
    }
    if (spelling.containsKey(path)) {
      throw Refusal.entry(name, "comes twice" + (spelling.get(path).equals(name) ? "" : ", first as '" + Refusal.shown(spelling.get(path)) + "'"));
    }
    TarReader.Type known = made.get(path);
    if (known != null && entry.type() != TarReader.Type.DIRECTORY) {
      throw Refusal.entry(name, "is a directory and something else");
    }
    spelling.put(path, name);
    switch (entry.type()) {
      case DIRECTORY -> {
        if (known == null) {
          add(name, path, TarReader.Type.DIRECTORY);
          Unpacking.makeDirectory(tree.resolve(path));
        }
      }
      case FILE -> {
        add(name, path, TarReader.Type.FILE);
        byte[] buffer = new byte[64 << 10];
        try (OutputStream out = opener.open(tree.resolve(path))) {
          for (int n; (n = tar.read(buffer)) >= 0;) {
            out.write(buffer, 0, n);
          }
        }
        protect(path, entry.mode());
      }
      case HARDLINK -> {
        String target = String.join("/", paths.segments(name, entry.target()));
        if (made.get(target) != TarReader.Type.FILE) {
          throw Refusal.entry(name, "is a hard link to '" + Refusal.shown(entry.target()) + "', which is no file of the archive before it");
        }
        add(name, path, TarReader.Type.FILE);
        copy(name, tree.resolve(target), tree.resolve(path));
        protect(path, entry.mode());
      }
      case SYMLINK -> {
        add(name, path, TarReader.Type.SYMLINK);
        paths.checkTarget(name, entry.target());
        if (entry.target().startsWith("/")) {
          throw Refusal.entry(name, "is a link to the absolute path '" + Refusal.shown(entry.target()) + "'");
        }
        links.put(path, entry.target());
      }
    }
  }

  /** A hard link becomes a copy, so that no two names share an inode; it counts like any file, or links would be a bomb. */
  private void copy(String name, Path from, Path to) throws IOException {
    copied += Files.size(from);
    if (copied > limits.unpackedBytes()) {
      throw Refusal.entry(name, "makes hard links of more than " + limits.unpackedBytes() + " bytes");
    }
    try (InputStream in = Files.newInputStream(from); OutputStream out = opener.open(to)) {
      // Not transferTo, which goes from channel to channel, and an interrupt closes those.
      byte[] buffer = new byte[64 << 10];
      for (int n; (n = in.read(buffer)) >= 0;) {
        out.write(buffer, 0, n);
      }
    }
  }

  private void protect(String path, int mode) throws IOException {
    Files.setPosixFilePermissions(tree.resolve(path), PosixFilePermissions.fromString((mode & 0111) != 0 ? "r-x------" : "r--------"));
  }

  private void parent(String name, String path) throws IOException {
    TarReader.Type known = made.get(path);
    if (known == null) {
      add(name, path, TarReader.Type.DIRECTORY);
      Unpacking.makeDirectory(tree.resolve(path));
    } else if (known != TarReader.Type.DIRECTORY) {
      throw Refusal.entry(name, "stands below '" + Refusal.shown(path) + "', which is " + (known == TarReader.Type.SYMLINK ? "a link" : "a file"));
    }
  }

  private void add(String name, String path, TarReader.Type type) {
    made.put(path, type);
    if (made.size() > limits.entries()) {
      throw Refusal.entry(name, "is one too many: " + limits.entries() + " are allowed");
    }
  }

  /** Walks a link as the kernel would, below {@code root} (empty, or ending in a slash), through all the other links. */
  private void checkLink(String link, String root) {
    String name = spelling.get(link);
    Deque<String> at = new ArrayDeque<>(Arrays.asList(link.substring(root.length()).split("/")));
    at.removeLast();
    Deque<String> ahead = new ArrayDeque<>(Arrays.asList(links.get(link).split("/")));
    int hops = 0;
    while (!ahead.isEmpty()) {
      if (++steps > LINK_STEPS) {
        throw Refusal.archive("has links that lead through too many others");
      }
      String segment = ahead.removeFirst();
      if (segment.isEmpty() || segment.equals(".")) {
        continue;
      }
      if (segment.equals("..")) {
        if (at.pollLast() == null) {
          throw Refusal.entry(name, "is a link out of " + (root.isEmpty() ? "the archive" : root.substring(0, root.length() - 1)) + ", to '"
              + Refusal.shown(links.get(link)) + "'");
        }
        continue;
      }
      at.addLast(segment);
      if (at.size() > limits.depth()) {
        throw Refusal.entry(name, "is a link more than " + limits.depth() + " directories deep");
      }
      String onward = links.get(root + String.join("/", at));
      if (onward != null) {
        if (++hops > LINK_HOPS) {
          throw Refusal.entry(name, "is a link that leads through more than " + LINK_HOPS + " others");
        }
        at.removeLast();
        List<String> more = Arrays.asList(onward.split("/"));
        for (int i = more.size(); i-- > 0;) {
          ahead.addFirst(more.get(i));
        }
      }
    }
  }
}
