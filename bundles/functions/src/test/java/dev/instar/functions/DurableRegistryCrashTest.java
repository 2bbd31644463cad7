package dev.instar.functions;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.instar.api.function.Function;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.Limits;
import dev.instar.data.LockedDataDirectory;
import dev.instar.tck.crash.CrashSuite;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Stream;

class DurableRegistryCrashTest extends CrashSuite {
  private static final FunctionName HELLO = new FunctionName("alice", "hello");
  private static final FunctionName OTHER = new FunctionName("alice", "other");
  private static final FunctionName BOB = new FunctionName("bob", "hello");

  @Override
  protected int steps() {
    return 9;
  }

  @Override
  protected Subject open(Path root) throws Exception {
    LockedDataDirectory data = LockedDataDirectory.open(root);
    DurableRegistry registry;
    try {
      registry = new DurableRegistry(data, Settings.DEFAULT);
    } catch (RuntimeException e) {
      data.close();
      throw e;
    }
    Fixture.Images images = new Fixture.Images();
    registry.setImages(images);
    registry.setPreparer(new Fixture.Prepares());
    return new Subject() {
      private void publish(FunctionName name, String is) throws InterruptedException {
        // Of several pages, so that one can be torn.
        FunctionSpec spec = new FunctionSpec(Fixture.spec(images.image(is)).variants(), Limits.DEFAULT, Map.of("filler", "x".repeat(3000)),
            Map.of("is", is));
        registry.publish(name, spec, true);
      }

      @Override
      public void step(int n) throws Exception {
        switch (n) {
          case 0 -> publish(HELLO, "first");
          case 1 -> publish(HELLO, "second");
          case 2 -> publish(OTHER, "other");
          case 3 -> registry.rollBack(HELLO);
          case 4 -> publish(BOB, "bob");
          case 5 -> registry.removeVersion(HELLO, 2);
          case 6 -> registry.remove(BOB);
          case 7 -> publish(BOB, "bob again");
          case 8 -> registry.remove(OTHER);
          default -> throw new IllegalArgumentException();
        }
      }

      @Override
      public SortedMap<String, String> facts() {
        SortedMap<String, String> facts = new TreeMap<>();
        for (Function function : registry.list()) {
          assertEquals(function, registry.find(function.name()).orElseThrow());
          StringBuilder text = new StringBuilder("active " + function.active() + ", previous " + function.previous());
          function.versions().forEach(v -> text.append(", ").append(v.number()).append(' ').append(v.spec().labels().get("is")).append(' ')
              .append(v.spec().variants().getFirst().digest()));
          facts.put(function.name().toString(), text.toString());
        }
        return facts;
      }

      @Override
      public List<Path> setAside() throws IOException {
        try (Stream<Path> all = Files.list(data.area("functions").resolve("_damaged"))) {
          return all.toList();
        }
      }

      @Override
      public void goOn() throws Exception {
        for (FunctionName name : new FunctionName[] {HELLO, OTHER, BOB}) {
          publish(name, "new");
          assertEquals("new", registry.find(name).orElseThrow().versions().getLast().spec().labels().get("is"));
        }
      }

      @Override
      public void close() {
        registry.stop();
        data.close();
      }
    };
  }
}
