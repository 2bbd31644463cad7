package dev.instar.gateway.access;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Optional;
import java.util.SortedSet;
import java.util.TreeSet;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CredentialsTest {
  @TempDir Path dir;
  private Path file;

  @BeforeEach
  void name() {
    file = dir.resolve(Credentials.TOKEN);
  }

  private String token() throws Exception {
    return Files.readString(file).strip();
  }

  private static SortedSet<String> names(String... names) {
    return new TreeSet<>(List.of(names));
  }

  @Test
  void theAdministratorsTokenIsMadeOnceForTheNodesUserAlone() throws Exception {
    Credentials first = Credentials.open(dir);
    String token = token();
    assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
    assertTrue(token.matches("instar-admin-[A-Za-z0-9_-]{43}"), "32 random bytes");
    assertEquals(Optional.of(Caller.ADMINISTRATOR), first.find(token));
    assertEquals(Optional.of(Caller.ADMINISTRATOR), Credentials.open(dir).find(token), "it is kept");
    assertEquals(Optional.empty(), first.find(token.substring(0, token.length() - 1)));
    assertEquals(Optional.empty(), first.find(token + "A"));
    assertEquals(Optional.empty(), first.find(""));
    Files.delete(file);
    Credentials.open(dir);
    assertNotEquals(token, token());
  }

  @Test
  void aTokenThatOthersMayHaveReadHoldsNoMore() throws Exception {
    Credentials.open(dir);
    String seen = token();
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r--r--"));
    Credentials after = Credentials.open(dir);
    assertEquals(Optional.empty(), after.find(seen));
    assertEquals(Optional.of(Caller.ADMINISTRATOR), after.find(token()));
    assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
  }

  @Test
  void whatIsNoTokenIsReplacedAndNeverFollowed() throws Exception {
    for (String wrong : List.of("", "short", "has a blank in it, although it is long enough for a token")) {
      Files.writeString(file, wrong);
      Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
      assertEquals(Optional.of(Caller.ADMINISTRATOR), Credentials.open(dir).find(token()), wrong);
    }
    Path elsewhere = Files.writeString(dir.resolve("elsewhere"), "x".repeat(64));
    Files.delete(file);
    Files.createSymbolicLink(file, elsewhere);
    assertEquals(Optional.empty(), Credentials.open(dir).find("x".repeat(64)));
    assertEquals("x".repeat(64), Files.readString(elsewhere));
  }

  @Test
  void anOperatorMayBringATokenOfHisOwn() throws Exception {
    Files.createFile(file, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
    Files.writeString(file, "0123456789abcdef0123456789abcdef\n");
    assertEquals(Optional.of(Caller.ADMINISTRATOR), Credentials.open(dir).find("0123456789abcdef0123456789abcdef"));
  }

  @Test
  void usersAreKeptByTheSumsOfTheirTokens() throws Exception {
    Credentials credentials = Credentials.open(dir);
    Credentials.Added ann = credentials.add("ann", names("ann"), names("ann", "demo"));
    assertFalse(ann.toString().contains(ann.token()));
    assertFalse(Files.readString(dir.resolve(Credentials.USERS)).contains(ann.token()));
    Credentials again = Credentials.open(dir);
    Caller caller = again.find(ann.token()).orElseThrow();
    assertTrue(caller.mayUpload("ann") && caller.mayCall("demo"));
    assertFalse(caller.mayUpload("demo") || caller.mayCall("bob"));
    assertEquals(List.of(ann.user()), again.users());
    assertEquals(ErrorCode.CONFLICT, assertThrows(InstarException.class, () -> again.add("ann", names(), names())).code());
    assertTrue(again.remove("ann"));
    assertFalse(again.remove("ann"));
    assertEquals(Optional.empty(), again.find(ann.token()));
    assertEquals(Optional.empty(), Credentials.open(dir).find(ann.token()));
  }

  /** As while a gateway is being replaced by its next version. */
  @Test
  void twoThatShareADirectorySeeEachOthersChanges() throws Exception {
    Credentials former = Credentials.open(dir);
    Credentials next = Credentials.open(dir);
    Credentials.Added ann = former.add("ann", names("ann"), names("ann"));
    Credentials.Added bob = next.add("bob", names("bob"), names("bob"));
    assertEquals(List.of(ann.user(), bob.user()), former.users());
    assertTrue(next.find(ann.token()).isPresent() && former.find(bob.token()).isPresent());
    former.remove("bob");
    assertEquals(Optional.empty(), next.find(bob.token()));
    assertEquals(List.of(ann.user()), Credentials.open(dir).users());
  }

  @Test
  void namesAreTheNamesOfFunctions() throws Exception {
    Credentials credentials = Credentials.open(dir);
    for (String wrong : List.of("", "../x", "Ann", "a b", "é", "a".repeat(64))) {
      assertEquals(ErrorCode.BAD_NAME, assertThrows(InstarException.class, () -> credentials.add(wrong, names(), names())).code(), wrong);
      assertEquals(ErrorCode.BAD_NAME, assertThrows(InstarException.class, () -> credentials.add("ok", names(wrong), names())).code(), wrong);
      assertEquals(ErrorCode.BAD_NAME, assertThrows(InstarException.class, () -> credentials.add("ok", names(), names(wrong))).code(), wrong);
    }
    assertEquals(List.of(), credentials.users());
  }

  @Test
  void damagedUsersAreSetAsideAndNobodysTokenHolds() throws Exception {
    Credentials.Added ann = Credentials.open(dir).add("ann", names("ann"), names("ann"));
    Path users = dir.resolve(Credentials.USERS);
    byte[] bytes = Files.readAllBytes(users);
    bytes[bytes.length / 2] ^= 1;
    Files.write(users, bytes);
    Credentials credentials = Credentials.open(dir);
    assertEquals(Optional.empty(), credentials.find(ann.token()));
    assertEquals(Optional.of(Caller.ADMINISTRATOR), credentials.find(token()));
    assertTrue(Files.exists(dir.resolve("users-damaged.json")));
    credentials.add("ann", names("ann"), names("ann"));
  }

  @Test
  void usersThatCannotBeReadKeepNobodyFromTheAdministratorsToken() throws Exception {
    Path users = dir.resolve(Credentials.USERS);
    Files.createDirectory(users);
    Credentials credentials = Credentials.open(dir);
    assertEquals(Optional.of(Caller.ADMINISTRATOR), credentials.find(token()));
    InstarException e = assertThrows(InstarException.class, () -> credentials.add("ann", names("ann"), names("ann")));
    assertEquals(ErrorCode.INTERNAL, e.code());
    assertTrue(e.getMessage().contains("move it away"), e::getMessage);
    assertThrows(InstarException.class, () -> credentials.find("x".repeat(40)));
    Files.delete(users);
    String added = credentials.add("ann", names("ann"), names("ann")).token();
    assertTrue(credentials.find(added).isPresent(), "it goes on as soon as nothing is in its way");
  }
}
