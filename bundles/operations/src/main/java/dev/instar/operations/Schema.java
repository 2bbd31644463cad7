package dev.instar.operations;

import java.io.IOException;
import java.io.InputStream;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import javax.xml.stream.XMLInputFactory;
import javax.xml.stream.XMLStreamConstants;
import javax.xml.stream.XMLStreamException;
import javax.xml.stream.XMLStreamReader;

/**
 * The keys that a PID takes, as the bundle declares them whose component is configured by it.
 *
 * @param pid of the configuration, or of the factory
 * @param factory whether there may be many configurations of it, each with a name
 * @param description what it is for; may be empty
 * @param keys by their id
 */
record Schema(String pid, boolean factory, String description, Map<String, Key> keys) {
  /**
   * Reads a document of {@code OSGI-INF/metatype}. The service of OSGi Metatype would give the same but for what is needed most: its
   * attribute definitions have no way to ask for the least and the largest value.
   */
  static List<Schema> read(InputStream xml) throws IOException {
    XMLInputFactory factory = XMLInputFactory.newDefaultFactory();
    factory.setProperty(XMLInputFactory.SUPPORT_DTD, false);
    factory.setProperty(XMLInputFactory.IS_SUPPORTING_EXTERNAL_ENTITIES, false);
    Map<String, Map<String, Key>> classes = new HashMap<>();
    Map<String, String> descriptions = new HashMap<>();
    List<Schema> schemas = new ArrayList<>();
    try {
      XMLStreamReader in = factory.createXMLStreamReader(xml);
      Map<String, Key> keys = Map.of();
      Designate designate = new Designate("", false);
      for (; in.hasNext(); in.next()) {
        if (in.getEventType() != XMLStreamConstants.START_ELEMENT) {
          continue;
        }
        switch (in.getLocalName()) {
          case "OCD" -> {
            classes.put(in.getAttributeValue(null, "id"), keys = new LinkedHashMap<>());
            descriptions.put(in.getAttributeValue(null, "id"), text(in, "description"));
          }
          case "AD" -> {
            Key key = key(in);
            keys.put(key.id(), key);
          }
          case "Option" -> keys.values().stream().reduce((a, b) -> b).orElseThrow().options().add(in.getAttributeValue(null, "value"));
          case "Designate" -> {
            String factoryPid = in.getAttributeValue(null, "factoryPid");
            designate = factoryPid == null ? new Designate(in.getAttributeValue(null, "pid"), false) : new Designate(factoryPid, true);
          }
          case "Object" -> {
            String definition = in.getAttributeValue(null, "ocdref");
            schemas.add(new Schema(designate.pid, designate.factory, descriptions.getOrDefault(definition, ""), classes.getOrDefault(definition, Map.of())));
          }
          default -> { }
        }
      }
    } catch (XMLStreamException e) {
      throw new IOException(e);
    }
    return schemas;
  }

  private record Designate(String pid, boolean factory) {}

  private static Key key(XMLStreamReader in) {
    String cardinality = in.getAttributeValue(null, "cardinality");
    String type = in.getAttributeValue(null, "type");
    return new Key(in.getAttributeValue(null, "id"), text(in, "description"), Key.Type.of(type), cardinality != null && !cardinality.equals("0"), "Password".equals(type),
        number(in.getAttributeValue(null, "min")), number(in.getAttributeValue(null, "max")), new ArrayList<>(), Optional.ofNullable(in.getAttributeValue(null, "default")));
  }

  private static String text(XMLStreamReader in, String attribute) {
    String text = in.getAttributeValue(null, attribute);
    // Those that begin so are names of texts in a file of translations.
    return text == null || text.startsWith("%") ? "" : text;
  }

  private static Optional<BigDecimal> number(String text) {
    return text == null || text.isEmpty() ? Optional.empty() : Optional.of(new BigDecimal(text));
  }

  /** The candidate that the name may be a slip of: the one with the fewest letters to change, at most three and at most half of the name's. */
  static Optional<String> nearest(String name, Iterable<String> candidates) {
    List<String> all = new ArrayList<>();
    candidates.forEach(all::add);
    return all.stream().filter(c -> distance(name, c) <= Math.min(3, name.length() / 2)).min(Comparator.comparingInt((String c) -> distance(name, c)).thenComparing(Comparator.naturalOrder()));
  }

  /** Levenshtein's. */
  private static int distance(String a, String b) {
    int[] row = new int[b.length() + 1];
    for (int j = 0; j <= b.length(); j++) {
      row[j] = j;
    }
    for (int i = 1; i <= a.length(); i++) {
      int diagonal = row[0];
      row[0] = i;
      for (int j = 1; j <= b.length(); j++) {
        int above = row[j];
        int change = Character.toLowerCase(a.charAt(i - 1)) == Character.toLowerCase(b.charAt(j - 1)) ? 0 : 1;
        row[j] = Math.min(diagonal + change, Math.min(above, row[j - 1]) + 1);
        diagonal = above;
      }
    }
    return row[b.length()];
  }
}
