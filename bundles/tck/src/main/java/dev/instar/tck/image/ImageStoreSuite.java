package dev.instar.tck.image;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.Image;
import dev.instar.api.function.Variant;
import dev.instar.api.image.ImageInfo;
import dev.instar.api.image.ImageStore;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.SequenceInputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What every {@link ImageStore} does. Each test gets a fresh, empty store. */
@Timeout(60)
public abstract class ImageStoreSuite {
  private static final byte[] MAGIC = {0, 'a', 's', 'm', 1, 0, 0, 0};
  private ImageStore store;

  /** A store that is empty. */
  protected abstract ImageStore emptyStore() throws Exception;

  /** The number of files that the store keeps, in whatever form: a refused or cut upload must not change it. */
  protected abstract long filesKept() throws Exception;

  @BeforeEach
  void open() throws Exception {
    store = emptyStore();
  }

  private static byte[] module(int seed, int customBytes) {
    byte[] payload = new byte[customBytes];
    new Random(seed).nextBytes(payload);
    byte[] module = java.util.Arrays.copyOf(MAGIC, MAGIC.length + customBytes);
    System.arraycopy(payload, 0, module, MAGIC.length, customBytes);
    return module;
  }

  private Image add(byte[] content) throws IOException {
    return store.add(new ByteArrayInputStream(content), 1 << 20);
  }

  @Test
  void keepsAModuleUnderItsDigest() throws Exception {
    byte[] module = module(1, 1000);
    Image image = add(module);
    assertEquals(Digest.of(module), image.digest());
    assertEquals(Variant.WASM, image.kind());
    assertEquals(module.length, image.size());
    assertArrayEquals(module, Files.readAllBytes(image.program()));
    assertTrue(image.rootfs().isEmpty());
    assertEquals(image, store.find(image.digest()).orElseThrow());
    try (InputStream back = store.open(image.digest())) {
      assertArrayEquals(module, back.readAllBytes());
    }
  }

  @Test
  void knowsAnExecutableByItsFirstBytes() throws Exception {
    assertEquals(Variant.EXECUTABLE, add("#!/bin/sh\necho\n".getBytes(StandardCharsets.US_ASCII)).kind());
    assertEquals(Variant.EXECUTABLE, add(new byte[] {0x7f, 'E', 'L', 'F', 2, 1, 1}).kind());
  }

  @Test
  void takesTheSameContentTwice() throws Exception {
    Image first = add(module(2, 100));
    long kept = filesKept();
    assertEquals(first, add(module(2, 100)));
    assertEquals(kept, filesKept());
  }

  @Test
  void takesTheSameContentFromManyAtOnce() throws Exception {
    byte[] module = module(3, 200_000);
    try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Callable<Image>> uploads = new ArrayList<>();
      for (int i = 0; i < 16; i++) {
        uploads.add(() -> add(module));
      }
      for (var upload : threads.invokeAll(uploads)) {
        assertEquals(Digest.of(module), upload.get().digest());
      }
    }
    try (InputStream back = store.open(Digest.of(module))) {
      assertArrayEquals(module, back.readAllBytes());
    }
  }

  @Test
  void refusesWhatItDoesNotKnowAndKeepsNothing() throws Exception {
    long before = filesKept();
    for (byte[] content : List.of(new byte[0], new byte[] {0}, "hello".getBytes(StandardCharsets.US_ASCII), new byte[] {0, 'a', 's'})) {
      assertEquals(ErrorCode.UNSUPPORTED_ARTIFACT, assertThrows(InstarException.class, () -> add(content)).code());
    }
    assertEquals(before, filesKept());
  }

  @Test
  void refusesWhatIsOverTheLimitAndKeepsNothing() throws Exception {
    long before = filesKept();
    byte[] module = module(4, 5000);
    InstarException refused = assertThrows(InstarException.class, () -> store.add(new ByteArrayInputStream(module), module.length - 1));
    assertEquals(ErrorCode.TOO_LARGE, refused.code());
    assertEquals((long) module.length - 1, ((Number) refused.problem().members().get("limitBytes")).longValue());
    assertEquals(before, filesKept());
    assertEquals(module.length, store.add(new ByteArrayInputStream(module), module.length).size());
  }

  @Test
  void anUploadThatWasCutLeavesNothing() throws Exception {
    long before = filesKept();
    InputStream cut = new SequenceInputStream(new ByteArrayInputStream(module(5, 300_000)), new InputStream() {
      @Override
      public int read() throws IOException {
        throw new IOException("connection reset");
      }
    });
    assertThrows(IOException.class, () -> store.add(cut, 1 << 20));
    assertEquals(before, filesKept());
    assertTrue(store.find(Digest.of(module(5, 300_000))).isEmpty());
  }

  @Test
  void whatIsUnknownIsNotFound() {
    Digest unknown = Digest.of(new byte[] {1, 2, 3});
    assertTrue(store.find(unknown).isEmpty());
    assertEquals(ErrorCode.IMAGE_NOT_FOUND, assertThrows(InstarException.class, () -> store.open(unknown)).code());
  }

  @Test
  void collectsWhatNobodyNeedsButNothingFresh() throws Exception {
    Image needed = add(module(6, 10));
    Image unneeded = add(module(7, 10));
    assertEquals(0, store.collect(Set.of(needed.digest()), 3600));
    assertTrue(store.find(unneeded.digest()).isPresent());
    assertEquals(1, store.collect(Set.of(needed.digest()), 0));
    assertTrue(store.find(unneeded.digest()).isEmpty());
    assertFalse(Files.exists(unneeded.program()));
    assertTrue(store.find(needed.digest()).isPresent());
  }

  @Test
  void listsWhatIsThereAndForWhomItCame() throws Exception {
    assertEquals(List.of(), store.list());
    byte[] module = module(9, 100);
    Digest digest = store.add(new ByteArrayInputStream(module), 1 << 20, Optional.of("ann")).digest();
    store.add(new ByteArrayInputStream(module), 1 << 20, Optional.of("bob"));
    Image other = add(module(10, 10));
    List<ImageInfo> all = store.list();
    assertEquals(Set.of(digest, other.digest()), Set.of(all.getFirst().digest(), all.getLast().digest()));
    ImageInfo info = store.inspect(digest).orElseThrow().info();
    assertTrue(all.contains(info));
    assertEquals(Variant.WASM, info.kind());
    assertEquals(module.length, info.size());
    assertEquals(Optional.of("ann"), info.user(), "whoever was first");
    assertEquals(Optional.empty(), store.inspect(other.digest()).orElseThrow().info().user());
    assertTrue(store.inspect(Digest.of(new byte[] {1})).isEmpty());
  }

  @Test
  void whatIsRemovedIsGone() throws Exception {
    long before = filesKept();
    Image image = add(module(11, 10));
    assertTrue(store.remove(image.digest()));
    assertFalse(store.remove(image.digest()));
    assertEquals(before, filesKept());
    assertTrue(store.find(image.digest()).isEmpty());
    assertTrue(store.inspect(image.digest()).isEmpty());
    assertEquals(List.of(), store.list());
    assertTrue(store.find(add(module(11, 10)).digest()).isPresent());
  }

  @Test
  void whatWasCollectedCanComeAgain() throws Exception {
    Image image = add(module(8, 10));
    store.collect(Set.of(), 0);
    assertEquals(image.digest(), add(module(8, 10)).digest());
    assertTrue(store.find(image.digest()).isPresent());
  }
}
