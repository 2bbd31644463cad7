package dev.instar.backend.container;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** How a function in a container takes its calls. */
sealed interface Talk {
  /** Where functions listen that say nothing else. */
  int USUAL_PORT = 8080;

  /** The program that answers calls, with its arguments. */
  List<String> command();

  /** For {@code describe}. */
  String entry();

  /** A process for each call: its standard input is the body, its standard output the answer. */
  record PerCall(List<String> command) implements Talk {
    @Override
    public String entry() {
      return "a process for each call over its standard streams: " + String.join(" ", command);
    }
  }

  /**
   * One process that listens on a port: each call is a POST to {@code /}; a gRPC call, which goes over HTTP/2 in any case, to its method.
   *
   * @param http2 whether other calls go over HTTP/2, too
   */
  record Http(List<String> command, int port, boolean http2) implements Talk {
    @Override
    public String entry() {
      return (http2 ? "HTTP/2 on port " : "HTTP on port ") + port + ": " + String.join(" ", command);
    }
  }

  /** One process that speaks the guest protocol over its standard streams, and is the node's own but for the function that it loads. */
  record Framed(Language language, String file) implements Talk {
    @Override
    public List<String> command() {
      return language.command(file);
    }

    @Override
    public String entry() {
      return "the guest protocol, " + (language.forks() ? "a process forked for each call" : "a process started ahead for each call") + ": " + language.label() + " " + file;
    }
  }

  /**
   * What is said wins over what is found: the label {@code runtime}, with the function's file as {@code fprocess} or as the image's command; the labels {@code port} and
   * {@code protocol}, with the label {@code fprocess} for the server where it is not the image's command; then the
   * label or variable {@code fprocess}; then a port that the image exposes. An image that brings {@code fprocess} itself has a watchdog of OpenFaaS as its
   * command, which listens.
   *
   * @throws InstarException MODULE_REFUSED when a label says nothing that can be
   */
  static Talk of(Map<String, String> labels, Map<String, String> environment, ImageConfiguration image) {
    List<String> named = Words.of(labels.getOrDefault(PreparedContainer.PROCESS, ""));
    Optional<Boolean> http2 = Optional.ofNullable(labels.get(PreparedContainer.PROTOCOL)).map(Talk::isHttp2);
    String port = labels.get(PreparedContainer.PORT);
    String runtime = labels.get(PreparedContainer.RUNTIME);
    if (runtime != null) {
      return framed(Language.of(runtime.strip()), named.isEmpty() ? image.command() : named, port);
    }
    if (port != null) {
      return new Http(named.isEmpty() ? image.command() : named, port(port.strip()), http2.orElse(false));
    }
    if (http2.isPresent()) {
      return new Http(named.isEmpty() ? image.command() : named, image.port().orElse(USUAL_PORT), http2.get());
    }
    List<String> process = named.isEmpty() ? Words.of(environment.getOrDefault(PreparedContainer.PROCESS, "")) : named;
    if (!process.isEmpty()) {
      return new PerCall(process);
    }
    if (image.port().isPresent()) {
      return new Http(image.command(), image.port().getAsInt(), false);
    }
    return image.environment().containsKey(PreparedContainer.PROCESS) ? new Http(image.command(), USUAL_PORT, false) : new PerCall(image.command());
  }

  private static Framed framed(Language language, List<String> file, String port) {
    if (port != null) {
      throw new InstarException(ErrorCode.MODULE_REFUSED, "A function with the label '" + PreparedContainer.RUNTIME + "' listens on no port: leave the label '" + PreparedContainer.PORT
          + "' out, or the other.");
    }
    if (file.size() != 1) {
      throw new InstarException(ErrorCode.MODULE_REFUSED, "A function with the label '" + PreparedContainer.RUNTIME + "' is one file of its image: name it with the label '"
          + PreparedContainer.PROCESS + "', such as " + PreparedContainer.PROCESS + "=/function.py.");
    }
    return new Framed(language, file.getFirst());
  }

  private static boolean isHttp2(String protocol) {
    return switch (protocol.strip()) {
      case "h2c" -> true;
      case "http" -> false;
      default -> throw new InstarException(ErrorCode.MODULE_REFUSED, "The label '" + PreparedContainer.PROTOCOL + "' is '" + shown(protocol)
          + "'; give 'http', or 'h2c' for a function that takes HTTP/2 only.");
    };
  }

  private static String shown(String text) {
    return (text.length() > 20 ? text.substring(0, 20) + "..." : text).replaceAll("[^ -~]", "?");
  }

  private static int port(String text) {
    if (!text.matches("[0-9]{1,5}") || Integer.parseInt(text) < 1 || Integer.parseInt(text) > 65_535) {
      throw new InstarException(ErrorCode.MODULE_REFUSED, "The label '" + PreparedContainer.PORT + "' is '" + shown(text)
          + "'; give a port from 1 to 65535.");
    }
    return Integer.parseInt(text);
  }
}
