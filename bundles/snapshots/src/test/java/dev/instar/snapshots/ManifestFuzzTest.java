package dev.instar.snapshots;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.instar.api.Digest;
import dev.instar.api.snapshot.SnapshotLayer;

/** A manifest is refused, or it makes sense and there is no other form of it. */
class ManifestFuzzTest {
  @FuzzTest
  void whatIsReadIsWhatWouldBeWritten(byte[] input) {
    SnapshotLayer layer;
    try {
      layer = Manifest.read(input);
    } catch (Manifest.InvalidException e) {
      return;
    }
    assertEquals(Digest.of(input), layer.id());
    assertArrayEquals(input, Manifest.write(layer));
    assertFalse(Manifest.overlaps(layer.extents()));
    assertTrue(layer.extents().stream().allMatch(e -> e.offset() + e.length() <= layer.memoryBytes()));
    assertTrue(layer.blobs().keySet().stream().allMatch(name -> name.matches("[a-z][a-z0-9-]{0,63}")));
  }
}
