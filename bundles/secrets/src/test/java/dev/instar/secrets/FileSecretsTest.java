package dev.instar.secrets;

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
import dev.instar.api.lease.LeaseRequest;
import dev.instar.api.secret.SecretInfo;
import dev.instar.data.LockedDataDirectory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(30)
class FileSecretsTest {
  @TempDir
  Path directory;
  private LockedDataDirectory data;
  private FileSecrets secrets;

  @BeforeEach
  void open() throws Exception {
    data = LockedDataDirectory.open(directory.resolve("data"));
    secrets = new FileSecrets(data, new FileSecrets.Bounds(100, 3, 4));
  }

  @AfterEach
  void close() {
    data.close();
  }

  private Path area() {
    return data.root().resolve("secrets");
  }

  private static String mode(Path path) throws Exception {
    return PosixFilePermissions.toString(Files.getPosixFilePermissions(path));
  }

  private static InstarException refused(Runnable action) {
    return assertThrows(InstarException.class, action::run);
  }

  @Test
  void nobodyButTheNodesUserReadsTheFiles() throws Exception {
    secrets.put("ann", "word", "a".getBytes());
    secrets.put("ann", "word", "b".getBytes());
    assertEquals("rwx------", mode(area()));
    assertEquals("rwx------", mode(area().resolve("ann")));
    assertEquals("r--------", mode(area().resolve("ann/word")));
    try (Stream<Path> all = Files.list(area().resolve("ann"))) {
      assertEquals(List.of("word"), all.map(file -> file.getFileName().toString()).toList());
    }
  }

  @Test
  void thereAreAsManyAsAreTaken() throws Exception {
    for (String name : List.of("a", "b", "c")) {
      secrets.put("ann", name, "1".getBytes());
    }
    InstarException one = refused(() -> secrets.put("ann", "d", "1".getBytes()));
    assertEquals(ErrorCode.CONFLICT, one.code());
    assertTrue(one.getMessage().contains("max-per-user"), one::getMessage);
    secrets.put("ann", "c", "2".getBytes());
    secrets.put("bob", "a", "1".getBytes());
    InstarException all = refused(() -> secrets.put("bob", "b", "1".getBytes()));
    assertEquals(ErrorCode.CONFLICT, all.code());
    assertTrue(all.getMessage().contains("max-total"), all::getMessage);
    secrets.delete("ann", "a");
    secrets.put("bob", "b", "1".getBytes());
  }

  /** Else whoever may name users could fill the directory with empty ones. */
  @Test
  void aUserWithoutSecretsLeavesNothing() throws Exception {
    secrets.put("ann", "word", "a".getBytes());
    secrets.delete("ann", "word");
    assertFalse(Files.exists(area().resolve("ann")));
    assertThrows(InstarException.class, () -> secrets.delete("ann", "word"));
    assertFalse(Files.exists(area().resolve("ann")));
    assertThrows(InstarException.class, () -> secrets.put("bob", "large", new byte[101]));
    assertFalse(Files.exists(area().resolve("bob")));
  }

  @Test
  void whatAWriterLeftThatDiedIsNoSecretAndGoes() throws Exception {
    secrets.put("ann", "word", "a".getBytes());
    Path left = Files.writeString(area().resolve("ann/.word.tmp"), "part of a value");
    Files.createDirectory(area().resolve("bob"));
    assertEquals(List.of("word"), secrets.list(Optional.empty()).stream().map(SecretInfo::name).toList());
    secrets.put("ann", "word", "b".getBytes());
    assertFalse(Files.exists(left));
    Files.writeString(left, "part of a value");
    new FileSecrets(data, new FileSecrets.Bounds(100, 3, 4));
    assertFalse(Files.exists(left));
    assertFalse(Files.exists(area().resolve("bob")));
  }

  @Test
  void aDamagedOneIsSetAsideAndTold() throws Exception {
    secrets.put("ann", "word", "hunter2".getBytes());
    Path file = area().resolve("ann/word");
    byte[] bytes = Files.readAllBytes(file);
    bytes[0] ^= 1;
    Files.delete(file);
    Files.write(file, bytes);
    FunctionVersion version = new FunctionVersion(new FunctionName("ann", "f"), 1, "uid", Instant.EPOCH,
        new FunctionSpec(List.of(new Variant(Digest.of(bytes), Variant.CONTAINER, Optional.empty())), Limits.DEFAULT, Map.of(), Map.of(), SnapshotPolicy.DEFAULT, List.of("word")));
    InstarException damaged = refused(() -> secrets.take(new LeaseRequest("s", "b", version, Instant.now())));
    assertEquals(ErrorCode.SECRET_MISSING, damaged.code());
    assertTrue(damaged.getMessage().contains("damaged") && !damaged.getMessage().contains("unter2"), damaged::getMessage);
    assertFalse(Files.exists(file));
    try (Stream<Path> all = Files.list(area().resolve("_damaged"))) {
      assertEquals(1, all.filter(aside -> aside.getFileName().toString().startsWith("ann-word-")).count());
    }
    assertEquals(List.of(), secrets.list(Optional.empty()));
    secrets.put("ann", "word", "again".getBytes());
    assertEquals("again", new String(secrets.take(new LeaseRequest("s", "b", version, Instant.now())).orElseThrow().values().get("word")));
  }
}
