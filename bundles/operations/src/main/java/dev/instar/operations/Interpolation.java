package dev.instar.operations;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Puts in what placeholders stand for, in the syntax of Felix's ConfigAdmin plug-in for it: {@code $[env:NAME]}, {@code $[prop:NAME]} and
 * {@code $[secret:NAME]}, each with {@code ;default=…} and, for lists, {@code ;delimiter=…}. What is put in is not looked at again. A backslash before
 * the dollar sign keeps it as it is.
 *
 * @param environment variables by their name
 * @param properties of the framework by their name
 * @param secrets the directory with a file for each secret
 */
record Interpolation(Function<String, Optional<String>> environment, Function<String, Optional<String>> properties, Optional<Path> secrets) {
  /** For texts in which nothing is put in. */
  static final Interpolation NONE = new Interpolation(name -> Optional.empty(), name -> Optional.empty(), Optional.empty());

  private static final Pattern PLACEHOLDER =
      Pattern.compile("\\$\\[(?<source>env|prop|secret):(?<name>[^;\\]]*)(?<directives>(?:;type=[A-Za-z]*(?:\\[])?|;default=[^;\\]]*|;delimiter=[^;\\]]?)*)(?<rest>[^\\]]*)]");
  private static final Pattern BEGIN = Pattern.compile("\\$\\[(?:env|prop|secret):");
  private static final Pattern DIRECTIVE = Pattern.compile(";(?<name>[a-z]+)=(?<value>[A-Za-z]*\\[]|[^;\\]]*)");
  private static final Pattern SECRET_NAME = Pattern.compile("[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}");
  private static final int MAX_SECRET_BYTES = 64 << 10;

  /** A placeholder that can't be put in. The message is the end of a sentence that begins with the key. */
  static final class Unresolved extends Exception {
    private static final long serialVersionUID = 1;

    Unresolved(String message) {
      super(message);
    }
  }

  /**
   * A text with everything put in.
   *
   * @param found whether there was a placeholder
   * @param secrets names of those that are in it
   * @param delimiter between the elements of a list, where one is named
   */
  record Text(String text, boolean found, Set<String> secrets, Optional<String> delimiter) {}

  /** Names of the secrets that a text asks for. */
  static Set<String> secretsOf(String text) {
    Set<String> names = new TreeSet<>();
    Matcher matcher = PLACEHOLDER.matcher(text);
    while (matcher.find()) {
      if (matcher.group("source").equals("secret") && !escaped(text, matcher.start())) {
        names.add(matcher.group("name"));
      }
    }
    return names;
  }

  /** Whether something is put into a text. */
  static boolean has(String text) {
    Matcher begin = BEGIN.matcher(text);
    while (begin.find()) {
      if (!escaped(text, begin.start())) {
        return true;
      }
    }
    return false;
  }

  static boolean isSecretName(String name) {
    return SECRET_NAME.matcher(name).matches();
  }

  Text of(String text) throws Unresolved {
    StringBuilder result = new StringBuilder();
    Set<String> used = new TreeSet<>();
    Optional<String> delimiter = Optional.empty();
    boolean found = false;
    Matcher begin = BEGIN.matcher(text);
    Matcher matcher = PLACEHOLDER.matcher(text);
    int at = 0;
    while (begin.find(at)) {
      if (escaped(text, begin.start())) {
        result.append(text, at, begin.start() - 1).append(begin.group());
        at = begin.end();
        continue;
      }
      result.append(text, at, begin.start());
      if (!matcher.find(begin.start()) || matcher.start() != begin.start()) {
        throw new Unresolved("has a placeholder " + begin.group() + " that is not closed; write $[env:NAME] or $[secret:NAME]");
      }
      if (!matcher.group("rest").isEmpty() || matcher.group("name").isBlank()) {
        throw new Unresolved("has a placeholder that is not understood: " + shown(matcher.group()) + "; write $[env:NAME;default=…] or $[secret:NAME]");
      }
      // The type, which Felix takes too, the key declares.
      Optional<String> standard = directive(matcher, "default");
      Optional<String> named = directive(matcher, "delimiter");
      delimiter = named.isPresent() ? named : delimiter;
      String name = matcher.group("name");
      found = true;
      switch (matcher.group("source")) {
        case "env" -> result.append(environment.apply(name).or(() -> standard)
            .orElseThrow(() -> new Unresolved("names the environment variable " + shown(name) + ", which the node does not have; set it, or write $[env:" + shown(name) + ";default=…]")));
        case "prop" -> result.append(properties.apply(name).or(() -> standard)
            .orElseThrow(() -> new Unresolved("names the property " + shown(name) + ", which the node does not have; write $[prop:" + shown(name) + ";default=…]")));
        default -> {
          used.add(name);
          Optional<String> secret = secret(name);
          if (secret.isEmpty() && standard.isEmpty()) {
            throw new Unresolved("names the secret " + shown(name) + ", of which there is no file " + secrets.map(d -> d.resolve(shown(name)).toString()).orElse("since there is no directory of secrets"));
          }
          result.append(secret.or(() -> standard).orElse(""));
        }
      }
      at = matcher.end();
    }
    return new Text(result.append(text, at, text.length()).toString(), found, used, delimiter);
  }

  private static Optional<String> directive(Matcher placeholder, String name) {
    Matcher directive = DIRECTIVE.matcher(placeholder.group("directives"));
    while (directive.find()) {
      if (directive.group("name").equals(name)) {
        return Optional.of(directive.group("value"));
      }
    }
    return Optional.empty();
  }

  private Optional<String> secret(String name) throws Unresolved {
    if (!isSecretName(name)) {
      throw new Unresolved("names the secret " + shown(name) + "; a secret's name has letters, digits, '.', '_' and '-', and does not begin with '.'");
    }
    if (secrets.isEmpty()) {
      return Optional.empty();
    }
    Path file = secrets.get().resolve(name);
    try {
      if (Files.size(file) > MAX_SECRET_BYTES || !Files.isRegularFile(file)) {
        throw new Unresolved("names the secret " + name + ", whose file is no file of at most " + MAX_SECRET_BYTES + " bytes");
      }
      if (Files.getPosixFilePermissions(file).contains(PosixFilePermission.OTHERS_WRITE)) {
        throw new Unresolved("names the secret " + name + ", whose file everybody on this machine may change; run: chmod o-w " + file);
      }
      String text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(Files.readAllBytes(file))).toString();
      // What an editor puts at the end of a line is none of it.
      return Optional.of(text.endsWith("\r\n") ? text.substring(0, text.length() - 2) : text.endsWith("\n") ? text.substring(0, text.length() - 1) : text);
    } catch (NoSuchFileException e) {
      return Optional.empty();
    } catch (CharacterCodingException e) {
      throw new Unresolved("names the secret " + name + ", whose file is no text in UTF-8");
    } catch (IOException e) {
      throw new Unresolved("names the secret " + name + ", whose file can't be read by the node's user");
    }
  }

  private static boolean escaped(String text, int at) {
    return at > 0 && text.charAt(at - 1) == '\\';
  }

  private static String shown(String text) {
    return text.length() > 80 ? text.substring(0, 80) + "…" : text;
  }
}
