package dev.instar.functions;

import static dev.instar.functions.Fixture.NAME;
import static dev.instar.functions.Fixture.code;
import static dev.instar.functions.Fixture.spec;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.Function;
import dev.instar.api.function.FunctionListener;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Limits;
import dev.instar.api.function.Variant;
import dev.instar.api.log.FunctionLogs;
import dev.instar.data.LockedDataDirectory;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DurableRegistryTest {
  private static final Settings QUICK = new Settings(4, Duration.ofHours(1), Duration.ofMillis(50));

  @TempDir Path dir;
  private final Fixture.Images images = new Fixture.Images();
  private final Fixture.Prepares preparer = new Fixture.Prepares();
  private final Fixture.Hears hears = new Fixture.Hears();
  private LockedDataDirectory data;
  private DurableRegistry registry;

  @BeforeEach
  void open() throws Exception {
    data = LockedDataDirectory.open(dir.resolve("data"));
    registry = registry(QUICK);
  }

  private DurableRegistry registry(Settings settings) {
    DurableRegistry made = new DurableRegistry(data, settings);
    made.setImages(images);
    made.setPreparer(preparer);
    made.addListener(hears);
    return made;
  }

  @AfterEach
  void close() {
    registry.stop();
    data.close();
  }

  private void restart() throws Exception {
    close();
    open();
  }

  private FunctionVersion publish(String content) throws InterruptedException {
    return registry.publish(NAME, spec(images.image(content)), true);
  }

  private Path document() {
    return data.root().resolve("functions/alice/hello.json");
  }

  @Test
  void aPublishedFunctionIsFoundAndIsTheSameAfterARestart() throws Exception {
    FunctionSpec spec = new FunctionSpec(List.of(new Variant(images.image("w"), Variant.WASM, Optional.of("wasm")),
        new Variant(images.image("x", Variant.EXECUTABLE), Variant.EXECUTABLE, Optional.empty())),
        new Limits(1 << 20, Duration.ofMillis(1500), 1, 2, 3, 4), Map.of("KEY", "värde\n\"", "B", ""), Map.of("team", "blue"));
    FunctionVersion first = registry.publish(NAME, spec, false);
    assertEquals(1, first.number());
    assertTrue(first.uid().matches("[0-9a-f]{32}"), first.uid());
    assertEquals(spec, first.spec());
    assertEquals(List.of(first), preparer.prepared);
    FunctionVersion second = publish("b");
    Function expected = new Function(NAME, List.of(first, second), 2, Optional.of(1));
    assertEquals(Optional.of(expected), registry.find(NAME));
    assertNotEquals(first.uid(), second.uid());
    restart();
    assertEquals(Optional.of(expected), registry.find(NAME));
    assertEquals(3, publish("c").number());
  }

  @Test
  void oneThatIsStillReadingAnswersAndLetsChangesWait() throws Exception {
    FunctionVersion first = publish("a");
    for (int i = 0; i < 50; i++) {
      registry.publish(new FunctionName("bob", "f" + i), spec(images.image("b")), true);
    }
    registry.stop();
    // Slow machines read for longer than the others wait for a service.
    registry = new DurableRegistry(data, new Settings(4, Duration.ofHours(1), Duration.ofSeconds(30)), true);
    registry.setImages(images);
    registry.setPreparer(preparer);
    assertEquals(Optional.of(first), registry.find(NAME).flatMap(f -> f.version(1)));
    assertEquals(51, registry.list().size());
    assertEquals(2, publish("c").number());
    assertEquals(51, registry.list().size());
  }

  @Test
  void oneThatIsStoppedWhileItReadsLetsTheAreaGo() throws Exception {
    FunctionVersion first = publish("a");
    registry.stop();
    new DurableRegistry(data, QUICK, true).stop();
    registry = registry(QUICK);
    assertEquals(Optional.of(first), registry.find(NAME).flatMap(f -> f.version(1)));
    assertEquals(2, publish("b").number());
  }

  @Test
  void activatingRollingBackAndRemovingVersionsIsDurableAndTold() throws Exception {
    publish("a");
    publish("b");
    registry.publish(NAME, spec(images.image("c")), false);
    assertEquals(2, registry.find(NAME).orElseThrow().active());
    assertEquals(List.of("deactivated 1"), hears.heard);
    assertEquals(3, registry.activate(NAME, 3).active());
    assertEquals(Optional.of(2), registry.find(NAME).orElseThrow().previous());
    assertEquals(registry.find(NAME).orElseThrow(), registry.activate(NAME, 3), "activating what is active changes nothing");
    restart();
    assertEquals(2, registry.rollBack(NAME).active());
    assertEquals(Optional.of(3), registry.find(NAME).orElseThrow().previous());
    Function left = registry.removeVersion(NAME, 3);
    assertEquals(List.of(1, 2), left.versions().stream().map(FunctionVersion::number).toList());
    assertEquals(Optional.empty(), left.previous());
    assertEquals(ErrorCode.CONFLICT, code(() -> registry.rollBack(NAME)));
    assertEquals(ErrorCode.CONFLICT, code(() -> registry.removeVersion(NAME, 2)));
    assertEquals(ErrorCode.VERSION_NOT_FOUND, code(() -> registry.removeVersion(NAME, 3)));
    assertEquals(ErrorCode.VERSION_NOT_FOUND, code(() -> registry.activate(NAME, 9)));
    assertEquals(List.of("deactivated 1", "deactivated 2", "deactivated 3", "removed 3"), hears.heard);
    restart();
    assertEquals(Optional.of(left), registry.find(NAME));
    assertEquals(4, publish("d").number(), "the number of a removed version is not given again");
  }

  @Test
  void aRemovedFunctionIsGoneForGoodAndComesBackAsAnother() throws Exception {
    List<FunctionName> logsRemoved = new ArrayList<>();
    registry.setLogs((FunctionLogs) Proxy.newProxyInstance(getClass().getClassLoader(), new Class<?>[] {FunctionLogs.class}, (self, method, args) -> {
      assertEquals("remove", method.getName());
      logsRemoved.add((FunctionName) args[0]);
      return null;
    }));
    FunctionVersion old = publish("a");
    publish("b");
    registry.remove(NAME);
    assertEquals(List.of("deactivated 1", "removed 1", "removed 2"), hears.heard);
    assertEquals(List.of(NAME), logsRemoved);
    assertEquals(Optional.empty(), registry.find(NAME));
    assertFalse(Files.exists(document().getParent()));
    assertEquals(ErrorCode.FUNCTION_NOT_FOUND, code(() -> registry.remove(NAME)));
    assertEquals(ErrorCode.FUNCTION_NOT_FOUND, code(() -> registry.activate(NAME, 1)));
    assertEquals(ErrorCode.FUNCTION_NOT_FOUND, code(() -> registry.rollBack(NAME)));
    assertEquals(ErrorCode.FUNCTION_NOT_FOUND, code(() -> registry.removeVersion(NAME, 1)));
    restart();
    assertEquals(Optional.empty(), registry.find(NAME));
    FunctionVersion again = publish("a");
    assertEquals(1, again.number());
    assertNotEquals(old.uid(), again.uid());
  }

  @Test
  void theOldestVersionsGoWhenThereAreTooManyButNotTheActiveOneNorWhatARollBackReturnsTo() throws Exception {
    for (String content : List.of("a", "b", "c", "d")) {
      publish(content);
    }
    registry.activate(NAME, 1);
    hears.heard.clear();
    registry.publish(NAME, spec(images.image("e")), false);
    // 1 is active and 4 was before: 2 is the oldest that may go.
    assertEquals(List.of("removed 2"), hears.heard);
    assertEquals(List.of(1, 3, 4, 5), registry.find(NAME).orElseThrow().versions().stream().map(FunctionVersion::number).toList());
    restart();
    registry.stop();
    registry = registry(new Settings(2, Duration.ofHours(1), Duration.ofMillis(50)));
    hears.heard.clear();
    publish("f");
    assertEquals(List.of("removed 3", "removed 4", "removed 5", "deactivated 1").stream().sorted().toList(), hears.heard.stream().sorted().toList());
    assertEquals(new Function(NAME, registry.find(NAME).orElseThrow().versions(), 6, Optional.of(1)), registry.find(NAME).orElseThrow());
    publish("g");
    assertEquals(List.of(6, 7), registry.find(NAME).orElseThrow().versions().stream().map(FunctionVersion::number).toList());
  }

  @Test
  void whatCannotRunIsRefusedForgottenAndLeavesTheFunctionAsItWas() throws Exception {
    publish("a");
    Function before = registry.find(NAME).orElseThrow();
    preparer.step = v -> {
      throw new InstarException(ErrorCode.MODULE_REFUSED, "section 3");
    };
    assertEquals(ErrorCode.MODULE_REFUSED, code(() -> publish("b")));
    assertEquals(List.of(preparer.prepared.getLast()), preparer.forgotten);
    preparer.step = v -> {
      throw new InterruptedException();
    };
    assertThrows(InterruptedException.class, () -> publish("b"));
    assertEquals(2, preparer.forgotten.size());
    preparer.step = v -> {};
    Digest missing = Digest.of(new byte[] {1});
    assertEquals(ErrorCode.IMAGE_NOT_FOUND, code(() -> registry.publish(NAME, spec(missing), true)));
    FunctionSpec plain = before.activeVersion().spec();
    for (Map<String, String> wrong : List.of(Map.of("instar.egress", "all"), Map.of("instar.bandwidth", "fast"), Map.of("instar.bandwidth", "7"))) {
      InstarException label = assertThrows(InstarException.class, () -> registry.publish(NAME, new FunctionSpec(plain.variants(), plain.limits(), Map.of(), wrong), true));
      assertEquals(ErrorCode.BAD_REQUEST, label.code());
    }
    Digest other = images.image("elf", Variant.EXECUTABLE);
    InstarException e = assertThrows(InstarException.class, () -> registry.publish(NAME, spec(other), true));
    assertEquals(ErrorCode.BAD_REQUEST, e.code());
    assertTrue(e.problem().detail().contains("'executable'") && e.problem().detail().contains("'wasm'"), e.problem().detail());
    assertEquals(Optional.of(before), registry.find(NAME));
    restart();
    assertEquals(Optional.of(before), registry.find(NAME));
  }

  @Test
  void whatCannotBeWrittenIsForgottenAndNotPublished() throws Exception {
    publish("a");
    Function before = registry.find(NAME).orElseThrow();
    // A directory in the document's place: the rename onto it fails.
    Files.delete(document());
    Files.createDirectories(document().resolve("x"));
    assertEquals(ErrorCode.INTERNAL, code(() -> publish("b")));
    assertEquals(1, preparer.forgotten.size());
    assertEquals(Optional.of(before), registry.find(NAME));
    assertEquals(List.of(), hears.heard);
    try (Stream<Path> files = Files.list(document().getParent())) {
      assertEquals(List.of(document()), files.toList());
    }
  }

  @Test
  void withoutTheSchedulerPublishingWaitsForItAndThenSaysSo() throws Exception {
    registry.unsetPreparer(preparer);
    InstarException e = assertThrows(InstarException.class, () -> publish("a"));
    assertEquals(ErrorCode.BACKEND_UNAVAILABLE, e.code());
    assertTrue(e.problem().retryAfter().isPresent());
    registry.unsetImages(images);
    assertEquals(ErrorCode.NOT_READY, code(() -> publish("a")));
    registry.setImages(images);
    registry.stop();
    registry = new DurableRegistry(data, new Settings(4, Duration.ofHours(1), Duration.ofSeconds(30)));
    registry.setImages(images);
    CompletableFuture<FunctionVersion> published = new CompletableFuture<>();
    Thread.ofVirtual().start(() -> {
      try {
        published.complete(publish("a"));
      } catch (InterruptedException | RuntimeException x) {
        published.completeExceptionally(x);
      }
    });
    Thread.sleep(20);
    assertFalse(published.isDone());
    // A swap: the new one comes before the old one goes.
    Fixture.Prepares newer = new Fixture.Prepares();
    registry.setPreparer(newer);
    registry.unsetPreparer(preparer);
    assertEquals(1, published.get(10, TimeUnit.SECONDS).number());
    assertEquals(1, newer.prepared.size());
  }

  @Test
  void whatASchedulerThatStopsHasNotPreparedTheNextOnePrepares() throws Exception {
    InstarException stopping = new InstarException(ErrorCode.NOT_READY, "The scheduler is stopping.");
    Fixture.Prepares newer = new Fixture.Prepares();
    preparer.step = version -> {
      registry.setPreparer(newer);
      registry.unsetPreparer(preparer);
      throw stopping;
    };
    FunctionVersion published = publish("a");
    assertEquals(List.of(published), newer.prepared);
    assertEquals(List.of(published), preparer.forgotten);
    assertEquals(List.of(), newer.forgotten);
    newer.step = version -> {
      throw stopping;
    };
    assertEquals(ErrorCode.NOT_READY, code(() -> publish("a")));
    assertEquals(2, newer.prepared.size());
    assertEquals(1, newer.forgotten.size());
  }

  @Test
  void aListenerThatFailsStopsNobody() throws Exception {
    registry.removeListener(hears);
    registry.addListener(new FunctionListener() {
      @Override
      public void versionRemoved(FunctionVersion version) {
        throw new IllegalStateException("on purpose");
      }

      @Override
      public void versionDeactivated(FunctionVersion version) {
        throw new NoClassDefFoundError("on purpose");
      }
    });
    registry.addListener(hears);
    publish("a");
    publish("b");
    registry.remove(NAME);
    assertEquals(List.of("deactivated 1", "removed 1", "removed 2"), hears.heard);
  }

  @Test
  void aDamagedDocumentIsSetAsideAndTheOthersLoad() throws Exception {
    publish("a");
    FunctionName other = new FunctionName("alice", "other");
    // A user may be called so; the place for damaged files must not be his.
    FunctionName damaged = new FunctionName("damaged", "damaged");
    registry.publish(other, spec(images.image("b")), true);
    registry.publish(damaged, spec(images.image("c")), true);
    byte[] good = Files.readAllBytes(document());
    List<byte[]> spoilt = new ArrayList<>();
    for (int bit : new int[] {3, good.length * 4, good.length * 8 - 1}) {
      byte[] flipped = good.clone();
      flipped[bit / 8] ^= (byte) (1 << bit % 8);
      spoilt.add(flipped);
    }
    spoilt.add(new byte[0]);
    spoilt.add(Files.readAllBytes(data.root().resolve("functions/alice/other.json")));
    for (byte[] bytes : spoilt) {
      registry.stop();
      Files.write(document(), bytes);
      registry = registry(QUICK);
      assertEquals(Optional.empty(), registry.find(NAME));
      assertEquals(List.of(other, damaged), registry.list().stream().map(Function::name).toList());
      assertFalse(Files.exists(document()));
    }
    try (Stream<Path> aside = Files.list(data.root().resolve("functions/_damaged"))) {
      List<String> names = aside.map(p -> p.getFileName().toString()).toList();
      assertTrue(!names.isEmpty() && names.stream().allMatch(n -> n.startsWith("alice.hello.json-")), names.toString());
    }
    assertEquals(1, publish("a").number());
  }

  @Test
  void leftoversAndStrangersOnDiskDoNoHarm() throws Exception {
    publish("a");
    registry.stop();
    Path user = document().getParent();
    Path leftover = Files.writeString(user.resolve(".hello.json.0123abcd.tmp"), "half");
    Path elsewhere = Files.writeString(dir.resolve("elsewhere.json"), "untouched");
    Files.createSymbolicLink(user.resolve("linked.json"), elsewhere);
    Files.createSymbolicLink(data.root().resolve("functions/bob"), dir);
    Files.writeString(data.root().resolve("functions/README"), "x");
    Files.createDirectory(user.resolve("dir.json"));
    registry = registry(QUICK);
    assertEquals(List.of(NAME), registry.list().stream().map(Function::name).toList());
    assertFalse(Files.exists(leftover));
    assertEquals("untouched", Files.readString(elsewhere));
  }

  @Test
  void documentsThatAreTooLargeToReadTakeNobodyWithThem() throws Exception {
    registry.publish(NAME, spec(images.image("a")), true);
    registry.stop();
    for (int i = 0; i < 8; i++) {
      // More than an array can hold; without content, so it takes no room.
      try (RandomAccessFile large = new RandomAccessFile(document().resolveSibling("a" + i + ".json").toFile(), "rw")) {
        large.setLength(3L << 30);
      }
    }
    FunctionStore store = new FunctionStore(data.area("functions"));
    assertEquals(Set.of(NAME), store.load().keySet());
    assertTrue(store.hasUnread());
    registry = registry(QUICK);
  }

  @Test
  void aDocumentOfALaterReleaseIsLeftAloneAndNoImageIsRemovedMeanwhile() throws Exception {
    Digest digest = images.image("a");
    registry.publish(NAME, spec(digest), true);
    registry.stop();
    byte[] json = dev.instar.api.data.ChecksummedDocument.read(document());
    dev.instar.api.data.ChecksummedDocument.write(document(), new String(json, "UTF-8").replace("\"format\":1", "\"format\":2").getBytes("UTF-8"));
    images.collected.clear();
    FunctionStore store = new FunctionStore(data.area("functions"));
    assertEquals(Map.of(), store.load());
    assertTrue(Files.exists(document()));
    assertEquals(0, new ImageUse(List::of, store, System::nanoTime).collect(images, Duration.ZERO));
    assertEquals(List.of(), images.collected);
    registry = registry(QUICK);
  }

  @Test
  void changesOfOneFunctionFollowOneAnotherAndThoseOfOthersDoNotWait() throws Exception {
    CountDownLatch compiling = new CountDownLatch(1);
    CountDownLatch goOn = new CountDownLatch(1);
    preparer.step = v -> {
      if (v.name().equals(NAME)) {
        compiling.countDown();
        goOn.await();
      }
    };
    try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<FunctionVersion>> slow = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        String content = "slow" + i;
        slow.add(threads.submit(() -> publish(content)));
      }
      compiling.await();
      assertEquals(1, registry.publish(new FunctionName("alice", "quick"), spec(images.image("q")), true).number());
      assertEquals(1, preparer.prepared.stream().filter(v -> v.name().equals(NAME)).count());
      goOn.countDown();
      Set<Integer> numbers = new HashSet<>();
      for (var each : slow) {
        numbers.add(each.get().number());
      }
      assertEquals(Set.of(1, 2, 3), numbers);
    }
  }

  @Test
  void manyAtOnceLoseNothingAndNumbersAreUnique() throws Exception {
    registry.stop();
    registry = registry(new Settings(1000, Duration.ofHours(1), Duration.ofSeconds(1)));
    List<FunctionVersion> published = new CopyOnWriteArrayList<>();
    try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
      for (int i = 0; i < 200; i++) {
        FunctionName name = new FunctionName("u" + i % 3, "f" + i % 7);
        Digest digest = images.image("i" + i);
        boolean activate = i % 2 == 0;
        threads.submit(() -> {
          published.add(registry.publish(name, spec(digest), activate));
          registry.find(name).orElseThrow().activeVersion();
          return null;
        });
      }
    }
    assertEquals(200, published.size());
    assertEquals(200, published.stream().map(FunctionVersion::label).distinct().count());
    List<Function> before = registry.list();
    restart();
    assertEquals(before, registry.list());
    assertEquals(Set.copyOf(published), Set.copyOf(registry.list().stream().flatMap(f -> f.versions().stream()).toList()));
  }

  @Test
  void removingTwiceAtOnceRemovesOnce() throws Exception {
    for (int round = 0; round < 10; round++) {
      publish("a");
      try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
        List<Future<Boolean>> removed = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
          removed.add(threads.submit(() -> {
            try {
              registry.remove(NAME);
              return true;
            } catch (InstarException e) {
              assertEquals(ErrorCode.FUNCTION_NOT_FOUND, e.code());
              return false;
            }
          }));
        }
        int done = 0;
        for (var each : removed) {
          done += each.get() ? 1 : 0;
        }
        assertEquals(1, done);
      }
    }
  }

  @Test
  void aSuccessorAnswersFromDiskLetsChangesWaitAndTakesOver() throws Exception {
    publish("a");
    DurableRegistry successor = registry(new Settings(4, Duration.ofHours(1), Duration.ofSeconds(30)));
    try {
      FunctionVersion second = publish("b");
      assertEquals(registry.find(NAME), successor.find(NAME));
      assertEquals(registry.list(), successor.list());
      assertEquals(Optional.empty(), successor.find(new FunctionName("no", "body")));
      CompletableFuture<FunctionVersion> third = new CompletableFuture<>();
      Thread.ofVirtual().start(() -> {
        try {
          third.complete(successor.publish(NAME, spec(images.image("c")), true));
        } catch (InterruptedException | RuntimeException e) {
          third.completeExceptionally(e);
        }
      });
      Thread.sleep(30);
      assertFalse(third.isDone());
      registry.stop();
      assertEquals(3, third.get(10, TimeUnit.SECONDS).number());
      assertEquals(second, successor.find(NAME).orElseThrow().version(2).orElseThrow());
      assertEquals(ErrorCode.NOT_READY, code(() -> publish("late")));
      assertEquals(3, successor.find(NAME).orElseThrow().active());
    } finally {
      successor.stop();
    }
  }

  @Test
  void aSuccessorThatIsStoppedBeforeItsTurnTakesNothingWithIt() throws Exception {
    registry(QUICK).stop();
    publish("a");
    DurableRegistry impatient = registry(QUICK);
    assertEquals(ErrorCode.NOT_READY, code(() -> impatient.remove(NAME)));
    impatient.stop();
    restart();
    assertTrue(registry.find(NAME).isPresent());
  }

  @Test
  void stoppingWaitsForAChangeThatIsBeingMade() throws Exception {
    CountDownLatch compiling = new CountDownLatch(1);
    CountDownLatch goOn = new CountDownLatch(1);
    preparer.step = v -> {
      compiling.countDown();
      goOn.await();
    };
    try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
      Future<FunctionVersion> published = threads.submit(() -> publish("a"));
      compiling.await();
      Future<?> stopped = threads.submit(registry::stop);
      Thread.sleep(20);
      assertFalse(stopped.isDone());
      goOn.countDown();
      FunctionVersion version = published.get();
      stopped.get();
      registry = registry(QUICK);
      assertEquals(version, registry.find(NAME).orElseThrow().activeVersion());
    }
  }

  @Test
  void anInterruptedCallerRemovesAllTheSame() throws IOException, InterruptedException {
    publish("a");
    Thread.currentThread().interrupt();
    registry.remove(NAME);
    assertTrue(Thread.interrupted());
    assertFalse(Files.exists(document()));
    Thread.currentThread().interrupt();
    assertThrows(InterruptedException.class, () -> publish("b"));
    assertFalse(Thread.interrupted());
  }

  /** The executor runs a periodic task no more once it has thrown. */
  @Test
  void anErrorInACollectionDoesNotEndThoseToCome() {
    AtomicInteger tried = new AtomicInteger();
    images.beforeCollect = () -> {
      tried.incrementAndGet();
      throw new NoClassDefFoundError("swapped away");
    };
    registry.collect();
    assertTrue(tried.get() > 0);
    images.beforeCollect = () -> {};
    images.collected.clear();
    registry.collect();
    assertEquals(1, images.collected.size());
  }
}
