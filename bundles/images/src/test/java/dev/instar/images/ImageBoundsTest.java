package dev.instar.images;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.data.DurableFiles;
import dev.instar.api.function.Image;
import dev.instar.api.image.ImageDetails;
import dev.instar.api.image.ImageInfo;
import dev.instar.data.LockedDataDirectory;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** How much room images may take, all together and each user's, and what is told of them. */
@Timeout(60)
class ImageBoundsTest {
  private static final Ledger.Bounds NONE = ContentStore.Settings.UNBOUNDED;
  @TempDir
  Path directory;
  private LockedDataDirectory data;

  @BeforeEach
  void open() throws Exception {
    data = LockedDataDirectory.open(directory.resolve("data"));
  }

  @AfterEach
  void close() {
    data.close();
  }

  private ContentStore store(Ledger.Bounds all, Ledger.Bounds each) {
    return new ContentStore(data, new ContentStore.Settings(ArchiveLimits.DEFAULT, ArchiveLimits.CONTAINER, ImagesConfig.FIRST_ID, all, each), DurableFiles::create);
  }

  /** With a file of that content, and its root. */
  private static byte[] image(String content) {
    return new Containers().layer(new Tars().file("f", content.getBytes(StandardCharsets.UTF_8))).oci();
  }

  private static Image add(ContentStore store, byte[] archive, String user) throws IOException {
    return store.add(new ByteArrayInputStream(archive), 64 << 20, user.isEmpty() ? Optional.empty() : Optional.of(user));
  }

  private static InstarException full(ContentStore store, byte[] archive, String user) {
    InstarException e = assertThrows(InstarException.class, () -> add(store, archive, user));
    assertEquals(ErrorCode.IMAGES_FULL, e.code(), e::getMessage);
    return e;
  }

  private long files() throws IOException {
    try (Stream<Path> all = Files.walk(data.root())) {
      return all.filter(Files::isRegularFile).count();
    }
  }

  /** Each has a view of the directory itself, the configuration, the root and one file. */
  private static final int VIEW = 4;

  @Test
  void oneUserFillsHisShareAndNoOthers() throws Exception {
    ContentStore store = store(NONE, new Ledger.Bounds(Long.MAX_VALUE, 2 * VIEW));
    Digest first = add(store, image("1"), "ann").digest();
    add(store, image("2"), "ann");
    long before = files();
    InstarException full = full(store, image("3"), "ann");
    assertEquals("max-user-files", full.problem().members().get("limit"));
    assertEquals(2L * VIEW, full.problem().members().get("value"));
    assertTrue(full.getMessage().contains("ann") && full.getMessage().contains("instar image rm"), full::getMessage);
    assertEquals(before, files(), "nothing of it is left");
    add(store, image("1"), "ann");
    add(store, image("3"), "bob");
    add(store, image("3"), "ann");
    add(store, image("4"), "");
    assertTrue(store.remove(first));
    add(store, image("5"), "ann");
  }

  @Test
  void allTogetherFillTheNode() throws Exception {
    byte[] one = image("x".repeat(100_000));
    ContentStore store = store(new Ledger.Bounds(one.length + 150_000, Long.MAX_VALUE), NONE);
    add(store, one, "ann");
    InstarException packed = full(store, image("y".repeat(60_000)), "");
    assertEquals("max-total-bytes", packed.problem().members().get("limit"));
    add(store, "#!/bin/sh\n".getBytes(StandardCharsets.UTF_8), "bob");
    store.collect(Set.of(), 0);
    add(store, image("y".repeat(60_000)), "");
  }

  /** Hard links are one file on the disk. */
  @Test
  void aFileWithManyNamesCountsOnce() throws Exception {
    Tars tar = new Tars().file("f", new byte[50_000]);
    for (int i = 0; i < 20; i++) {
      tar.hardLink("g" + i, "f");
    }
    ContentStore store = store(new Ledger.Bounds(200_000, 100), NONE);
    Digest digest = add(store, new Containers().layer(tar).oci(), "").digest();
    ImageInfo info = store.inspect(digest).orElseThrow().info();
    assertEquals(VIEW + 20, info.unpackedFiles());
    assertTrue(info.unpackedBytes() >= 50_000 && info.unpackedBytes() < 60_000, info::toString);
  }

  @Test
  void whatIsTakenIsKnownInTheNextRunToo() throws Exception {
    Ledger.Bounds each = new Ledger.Bounds(Long.MAX_VALUE, VIEW);
    Digest digest = add(store(NONE, each), image("1"), "ann").digest();
    data.close();
    data = LockedDataDirectory.open(directory.resolve("data"));
    ContentStore next = store(NONE, each);
    full(next, image("2"), "ann");
    ImageInfo packed = next.list().getFirst();
    assertEquals(Optional.of("ann"), packed.user());
    assertEquals(VIEW, packed.unpackedFiles());
    assertFalse(packed.unpacked());
    next.find(digest).orElseThrow();
    assertTrue(next.list().getFirst().unpacked());
    assertEquals(packed.unpackedBytes(), next.list().getFirst().unpackedBytes());
    full(next, image("2"), "ann");

    // What is known is damaged: it counts by its archive until it is unpacked again.
    data.close();
    data = LockedDataDirectory.open(directory.resolve("data"));
    Path document = data.root().resolve("images/blobs").resolve(digest.hex().substring(0, 2)).resolve(digest.hex() + ".json");
    Files.writeString(document, "{}");
    ContentStore third = store(NONE, each);
    assertEquals(0, third.list().getFirst().unpackedFiles());
    third.find(digest).orElseThrow();
    assertEquals(VIEW, third.list().getFirst().unpackedFiles());
    assertEquals(Optional.empty(), third.list().getFirst().user());
    add(third, image("1"), "bob");
    assertEquals(Optional.of("bob"), third.list().getFirst().user(), "nobody else counted for it");
    assertTrue(third.remove(digest));
    assertFalse(Files.exists(document));
  }

  @Test
  void whatAnotherComponentHasTakenInIsKnownToo() throws Exception {
    ContentStore old = store(NONE, NONE);
    ContentStore next = store(NONE, NONE);
    assertEquals(List.of(), next.list());
    add(next, image("0"), "bob");
    add(old, image("1"), "ann");
    assertEquals(Set.of(Optional.of("ann"), Optional.of("bob")), next.list().stream().map(ImageInfo::user).collect(Collectors.toSet()));
    assertTrue(next.list().stream().allMatch(info -> info.unpackedFiles() == VIEW));
  }

  @Test
  void aContainerImageIsShownWithItsConfigurationAndLayers() throws Exception {
    Containers image = new Containers().layer(new Tars().file("a", new byte[10])).packedLayer(new Tars().file("b", new byte[10]));
    ContentStore store = store(NONE, NONE);
    Digest digest = add(store, image.oci(), "ann").digest();
    ImageDetails details = store.inspect(digest).orElseThrow();
    assertEquals(new String(image.configuration(), StandardCharsets.UTF_8), details.configuration().orElseThrow());
    assertEquals(2, details.layers().size());
    assertEquals(List.of(), store.inspect(add(store, Tars.MODULE, "").digest()).orElseThrow().layers());
    // Packed and unpacked go together.
    assertTrue(store.remove(digest));
    assertEquals(List.of(), List.of(data.scratch("unpacked").toFile().list()));
    assertTrue(store.inspect(digest).isEmpty());
  }
}
