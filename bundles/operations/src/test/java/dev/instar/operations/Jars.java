package dev.instar.operations;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;

/** Makes bundles for tests. */
public final class Jars {
  private Jars() {}

  /** A bundle whose activator is {@link Offer}. @param headers name and value by turns */
  public static byte[] bundle(String symbolicName, String version, String... headers) throws IOException {
    Map<String, String> all = new LinkedHashMap<>();
    all.put("Bundle-ManifestVersion", "2");
    all.put("Bundle-SymbolicName", symbolicName);
    all.put("Bundle-Version", version);
    all.put("Bundle-Activator", Offer.class.getName());
    all.put("Import-Package", "org.osgi.framework");
    for (int i = 0; i < headers.length; i += 2) {
      all.merge(headers[i], headers[i + 1], (a, b) -> headersOf(a, b));
    }
    Map<String, byte[]> classes = new LinkedHashMap<>();
    for (String name : new String[] {"Offer", "Offer$Unusable"}) {
      try (InputStream in = Offer.class.getResourceAsStream(name + ".class")) {
        classes.put(Offer.class.getPackageName().replace('.', '/') + '/' + name + ".class", in.readAllBytes());
      }
    }
    return jar(all, classes);
  }

  private static String headersOf(String before, String more) {
    return before.contains("org.osgi.framework") ? before + "," + more : more;
  }

  /** A jar with a manifest and one more entry. */
  public static byte[] jar(Map<String, String> headers, String entry, byte[] content) throws IOException {
    return jar(headers, Map.of(entry, content));
  }

  private static byte[] jar(Map<String, String> headers, Map<String, byte[]> entries) throws IOException {
    Manifest manifest = new Manifest();
    manifest.getMainAttributes().putValue("Manifest-Version", "1.0");
    headers.forEach(manifest.getMainAttributes()::putValue);
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (JarOutputStream jar = new JarOutputStream(bytes, manifest)) {
      for (Map.Entry<String, byte[]> entry : entries.entrySet()) {
        jar.putNextEntry(new JarEntry(entry.getKey()));
        jar.write(entry.getValue());
      }
    }
    return bytes.toByteArray();
  }
}
