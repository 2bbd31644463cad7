package dev.instar.images;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.data.LockedDataDirectory;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** Cases 6 and 7 of a hostile user's list: what an archive may try. Each is refused, by name, and leaves nothing on disk. */
class HostileArchiveTest {
  private static final ArchiveLimits SMALL = new ArchiveLimits(40 << 20, 200, 255, 8, 100);

  @TempDir Path dir;
  private LockedDataDirectory data;
  private ContentStore store;

  @BeforeEach
  void open() throws Exception {
    data = LockedDataDirectory.open(dir.resolve("data"));
    store = new ContentStore(data, SMALL);
  }

  @AfterEach
  void close() {
    data.close();
  }

  private static Tars tar() {
    return new Tars().program();
  }

  @TestFactory
  Stream<DynamicTest> refused() {
    Map<String, Case> cases = new LinkedHashMap<>();
    cases.put("parent path", new Case(tar().file("rootfs/../../../../tmp/evil").tgz(), "'rootfs/../../../../tmp/evil' has '..'"));
    cases.put("parent path in an ignored part", new Case(tar().file("../evil").tgz(), "'../evil' has '..'"));
    cases.put("absolute path", new Case(tar().file("/etc/evil").tgz(), "'/etc/evil' is an absolute path"));
    cases.put("absolute path by a prefix", new Case(tar().entry("evil", '0', new byte[0], h -> Tars.put(h, 345, "/etc")).tgz(),
        "'/etc/evil' is an absolute path"));
    cases.put("absolute path by pax", new Case(tar().pax(Tars.record("path", "/etc/evil")).file("rootfs/a").tgz(),
        "'/etc/evil' is an absolute path"));
    cases.put("parent path by a GNU long name", new Case(tar().entry("././@LongLink", 'L', "rootfs/../../x\0".getBytes(), h -> {}).file("rootfs/a")
        .tgz(), "'rootfs/../../x' has '..'"));
    cases.put("backslash", new Case(tar().file("rootfs/..\\..\\evil").tgz(), "has a backslash"));
    cases.put("NUL by pax", new Case(tar().pax(Tars.record("path", "rootfs/a\0b")).file("x").tgz(), "'rootfs/a?b' has a control character"));
    cases.put("line end", new Case(tar().file("rootfs/a\nb").tgz(), "has a control character"));
    cases.put("escape sequence", new Case(tar().file("rootfs/\u001b[2J").tgz(), "has a control character"));
    cases.put("C1 control", new Case(tar().file("rootfs/\u009b2J").tgz(), "has a control character"));
    cases.put("name that is not UTF-8", new Case(tar().entry("rootfs/a", '0', new byte[0], h -> h[8] = (byte) 0xff).tgz(), "not UTF-8"));
    cases.put("overlong UTF-8 slash", new Case(tar().entry("rootfs/", '0', new byte[0], h -> {
      h[7] = (byte) 0xc0;
      h[8] = (byte) 0xaf;
    }).tgz(), "not UTF-8"));

    cases.put("absolute link", new Case(tar().link("rootfs/l", "/etc/passwd").tgz(), "'rootfs/l' is a link to the absolute path '/etc/passwd'"));
    cases.put("link out", new Case(tar().link("rootfs/a/l", "../../etc").tgz(), "'rootfs/a/l' is a link out of rootfs"));
    cases.put("link out in a bundle in a directory", new Case(new Tars().file("hello/function.wasm", Tars.MODULE)
        .link("hello/rootfs/l", "../function.wasm").tgz(), "'hello/rootfs/l' is a link out of hello/rootfs"));
    cases.put("link out by way of another link", new Case(tar().file("rootfs/a/b/f").link("rootfs/a/b/up", "..").link("rootfs/out", "a/b/up/../..")
        .tgz(), "'rootfs/out' is a link out of rootfs"));
    cases.put("link out by way of a later link", new Case(tar().link("rootfs/out", "a/up/../x").link("rootfs/a/up", "../b").directory("rootfs/b")
        .link("rootfs/x", "b/../../../y").tgz(), "is a link out of rootfs"));
    cases.put("link out of an ignored part", new Case(tar().link("replicas", "../../x").tgz(), "'replicas' is a link out of the archive"));
    cases.put("link loop", new Case(tar().link("rootfs/a", "b").link("rootfs/b", "a").tgz(), "leads through more than 40 others"));
    cases.put("link to nothing", new Case(tar().link("rootfs/a", "").tgz(), "is a link to nothing"));
    cases.put("write through a link", new Case(tar().link("rootfs/d", "..").file("rootfs/d/evil").tgz(),
        "'rootfs/d/evil' stands below 'rootfs/d', which is a link"));
    cases.put("link, then a file of its name", new Case(tar().link("rootfs/d", "x").file("rootfs/d").tgz(), "'rootfs/d' comes twice"));
    cases.put("program is a link", new Case(new Tars().link("function.wasm", "rootfs/x").file("rootfs/x", Tars.MODULE).tgz(),
        "'function.wasm' is no regular file"));
    cases.put("rootfs is a link", new Case(tar().link("rootfs", ".").tgz(), "'rootfs' is no directory"));
    cases.put("rootfs is a file", new Case(tar().file("rootfs").tgz(), "'rootfs' is no directory"));

    cases.put("hard link to an absolute path", new Case(tar().hardLink("rootfs/shadow", "/etc/shadow").tgz(),
        "'rootfs/shadow' links to the absolute path '/etc/shadow'"));
    cases.put("hard link out", new Case(tar().hardLink("rootfs/shadow", "../../etc/shadow").tgz(), "'rootfs/shadow' has '..'"));
    cases.put("hard link to a link", new Case(tar().link("rootfs/l", "x").hardLink("rootfs/h", "rootfs/l").tgz(),
        "'rootfs/h' is a hard link to 'rootfs/l', which is no file"));
    cases.put("hard link to what comes later", new Case(tar().hardLink("rootfs/h", "rootfs/later").file("rootfs/later").tgz(), "which is no file"));
    Tars hardLinks = tar().file("rootfs/big", new byte[8 << 20]);
    for (int i = 0; i < 6; i++) {
      hardLinks.hardLink("rootfs/h" + i, "rootfs/big");
    }
    cases.put("hard link bomb", new Case(hardLinks.tgz(), "makes hard links of more than"));

    cases.put("character device", new Case(tar().entry("rootfs/mem", '3', new byte[0], h -> {}).tgz(), "'rootfs/mem' is a character device"));
    cases.put("block device", new Case(tar().entry("rootfs/sda", '4', new byte[0], h -> {}).tgz(), "'rootfs/sda' is a block device"));
    cases.put("FIFO", new Case(tar().entry("rootfs/p", '6', new byte[0], h -> {}).tgz(), "'rootfs/p' is a FIFO"));
    cases.put("device in an ignored part", new Case(tar().entry("dev", '3', new byte[0], h -> {}).tgz(), "'dev' is a character device"));
    cases.put("unknown type", new Case(tar().entry("rootfs/s", 's', new byte[0], h -> {}).tgz(), "'rootfs/s' is of the unknown type 's'"));
    cases.put("set-uid", new Case(tar().entry("rootfs/su", '0', new byte[0], h -> Tars.put(h, 100, "0004755")).tgz(), "'rootfs/su' is set-uid"));
    cases.put("set-gid directory", new Case(tar().entry("rootfs/d", '5', new byte[0], h -> Tars.put(h, 100, "0002755")).tgz(),
        "'rootfs/d' is set-uid or set-gid"));
    cases.put("old GNU sparse", new Case(tar().entry("rootfs/s", 'S', new byte[0], h -> {}).tgz(), "'rootfs/s' is a sparse file"));
    cases.put("pax sparse", new Case(tar().pax(Tars.record("GNU.sparse.major", "1") + Tars.record("GNU.sparse.realsize", "1099511627776"))
        .file("rootfs/s").tgz(), "sparse"));

    cases.put("same name twice", new Case(tar().file("rootfs/a").file("rootfs/a").tgz(), "'rootfs/a' comes twice"));
    cases.put("same name in another spelling", new Case(tar().file("rootfs/a").file("./rootfs//./a").tgz(),
        "'./rootfs//./a' comes twice, first as 'rootfs/a'"));
    cases.put("two programs by spelling", new Case(tar().file("./function.wasm", Tars.MODULE).tgz(), "'./function.wasm' comes twice"));
    cases.put("two programs", new Case(tar().file("x/function.wasm", Tars.MODULE).tgz(),
        "more than one function.wasm: 'function.wasm' and 'x/function.wasm'"));
    cases.put("two programs in two directories", new Case(new Tars().file("a/function.wasm", Tars.MODULE).file("b/function.wasm", Tars.MODULE).tgz(),
        "more than one function.wasm"));
    cases.put("file below a file", new Case(tar().file("rootfs/a").file("rootfs/a/b").tgz(),
        "'rootfs/a/b' stands below 'rootfs/a', which is a file"));
    cases.put("file over a directory", new Case(tar().file("rootfs/a/b").file("rootfs/a").tgz(), "'rootfs/a' is a directory and something else"));
    cases.put("directory over a file", new Case(tar().file("rootfs/a").directory("rootfs/a/").tgz(), "'rootfs/a/' comes twice"));
    cases.put("no program", new Case(new Tars().file("rootfs/a").tgz(), "has no function.wasm"));
    cases.put("program too deep", new Case(new Tars().file("a/b/function.wasm", Tars.MODULE).tgz(), "has no function.wasm"));
    cases.put("no entry", new Case(new Tars().tgz(), "has no function.wasm"));
    cases.put("program is a directory", new Case(new Tars().directory("function.wasm").tgz(), "'function.wasm' is no regular file"));

    cases.put("size beyond the archive", new Case(tar().entry("rootfs/a", '0', new byte[512], h -> Tars.put(h, 124, "00000777777")).tgz(),
        "'rootfs/a' is longer in its header than in the archive"));
    cases.put("size of petabytes", new Case(tar().entry("rootfs/a", '0', new byte[0], h -> {
      Arrays.fill(h, 125, 136, (byte) 0);
      h[124] = (byte) 0x80;
      h[129] = 1;
    }).tgz(), "'rootfs/a' is longer in its header"));
    cases.put("negative size", new Case(tar().entry("rootfs/a", '0', new byte[0], h -> Arrays.fill(h, 124, 136, (byte) 0xff)).tgz(),
        "has a size that is negative"));
    cases.put("size that overflows", new Case(tar().entry("rootfs/a", '0', new byte[0], h -> {
      Arrays.fill(h, 124, 136, (byte) 0xff);
      h[124] = (byte) 0x80;
    }).tgz(), "far too large"));
    cases.put("size that is no number", new Case(tar().entry("rootfs/a", '0', new byte[0], h -> Tars.put(h, 124, "0000000000x")).tgz(),
        "has a size that is no octal number"));
    cases.put("pax size against the header", new Case(tar().pax(Tars.record("size", "100000")).file("rootfs/a").tgz(),
        "'rootfs/a' is longer in its header"));
    cases.put("pax size that is negative", new Case(tar().pax(Tars.record("size", "-1")).file("rootfs/a").tgz(), "has a size that is no number"));
    cases.put("directory with data", new Case(tar().entry("rootfs/d", '5', new byte[512], h -> {}).tgz(), "'rootfs/d' has data but is no file"));
    cases.put("wrong header checksum", new Case(tar().raw(spoiled()).tgz(), "checksum does not fit"));
    cases.put("cut in a header", new Case(tar().raw(new byte[100]).unended(), "ends within a header"));
    cases.put("cut in data", new Case(tar().entry("rootfs/a", '0', new byte[0], h -> Tars.put(h, 124, "00000001000")).raw(new byte[10]).unended(),
        "'rootfs/a' is longer in its header"));
    cases.put("no end", new Case(tar().unended(), "ends early"));
    cases.put("more after the end", new Case(tar().raw(new byte[1024]).file("rootfs/late").tgz(), "goes on after its end"));
    cases.put("header for no entry", new Case(tar().pax(Tars.record("path", "x")).tgz(), "ends after a header that belongs to an entry"));

    cases.put("two extended headers", new Case(tar().pax(Tars.record("path", "a")).pax(Tars.record("path", "b")).file("c").tgz(),
        "more than one extended header"));
    cases.put("two long names", new Case(tar().entry("x", 'L', "a\0".getBytes(), h -> {}).entry("x", 'L', "b\0".getBytes(), h -> {}).file("c").tgz(),
        "more than one long name"));
    cases.put("long name and extended path", new Case(tar().entry("x", 'L', "a\0".getBytes(), h -> {}).pax(Tars.record("path", "b")).file("c").tgz(),
        "has two long names that differ"));
    cases.put("path twice in one extended header", new Case(tar().pax(Tars.record("path", "a") + Tars.record("path", "b")).file("c").tgz(),
        "gives path twice"));
    cases.put("path for all", new Case(tar().entry("pax_global_header", 'g', Tars.record("path", "x").getBytes(), h -> {}).file("rootfs/a").tgz(),
        "gives every entry the same path"));
    cases.put("huge long name", new Case(tar().entry("x", 'L', new byte[8 << 20], h -> {}).file("c").tgz(), "has a long name of 8388608 bytes"));
    cases.put("huge extended header", new Case(tar().entry("x", 'x', new byte[8 << 20], h -> {}).file("c").tgz(),
        "has an extended header of 8388608 bytes"));
    cases.put("malformed extended header", new Case(tar().pax("999999 path=x\n").file("c").tgz(), "malformed"));
    cases.put("extended header of length 0", new Case(tar().pax("0 path=x\n").file("c").tgz(), "malformed"));
    cases.put("name of 256 bytes", new Case(tar().pax(Tars.record("path", "rootfs/" + "n".repeat(256))).file("c").tgz(),
        "has a name of more than 255 bytes"));
    cases.put("too deep", new Case(tar().file("rootfs/1/2/3/4/5/6/7/8").tgz(), "is more than 8 directories deep"));
    cases.put("path of 3000 bytes", new Case(tar().pax(Tars.record("path", ("n".repeat(200) + "/").repeat(15) + "n")).file("c").tgz(),
        "has a path of more than 2048 bytes"));

    Tars many = tar();
    for (int i = 0; i < 300; i++) {
      many.entry("rootfs/" + i, '0', new byte[0], h -> {});
    }
    cases.put("too many files", new Case(many.tgz(), "is one too many: 200 are allowed"));
    Tars implied = tar();
    for (int i = 0; i < 50; i++) {
      implied.file("rootfs/" + i + "/a/b/c/d/e");
    }
    cases.put("too many implied directories", new Case(implied.tgz(), "is one too many"));
    Tars entangled = tar();
    for (int i = 0; i < 190; i++) {
      entangled.pax(Tars.record("linkpath", (i % 30 == 0 ? "." : "l" + (i - 1)) + "/.".repeat(900))).link("rootfs/l" + i, "");
    }
    cases.put("entangled links", new Case(entangled.tgz(), "has links that lead through too many others"));

    cases.put("too large unpacked", new Case(tar().file("rootfs/noise", noise(41 << 20)).tgz(), "unpacks to more than 41943040 bytes"));
    cases.put("bomb by ratio", new Case(tar().file("rootfs/zeroes", new byte[30 << 20]).tgz(), "unpacks to more than 100 times its size"));
    cases.put("bomb after the end", new Case(tar().raw(new byte[30 << 20]).tgz(), "unpacks to more than 100 times its size"));
    cases.put("a bomb within the bundle, which stays packed, and two members", new Case(concat(tar()
        .file("rootfs/bomb.gz", Tars.gzip(new byte[30 << 20])).tgz(), tar().tgz()), "has bytes after the end of its gzip member"));
    cases.put("garbage after gzip", new Case(concat(tar().tgz(), "garbage".getBytes()), "has bytes after the end of its gzip member"));
    cases.put("zeroes after gzip", new Case(concat(tar().tgz(), new byte[512]), "has bytes after the end of its gzip member"));
    cases.put("gzip cut", new Case(Arrays.copyOf(tar().tgz(), tar().tgz().length - 9), "ends early"));
    cases.put("gzip trailer cut", new Case(Arrays.copyOf(tar().tgz(), tar().tgz().length - 1), "ends early"));
    cases.put("gzip header cut", new Case(Arrays.copyOf(tar().tgz(), 5), "ends early"));
    byte[] crc = tar().tgz();
    crc[crc.length - 6] ^= 1;
    cases.put("gzip checksum", new Case(crc, "its gzip checksum or length does not fit"));
    cases.put("gzip reserved flags", new Case(with(tar().tgz(), 3, 0x80), "reserved gzip flags"));
    cases.put("gzip comment without end", new Case(concat(new byte[] {0x1f, (byte) 0x8b, 8, 16, 0, 0, 0, 0, 0, 0}, "c".repeat(100_000).getBytes()),
        "bytes of text in its gzip header"));
    cases.put("gzip method", new Case(with(tar().tgz(), 2, 7), "not gzip with DEFLATE"));
    cases.put("gzip in gzip", new Case(Tars.gzip(tar().tgz()), ""));
    return cases.entrySet().stream().map(e -> DynamicTest.dynamicTest(e.getKey(), () -> check(e.getValue())));
  }

  private record Case(byte[] archive, String message) {}

  private static byte[] spoiled() {
    byte[] header = new byte[512];
    Tars.put(header, 0, "rootfs/a");
    Tars.put(header, 257, "ustar\0" + "00");
    header[156] = '0';
    Tars.checksum(header);
    header[0] = 'R';
    return header;
  }

  private static byte[] concat(byte[] a, byte[] b) {
    byte[] all = Arrays.copyOf(a, a.length + b.length);
    System.arraycopy(b, 0, all, a.length, b.length);
    return all;
  }

  private static byte[] with(byte[] bytes, int at, int value) {
    bytes[at] = (byte) value;
    return bytes;
  }

  private static byte[] noise(int length) {
    byte[] noise = new byte[length];
    new Random(1).nextBytes(noise);
    return noise;
  }

  private void check(Case hostile) throws IOException {
    List<String> before = files();
    InstarException e = assertThrows(InstarException.class, () -> store.add(new ByteArrayInputStream(hostile.archive), Long.MAX_VALUE));
    assertEquals(ErrorCode.ARCHIVE_REFUSED, e.code(), e.getMessage());
    assertTrue(e.problem().detail().contains(hostile.message), e.problem().detail());
    assertTrue(e.problem().detail().matches("[ -~]*"), e.problem().detail());
    assertEquals(before, files());
  }

  private List<String> files() throws IOException {
    try (Stream<Path> all = Files.walk(dir)) {
      return all.map(Path::toString).sorted().toList();
    }
  }

  @Test
  void aBundleWhoseProgramIsNoModuleIsOfNoSupportedKind() {
    InstarException e = assertThrows(InstarException.class, () -> store.add(new ByteArrayInputStream(new Tars()
        .file("function.wasm", "\177ELF".getBytes()).tgz()), 1 << 20));
    assertEquals(ErrorCode.UNSUPPORTED_ARTIFACT, e.code());
  }

  /** Whatever a few changed bytes make of a good archive: it is stored or refused, within its place, and nothing else happens. */
  @Test
  void mutatedArchivesAreStoredOrRefused() throws IOException {
    Path outside = Files.writeString(dir.resolve("outside"), "untouched");
    FileTime then = Files.getLastModifiedTime(outside);
    byte[] good = tar().directory("rootfs").file("rootfs/etc/passwd", noise(700)).link("rootfs/l", "etc/passwd")
        .hardLink("rootfs/h", "rootfs/etc/passwd")
        .pax(Tars.record("path", "rootfs/" + "n".repeat(150)) + Tars.record("size", "3")).entry("x", '0', new byte[] {1, 2, 3}, h -> {})
        .entry("././@LongLink", 'L', ("rootfs/" + "m".repeat(150) + "\0").getBytes(), h -> {}).file("y").raw(new byte[1024]).plain();
    Random random = new Random(20260101);
    int stored = 0;
    int refused = 0;
    long end = System.nanoTime() + 2_000_000_000L;
    for (int round = 0; round < 3000 && System.nanoTime() < end; round++) {
      byte[] tar = good.clone();
      for (int changes = 1 + random.nextInt(4); changes > 0; changes--) {
        switch (random.nextInt(3)) {
          case 0 -> tar[random.nextInt(tar.length)] ^= (byte) (1 << random.nextInt(8));
          case 1 -> tar[random.nextInt(tar.length)] = new byte[] {0, '.', '/', '\\', '5', '2', '1', (byte) 0xff}[random.nextInt(8)];
          default -> {
            int from = random.nextInt(tar.length / 512) * 512;
            System.arraycopy(good, random.nextInt(good.length / 512) * 512, tar, from, 512);
          }
        }
      }
      if (random.nextInt(4) > 0) {
        for (int at = 0; at < tar.length; at += 512) {
          if (new String(tar, at + 257, 5).equals("ustar")) {
            byte[] header = Arrays.copyOfRange(tar, at, at + 512);
            Tars.checksum(header);
            System.arraycopy(header, 0, tar, at, 512);
          }
        }
      }
      byte[] packed = Tars.gzip(tar);
      if (random.nextInt(8) == 0) {
        packed[random.nextInt(packed.length)] ^= (byte) (1 << random.nextInt(8));
      }
      try {
        var image = store.add(new ByteArrayInputStream(packed), 1 << 20);
        stored++;
        try (Stream<Path> all = Files.walk(image.program().getParent())) {
          all.filter(p -> Files.isSymbolicLink(p) && Files.exists(p)).forEach(p -> {
            try {
              assertTrue(p.toRealPath().startsWith(data.root()), p + " leads to " + p.toRealPath());
            } catch (IOException e) {
              fail(e);
            }
          });
        }
        store.collect(java.util.Set.of(), 0);
      } catch (InstarException e) {
        assertTrue(e.code() == ErrorCode.ARCHIVE_REFUSED || e.code() == ErrorCode.UNSUPPORTED_ARTIFACT, () -> e.toString());
        refused++;
      }
    }
    assertTrue(stored > 0 && refused > 0, stored + " stored, " + refused + " refused");
    assertEquals(then, Files.getLastModifiedTime(outside));
    try (Stream<Path> all = Files.list(data.scratch("uploads"))) {
      assertEquals(0, all.count());
    }
    try (Stream<Path> all = Files.list(dir)) {
      assertEquals(List.of("data", "outside"), all.map(p -> p.getFileName().toString()).sorted().toList());
    }
    assertTrue(Files.isRegularFile(outside, LinkOption.NOFOLLOW_LINKS));
  }
}
