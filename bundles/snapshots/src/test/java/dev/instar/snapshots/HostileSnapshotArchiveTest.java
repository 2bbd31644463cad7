package dev.instar.snapshots;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.snapshot.GcPolicy;
import dev.instar.api.snapshot.SnapshotBuilder;
import dev.instar.api.snapshot.SnapshotKey;
import dev.instar.api.snapshot.SnapshotLayer;
import dev.instar.data.LockedDataDirectory;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Archives that somebody has made with care: their own sum is right, and what is in them is not. */
class HostileSnapshotArchiveTest {
  private static final SnapshotKey KEY = new SnapshotKey("toy", "1", new TreeMap<>(), List.of());
  private static final int LIMIT = 1 << 20;
  /** Magic, number of layers, length of the manifest. */
  private static final int MANIFEST_AT = 16;

  @TempDir Path dir;
  private LockedDataDirectory data;
  private SnapshotStoreComponent store;
  private byte[] archive;
  private int manifestBytes;

  @BeforeEach
  void open() throws Exception {
    data = LockedDataDirectory.open(dir.resolve("data"));
    store = new SnapshotStoreComponent(data, new SnapshotStoreComponent.Limits(new GcPolicy(Duration.ofDays(1), 1 << 30), LIMIT));
    byte[] memory = new byte[100];
    Arrays.fill(memory, (byte) 7);
    archive = export(memory);
    manifestBytes = ByteBuffer.wrap(archive).getInt(12);
  }

  @AfterEach
  void close() {
    store.stop();
    data.close();
  }

  private byte[] export(byte[] memory) throws IOException {
    try (SnapshotBuilder builder = store.base(KEY, "test")) {
      builder.memory(0, ByteBuffer.wrap(memory));
      builder.blob("state", new ByteArrayInputStream("state".getBytes(StandardCharsets.UTF_8)));
      return exported(builder.publish());
    }
  }

  /** Without the sum at its end, and gone from the store. */
  private byte[] exported(SnapshotLayer layer) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    store.exportTo(layer.id(), out);
    store.collect(new GcPolicy(Duration.ZERO, 0));
    return Arrays.copyOf(out.toByteArray(), out.size() - 32);
  }

  private static byte[] sealed(byte[] content) {
    byte[] all = Arrays.copyOf(content, content.length + 32);
    System.arraycopy(HexFormat.of().parseHex(Digest.of(content).hex()), 0, all, content.length, 32);
    return all;
  }

  private void refused(byte[] content, String why) throws Exception {
    InstarException refusal = assertThrows(InstarException.class, () -> store.importFrom(new ByteArrayInputStream(sealed(content))));
    assertEquals(ErrorCode.ARCHIVE_REFUSED, refusal.code());
    assertTrue(refusal.getMessage().contains(why), refusal::getMessage);
    assertEquals(List.of(), store.list());
    try (Stream<Path> files = Files.walk(dir)) {
      assertEquals(List.of(), files.filter(f -> Files.isRegularFile(f) && !f.getFileName().toString().equals("lock")).toList());
    }
  }

  private byte[] manifestWith(String what, String instead) {
    String manifest = new String(archive, MANIFEST_AT, manifestBytes, StandardCharsets.UTF_8);
    assertTrue(manifest.contains(what), manifest);
    byte[] changed = manifest.replace(what, instead).getBytes(StandardCharsets.UTF_8);
    ByteBuffer all = ByteBuffer.allocate(archive.length - manifestBytes + changed.length);
    all.put(archive, 0, MANIFEST_AT - Integer.BYTES).putInt(changed.length).put(changed);
    all.put(archive, MANIFEST_AT + manifestBytes, archive.length - MANIFEST_AT - manifestBytes);
    return all.array();
  }

  private byte[] with(int at, int value) {
    byte[] changed = archive.clone();
    ByteBuffer.wrap(changed).putInt(at, value);
    return changed;
  }

  /** The archive up to its memory, then other bytes. */
  private byte[] memory(int... bytes) {
    int at = MANIFEST_AT + manifestBytes;
    byte[] changed = Arrays.copyOf(archive, at + bytes.length);
    for (int i = 0; i < bytes.length; i++) {
      changed[at + i] = (byte) bytes[i];
    }
    return changed;
  }

  @Test
  void theOneThatNobodyHasChangedIsTaken() throws Exception {
    SnapshotLayer layer = store.importFrom(new ByteArrayInputStream(sealed(archive)));
    store.verify(layer.id());
    assertEquals(layer, store.find(KEY).orElseThrow());
  }

  @Test
  void namesDoNotEscape() throws Exception {
    refused(manifestWith("\"state\"", "\"../state\""), "a blob's name is not valid");
    refused(manifestWith("\"state\"", "\"/tmp/state\""), "a blob's name is not valid");
    refused(manifestWith("\"state\"", "\"sta\\u0000te\""), "a blob's name is not valid");
  }

  @Test
  void anotherFormatIsNamed() throws Exception {
    refused(manifestWith("\"format\":1", "\"format\":2"), "it has format 2");
    refused(with(0, 0), "is not one that this release reads");
    refused(with(4, 2), "is not one that this release reads");
  }

  @Test
  void thereIsOneFormOfAManifest() throws Exception {
    refused(manifestWith("\"format\":1", "\"format\": 1"), "not in the form");
    refused(manifestWith("\"creator\":\"test\"", "\"creator\":\"test\",\"more\":1"), "not in the form");
    refused(manifestWith("\"creator\":\"test\"", "\"creator\":\"test\",\"creator\":\"test\""), "bad manifest");
  }

  @Test
  void sizesAreHeldAgainstTheirLimitsBeforeAnythingIsUnpacked() throws Exception {
    refused(manifestWith("\"bytes\":5", "\"bytes\":" + (LIMIT + 1)), "holds more than " + LIMIT + " bytes");
    refused(manifestWith("\"bytes\":5", "\"bytes\":" + Long.MAX_VALUE), "bad manifest");
    refused(manifestWith("\"memoryBytes\":100,\"extents\":[[0,100,0]]", "\"memoryBytes\":" + (1L << 40) + ",\"extents\":[[0," + (1L << 40) + ",0]]"),
        "holds more than " + LIMIT + " bytes");
    refused(with(8, 0), "has 0 layers");
    refused(with(8, 17), "has 17 layers");
    refused(with(8, -1), "layers");
    refused(with(12, Integer.MAX_VALUE), "manifest of 2147483647 bytes");
    refused(with(12, Manifest.MAX_BYTES + 1), "manifest of " + (Manifest.MAX_BYTES + 1));
    refused(with(12, Manifest.MAX_BYTES), "is cut off");
  }

  @Test
  void aSmallArchiveOfMuchMemoryIsRefused() throws Exception {
    byte[] bomb = export(new byte[4 * LIMIT]);
    assertTrue(bomb.length < 2048, () -> "it has " + bomb.length + " bytes");
    refused(bomb, "holds more than " + LIMIT + " bytes");
  }

  @Test
  void aChunkUnpacksToItsPlaceAndNoFurther() throws Exception {
    byte[] packed = Chunks.deflate(new byte[60_000], 60_000);
    byte[] content = memory(new int[5 + packed.length]);
    ByteBuffer.wrap(content, MANIFEST_AT + manifestBytes, 5 + packed.length).put((byte) 1).putInt(packed.length).put(packed);
    refused(content, "does not unpack to its size");
    refused(memory(1, 0x7f, 0xff, 0xff, 0xff), "packed bytes");
    refused(memory(1, 0, 0, 0, 0), "0 packed bytes");
    refused(memory(1, 0, 0, 0, 2, 3, 0), "does not unpack to its size");
  }

  @Test
  void aChunkRefersBackOnly() throws Exception {
    refused(memory(2, 0, 0, 0, 0), "refers to a chunk that has not come");
    refused(memory(2, 0xff, 0xff, 0xff, 0xff), "refers to a chunk that has not come");
    refused(memory(3), "unknown kind 3");
  }

  @Test
  void contentIsHeldAgainstTheManifest() throws Exception {
    byte[] zeros = Arrays.copyOf(archive, archive.length);
    int at = MANIFEST_AT + manifestBytes;
    int packed = ByteBuffer.wrap(archive).getInt(at + 1);
    byte[] content = new byte[zeros.length - 4 - packed];
    System.arraycopy(zeros, 0, content, 0, at);
    System.arraycopy(zeros, at + 5 + packed, content, at + 1, zeros.length - at - 5 - packed);
    refused(content, "content that is not what its manifest says");
  }

  @Test
  void aDiffDoesNotComeWithoutItsBase() throws Exception {
    byte[] both;
    SnapshotLayer base;
    try (SnapshotBuilder builder = store.base(KEY, "test")) {
      base = builder.publish();
    }
    try (SnapshotBuilder builder = store.diff(base.id(), KEY, "test")) {
      both = exported(builder.publish());
    }
    int manifest = ByteBuffer.wrap(both).getInt(12);
    byte[] alone = new byte[both.length - 4 - manifest];
    System.arraycopy(both, 0, alone, 0, 8);
    ByteBuffer.wrap(alone).putInt(8, 1);
    System.arraycopy(both, 16 + manifest, alone, 12, both.length - 16 - manifest);
    refused(alone, "does not lie on the one before it");
  }
}
