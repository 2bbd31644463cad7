package dev.instar.launcher.cli;

import dev.instar.launcher.ExitCode;
import dev.instar.launcher.Failure;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * The token that a command sends, always from a file: what stands on a command line is seen by every user of the machine.
 *
 * @param token empty: none is sent
 * @param file that it was read from
 */
record Credential(String token, Optional<Path> file) {
  static final Credential NONE = new Credential("", Optional.empty());

  private static final String FILE = "admin.token";
  private static final int LONGEST = 4096;
  private static final Pattern FORM = Pattern.compile("[A-Za-z0-9._~+/=-]+");
  private static final Pattern LOOPBACK = Pattern.compile("localhost|127(\\.[0-9]{1,3}){3}|\\[::1]");

  /**
   * What a file holds that the user has named.
   *
   * @param file the file, or a node's data directory
   */
  static Credential named(Path file, URI node) throws Failure {
    if (!"https".equals(node.getScheme()) && !loopback(node)) {
      throw new Failure(ExitCode.USAGE, "The token would go to " + node + " in the clear. Give the node's https:// URL.");
    }
    Path place = Files.isDirectory(file) ? file.resolve(FILE) : file;
    try {
      return read(place);
    } catch (IOException e) {
      throw new Failure(ExitCode.FAILED, "The token file cannot be read: " + Reason.of(e) + ".", e);
    }
  }

  /** The administrator's token of the node whose data directory this is, if this user may read it; for a node on this machine only. */
  static Credential found(Path data, URI node) throws Failure {
    return loopback(node) ? ofNode(data) : NONE;
  }

  /** The same for the node of this process, whatever its address. */
  static Credential ofNode(Path data) throws Failure {
    Path file = data.resolve(FILE);
    if (!Files.isReadable(file)) {
      return NONE;
    }
    try {
      return read(file);
    } catch (IOException e) {
      return NONE;
    }
  }

  private static Credential read(Path file) throws IOException, Failure {
    String text;
    try (var in = Files.newInputStream(file)) {
      text = new String(in.readNBytes(LONGEST), StandardCharsets.ISO_8859_1).strip();
    }
    if (!FORM.matcher(text).matches()) {
      throw new Failure(ExitCode.FAILED, file + " holds no token; it must be one line of A-Z a-z 0-9 . _ ~ + / - =.");
    }
    return new Credential(text, Optional.of(file));
  }

  static boolean loopback(URI node) {
    return LOOPBACK.matcher(node.getHost()).matches();
  }

  /** The value of the header Authorization, if there is one to send. */
  Optional<String> header() {
    return token.isEmpty() ? Optional.empty() : Optional.of("Bearer " + token);
  }

  /** Without the token. */
  @Override
  public String toString() {
    return token.isEmpty() ? "no credential" : "a credential";
  }
}
