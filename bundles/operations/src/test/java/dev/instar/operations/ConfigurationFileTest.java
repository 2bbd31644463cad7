package dev.instar.operations;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.operations.ConfigurationProblem;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.jar.JarFile;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConfigurationFileTest {
  @TempDir
  Path directory;
  private Schema some;
  private Schema many;

  @BeforeEach
  void schemas() throws Exception {
    List<Schema> schemas = SchemaTest.read(SchemaTest.XML);
    some = schemas.getFirst();
    many = schemas.getLast();
  }

  private ConfigurationFile file(String name, String content) throws Exception {
    Path path = directory.resolve(name);
    Files.writeString(path, content);
    return ConfigurationFile.read(path);
  }

  private List<String> refused(Schema schema, String content) throws Exception {
    ConfigurationFile file = file("dev.instar.some.cfg.json", content);
    return refused(file, schema);
  }

  private static List<String> refused(ConfigurationFile file, Schema schema) {
    return assertThrows(Refused.class, () -> file.read(schema, Interpolation.NONE)).problems().stream().map(ConfigurationProblem::detail).toList();
  }

  @Test
  void itsNameTellsThePid() {
    ConfigurationFile one = ConfigurationFile.of("dev.instar.some.cfg.json", new byte[0]);
    assertEquals("dev.instar.some", one.pid());
    assertEquals(Optional.empty(), one.name());
    ConfigurationFile named = ConfigurationFile.of("dev.instar.many~main.cfg", new byte[0]);
    assertEquals("dev.instar.many", named.pid());
    assertEquals(Optional.of("main"), named.name());
    assertEquals("dev.instar.many~main", named.fullPid());
    assertTrue(ConfigurationFile.is(Path.of("a.cfg.json")));
    assertTrue(ConfigurationFile.is(Path.of("a.cfg")));
    for (String other : List.of("a.json", ".cfg", ".cfg.json", ".a.cfg.json", ".a.cfg", "a.cfg.json~", "a.cfg.swp", "evil.jar")) {
      assertFalse(ConfigurationFile.is(Path.of(other)), other);
    }
  }

  @Test
  void aKeyMayCarryItsType() throws Exception {
    assertEquals(4, file("dev.instar.some.cfg.json", "{\"size:Integer\": 4}").read(some, Interpolation.NONE).values().get("size"));
    assertTrue(refused(some, "{\"size:Nonsense\": 4}").getFirst().contains("'size:Nonsense'"));
    assertTrue(refused(some, "{\"size\": 4, \"size:Integer\": 5}").getFirst().contains("twice"));
  }

  @Test
  void readsValuesAndSkipsComments() throws Exception {
    Map<String, Object> values = file("dev.instar.some.cfg.json", """
        {
          // how many
          "size": 4, /* and */ "names": ["a", "b"]
        }
        """).read(some, Interpolation.NONE).values();
    assertEquals(4, values.get("size"));
    assertArrayEquals(new String[] {"a", "b"}, (String[]) values.get("names"));
    assertEquals(2, values.size());
  }

  @Test
  void namesEverythingThatIsWrong() throws Exception {
    assertEquals(List.of(
        "dev.instar.some.cfg.json (line 1) has the key 'Sise', which dev.instar.some does not know; did you mean 'size'?",
        "mode in dev.instar.some.cfg.json (line 1) is \"of\"; give one of on, off.",
        "size in dev.instar.some.cfg.json (line 1) is 11; give a whole number from 1 to 10."),
        refused(some, "{\"Sise\": 1, \"mode\": \"of\", \"size\": 11}"));
  }

  @Test
  void aWrongValueOfTheEnvironmentIsNotShown() throws Exception {
    Interpolation environment = new Interpolation(name -> Optional.of("hunter2"), name -> Optional.empty(), Optional.empty());
    ConfigurationFile file = file("dev.instar.some.cfg.json", "{\"size\": \"$[env:SIZE]\"}");
    ConfigurationProblem problem = assertThrows(Refused.class, () -> file.read(some, environment)).problems().getFirst();
    assertEquals("size in dev.instar.some.cfg.json (line 1) is $[env:SIZE], and what that stands for does not fit; give a whole number from 1 to 10.", problem.detail());
    assertFalse(problem.toString().contains("hunter2"), problem::toString);
  }

  @Test
  void listsTheKeysWhereNoneIsNear() throws Exception {
    assertEquals(List.of("dev.instar.some.cfg.json (line 1) has the key 'colour', which dev.instar.some does not know; its keys are size, mode, word, names."),
        refused(some, "{\"colour\": 1}"));
  }

  @Test
  void tellsWhereTheJsonIsMalformed() throws Exception {
    String problem = refused(some, "{\n  \"size\": 4,\n  \"mode\" \"on\"\n}").getFirst();
    assertTrue(problem.startsWith("The file dev.instar.some.cfg.json is no valid JSON in line 3, column 1"), problem);
    assertTrue(problem.endsWith(": '\"' is not expected here; a comma, a colon or a quote may be missing before it, or one be too many."), problem);
    assertTrue(refused(some, "{\"size\": 4").getFirst().endsWith(": it ends before everything in it is closed; a }, a ] or a quote is missing."));
    assertTrue(refused(some, "{\"size\": 4").getFirst().contains("in line 1"));
    assertTrue(refused(some, "{\"size\": 4} {}").getFirst().endsWith(": there is something after the } that closes it."));
    assertTrue(refused(some, "{\"size\": four}").getFirst().endsWith(": the word 'four' is no value; texts need double quotes."));
    assertTrue(refused(some, "{\"size\": 4, \"size\": 5}").getFirst().endsWith(": the key 'size' is there twice."));
    assertTrue(refused(some, "").getFirst().contains("no JSON object"));
    assertTrue(refused(some, "[1]").getFirst().contains("no JSON object"));
    assertTrue(refused(some, "{\"size\": 1e99999999999999999}").getFirst().endsWith(": a number in it is too large."));
    assertTrue(refused(some, "{\"size\": " + "[".repeat(100_000)).getFirst().endsWith("too deeply, or a name or value in it is too long."));
  }

  @Test
  void whatItShowsOfAFileIsFitForATerminal() throws Exception {
    assertEquals("dev.instar.some.cfg.json (line 1) has the key 'a?[2J?', which dev.instar.some does not know; its keys are size, mode, word, names.",
        refused(some, "{\"a\\u001b[2J\\u202e\": 1}").getFirst());
    assertTrue(refused(some, "{\"size\": az\u0016Q}").getFirst().contains("the word 'az?Q' is no value"));
  }

  @Test
  void refusesAFileThatEverybodyMayChange() throws Exception {
    ConfigurationFile file = file("dev.instar.some.cfg.json", "{}");
    Path path = directory.resolve(file.file());
    Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-rw-rw-"));
    assertTrue(refused(ConfigurationFile.read(path), some).getFirst().contains("chmod o-w dev.instar.some.cfg.json"));
    Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-r--r--"));
    ConfigurationFile.read(path).read(some, Interpolation.NONE);
    Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxrwxrwx"));
    assertTrue(refused(ConfigurationFile.read(path), some).getFirst().contains("chmod o-w " + directory.getFileName()));
  }

  @Test
  void theFileThatIsShippedFits() throws Exception {
    try (JarFile jar = new JarFile(Framework.jar("dev.instar.scheduler").toFile())) {
      List<Schema> schemas = Schema.read(jar.getInputStream(jar.getEntry("OSGI-INF/metatype/dev.instar.scheduler.Config.xml")));
      assertEquals(1, schemas.size());
      Map<String, Object> values = ConfigurationFile.read(Path.of("../../config/dev.instar.scheduler.cfg.json")).read(schemas.getFirst(), Interpolation.NONE).values();
      assertEquals(256, values.get("max-sandboxes"));
    }
  }

  @Test
  void tellsAFactorysFileFromAnother() throws Exception {
    assertTrue(refused(many, "{}").getFirst().contains("dev.instar.some~<name>.cfg.json"));
    ConfigurationFile named = file("dev.instar.some~x.cfg.json", "{}");
    assertTrue(refused(named, some).getFirst().contains("call it dev.instar.some.cfg.json"));
  }
}
