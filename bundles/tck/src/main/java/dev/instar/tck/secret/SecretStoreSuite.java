package dev.instar.tck.secret;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Limits;
import dev.instar.api.function.SnapshotPolicy;
import dev.instar.api.function.Variant;
import dev.instar.api.lease.LeaseProvider;
import dev.instar.api.lease.LeaseRequest;
import dev.instar.api.secret.SecretInfo;
import dev.instar.api.secret.SecretLease;
import dev.instar.api.secret.SecretStore;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What every {@link SecretStore} does, with the {@link LeaseProvider} beside it. Each test gets a fresh, empty store. */
@Timeout(60)
public abstract class SecretStoreSuite {
  private SecretStore store;
  private LeaseProvider lender;

  /** For subclasses. */
  protected SecretStoreSuite() {}

  /** A store that is empty, and takes values of 1000 bytes at least and ten secrets of a user. */
  protected abstract SecretStore emptyStore() throws Exception;

  /** Who lends from the store that was made last. */
  protected abstract LeaseProvider lender() throws Exception;

  /** Another one on what the store keeps, as its successor; {@link #lender} is its from then on. */
  protected abstract SecretStore successor() throws Exception;

  @BeforeEach
  void open() throws Exception {
    store = emptyStore();
    lender = lender();
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  /** A function version of a user. */
  protected static FunctionVersion version(String user, String... secrets) {
    Variant variant = new Variant(Digest.of(new byte[0]), Variant.CONTAINER, Optional.empty());
    return new FunctionVersion(new FunctionName(user, "f"), 1, "uid", Instant.EPOCH,
        new FunctionSpec(List.of(variant), Limits.DEFAULT, Map.of(), Map.of(), SnapshotPolicy.DEFAULT, List.of(secrets)));
  }

  private Optional<SecretLease> take(FunctionVersion version) throws InterruptedException {
    return lender.take(new LeaseRequest("s", "backend", version, Instant.now().plus(Duration.ofSeconds(30)))).map(SecretLease.class::cast);
  }

  private String value(String user, String name) throws InterruptedException {
    try (SecretLease lease = take(version(user, name)).orElseThrow()) {
      return new String(lease.values().get(name), StandardCharsets.UTF_8);
    }
  }

  private static InstarException refused(ErrorCode code, Callable<?> action) {
    InstarException e = assertThrows(InstarException.class, action::call);
    assertEquals(code, e.code(), e::getMessage);
    return e;
  }

  @Test
  void lendsWhatWasPut() throws Exception {
    byte[] all = new byte[256];
    for (int i = 0; i < all.length; i++) {
      all[i] = (byte) i;
    }
    SecretInfo put = store.put("ann", "any-bytes", all);
    assertEquals(new SecretInfo("ann", "any-bytes", 256, put.updated()), put);
    assertTrue(Duration.between(put.updated(), Instant.now()).abs().toMinutes() < 5, put::toString);
    store.put("ann", "word", bytes("a"));
    store.put("bob", "word", bytes("b"));
    assertEquals(SecretLease.KIND, lender.kind());
    try (SecretLease lease = take(version("ann", "word", "any-bytes")).orElseThrow()) {
      assertEquals(List.of("any-bytes", "word"), lease.values().keySet().stream().sorted().toList());
      assertArrayEquals(all, lease.values().get("any-bytes"));
      assertArrayEquals(bytes("a"), lease.values().get("word"));
      assertTrue(lease.current());
    }
    assertEquals("b", value("bob", "word"));
  }

  @Test
  void lendsNothingToWhoeverNamesNothing() throws Exception {
    store.put("ann", "word", bytes("a"));
    assertTrue(take(version("ann")).isEmpty());
    lender.check(version("ann"));
    assertEquals(Map.of(), lender.describe(version("ann")));
  }

  @Test
  void aUsersSecretsAreHisOwn() throws Exception {
    store.put("ann", "word", bytes("a"));
    InstarException unknown = refused(ErrorCode.SECRET_NOT_FOUND, () -> {
      lender.check(version("bob", "word"));
      return null;
    });
    assertEquals("word", unknown.problem().members().get("secret"));
    refused(ErrorCode.SECRET_MISSING, () -> take(version("bob", "word")));
    refused(ErrorCode.SECRET_NOT_FOUND, () -> {
      store.delete("bob", "word");
      return null;
    });
    assertEquals("a", value("ann", "word"));
    assertEquals(List.of(), store.list(Optional.of("bob")));
  }

  @Test
  void listsByUserAndName() {
    store.put("bob", "z", bytes("1"));
    store.put("ann", "b", bytes("22"));
    store.put("ann", "a", bytes("333"));
    List<String> all = new ArrayList<>();
    store.list(Optional.empty()).forEach(one -> all.add(one.user() + "/" + one.name() + " " + one.size()));
    assertEquals(List.of("ann/a 3", "ann/b 2", "bob/z 1"), all);
    assertEquals(List.of("z"), store.list(Optional.of("bob")).stream().map(SecretInfo::name).toList());
    assertEquals(3, store.find("ann", "a").orElseThrow().size());
    assertTrue(store.find("ann", "z").isEmpty());
  }

  @Test
  void aNewValueIsSeenByThoseThatStartAfterwardsAndTheOthersKnow() throws Exception {
    store.put("ann", "word", bytes("old"));
    store.put("ann", "other", bytes("x"));
    try (SecretLease before = take(version("ann", "word")).orElseThrow(); SecretLease other = take(version("ann", "other")).orElseThrow()) {
      store.put("ann", "word", bytes("new"));
      assertFalse(before.current());
      assertTrue(other.current());
      assertArrayEquals(bytes("old"), before.values().get("word"), "it sees one value, not a part of each");
      assertEquals("new", value("ann", "word"));
      store.put("ann", "other", bytes("x"));
      assertFalse(other.current(), "put is put, whatever the value");
    }
  }

  @Test
  void whatIsDeletedIsGone() throws Exception {
    store.put("ann", "word", bytes("a"));
    lender.check(version("ann", "word"));
    assertEquals(Map.of("secrets", "word"), lender.describe(version("ann", "word")));
    try (SecretLease lease = take(version("ann", "word")).orElseThrow()) {
      store.delete("ann", "word");
      assertFalse(lease.current());
      InstarException missing = refused(ErrorCode.SECRET_MISSING, () -> take(version("ann", "word")));
      assertEquals("word", missing.problem().members().get("secret"));
      refused(ErrorCode.SECRET_NOT_FOUND, () -> {
        store.delete("ann", "word");
        return null;
      });
      assertTrue(store.find("ann", "word").isEmpty());
      store.put("ann", "word", bytes("again"));
      assertFalse(lease.current());
    }
    assertEquals("again", value("ann", "word"));
  }

  @Test
  void whatIsGivenBackIsZeroes() throws Exception {
    store.put("ann", "word", bytes("hunter2"));
    SecretLease lease = take(version("ann", "word")).orElseThrow();
    byte[] value = lease.values().get("word");
    assertArrayEquals(bytes("hunter2"), value);
    lease.close();
    lease.close();
    assertArrayEquals(new byte[7], value);
  }

  @Test
  void nothingThatIsShownHasTheValue() throws Exception {
    SecretInfo put = store.put("ann", "word", bytes("hunter2"));
    try (SecretLease lease = take(version("ann", "word")).orElseThrow()) {
      for (Object shown : List.of(store, lender, put, lease, store.list(Optional.empty()), lender.describe(version("ann", "word")), version("ann", "word"))) {
        assertFalse(String.valueOf(shown).contains("hunter2"), () -> shown.getClass().getName());
      }
      assertFalse(lease.values().toString().contains("hunter2"));
    }
    byte[] large = new byte[(int) store.maxBytes() + 1];
    Arrays.fill(large, (byte) 'h');
    InstarException refused = refused(ErrorCode.TOO_LARGE, () -> store.put("ann", "word", large));
    assertFalse(refused.problem().toString().contains("hhhh"));
    assertEquals("hunter2", value("ann", "word"));
  }

  @Test
  void valuesAreBounded() throws Exception {
    byte[] largest = new byte[(int) store.maxBytes()];
    assertEquals(largest.length, store.put("ann", "large", largest).size());
    InstarException tooLarge = refused(ErrorCode.TOO_LARGE, () -> store.put("ann", "larger", new byte[largest.length + 1]));
    assertEquals(store.maxBytes(), ((Number) tooLarge.problem().members().get("limitBytes")).longValue());
    refused(ErrorCode.BAD_REQUEST, () -> store.put("ann", "empty", new byte[0]));
    assertEquals(List.of("large"), store.list(Optional.empty()).stream().map(SecretInfo::name).toList());
  }

  /** Hostile cases 1, 2 and 3. */
  @Test
  void namesThatAreNoneAreRefusedEverywhere() throws Exception {
    for (String bad : List.of("", ".", "..", "../x", "a/b", "a\\b", "%2e%2e", "a\0b", "A", "\u0430", "a b", ".hidden", "-a", "a..b", "a\n", "x".repeat(64), "x".repeat(64 << 10), "con.", "\u202ea")) {
      for (String[] name : new String[][] {{bad, "word"}, {"ann", bad}}) {
        refused(ErrorCode.BAD_NAME, () -> store.put(name[0], name[1], bytes("a")));
        refused(ErrorCode.BAD_NAME, () -> store.find(name[0], name[1]));
        refused(ErrorCode.BAD_NAME, () -> {
          store.delete(name[0], name[1]);
          return null;
        });
      }
      refused(ErrorCode.BAD_NAME, () -> store.list(Optional.of(bad)));
      refused(ErrorCode.BAD_NAME, () -> version("ann", bad));
    }
    store.put("x".repeat(63), "y".repeat(63), bytes("a"));
    assertEquals("a", value("x".repeat(63), "y".repeat(63)));
  }

  @Test
  void readersSeeTheOldValueOrTheNewOne() throws Exception {
    byte[][] values = {new byte[1000], new byte[1000]};
    Arrays.fill(values[0], (byte) 'a');
    Arrays.fill(values[1], (byte) 'b');
    store.put("ann", "word", values[0]);
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<?>> work = new ArrayList<>();
      for (int writer = 0; writer < 2; writer++) {
        byte[] value = values[writer];
        work.add(threads.submit(() -> {
          for (int i = 0; i < 20; i++) {
            store.put("ann", "word", value);
          }
        }));
      }
      for (int reader = 0; reader < 2; reader++) {
        work.add(threads.submit(() -> {
          for (int i = 0; i < 100; i++) {
            String read = value("ann", "word");
            assertTrue(read.equals("a".repeat(1000)) || read.equals("b".repeat(1000)), read);
          }
          return null;
        }));
      }
      for (Future<?> one : work) {
        one.get();
      }
    }
    assertEquals(1, store.list(Optional.empty()).size());
  }

  @Test
  void leasesOutliveTheirStoreAndKnowItsSuccessorsChanges() throws Exception {
    store.put("ann", "word", bytes("old"));
    store.put("ann", "other", bytes("x"));
    try (SecretLease word = take(version("ann", "word")).orElseThrow(); SecretLease other = take(version("ann", "other")).orElseThrow()) {
      SecretStore next = successor();
      lender = lender();
      assertTrue(word.current());
      assertArrayEquals(bytes("old"), word.values().get("word"));
      assertEquals(store.list(Optional.empty()), next.list(Optional.empty()));
      next.put("ann", "word", bytes("new"));
      next.delete("ann", "other");
      assertFalse(word.current());
      assertFalse(other.current());
      assertEquals("new", value("ann", "word"));
    }
  }
}
