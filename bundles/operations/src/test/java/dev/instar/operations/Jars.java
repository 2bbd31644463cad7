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
  public static byte[] bundle(String name, String version, String... headers) throws IOException {
    Map<String, String> all = new LinkedHashMap<>();
    all.put("Bundle-ManifestVersion", "2");
    all.put("Bundle-SymbolicName", name);
    all.put("Bundle-Version", version);
    all.put("Bundle-Activator", Offer.class.getName());
    all.put("Import-Package", "org.osgi.framework");
    for (int i = 0; i < headers.length; i += 2) {
      all.merge(headers[i], headers[i + 1], (a, b) -> headersOf(a, b));
    }
    return jar(all, Offer.class.getName().replace('.', '/') + ".class", offer());
  }

  private static String headersOf(String before, String more) {
    return before.contains("org.osgi.framework") ? before + "," + more : more;
  }

  /** A jar with a manifest and one more entry. */
  public static byte[] jar(Map<String, String> headers, String entry, byte[] content) throws IOException {
    Manifest manifest = new Manifest();
    manifest.getMainAttributes().putValue("Manifest-Version", "1.0");
    headers.forEach(manifest.getMainAttributes()::putValue);
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (JarOutputStream jar = new JarOutputStream(bytes, manifest)) {
      jar.putNextEntry(new JarEntry(entry));
      jar.write(content);
    }
    return bytes.toByteArray();
  }

  private static byte[] offer() throws IOException {
    try (InputStream in = Offer.class.getResourceAsStream("Offer.class")) {
      return in.readAllBytes();
    }
  }
}
