package dev.instar.images;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.Image;
import dev.instar.data.LockedDataDirectory;
import dev.instar.tck.crash.CrashSuite;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.stream.Stream;

class ContentStoreCrashTest extends CrashSuite {
  private static final byte[] SMALL = Arrays.copyOf(Tars.MODULE, 100);
  /** Of several buffers and pages; no part of it is zeros, which a lost page would look like. */
  private static final byte[] LARGE = filled(70_000);
  private static final byte[] BUNDLE = new Tars().program().directory("rootfs").directory("rootfs/a").file("rootfs/a/b")
      .link("rootfs/c", "a/b").tgz();
  private static final byte[] SCRIPT = "#!/bin/sh\nexit 7\n".getBytes();
  private static final Map<String, byte[]> ALL = new LinkedHashMap<>();

  static {
    ALL.put("small", SMALL);
    ALL.put("large", LARGE);
    ALL.put("bundle", BUNDLE);
    ALL.put("script", SCRIPT);
  }

  private static byte[] filled(int length) {
    byte[] bytes = new byte[length];
    Arrays.fill(bytes, (byte) 7);
    System.arraycopy(Tars.MODULE, 0, bytes, 0, Tars.MODULE.length);
    return bytes;
  }

  @Override
  protected int steps() {
    return 6;
  }

  @Override
  protected Subject open(Path root) throws Exception {
    LockedDataDirectory data = LockedDataDirectory.open(root);
    ContentStore store;
    try {
      store = new ContentStore(data, ArchiveLimits.DEFAULT);
    } catch (RuntimeException e) {
      data.close();
      throw e;
    }
    return new Subject() {
      private void add(byte[] content) throws Exception {
        assertEquals(Digest.of(content), store.add(new ByteArrayInputStream(content), 1 << 20).digest());
      }

      @Override
      public void step(int n) throws Exception {
        switch (n) {
          case 0 -> add(SMALL);
          case 1 -> add(LARGE);
          case 2 -> add(BUNDLE);
          case 3 -> add(SMALL);
          case 4 -> store.collect(Set.of(Digest.of(SMALL), Digest.of(BUNDLE)), 0);
          case 5 -> add(SCRIPT);
          default -> throw new IllegalArgumentException();
        }
      }

      @Override
      public SortedMap<String, String> facts() throws Exception {
        Map<String, Fact> facts = new LinkedHashMap<>();
        ALL.forEach((name, content) -> facts.put(name, () -> tell(Digest.of(content))));
        return told(facts);
      }

      private String tell(Digest digest) throws Exception {
        Image image = store.find(digest).orElseThrow(() -> new InstarException(ErrorCode.IMAGE_NOT_FOUND, "not there"));
        String text = image.kind() + " " + image.size() + " " + Digest.of(Files.readAllBytes(image.program()));
        try (InputStream in = store.open(digest)) {
          text += " " + Digest.of(in.readAllBytes());
        }
        if (image.rootfs().isPresent()) {
          text += " " + Files.readString(image.rootfs().get().resolve("c"));
        }
        return text;
      }

      @Override
      public List<Path> setAside() throws IOException {
        try (Stream<Path> all = Files.list(data.area("images").resolve("damaged"))) {
          return all.toList();
        }
      }

      @Override
      public void goOn() throws Exception {
        for (byte[] content : ALL.values()) {
          add(content);
        }
        assertEquals(ALL.keySet(), facts().keySet());
      }

      @Override
      public void close() {
        data.close();
      }
    };
  }
}
