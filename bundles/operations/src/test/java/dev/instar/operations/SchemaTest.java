package dev.instar.operations;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class SchemaTest {
  /** As bnd writes it. */
  static final String XML = """
      <?xml version="1.0" encoding="UTF-8"?>
      <metatype:MetaData xmlns:metatype="http://www.osgi.org/xmlns/metatype/v1.4.0" localization="OSGI-INF/l10n/some.Config">
        <OCD id="some.Config" name="Some" description="A test's.">
          <AD id="size" type="Integer" name="Size" min="1" max="10" default="3"/>
          <AD id="mode" type="String" name="Mode" default="on">
            <Option label="On" value="on"/>
            <Option label="Off" value="off"/>
          </AD>
          <AD id="word" type="Password" name="Word" required="false"/>
          <AD id="names" type="String" cardinality="2147483647" name="Names" required="false"/>
        </OCD>
        <Designate pid="dev.instar.some">
          <Object ocdref="some.Config"/>
        </Designate>
        <Designate factoryPid="dev.instar.many">
          <Object ocdref="some.Config"/>
        </Designate>
      </metatype:MetaData>
      """;

  static List<Schema> read(String xml) throws IOException {
    return Schema.read(new ByteArrayInputStream(xml.getBytes(StandardCharsets.UTF_8)));
  }

  @Test
  void readsWhatABundleDeclares() throws Exception {
    List<Schema> schemas = read(XML);
    assertEquals(List.of("dev.instar.some", "dev.instar.many"), schemas.stream().map(Schema::pid).toList());
    assertFalse(schemas.getFirst().factory());
    assertTrue(schemas.getLast().factory());
    Schema some = schemas.getFirst();
    assertEquals(List.of("size", "mode", "word", "names"), List.copyOf(some.keys().keySet()));
    assertEquals(10, some.keys().get("size").max().orElseThrow().intValue());
    assertEquals(List.of("on", "off"), some.keys().get("mode").options());
    assertTrue(some.keys().get("names").list());
    assertFalse(some.keys().get("size").list());
    assertEquals("A test's.", some.description());
    assertEquals(Optional.of(3), some.keys().get("size").standardValue());
    assertTrue(some.keys().get("word").secret());
  }

  @Test
  void readsNoEntities() {
    assertThrows(IOException.class, () -> read("""
        <!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>
        <MetaData><OCD id="&e;"/></MetaData>
        """));
  }

  @Test
  void findsTheNearestName() {
    List<String> keys = List.of("max-sandboxes", "max-idle", "queue");
    assertEquals(Optional.of("max-idle"), Schema.nearest("max_idle", keys));
    assertEquals(Optional.of("max-idle"), Schema.nearest("MaxIdle", keys));
    assertEquals(Optional.of("queue"), Schema.nearest("queu", keys));
    assertEquals(Optional.empty(), Schema.nearest("queu", List.of()));
    assertEquals(Optional.empty(), Schema.nearest("colour", keys));
    assertEquals(Optional.empty(), Schema.nearest("id", List.of("on")));
  }
}
