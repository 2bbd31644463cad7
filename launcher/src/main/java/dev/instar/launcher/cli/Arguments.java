package dev.instar.launcher.cli;

import java.net.URI;
import java.net.URISyntaxException;
import java.math.BigDecimal;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** The forms of values on the command line. What a node alone can judge (whether a name exists, a limit's range) is left to it. */
final class Arguments {
  private static final Pattern SIZE = Pattern.compile("([0-9]{1,18})(Ki|Mi|Gi|Ti)?");
  private static final Pattern TIME = Pattern.compile("([0-9]{1,15})(ms|s|m|h)");

  private Arguments() {}

  /** @param bytes the number of bytes */
  record Size(long bytes) {}

  /** @param path the part of the URL, encoded */
  record Name(String user, String function) {
    String path() {
      return "/v1/functions/" + encoded(user) + "/" + encoded(function);
    }

    @Override
    public String toString() {
      return user + "/" + function;
    }
  }

  static String encoded(String segment) {
    return URLEncoder.encode(segment, StandardCharsets.UTF_8).replace("+", "%20");
  }

  /** Bytes, or with the unit Ki, Mi, Gi or Ti. */
  static final class SizeConverter implements ITypeConverter<Size> {
    @Override
    public Size convert(String text) {
      Matcher form = SIZE.matcher(text);
      if (form.matches()) {
        int shift = form.group(2) == null ? 0 : switch (form.group(2)) {
          case "Ki" -> 10;
          case "Mi" -> 20;
          case "Gi" -> 30;
          default -> 40;
        };
        long number = Long.parseLong(form.group(1));
        if (number <= Long.MAX_VALUE >> shift) {
          return new Size(number << shift);
        }
      }
      throw new TypeConversionException("'" + text + "' is not a size; write bytes or a unit, e.g. 65536, 512Ki, 64Mi, 1Gi");
    }
  }

  record Processors(int thousandths) {}

  /** Processors, or thousandths of one with an m behind the number. */
  static final class ProcessorsConverter implements ITypeConverter<Processors> {
    private static final Pattern FORM = Pattern.compile("([0-9]{1,7})m|[0-9]{1,4}(\\.[0-9]{1,3})?");

    @Override
    public Processors convert(String text) {
      Matcher form = FORM.matcher(text);
      if (!form.matches()) {
        throw new TypeConversionException("'" + text + "' is not a number of processors; write e.g. 0.5, 2 or 500m");
      }
      return new Processors(form.group(1) != null ? Integer.parseInt(form.group(1)) : new BigDecimal(text).movePointRight(3).intValueExact());
    }
  }

  /** A number with a unit. */
  static final class DurationConverter implements ITypeConverter<Duration> {
    @Override
    public Duration convert(String text) {
      Matcher form = TIME.matcher(text);
      if (!form.matches()) {
        throw new TypeConversionException("'" + text + "' is not a time; write e.g. 500ms, 30s, 2m or 1h");
      }
      long number = Long.parseLong(form.group(1));
      return switch (form.group(2)) {
        case "ms" -> Duration.ofMillis(number);
        case "s" -> Duration.ofSeconds(number);
        case "m" -> Duration.ofMinutes(number);
        default -> Duration.ofHours(number);
      };
    }
  }

  /** A point in time, or how long ago it was. */
  static final class SinceConverter implements ITypeConverter<Instant> {
    @Override
    public Instant convert(String text) {
      if (TIME.matcher(text).matches()) {
        return Instant.now().minus(new DurationConverter().convert(text));
      }
      try {
        return Instant.parse(text);
      } catch (DateTimeParseException e) {
        throw new TypeConversionException("'" + text + "' is neither a time ago (10m, 2h) nor a point in time (2026-01-31T12:00:00Z)");
      }
    }
  }

  /** {@code user/function}. */
  static final class NameConverter implements ITypeConverter<Name> {
    @Override
    public Name convert(String text) {
      int slash = text.indexOf('/');
      if (slash <= 0 || slash == text.length() - 1 || text.indexOf('/', slash + 1) >= 0) {
        throw new TypeConversionException("'" + text + "' is not a function's name; write user/function, e.g. demo/echo");
      }
      return new Name(text.substring(0, slash), text.substring(slash + 1));
    }
  }

  /** Where a node answers. */
  static final class UrlConverter implements ITypeConverter<URI> {
    @Override
    public URI convert(String text) {
      try {
        URI url = new URI(text.endsWith("/") ? text.substring(0, text.length() - 1) : text);
        if (("http".equals(url.getScheme()) || "https".equals(url.getScheme())) && url.getHost() != null && url.getRawQuery() == null && url.getRawFragment() == null) {
          return url;
        }
      } catch (URISyntaxException e) {
        // Said below.
      }
      throw new TypeConversionException("'" + text + "' is not the URL of a node; write e.g. http://127.0.0.1:8080");
    }
  }
}
