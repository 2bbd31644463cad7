package dev.instar.operations.deploy;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.io.BufferedInputStream;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.jar.Manifest;
import java.util.regex.Pattern;
import java.util.zip.ZipEntry;
import java.util.zip.ZipException;
import java.util.zip.ZipFile;
import java.util.zip.ZipInputStream;
import org.apache.felix.utils.resource.ResourceBuilder;
import org.osgi.framework.BundleException;
import org.osgi.framework.Constants;
import org.osgi.framework.Version;
import org.osgi.resource.Resource;

/**
 * A jar that was found to be whole and an OSGi bundle.
 *
 * @param singleton whether the framework resolves only one bundle of this name
 * @param overlaps whether it may run beside the version that it replaces
 * @param resource its requirements and capabilities, for the resolver
 */
record BundleJar(Path file, Digest digest, String name, Version version, boolean singleton, boolean overlaps, Resource resource) {
  /** In the manifest of a bundle that may run beside another version of itself: its replacement starts before the old one stops. */
  private static final String UPDATE = "Instar-Update";
  private static final String OVERLAP = "overlap";
  private static final Pattern NAME = Pattern.compile("(?=.{1,200}$)[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*");
  private static final String MANIFEST = "META-INF/MANIFEST.MF";
  private static final int MANIFEST_BYTES = 1 << 20;
  private static final int ENTRIES = 100_000;
  /** Unpacked; ten times what the largest bundle of the distribution has, and read once with nothing kept. */
  private static final long UNPACKED_BYTES = 1L << 30;

  /**
   * Reads all of it.
   *
   * @param digest of the file
   * @throws InstarException BUNDLE_REFUSED
   */
  static BundleJar read(Path file, Digest digest) throws IOException {
    Manifest manifest = whole(file);
    Map<String, String> headers = new HashMap<>();
    manifest.getMainAttributes().forEach((k, v) -> headers.put(k.toString(), v.toString()));
    String symbolicName = headers.get(Constants.BUNDLE_SYMBOLICNAME);
    if (symbolicName == null || !"2".equals(headers.getOrDefault(Constants.BUNDLE_MANIFESTVERSION, "").strip())) {
      throw refused("The jar is no OSGi bundle: its manifest has no " + Constants.BUNDLE_SYMBOLICNAME + " or not 2 as "
          + Constants.BUNDLE_MANIFESTVERSION + ". Build it with bnd, or wrap it.");
    }
    String name = symbolicName.split(";", 2)[0].strip();
    if (!NAME.matcher(name).matches()) {
      throw refused("The bundle's symbolic name " + shown(name) + " is not valid; it has letters, digits, '_' and '-', and single dots between these.");
    }
    if (name.chars().allMatch(Character::isDigit)) {
      throw refused("The bundle's symbolic name '" + name + "' is a number, which stands for the id of a bundle wherever one is named. Give it a name with a letter.");
    }
    if (headers.containsKey(Constants.FRAGMENT_HOST)) {
      throw refused("The bundle " + name + " is a fragment of " + headers.get(Constants.FRAGMENT_HOST)
          + ", and fragments are not deployed into a running node. Put what it holds into a bundle, or it into the distribution.");
    }
    try {
      Version version = Version.parseVersion(headers.get(Constants.BUNDLE_VERSION));
      return new BundleJar(file, digest, name, version, singleton(symbolicName), OVERLAP.equals(headers.getOrDefault(UPDATE, "").strip()),
          ResourceBuilder.build(file.toUri().toString(), headers));
    } catch (BundleException | RuntimeException e) {
      throw refused("The manifest of the bundle " + name + " is not valid: " + (e.getCause() == null ? e : e.getCause()).getMessage() + ".");
    }
  }

  static boolean singleton(String symbolicName) {
    return symbolicName.replaceAll("[\\s\"]", "").toLowerCase(Locale.ROOT).contains(";singleton:=true");
  }

  BundleJar at(Path moved) {
    return new BundleJar(moved, digest, name, version, singleton, overlaps, resource);
  }

  /** Where the framework is told to read it: by reference, so that nothing is copied. */
  String location() {
    return "reference:" + file.toUri();
  }

  @Override
  public String toString() {
    return name + " " + version;
  }

  /** The manifest of a jar each of whose entries has been read and has its checksum. */
  private static Manifest whole(Path file) throws IOException {
    byte[] manifest;
    Set<String> names = new HashSet<>();
    // The stream checks each entry's checksum, the file its list of entries: a jar is cut off when either fails or they differ. What counts is the list,
    // since a framework goes by that: an entry may be written under another name than it is listed under.
    try (InputStream in = new BufferedInputStream(Files.newInputStream(file)); ZipInputStream zip = new ZipInputStream(in); ZipFile list = new ZipFile(file.toFile())) {
      long left = UNPACKED_BYTES;
      byte[] buffer = new byte[64 << 10];
      for (ZipEntry entry; (entry = zip.getNextEntry()) != null;) {
        String name = entry.getName();
        if (!names.add(name)) {
          throw refused("The jar has the entry " + shown(name) + " twice.");
        }
        if (names.size() > ENTRIES) {
          throw refused("The jar has more than " + ENTRIES + " entries.");
        }
        if (name.startsWith("/") || name.indexOf('\\') >= 0 || name.indexOf('\0') >= 0 || List.of(name.split("/")).contains("..")) {
          throw refused("The jar has the entry " + shown(name) + ", which leads out of it.");
        }
        if (MANIFEST.equalsIgnoreCase(name) && !MANIFEST.equals(name)) {
          throw refused("The jar has the entry " + shown(name) + ", which some take for its manifest and others do not. Call it " + MANIFEST + ".");
        }
        for (int n; (n = zip.read(buffer)) >= 0;) {
          left -= n;
          if (left < 0) {
            throw refused("The jar has more than " + UNPACKED_BYTES + " bytes unpacked.");
          }
        }
      }
      if (list.size() != names.size()) {
        throw refused("The jar is damaged: " + names.size() + " entries can be read and it lists " + list.size() + ".");
      }
      for (ZipEntry entry : Collections.list(list.entries())) {
        if (!names.contains(entry.getName())) {
          throw refused("The jar is damaged: it lists the entry " + shown(entry.getName()) + ", which is not in it.");
        }
      }
      manifest = manifest(list);
    } catch (ZipException | java.io.EOFException | IllegalArgumentException e) {
      throw refused("What was sent is no whole jar: " + e.getMessage() + ". Build or copy it again.");
    }
    try {
      return new Manifest(new ByteArrayInputStream(manifest));
    } catch (IOException | IllegalArgumentException e) {
      throw refused("The jar's manifest can't be read: " + e.getMessage() + ".");
    }
  }

  /** As the framework will read it. */
  private static byte[] manifest(ZipFile list) throws IOException {
    ZipEntry entry = list.getEntry(MANIFEST);
    if (entry == null) {
      throw refused("The jar has no " + MANIFEST + ", so it is no OSGi bundle.");
    }
    try (InputStream in = list.getInputStream(entry)) {
      byte[] manifest = in.readNBytes(MANIFEST_BYTES + 1);
      if (manifest.length > MANIFEST_BYTES) {
        throw refused("The jar's manifest has more than " + MANIFEST_BYTES + " bytes.");
      }
      return manifest;
    }
  }

  private static String shown(String name) {
    String safe = name.replaceAll("[^ -~]", "?");
    return "'" + (safe.length() > 100 ? safe.substring(0, 100) + "..." : safe) + "'";
  }

  static InstarException refused(String detail) {
    return new InstarException(ErrorCode.BUNDLE_REFUSED, detail);
  }
}
