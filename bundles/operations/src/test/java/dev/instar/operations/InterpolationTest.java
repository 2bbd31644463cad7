package dev.instar.operations;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.operations.ConfigurationFile.Reading;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class InterpolationTest {
  @TempDir
  Path secrets;
  private Interpolation interpolation;

  @BeforeEach
  void prepare() {
    Map<String, String> environment = Map.of("HOME", "/home/me", "LIST", "a|b", "NESTED", "$[env:HOME]");
    interpolation = new Interpolation(name -> Optional.ofNullable(environment.get(name)), name -> Optional.ofNullable(Map.of("instar.data", "/data").get(name)), Optional.of(secrets));
  }

  private String text(String text) throws Interpolation.Unresolved {
    return interpolation.of(text).text();
  }

  private String unresolved(String text) {
    return assertThrows(Interpolation.Unresolved.class, () -> interpolation.of(text)).getMessage();
  }

  @Test
  void putsInWhatIsNamed() throws Exception {
    Files.writeString(secrets.resolve("db.password"), "s3cret\n");
    assertEquals("plain ${x} $[other:y] $", text("plain ${x} $[other:y] $"));
    assertEquals("<//home/me/x>", text("</$[env:HOME]/x>"));
    assertEquals("/data s3cret", text("$[prop:instar.data] $[secret:db.password]"));
    assertEquals(Set.of("db.password"), interpolation.of("$[secret:db.password]").secrets());
    assertEquals("8080", text("$[env:PORT;default=8080]"));
    assertEquals("", text("$[env:PORT;type=Integer;default=]"));
    assertEquals("none", text("$[secret:gone;default=none]"));
    assertEquals("$[env:HOME]", text("\\$[env:HOME]"), "a backslash keeps it");
    assertEquals("$[env:HOME]", text("$[env:NESTED]"), "what is put in is not looked at again");
  }

  @Test
  void saysWhatIsMissing() throws Exception {
    assertTrue(unresolved("$[env:PORT]").contains("the environment variable PORT, which the node does not have"));
    assertTrue(unresolved("$[secret:gone]").contains("of which there is no file " + secrets.resolve("gone")));
    assertTrue(unresolved("$[env:HOME").contains("not closed"));
    assertTrue(unresolved("$[env:HOME;nonsense=1]").contains("not understood: $[env:HOME;nonsense=1]"));
    assertTrue(unresolved("$[env:]").contains("not understood"));
    for (String name : new String[] {"../x", "/etc/passwd", ".hidden", "a/b"}) {
      assertTrue(unresolved("$[secret:" + name + ";default=x]").contains("a secret's name has letters"), name);
    }
    Files.write(secrets.resolve("binary"), new byte[] {(byte) 0xff});
    assertTrue(unresolved("$[secret:binary]").contains("no text in UTF-8"));
    Files.write(secrets.resolve("large"), new byte[100_000]);
    assertTrue(unresolved("$[secret:large]").contains("at most 65536 bytes"));
    Path open = Files.writeString(secrets.resolve("open"), "x");
    Files.setPosixFilePermissions(open, PosixFilePermissions.fromString("rw-rw-rw-"));
    assertTrue(unresolved("$[secret:open]").contains("chmod o-w"));
  }

  @Test
  void theKeySaysTheTypeAndNobodyIsShownASecret() throws Exception {
    Files.writeString(secrets.resolve("size"), "4");
    Schema some = SchemaTest.read(SchemaTest.XML).getFirst();
    Reading reading = read("{\"size\": \"$[secret:size]\", \"names\": \"$[env:LIST;type=String[];delimiter=|]\"}", some);
    assertEquals(4, reading.values().get("size"));
    assertEquals(Set.of("size"), reading.secret());
    assertEquals("$[secret:size]", reading.written().get("size"));
    reading = read("{\"names\": [\"$[env:HOME]\", \"b\"], \"word\": \"typed in\"}", some);
    assertArrayEquals(new String[] {"/home/me", "b"}, (String[]) reading.values().get("names"));
    assertEquals(Set.of("word"), reading.secret(), "a password is one, wherever it stands");
    assertFalse(reading.written().containsKey("word"));
    Files.writeString(secrets.resolve("size"), "hunter2");
    Refused refused = assertThrows(Refused.class, () -> read("{\"size\": \"$[secret:size]\"}", some));
    assertEquals("size in dev.instar.some.cfg.json (line 1) has a secret value that does not fit; give a whole number from 1 to 10.", refused.getMessage());
    assertFalse(refused.problems().toString().contains("hunter2"));
  }

  private Reading read(String json, Schema schema) throws Refused {
    return ConfigurationFile.of(schema.pid() + ".cfg.json", json.getBytes(StandardCharsets.UTF_8)).read(schema, interpolation);
  }
}
