package dev.instar.images;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
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
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Container images in the content store: OCI layouts and what docker save writes. */
class ContainerImageTest {
  @TempDir
  Path directory;
  private LockedDataDirectory data;
  private ContentStore store;

  @BeforeEach
  void open() throws Exception {
    data = LockedDataDirectory.open(directory.resolve("data"));
    store = store(ArchiveLimits.CONTAINER);
  }

  @AfterEach
  void close() {
    data.close();
  }

  private ContentStore store(ArchiveLimits containers) {
    return new ContentStore(data, ArchiveLimits.DEFAULT, containers, DurableFiles::create);
  }

  private Image add(byte[] archive) throws IOException {
    return store.add(new ByteArrayInputStream(archive), 64 << 20);
  }

  private static Consumer<byte[]> header(int offset, String text) {
    return h -> Tars.put(h, offset, text);
  }

  private static Tars file(String name, String text) {
    return new Tars().file(name, text.getBytes(StandardCharsets.UTF_8));
  }

  private InstarException refused(ErrorCode code, byte[] archive) throws IOException {
    InstarException e = assertThrows(InstarException.class, () -> add(archive));
    assertEquals(code, e.code(), e.problem().detail());
    assertEquals(List.of(), List.of(data.scratch("uploads").toFile().list()), "left in uploads");
    assertEquals(List.of(), List.of(data.scratch("unpacked").toFile().list()), "left in unpacked");
    return e;
  }

  private InstarException refused(Tars layer) throws IOException {
    return refused(ErrorCode.ARCHIVE_REFUSED, new Containers().layer(layer).oci());
  }

  @Test
  void layersLieOverEachOther() throws Exception {
    Containers image = new Containers()
        .layer(file("etc/a", "one").file("etc/b", "below".getBytes(StandardCharsets.UTF_8)).file("gone/x/y").file("opaque/old").link("bin", "usr/bin").directory("usr/bin"))
        .packedLayer(file("etc/a", "two").file("etc/.wh.b").file(".wh.gone").file("opaque/new").file("opaque/.wh..wh..opq").file("bin/tool"));
    for (byte[] archive : List.of(image.oci(), image.dockerSave())) {
      Image added = add(archive);
      assertEquals(Variant.CONTAINER, added.kind());
      assertArrayEquals(image.configuration(), Files.readAllBytes(added.program()));
      Path root = added.rootfs().orElseThrow();
      assertEquals("two", Files.readString(root.resolve("etc/a")));
      assertFalse(Files.exists(root.resolve("etc/b")));
      assertFalse(Files.exists(root.resolve("gone")));
      assertEquals(Set.of("new"), Set.of(root.resolve("opaque").toFile().list()));
      assertEquals("usr/bin", Files.readSymbolicLink(root.resolve("bin")).toString());
      assertEquals("bin/tool", Files.readString(root.resolve("usr/bin/tool")), "a file behind a link of a lower layer");
    }
  }

  @Test
  void ownersModesTimesAndHardLinksAreKept() throws Exception {
    Path root = add(new Containers().layer(new Tars()
        .entry("f", '0', "x".getBytes(StandardCharsets.UTF_8), header(100, "0004751").andThen(header(108, "0000144")).andThen(header(116, "0000145")).andThen(header(136, "00000000100")))
        .hardLink("g", "f").entry("tmp", '5', new byte[0], header(100, "0001777"))).oci()).rootfs().orElseThrow();
    // Set-user-id is taken off: on the node's own disk it would be a door.
    assertEquals(0751, (int) Files.getAttribute(root.resolve("f"), "unix:mode") & 07777 & ~0600 | 0600);
    assertEquals(01777, (int) Files.getAttribute(root.resolve("tmp"), "unix:mode") & 07777);
    assertEquals(64_000, Files.getLastModifiedTime(root.resolve("f")).toMillis());
    assertEquals(Files.getAttribute(root.resolve("f"), "unix:ino"), Files.getAttribute(root.resolve("g"), "unix:ino"));
    int first = (int) Files.getAttribute(root, "unix:uid");
    boolean node = Files.getAttribute(directory, "unix:uid").equals(0);
    assertEquals(node ? ImagesConfig.FIRST_ID : (int) Files.getAttribute(directory, "unix:uid"), first);
    assertEquals(node ? first + 100 : first, (int) Files.getAttribute(root.resolve("f"), "unix:uid"));
  }

  /** Each of these is a small upload. */
  @Test
  void whatWouldFillTheHeapOrTheStackOrTakeForeverIsRefused() throws Exception {
    Tars text = new Tars();
    Tars deep = new Tars().directory("d").link("s0", "d");
    Tars far = new Tars().directory("d").link("s0", "d");
    String target = "x".repeat(2000);
    for (int i = 0; i < 20_000; i++) {
      text.pax(Tars.record("linkpath", target)).link("l" + i, "");
    }
    for (int i = 0; i < 3; i++) {
      for (int j = 0; j < 40; j++) {
        deep.link("h", "s" + i + "/a".repeat(j)).directory("h/a");
      }
      deep.link("s" + (i + 1), "s" + i + "/a".repeat(40));
    }
    for (int i = 0; i < 38; i++) {
      far.pax(Tars.record("linkpath", "./".repeat(1000) + "s" + i)).link("s" + (i + 1), "");
    }
    for (int i = 0; i < 2000; i++) {
      far.directory("s38/" + i);
    }
    for (Tars layer : List.of(text, deep, far)) {
      assertEquals(ErrorCode.ARCHIVE_REFUSED, refused(ErrorCode.ARCHIVE_REFUSED, new Containers().packedLayer(layer).oci()).code());
    }
  }

  @Test
  void linksMayPointAnywhereSinceAContainerFollowsThemInside() throws Exception {
    Path outside = Files.createDirectory(directory.resolve("outside"));
    Path root = add(new Containers()
        .layer(new Tars().link("abs", outside.toString()).link("up", "../../../../.." + outside).link("loop", "loop"))
        .layer(file("abs/planted", "one").file("up/planted2")).oci()).rootfs().orElseThrow();
    assertEquals(0, outside.toFile().list().length, "A layer wrote through a link to " + outside);
    assertEquals("one", Files.readString(root.resolve(outside.toString().substring(1)).resolve("planted")));
    assertTrue(Files.isSymbolicLink(root.resolve("up")));
  }

  @ParameterizedTest
  @ValueSource(strings = {"../x", "a/../../x", "/x", "a/..", "x\u0001y"})
  void aPathThatEscapesIsRefused(String name) throws Exception {
    assertTrue(refused(file(name, "x")).problem().members().containsKey("entry"));
    refused(file("f", "x").hardLink("h", name));
  }

  @Test
  void whatIsNoFileIsRefused() throws Exception {
    for (char type : new char[] {'3', '4', '6', 'S'}) {
      refused(new Tars().entry("node", type, new byte[0], h -> {}));
    }
    refused(new Tars().hardLink("h", "nothing"));
    refused(new Tars().directory("d").hardLink("h", "d"));
    refused(file("f", "x").file("f/below"));
    refused(file("d/.wh...", "x"));
    assertTrue(refused(new Tars().link("l", "l").file("l/x")).problem().detail().contains("links"));
    assertTrue(refused(new Tars().entry("f", '0', new byte[0], header(108, "7777777"))).problem().detail().contains("65535"));
  }

  @Test
  void limitsHold() throws Exception {
    store = store(new ArchiveLimits(100_000, 20, 255, 5, 200));
    Tars many = new Tars();
    for (int i = 0; i < 21; i++) {
      many.file("f" + i);
    }
    assertTrue(refused(many).problem().detail().contains("20 are allowed"));
    refused(file("a/b/c/d/e/f", "deep"));
    byte[] half = new byte[60_000];
    // Each alone would do.
    refused(ErrorCode.ARCHIVE_REFUSED, new Containers().packedLayer(new Tars().file("a", half)).packedLayer(new Tars().file("b", half)).oci());
    add(new Containers().packedLayer(new Tars().file("a", half)).oci());
  }

  @Test
  void aDigestThatDoesNotMatchIsItsOwnError() throws Exception {
    InstarException e = refused(ErrorCode.DIGEST_MISMATCH, spoiled());
    assertTrue(e.problem().members().keySet().containsAll(Set.of("digest", "found")));
    byte[] plain = file("f", "text").raw(new byte[1024]).plain();
    refused(ErrorCode.DIGEST_MISMATCH, new Containers().layer(Tars.gzip(plain), "other".getBytes(StandardCharsets.UTF_8)).oci());
    refused(ErrorCode.DIGEST_MISMATCH, new Containers().layer(plain, "other".getBytes(StandardCharsets.UTF_8)).dockerSave());
  }

  /** In a packed layer a changed bit shows as anything: its digest is what is told, wherever the bit is. */
  @Test
  void aBitFlippedInAPackedLayerIsADigestThatDoesNotMatch() throws Exception {
    byte[] packed = Tars.gzip(file("f", "text".repeat(1000)).raw(new byte[1024]).plain());
    byte[] whole = new Containers().packedLayer(file("f", "text".repeat(1000))).oci();
    int at = 0;
    while (!Arrays.equals(whole, at, at + packed.length, packed, 0, packed.length)) {
      at++;
    }
    for (int i = 0; i < packed.length; i++) {
      byte[] flipped = whole.clone();
      flipped[at + i] ^= (byte) (1 << i % 8);
      // The magic number says how to read the rest, so without it this is a layer that is not packed.
      InstarException e = refused(ErrorCode.DIGEST_MISMATCH, flipped);
      assertEquals(Digest.of(packed).value(), e.problem().members().get("digest"), () -> e.problem().detail());
    }
  }

  /** The content of the one file is another than what its layer's digest was made of. */
  private static byte[] spoiled() {
    byte[] archive = new Containers().layer(file("f", "text-to-spoil")).oci();
    byte[] text = "text-to-spoil".getBytes(StandardCharsets.UTF_8);
    for (int i = 0; i + text.length < archive.length; i++) {
      if (Arrays.equals(archive, i, i + text.length, text, 0, text.length)) {
        archive[i] = 'T';
      }
    }
    return archive;
  }

  @Test
  void aTruncatedLayerIsRefused() throws Exception {
    byte[] plain = file("f", "text".repeat(1000)).raw(new byte[1024]).plain();
    byte[] packed = Tars.gzip(plain);
    refused(ErrorCode.ARCHIVE_REFUSED, new Containers().layer(Arrays.copyOf(packed, packed.length / 2), plain).oci());
    refused(ErrorCode.ARCHIVE_REFUSED, new Containers().layer(Arrays.copyOf(plain, 600), plain).oci());
    byte[] whole = new Containers().layer(file("f", "text".repeat(1000))).oci();
    for (int length : new int[] {513, 2048, whole.length - 3000}) {
      refused(ErrorCode.ARCHIVE_REFUSED, Arrays.copyOf(whole, length));
    }
  }

  @Test
  void manifestsThatPromiseOtherThanTheArchiveHoldsAreRefused() throws Exception {
    Containers image = new Containers().layer(file("f", "x"));
    refused(ErrorCode.ARCHIVE_REFUSED, image.oci("{\"manifests\":[]}"));
    refused(ErrorCode.ARCHIVE_REFUSED, image.oci("{\"manifests\":["));
    refused(ErrorCode.ARCHIVE_REFUSED, image.oci(image.index().replace("\"size\":", "\"size\":1")));
    refused(ErrorCode.ARCHIVE_REFUSED, image.oci(image.index().replace("sha256:", "sha512:")));
    refused(ErrorCode.ARCHIVE_REFUSED, image.oci(image.index().replace("sha256:", "../sha256:")));
    refused(ErrorCode.ARCHIVE_REFUSED, image.oci("[".repeat(10_000)));
    assertTrue(refused(ErrorCode.UNSUPPORTED_ARTIFACT, new Containers().platform("s390x").layer(file("f", "x")).oci()).problem().detail().contains("linux/s390x"));
    refused(ErrorCode.UNSUPPORTED_ARTIFACT, file("f", "x").raw(new byte[1024]).plain());
  }

  @ParameterizedTest
  @CsvSource({"zstd, 28b52ffd00"})
  void aLayerOfAnotherCompressionIsNamed(String name, String hex) throws Exception {
    byte[] stored = HexFormat.of().parseHex(hex);
    assertTrue(refused(ErrorCode.ARCHIVE_REFUSED, new Containers().layer(stored, stored).oci()).problem().detail().contains(name));
  }

  @Test
  void aLayerOfSeveralGzipMembersIsTaken() throws Exception {
    byte[] plain = file("f", "text").raw(new byte[1024]).plain();
    byte[] head = Tars.gzip(Arrays.copyOf(plain, 512));
    byte[] tail = Tars.gzip(Arrays.copyOfRange(plain, 512, plain.length));
    byte[] both = Arrays.copyOf(head, head.length + tail.length);
    System.arraycopy(tail, 0, both, head.length, tail.length);
    assertEquals("text", Files.readString(add(new Containers().layer(both, plain).oci()).rootfs().orElseThrow().resolve("f")));
  }

  @Test
  void anImageIsUnpackedAgainInTheNextRunAndRemovedWithItsView() throws Exception {
    Digest digest = add(new Containers().layer(file("f", "x")).oci()).digest();
    DurableFiles.deleteTree(data.scratch("unpacked").resolve(digest.hex()));
    store = store(new ArchiveLimits(1, 1, 255, 1, 2));
    Path root = store.find(digest).orElseThrow().rootfs().orElseThrow();
    assertEquals("x", Files.readString(root.resolve("f")));
    assertEquals(1, store.collect(Set.of(), 0));
    assertFalse(Files.exists(root, LinkOption.NOFOLLOW_LINKS));
  }

  @Test
  void mutatedImagesAreStoredOrRefused() throws Exception {
    byte[] whole = new Containers().layer(file("a/b", "text").link("l", "a").hardLink("h", "a/b")).packedLayer(file("a/.wh.b", "").file("l/c")).oci();
    Random random = new Random(6);
    for (int i = 0; i < 300; i++) {
      byte[] mutated = whole.clone();
      for (int j = 0; j < 1 + random.nextInt(4); j++) {
        mutated[random.nextInt(mutated.length)] = (byte) random.nextInt(256);
      }
      try {
        add(mutated);
      } catch (InstarException e) {
        // A blob that begins with a changed name is another kind of artifact, or none.
        assertTrue(Set.of(ErrorCode.ARCHIVE_REFUSED, ErrorCode.DIGEST_MISMATCH, ErrorCode.UNSUPPORTED_ARTIFACT).contains(e.code()), e.toString());
      }
    }
    try (Stream<Path> all = Files.list(directory)) {
      assertEquals(List.of(data.root()), all.toList(), "something is beside the data directory");
    }
  }
}
