package dev.instar.images;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.data.DurableFiles;
import dev.instar.api.function.Image;
import dev.instar.api.function.Variant;
import dev.instar.data.LockedDataDirectory;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.FileNotFoundException;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.SequenceInputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.commons.compress.compressors.gzip.GzipCompressorOutputStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ContentStoreTest {
  @TempDir Path dir;
  private LockedDataDirectory data;
  private ContentStore store;

  @BeforeEach
  void open() throws Exception {
    data = LockedDataDirectory.open(dir.resolve("data"));
    store = new ContentStore(data, ArchiveLimits.DEFAULT);
  }

  @AfterEach
  void close() {
    data.close();
  }

  /** As after a stop and a start of the node. */
  private void restart() throws Exception {
    data.close();
    open();
  }

  private Image add(byte[] bytes) throws IOException {
    return store.add(new ByteArrayInputStream(bytes), 100 << 20);
  }

  private static byte[] module(String body) {
    byte[] text = body.getBytes(StandardCharsets.UTF_8);
    byte[] all = Arrays.copyOf(Tars.MODULE, Tars.MODULE.length + text.length);
    System.arraycopy(text, 0, all, Tars.MODULE.length, text.length);
    return all;
  }

  private Path blob(Digest digest) {
    return data.root().resolve("images/blobs").resolve(digest.hex().substring(0, 2)).resolve(digest.hex());
  }

  private List<String> uploads() throws IOException {
    try (Stream<Path> all = Files.list(data.scratch("uploads"))) {
      return all.map(Path::toString).toList();
    }
  }

  private static ErrorCode code(org.junit.jupiter.api.function.Executable action) {
    return assertThrows(InstarException.class, action).code();
  }

  @Test
  void aModuleIsStoredByItsDigestReadOnlyAndSurvivesARestart() throws Exception {
    byte[] module = module("one");
    Image image = add(module);
    assertEquals(Digest.of(module), image.digest());
    assertEquals(Variant.WASM, image.kind());
    assertEquals(module.length, image.size());
    assertEquals(Optional.empty(), image.rootfs());
    assertEquals(blob(image.digest()), image.program());
    assertEquals("r--------", PosixFilePermissions.toString(Files.getPosixFilePermissions(image.program())));
    assertEquals(List.of(), uploads());
    restart();
    assertEquals(Optional.of(image), store.find(image.digest()));
    try (InputStream in = store.open(image.digest())) {
      assertArrayEquals(module, in.readAllBytes());
    }
  }

  @Test
  void executablesMayBeRun() throws Exception {
    assertEquals(Variant.EXECUTABLE, add("\177ELF...".getBytes(StandardCharsets.ISO_8859_1)).kind());
    Image script = add("#!/bin/sh\nexit 7\n".getBytes());
    assertEquals(Variant.EXECUTABLE, script.kind());
    assertEquals(7, new ProcessBuilder(script.program().toString()).start().waitFor());
  }

  @Test
  void whatIsOfNoKindIsRefusedBeforeTheRestIsRead() {
    assertEquals(ErrorCode.UNSUPPORTED_ARTIFACT, code(() -> add(new byte[0])));
    assertEquals(ErrorCode.UNSUPPORTED_ARTIFACT, code(() -> add("hello".getBytes())));
    assertEquals(ErrorCode.UNSUPPORTED_ARTIFACT, code(() -> add(new byte[] {0, 'a', 's'})));
    InputStream thenFails = new SequenceInputStream(new ByteArrayInputStream("text".repeat(100).getBytes()), new InputStream() {
      @Override
      public int read() throws IOException {
        throw new IOException("read on");
      }
    });
    assertEquals(ErrorCode.UNSUPPORTED_ARTIFACT, code(() -> store.add(thenFails, 1 << 20)));
  }

  @Test
  void whatIsTooLargeIsRefusedWithTheLimitAndTheLastByteStillFits() throws Exception {
    byte[] module = module("0123456789");
    InstarException e = assertThrows(InstarException.class, () -> store.add(new ByteArrayInputStream(module), module.length - 1));
    assertEquals(ErrorCode.TOO_LARGE, e.code());
    assertEquals((long) module.length - 1, e.problem().members().get("limitBytes"));
    assertEquals(List.of(), uploads());
    assertEquals(module.length, store.add(new ByteArrayInputStream(module), module.length).size());
  }

  @Test
  void anUploadThatIsCutLeavesNothingAndIsTheUploadersFault() throws Exception {
    InputStream cut = new SequenceInputStream(new ByteArrayInputStream(module("x".repeat(200_000))), new InputStream() {
      @Override
      public int read() throws IOException {
        throw new IOException("connection reset");
      }
    });
    assertEquals("connection reset", assertThrows(IOException.class, () -> store.add(cut, 1 << 20)).getMessage());
    InputStream tooMuch = new InputStream() {
      @Override
      public int read() {
        throw new InstarException(ErrorCode.TOO_LARGE, "of the stream's own");
      }
    };
    assertEquals(ErrorCode.TOO_LARGE, code(() -> store.add(new SequenceInputStream(new ByteArrayInputStream(module("x")), tooMuch), 1 << 20)));
    assertEquals(List.of(), uploads());
    try (Stream<Path> all = Files.list(data.root().resolve("images/blobs"))) {
      assertEquals(0, all.count());
    }
  }

  /** /dev/full is a file on a full disk: the error is the kernel's own. */
  @Test
  void aFullDiskIsSaidSoAndLeavesNothing() throws Exception {
    ContentStore full = new ContentStore(data, ArchiveLimits.DEFAULT, file -> {
      Files.createFile(file);
      return new FileOutputStream("/dev/full");
    });
    assertEquals(ErrorCode.NO_SPACE, code(() -> full.add(new ByteArrayInputStream(module("x")), 1 << 20)));
    assertEquals(List.of(), uploads());
    ContentStore fullWhenUnpacking = new ContentStore(data, ArchiveLimits.DEFAULT, file -> {
      OutputStream real = new FileOutputStream(file.toFile());
      if (!file.getFileName().toString().equals("big")) {
        return real;
      }
      real.close();
      return new FileOutputStream("/dev/full");
    });
    assertEquals(ErrorCode.NO_SPACE, code(() -> fullWhenUnpacking.add(new ByteArrayInputStream(new Tars().program().file("rootfs/big").tgz()),
        1 << 20)));
    assertEquals(List.of(), uploads());
    ContentStore broken = new ContentStore(data, ArchiveLimits.DEFAULT, file -> {
      throw new IOException("Input/output error");
    });
    assertEquals(ErrorCode.INTERNAL, code(() -> broken.add(new ByteArrayInputStream(module("x")), 1 << 20)));
  }

  @ParameterizedTest
  @ValueSource(strings = {"Too many open files", "Too many open files in system"})
  void aProcessWithoutDescriptorsIsBusyAndSaysWhenToComeAgain(String reason) throws Exception {
    ContentStore busy = new ContentStore(data, ArchiveLimits.DEFAULT, file -> {
      throw new FileNotFoundException(file + " (" + reason + ")");
    });
    InstarException e = assertThrows(InstarException.class, () -> busy.add(new ByteArrayInputStream(module("x")), 1 << 20));
    assertEquals(ErrorCode.NODE_BUSY, e.code());
    assertTrue(e.problem().retryAfter().isPresent());
    ContentStore busyWhenUnpacking = new ContentStore(data, ArchiveLimits.DEFAULT, file -> {
      if (file.getFileName().toString().equals("big")) {
        throw new FileSystemException(file.toString(), null, reason);
      }
      return new FileOutputStream(file.toFile());
    });
    assertEquals(ErrorCode.NODE_BUSY, code(() -> busyWhenUnpacking.add(new ByteArrayInputStream(new Tars().program().file("rootfs/big").tgz()),
        1 << 20)));
    assertEquals(List.of(), uploads());
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "./", "hello/", "./any name/", "rootfs/"})
  void aBundleOfAnotherWriterShowsItsProgramAndItsFiles(String top) throws Exception {
    Image image = add(bundle(top));
    assertEquals(Variant.WASM, image.kind());
    assertArrayEquals(Tars.MODULE, Files.readAllBytes(image.program()));
    Path rootfs = image.rootfs().orElseThrow();
    assertEquals("hosts", Files.readString(rootfs.resolve("etc/hosts")));
    assertEquals("hosts", Files.readString(rootfs.resolve("etc/link")));
    assertEquals("hosts", Files.readString(rootfs.resolve("etc/same")));
    assertTrue(Files.isDirectory(rootfs.resolve("empty")));
    assertEquals("long", Files.readString(rootfs.resolve("d".repeat(90)).resolve("é" + "n".repeat(200))));
    assertEquals("r--------", PosixFilePermissions.toString(Files.getPosixFilePermissions(rootfs.resolve("etc/hosts"))));
    assertEquals("r-x------", PosixFilePermissions.toString(Files.getPosixFilePermissions(rootfs.resolve("tool"))));
    assertEquals("rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(rootfs.resolve("etc"))));
    // Nothing of what is no part of a function came along.
    try (Stream<Path> all = Files.list(image.program().getParent())) {
      assertEquals(List.of("function.wasm", "rootfs"), all.map(p -> p.getFileName().toString()).sorted().toList());
    }
    assertEquals(List.of(), uploads());
    // After a restart the view is made again from the blob.
    restart();
    assertFalse(Files.exists(image.program()));
    assertEquals(Optional.of(image), store.find(image.digest()));
    assertEquals("hosts", Files.readString(rootfs.resolve("etc/hosts")));
    // And also when somebody removes it in a running node.
    DurableFiles.deleteTree(image.program().getParent());
    assertEquals(Optional.of(image), store.find(image.digest()));
    assertTrue(Files.exists(image.program()));
  }

  private static byte[] bundle(String top) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (TarArchiveOutputStream tar = new TarArchiveOutputStream(new GzipCompressorOutputStream(bytes), "UTF-8")) {
      tar.setLongFileMode(top.isEmpty() ? TarArchiveOutputStream.LONGFILE_GNU : TarArchiveOutputStream.LONGFILE_POSIX);
      tar.setBigNumberMode(TarArchiveOutputStream.BIGNUMBER_POSIX);
      tar.setAddPaxHeadersForNonAsciiNames(true);
      if (top.startsWith("./")) {
        entry(tar, new TarArchiveEntry("./"), null);
      }
      entry(tar, new TarArchiveEntry(top + "runw"), "a runtime");
      entry(tar, new TarArchiveEntry(top + "replicas"), "3");
      entry(tar, new TarArchiveEntry(top + "function.wasm"), new String(Tars.MODULE, StandardCharsets.ISO_8859_1));
      entry(tar, new TarArchiveEntry(top + "rootfs/"), null);
      entry(tar, new TarArchiveEntry(top + "rootfs/empty/"), null);
      entry(tar, new TarArchiveEntry(top + "rootfs/etc/hosts"), "hosts");
      TarArchiveEntry tool = new TarArchiveEntry(top + "rootfs/tool");
      tool.setMode(0755);
      entry(tar, tool, "#!");
      TarArchiveEntry link = new TarArchiveEntry(top + "rootfs/etc/link", TarArchiveEntry.LF_SYMLINK);
      link.setLinkName("../etc/./hosts");
      entry(tar, link, null);
      TarArchiveEntry same = new TarArchiveEntry(top + "rootfs/etc/same", TarArchiveEntry.LF_LINK);
      same.setLinkName(top + "rootfs/etc/hosts");
      entry(tar, same, null);
      entry(tar, new TarArchiveEntry(top + "rootfs/" + "d".repeat(90) + "/é" + "n".repeat(200)), "long");
    }
    return bytes.toByteArray();
  }

  private static void entry(TarArchiveOutputStream tar, TarArchiveEntry entry, String content) throws IOException {
    byte[] bytes = content == null ? new byte[0] : content.getBytes(StandardCharsets.ISO_8859_1);
    if (content != null) {
      entry.setSize(bytes.length);
    }
    tar.putArchiveEntry(entry);
    tar.write(bytes);
    tar.closeArchiveEntry();
  }

  @Test
  void aFunctionWasmAmongTheFilesOfABundleIsOneOfThem() throws Exception {
    Image image = add(new Tars().program().file("rootfs/function.wasm", "data".getBytes()).tgz());
    assertArrayEquals(Tars.MODULE, Files.readAllBytes(image.program()));
    assertEquals("data", Files.readString(image.rootfs().orElseThrow().resolve("function.wasm")));
    assertEquals(Optional.empty(), add(new Tars().program().tgz()).rootfs());
  }

  @Test
  void whatWasAcceptedIsKeptWhenTheLimitsAreLowered() throws Exception {
    Image image = add(bundle(""));
    data.close();
    data = LockedDataDirectory.open(dir.resolve("data"));
    store = new ContentStore(data, new ArchiveLimits(1024, 1, 1, 1, 1));
    assertEquals(Optional.of(image), store.find(image.digest()));
    assertEquals(ErrorCode.ARCHIVE_REFUSED, code(() -> add(new Tars().program().file("rootfs/a").tgz())));
  }

  @Test
  void aFlippedBitIsFoundAtTheFirstUseSetAsideAndMendedByAnotherUpload() throws Exception {
    byte[] module = module("flip me");
    byte[] bundle = new Tars().program().file("rootfs/a").tgz();
    for (byte[] bytes : List.of(module, bundle)) {
      Digest digest = add(bytes).digest();
      for (int at : new int[] {0, bytes.length / 2, bytes.length - 1}) {
        restart();
        byte[] flipped = bytes.clone();
        flipped[at] ^= 0x10;
        overwrite(blob(digest), flipped);
        InstarException e = assertThrows(InstarException.class, () -> store.find(digest));
        assertEquals(ErrorCode.DAMAGED, e.code());
        assertTrue(e.problem().detail().contains(digest.value()));
        assertEquals(Optional.empty(), store.find(digest));
        assertEquals(ErrorCode.IMAGE_NOT_FOUND, code(() -> store.open(digest)));
        try (Stream<Path> aside = Files.list(data.root().resolve("images/damaged"))) {
          Path found = aside.filter(p -> p.getFileName().toString().startsWith(digest.hex())).findFirst().orElseThrow();
          assertArrayEquals(flipped, Files.readAllBytes(found));
          Files.delete(found);
        }
        assertEquals(digest, add(bytes).digest());
        assertTrue(store.find(digest).isPresent());
      }
      // Cut short, and uploaded again without anybody having looked.
      restart();
      overwrite(blob(digest), Arrays.copyOf(bytes, 6));
      assertEquals(bytes.length, add(bytes).size());
      restart();
      assertTrue(store.find(digest).isPresent());
    }
  }

  private static void overwrite(Path file, byte[] content) throws IOException {
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
    Files.write(file, content);
  }

  @Test
  void aLinkInABlobsPlaceIsNoImage() throws Exception {
    byte[] module = module("x");
    Path elsewhere = Files.write(dir.resolve("elsewhere"), module);
    Path blob = blob(Digest.of(module));
    Files.createDirectories(blob.getParent());
    Files.createSymbolicLink(blob, elsewhere);
    assertEquals(Optional.empty(), store.find(Digest.of(module)));
    assertTrue(add(module).size() > 0);
    assertTrue(Files.isRegularFile(blob, java.nio.file.LinkOption.NOFOLLOW_LINKS));
    assertArrayEquals(module, Files.readAllBytes(elsewhere));
  }

  @Test
  void onceVerifiedNoByteIsReadAgain() throws Exception {
    Digest digest = add(module("x")).digest();
    restart();
    Image image = store.find(digest).orElseThrow();
    overwrite(blob(digest), new byte[] {1, 2, 3});
    assertSame(image, store.find(digest).orElseThrow());
  }

  @Test
  void theSameContentManyTimesAtOnceIsOneImage() throws Exception {
    byte[] module = module("m".repeat(100_000));
    byte[] bundle = bundle("x/");
    try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<Image>> images = new ArrayList<>();
      for (int i = 0; i < 40; i++) {
        byte[] bytes = i % 2 == 0 ? module : bundle;
        images.add(threads.submit(() -> add(bytes)));
      }
      for (int i = 0; i < 40; i++) {
        assertEquals(images.get(i % 2).get(), images.get(i).get());
      }
    }
    restart();
    try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<Optional<Image>>> images = new ArrayList<>();
      for (int i = 0; i < 40; i++) {
        images.add(threads.submit(() -> store.find(Digest.of(bundle))));
      }
      for (var image : images) {
        assertEquals("hosts", Files.readString(image.get().orElseThrow().rootfs().orElseThrow().resolve("etc/hosts")));
      }
    }
    assertEquals(List.of(), uploads());
  }

  @Test
  void collectingTakesWhatIsOldAndUnusedAndNothingElse() throws Exception {
    Image used = add(module("used"));
    Image unused = add(bundle(""));
    Image fresh = add(module("fresh"));
    // As if the first two had come in an earlier run, two hours ago.
    restart();
    for (Image old : List.of(used, unused)) {
      store.find(old.digest());
      Files.setLastModifiedTime(blob(old.digest()), FileTime.from(Instant.now().minus(Duration.ofHours(2))));
    }
    assertEquals(1, store.collect(Set.of(used.digest()), 3600));
    assertEquals(Optional.empty(), store.find(unused.digest()));
    assertFalse(Files.exists(unused.program()));
    assertTrue(store.find(used.digest()).isPresent());
    assertTrue(store.find(fresh.digest()).isPresent());
    assertEquals(2, store.collect(Set.of(), 0));
    assertEquals(Optional.empty(), store.find(fresh.digest()));
  }

  @Test
  void anUploadOfWhatIsThereAlreadyCountsAsNew() throws Exception {
    Image image = add(module("x"));
    Files.setLastModifiedTime(image.program(), FileTime.from(Instant.now().minus(Duration.ofDays(3))));
    restart();
    add(module("x"));
    assertEquals(0, store.collect(Set.of(), 3600));
    // And a clock that jumps ahead by a day makes no upload of a moment ago old.
    Files.setLastModifiedTime(image.program(), FileTime.from(Instant.now().minus(Duration.ofDays(1))));
    assertEquals(0, store.collect(Set.of(), 3600));
    assertTrue(store.find(image.digest()).isPresent());
  }

  @Test
  void anInterruptedCallerStillGetsItsImage() throws Exception {
    Digest digest = add(bundle("")).digest();
    restart();
    Thread.currentThread().interrupt();
    Optional<Image> found = store.find(digest);
    assertTrue(Thread.interrupted());
    assertTrue(found.isPresent());
  }
}
