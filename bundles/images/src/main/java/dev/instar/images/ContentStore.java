package dev.instar.images;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.data.DataDirectory;
import dev.instar.api.data.DurableFiles;
import dev.instar.api.function.Image;
import dev.instar.api.function.Variant;
import dev.instar.api.image.ImageDetails;
import dev.instar.api.image.ImageInfo;
import dev.instar.api.image.ImageStore;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantLock;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.Constants;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Modified;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.metatype.annotations.Designate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The content store on the data directory.
 *
 * <pre>
 *   images/blobs/ab/ab12…          artifacts as uploaded, by the SHA-256 of their bytes; read-only
 *   images/blobs/ab/ab12….json     what they take, and for whom they came; see {@link Ledger}
 *   images/damaged/ab12…-&lt;time&gt;    set aside, for an operator to look at
 *   scratch/uploads/&lt;random&gt;       being received or unpacked
 *   scratch/unpacked/ab12…/        what functions see of a bundle: function.wasm, rootfs/; of a container image: config.json, rootfs/
 * </pre>
 *
 * <p>A blob comes into being by one rename of a file that has been received to its end, hashed, checked and synced. Unpacked views are a
 * cache: they are renamed into place too, but not synced, so they live in scratch and never outlast the run of the node that made them; a
 * power cut can leave no half view behind that looks whole.
 *
 * <p>Bytes are hashed again when they are first used after this component has started; those that passed are remembered in
 * {@code verified}. A few dozen locks, by digest, keep two threads from verifying, placing or removing one image at the same time;
 * receiving and unpacking happen outside of them.
 */
@Component(immediate = true, service = ImageStore.class, configurationPid = ContentStore.PID)
@Designate(ocd = ImagesConfig.class)
public final class ContentStore implements ImageStore {
  static final String PID = "dev.instar.images";
  private static final Logger LOG = LoggerFactory.getLogger(ContentStore.class);
  private static final int BUFFER_BYTES = 64 << 10;
  private static final ArchiveLimits NO_LIMITS = new ArchiveLimits(Long.MAX_VALUE, Integer.MAX_VALUE, 255, Integer.MAX_VALUE, Integer.MAX_VALUE);
  private static final Pattern NAME = Pattern.compile("[0-9a-f]{64}");

  private final Path blobs;
  private final Path damaged;
  private final Path uploads;
  private final Path unpacked;
  private final Unpacking.FileOpener opener;
  private final Ledger ledger;
  private final Map<Digest, Image> verified = new ConcurrentHashMap<>();
  /** When an upload returned, by {@link System#nanoTime}: the wall clock may jump. */
  private final Map<Digest, Long> added = new ConcurrentHashMap<>();
  private final Lock[] locks = new Lock[64];
  private volatile Settings settings;

  /**
   * @param bundles how much a bundle may hold
   * @param containers how much a container image may hold
   * @param firstId what to add to the ids of owners in container images
   * @param all how much room all images may take
   * @param each how much those of one user
   */
  record Settings(ArchiveLimits bundles, ArchiveLimits containers, int firstId, Ledger.Bounds all, Ledger.Bounds each) {
    static final Ledger.Bounds UNBOUNDED = new Ledger.Bounds(Long.MAX_VALUE, Long.MAX_VALUE);

    /** With the ids that no other node of this host has. */
    static Settings of(ImagesConfig config) {
      ArchiveLimits bundles = new ArchiveLimits(config.max$_$unpacked$_$bytes(), config.max$_$entries(), config.max$_$name$_$bytes(),
          config.max$_$depth(), config.max$_$ratio());
      return new Settings(bundles, new ArchiveLimits(config.max$_$container$_$bytes(), config.max$_$container$_$entries(),
          config.max$_$name$_$bytes(), ArchiveLimits.CONTAINER.depth(), config.max$_$ratio()), isRoot() ? new ContainerIds().take(config.first$_$container$_$id()) : config.first$_$container$_$id(),
          new Ledger.Bounds(config.max$_$total$_$bytes(), config.max$_$total$_$files()), new Ledger.Bounds(config.max$_$user$_$bytes(), config.max$_$user$_$files()));
    }
  }

  @Activate
  public ContentStore(@Reference DataDirectory data, ImagesConfig config) {
    this(data, Settings.of(config), DurableFiles::create);
  }

  /** For use without OSGi. */
  public ContentStore(DataDirectory data, ArchiveLimits limits) {
    this(data, limits, DurableFiles::create);
  }

  ContentStore(DataDirectory data, ArchiveLimits limits, Unpacking.FileOpener opener) {
    this(data, limits, ArchiveLimits.CONTAINER, opener);
  }

  ContentStore(DataDirectory data, ArchiveLimits bundles, ArchiveLimits containers, Unpacking.FileOpener opener) {
    this(data, new Settings(bundles, containers, ImagesConfig.FIRST_ID, Settings.UNBOUNDED, Settings.UNBOUNDED), opener);
  }

  ContentStore(DataDirectory data, Settings settings, Unpacking.FileOpener opener) {
    this.settings = settings;
    this.opener = opener;
    Path area = data.area("images");
    uploads = data.scratch("uploads");
    unpacked = data.scratch("unpacked");
    blobs = area.resolve("blobs");
    damaged = area.resolve("damaged");
    ledger = new Ledger(blobs, uploads);
    try {
      DurableFiles.createDirectories(blobs);
      DurableFiles.createDirectories(damaged);
    } catch (IOException e) {
      throw failed("The directories of the content store cannot be made", e);
    }
    Arrays.setAll(locks, i -> new ReentrantLock());
  }

  private static boolean isRoot() {
    try {
      return Integer.valueOf(0).equals(Files.getAttribute(Path.of("/proc/self"), "unix:uid"));
    } catch (IOException | UnsupportedOperationException e) {
      return false;
    }
  }

  /** In a swap the successor has the same ids. */
  @Deactivate
  void stop(BundleContext context) {
    if (context.getBundle(Constants.SYSTEM_BUNDLE_LOCATION).getState() == Bundle.STOPPING) {
      new ContainerIds().giveBack();
    }
  }

  @Modified
  void configure(ImagesConfig config) {
    settings = Settings.of(config);
  }

  @Override
  public Image add(InputStream content, long limit, Optional<String> user) throws IOException {
    Path upload = uploads.resolve(UUID.randomUUID().toString());
    Path view = upload.resolveSibling(upload.getFileName() + ".view");
    try {
      MessageDigest sha256 = Digest.sha256();
      Kind kind = receive(content, limit, upload, sha256);
      Digest digest = Digest.of(sha256);
      try {
        Settings now = settings;
        // Before it is unpacked, which is what takes room.
        ledger.check(digest, new Ledger.Charge(user, Files.size(upload), 0, 0), now.all(), now.each());
        unpack(kind, upload, view, now.bundles(), now.containers());
        Ledger.Charge charge = charge(user, upload, kind, view);
        return place(digest, kind, upload, view, charge, now);
      } catch (IOException e) {
        throw failed("The upload cannot be stored", e);
      }
    } finally {
      discard(upload);
      discard(view);
    }
  }

  private void unpack(Kind kind, Path blob, Path view, ArchiveLimits bundles, ArchiveLimits containers) throws IOException {
    switch (kind) {
      case BUNDLE -> {
        try (InputStream in = Files.newInputStream(blob)) {
          BundleUnpacker.unpack(in, view, bundles, opener);
        }
      }
      case CONTAINER -> {
        // Only root may give files away, and only root's containers have users of their own.
        boolean root = Integer.valueOf(0).equals(Files.getAttribute(blob, "unix:uid"));
        ContainerUnpacker.unpack(blob, view, containers, root ? OptionalInt.of(settings.firstId()) : OptionalInt.empty(), opener);
      }
      case WASM, EXECUTABLE -> { }
    }
  }

  private static Ledger.Charge charge(Optional<String> user, Path blob, Kind kind, Path view) throws IOException {
    long bytes = 0;
    long files = 0;
    if (kind.unpacked()) {
      Set<Object> several = new HashSet<>();
      try (Stream<Path> all = Files.walk(view)) {
        for (Path path : (Iterable<Path>) all::iterator) {
          Map<String, Object> attributes = Files.readAttributes(path, "unix:size,nlink,ino,isRegularFile", LinkOption.NOFOLLOW_LINKS);
          files++;
          if ((boolean) attributes.get("isRegularFile") && ((int) attributes.get("nlink") == 1 || several.add(attributes.get("ino")))) {
            bytes += (long) attributes.get("size");
          }
        }
      } catch (UncheckedIOException e) {
        throw e.getCause();
      }
    }
    return new Ledger.Charge(user, Files.size(blob), bytes, files);
  }

  private static void discard(Path path) {
    try {
      DurableFiles.deleteTree(path);
    } catch (IOException e) {
      LOG.warn("{} cannot be deleted; it goes at the next start: {}", path, e.toString());
    }
  }

  /** @throws IOException only from {@code content}; what fails on our side is an InstarException */
  private Kind receive(InputStream content, long limit, Path upload, MessageDigest sha256) throws IOException {
    byte[] buffer = new byte[BUFFER_BYTES];
    int filled = content.readNBytes(buffer, 0, Kind.MAGIC_BYTES);
    if (filled == 0) {
      throw new InstarException(ErrorCode.UNSUPPORTED_ARTIFACT, "The artifact is empty. Send a WebAssembly module, a .tgz bundle, an executable or a container image.");
    }
    Kind kind = Kind.of(Arrays.copyOf(buffer, filled)).orElseThrow(() -> new InstarException(ErrorCode.UNSUPPORTED_ARTIFACT,
        "The artifact begins with neither \\0asm (a WebAssembly module), nor 1f 8b (a .tgz bundle), nor \\x7fELF or #! (an executable), and is no tar (of a container image)."));
    OutputStream out = onDisk(() -> opener.open(upload));
    try {
      long total = 0;
      for (int n = filled; n >= 0; n = content.read(buffer)) {
        total += n;
        if (total > limit) {
          throw new InstarException(ErrorCode.TOO_LARGE, "The artifact is larger than " + limit + " bytes.", Map.of("limitBytes", limit));
        }
        sha256.update(buffer, 0, n);
        int length = n;
        onDisk(() -> {
          out.write(buffer, 0, length);
          return null;
        });
      }
    } finally {
      onDisk(() -> {
        out.close();
        return null;
      });
    }
    return onDisk(() -> {
      Files.setPosixFilePermissions(upload, PosixFilePermissions.fromString(kind == Kind.EXECUTABLE ? "r-x------" : "r--------"));
      DurableFiles.sync(upload);
      return kind;
    });
  }

  private interface DiskAction<T> {
    T run() throws IOException;
  }

  /** Keeps failures of our disk apart from those of the uploader's connection. */
  private static <T> T onDisk(DiskAction<T> action) {
    try {
      return action.run();
    } catch (IOException e) {
      throw failed("The upload cannot be stored", e);
    }
  }

  private static InstarException failed(String what, IOException e) {
    if (DurableFiles.isNoSpace(e)) {
      return new InstarException(Problem.of(ErrorCode.NO_SPACE, what
          + ": the data directory's file system is full. Remove functions or give it more room."), e);
    }
    if (isNoDescriptor(e)) {
      LOG.warn("{}: the process has no file descriptor left; raise its limit (ulimit -n) if this comes again", what);
      return new InstarException(Problem.of(ErrorCode.NODE_BUSY, what + ": the node has too many files open. Try again in a moment.")
          .retryAfter(Duration.ofSeconds(1)), e);
    }
    LOG.error("{}", what, e);
    return new InstarException(Problem.of(ErrorCode.INTERNAL, what + "; the node's log says why."), e);
  }

  /** EMFILE and ENFILE, in the words of strerror(3) that the JDK puts in its message, of which the class differs between java.io and java.nio. */
  private static boolean isNoDescriptor(IOException failure) {
    String message = String.valueOf(failure.getMessage()).toLowerCase(Locale.ROOT);
    return message.contains("too many open files");
  }

  private Image place(Digest digest, Kind kind, Path upload, Path view, Ledger.Charge charge, Settings now) throws IOException {
    Lock lock = lock(digest);
    lock.lock();
    Path blob = blob(digest);
    try {
      boolean there = known(digest).isPresent() || Files.isRegularFile(blob, LinkOption.NOFOLLOW_LINKS) && intact(digest, blob);
      // What belongs to a blob is there before it, and means nothing without.
      if (!there) {
        DurableFiles.createDirectories(blob.getParent());
      }
      ledger.charge(digest, charge, now.all(), now.each());
      if (kind.unpacked()) {
        placeView(digest, view);
      }
      if (there) {
        Files.setLastModifiedTime(blob, FileTime.from(Instant.now()));
      } else {
        DurableFiles.move(upload, blob);
      }
      added.put(digest, System.nanoTime());
      return remember(digest, kind);
    } finally {
      try {
        if (!Files.exists(blob)) {
          ledger.forget(digest);
          DurableFiles.deleteTree(view(digest));
        }
      } finally {
        lock.unlock();
      }
    }
  }

  private void placeView(Digest digest, Path view) throws IOException {
    if (!Files.isDirectory(view(digest), LinkOption.NOFOLLOW_LINKS)) {
      DurableFiles.moveUnsynced(view, view(digest));
    }
  }

  private Image remember(Digest digest, Kind kind) throws IOException {
    Path blob = blob(digest);
    Path program = blob;
    Optional<Path> rootfs = Optional.empty();
    if (kind == Kind.BUNDLE) {
      program = view(digest).resolve(BundleUnpacker.PROGRAM);
      rootfs = Optional.of(view(digest).resolve(BundleUnpacker.ROOTFS)).filter(Files::isDirectory);
    } else if (kind == Kind.CONTAINER) {
      program = view(digest).resolve(ContainerUnpacker.CONFIGURATION);
      rootfs = Optional.of(view(digest).resolve(ContainerUnpacker.ROOTFS));
    }
    Image image = new Image(digest, kind.variant(), Files.size(blob), program, rootfs);
    verified.put(digest, image);
    return image;
  }

  @Override
  public Optional<Image> find(Digest digest) {
    Optional<Image> known = known(digest);
    return known.isPresent() ? known : verify(digest);
  }

  /** What has been verified and is still there. */
  private Optional<Image> known(Digest digest) {
    return Optional.ofNullable(verified.get(digest)).filter(i -> Files.exists(blob(digest)) && Files.exists(i.program()));
  }

  private Optional<Image> verify(Digest digest) {
    Lock lock = lock(digest);
    lock.lock();
    try {
      Optional<Image> meanwhile = known(digest);
      if (meanwhile.isPresent()) {
        return meanwhile;
      }
      Path blob = blob(digest);
      verified.remove(digest);
      if (!Files.isRegularFile(blob, LinkOption.NOFOLLOW_LINKS)) {
        return Optional.empty();
      }
      if (!intact(digest, blob)) {
        setAside(digest, blob);
        throw new InstarException(ErrorCode.DAMAGED, "The image " + digest + " fails its checksum and was set aside. Upload it again.",
            Map.of("digest", digest.value()));
      }
      Kind kind;
      try (InputStream in = Files.newInputStream(blob)) {
        kind = Kind.of(in.readNBytes(Kind.MAGIC_BYTES)).orElseThrow(() -> new IOException(blob + " is of no known kind"));
      }
      if (kind.unpacked() && !Files.isDirectory(view(digest), LinkOption.NOFOLLOW_LINKS)) {
        unpackAgain(digest, kind, blob);
      }
      return Optional.of(remember(digest, kind));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    } catch (IOException e) {
      throw failed("The image " + digest + " cannot be read", e);
    } finally {
      lock.unlock();
    }
  }

  /** With no limit but those of the reader's own arithmetic: what was accepted once must not be lost to a limit that was lowered since. */
  private void unpackAgain(Digest digest, Kind kind, Path blob) throws IOException {
    Path view = uploads.resolve(UUID.randomUUID() + ".view");
    try {
      unpack(kind, blob, view, NO_LIMITS, NO_LIMITS);
      Ledger.Charge counted = charge(Optional.empty(), blob, kind, view);
      placeView(digest, view);
      Ledger.Charge before = ledger.of(digest);
      ledger.charge(digest, new Ledger.Charge(before.user(), counted.packed(), counted.bytes(), counted.files()), Settings.UNBOUNDED, Settings.UNBOUNDED);
    } finally {
      discard(view);
    }
  }

  private static boolean intact(Digest digest, Path blob) throws IOException {
    MessageDigest sha256 = Digest.sha256();
    byte[] buffer = new byte[BUFFER_BYTES];
    try (InputStream in = Files.newInputStream(blob)) {
      for (int n; (n = in.read(buffer)) >= 0;) {
        sha256.update(buffer, 0, n);
      }
    }
    return Digest.of(sha256).equals(digest);
  }

  private void setAside(Digest digest, Path blob) throws IOException {
    Path place = damaged.resolve(digest.hex() + "-" + System.currentTimeMillis());
    DurableFiles.move(blob, place);
    DurableFiles.deleteTree(view(digest));
    ledger.forget(digest);
    LOG.error("The image {} fails its checksum. It was moved to {}; functions that use it fail until it is uploaded again.", digest, place);
  }

  @Override
  public InputStream open(Digest digest) throws IOException {
    if (find(digest).isPresent()) {
      try {
        return Files.newInputStream(blob(digest));
      } catch (NoSuchFileException e) {
        // Collected in between: as if it had not been found.
      }
    }
    throw new InstarException(ErrorCode.IMAGE_NOT_FOUND, "There is no image " + digest + ". Upload it first.", Map.of("digest", digest.value()));
  }

  @Override
  public int collect(Set<Digest> keep, long graceSeconds) {
    long now = System.nanoTime();
    long grace = TimeUnit.SECONDS.toNanos(graceSeconds);
    int gone = 0;
    try (DirectoryStream<Path> directories = Files.newDirectoryStream(blobs, "[0-9a-f][0-9a-f]")) {
      for (Path directory : directories) {
        try (DirectoryStream<Path> files = Files.newDirectoryStream(directory)) {
          for (Path file : files) {
            String name = file.getFileName().toString();
            if (name.endsWith(Ledger.SUFFIX) && NAME.matcher(name.substring(0, name.length() - Ledger.SUFFIX.length())).matches()) {
              forgetWithoutBlob(new Digest("sha256:" + name.substring(0, name.length() - Ledger.SUFFIX.length())));
            }
            if (NAME.matcher(name).matches() && !keep.contains(new Digest("sha256:" + name)) && collect(new Digest("sha256:" + name), grace)) {
              gone++;
            }
          }
        }
      }
    } catch (IOException e) {
      throw failed("The content store cannot be listed", e);
    }
    added.values().removeIf(then -> now - then > grace);
    if (gone > 0) {
      LOG.info("Removed {} images that no function uses", gone);
    }
    return gone;
  }

  /** A power cut may have come between the two. */
  private void forgetWithoutBlob(Digest digest) throws IOException {
    Lock lock = lock(digest);
    lock.lock();
    try {
      if (!Files.exists(blob(digest), LinkOption.NOFOLLOW_LINKS)) {
        ledger.forget(digest);
      }
    } finally {
      lock.unlock();
    }
  }

  private boolean collect(Digest digest, long grace) throws IOException {
    Lock lock = lock(digest);
    lock.lock();
    try {
      Path blob = blob(digest);
      Long since = added.get(digest);
      if (since != null && System.nanoTime() - since < grace
          || TimeUnit.MILLISECONDS.toNanos(System.currentTimeMillis() - Files.getLastModifiedTime(blob).toMillis()) < grace) {
        return false;
      }
      return discardImage(digest);
    } catch (NoSuchFileException e) {
      return false;
    } finally {
      lock.unlock();
    }
  }

  private boolean discardImage(Digest digest) throws IOException {
    verified.remove(digest);
    added.remove(digest);
    boolean was = DurableFiles.delete(blob(digest));
    DurableFiles.deleteTree(view(digest));
    ledger.forget(digest);
    return was;
  }

  @Override
  public boolean remove(Digest digest) {
    Lock lock = lock(digest);
    lock.lock();
    try {
      return Files.isRegularFile(blob(digest), LinkOption.NOFOLLOW_LINKS) && discardImage(digest);
    } catch (IOException e) {
      throw failed("The image " + digest + " cannot be removed", e);
    } finally {
      lock.unlock();
    }
  }

  @Override
  public List<ImageInfo> list() {
    List<ImageInfo> all = new ArrayList<>();
    try (DirectoryStream<Path> directories = Files.newDirectoryStream(blobs, "[0-9a-f][0-9a-f]")) {
      for (Path directory : directories) {
        try (DirectoryStream<Path> files = Files.newDirectoryStream(directory, file -> NAME.matcher(file.getFileName().toString()).matches())) {
          for (Path file : files) {
            info(new Digest("sha256:" + file.getFileName())).ifPresent(all::add);
          }
        }
      }
    } catch (IOException e) {
      throw failed("The content store cannot be listed", e);
    }
    all.sort(Comparator.comparing(info -> info.digest().value()));
    return all;
  }

  private Optional<ImageInfo> info(Digest digest) throws IOException {
    Path blob = blob(digest);
    try (InputStream in = Files.newInputStream(blob, LinkOption.NOFOLLOW_LINKS)) {
      Optional<Kind> kind = Kind.of(in.readNBytes(Kind.MAGIC_BYTES));
      if (kind.isEmpty()) {
        // Damaged, which its next use will tell.
        return Optional.empty();
      }
      Ledger.Charge charge = ledger.of(digest);
      return Optional.of(new ImageInfo(digest, kind.get().variant(), Files.size(blob), Files.getLastModifiedTime(blob).toInstant(), charge.user(), charge.bytes(), charge.files(),
          kind.get().unpacked() && Files.isDirectory(view(digest), LinkOption.NOFOLLOW_LINKS)));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    }
  }

  @Override
  public Optional<ImageDetails> inspect(Digest digest) {
    try {
      Optional<ImageInfo> info = info(digest);
      if (info.isEmpty() || !info.get().kind().equals(Variant.CONTAINER)) {
        return info.map(one -> new ImageDetails(one, Optional.empty(), List.of()));
      }
      ContainerImage image = ContainerImage.open(blob(digest), NO_LIMITS);
      return Optional.of(new ImageDetails(info.get(), Optional.of(new String(image.configuration(), StandardCharsets.UTF_8)), image.described()));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    } catch (IOException e) {
      throw failed("The image " + digest + " cannot be read", e);
    }
  }

  private Lock lock(Digest digest) {
    return locks[Math.floorMod(digest.hashCode(), locks.length)];
  }

  private Path blob(Digest digest) {
    return blobs.resolve(digest.hex().substring(0, 2)).resolve(digest.hex());
  }

  private Path view(Digest digest) {
    return unpacked.resolve(digest.hex());
  }
}
