package dev.instar.launcher.cli;

import dev.instar.launcher.Distribution;
import dev.instar.launcher.ExitCode;
import dev.instar.launcher.Failure;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.lang.model.SourceVersion;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code instar new}. */
@Command(name = "new", synopsisSubcommandLabel = "WHAT", description = "Makes a project to begin with.", subcommands = NewCommand.Backend.class)
public final class NewCommand implements Runnable {
  @Spec
  private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "Say what to make: 'instar new backend NAME'");
  }

  /** {@code instar new backend}. */
  @Command(name = "backend", description = {"Makes a Maven project of an isolation backend that works: it builds to a bundle, passes the conformance suite and can be installed into a running node.",
      "It runs a program for each call and isolates nothing; what it becomes is yours. docs/backend-guide.md tells how."})
  public static final class Backend implements Callable<Integer> {
    /** Names of directories, packages and classes are made of it. */
    private static final Pattern NAME = Pattern.compile("[a-z][a-z0-9]*(-[a-z0-9]+)*");
    private static final int LONGEST_NAME = 40;
    private static final String DEFAULT_PACKAGE = "org.example.backend.";

    @Spec
    private CommandSpec spec;
    @Parameters(index = "0", paramLabel = "NAME", description = "The backend's name: lower-case letters, digits and single hyphens, a letter first.")
    private String name;
    @Option(names = "--directory", paramLabel = "D", description = "The project's directory (default: NAME, in this one). It must not be there yet.")
    private Optional<Path> directory;
    @Option(names = "--package", paramLabel = "P", description = "The Java package, and the bundle's symbolic name (default: " + DEFAULT_PACKAGE + "NAME without hyphens).")
    private Optional<String> javaPackage;

    @Override
    public Integer call() throws Exception {
      Distribution distribution = Distribution.locate();
      String code = javaPackage.orElse(DEFAULT_PACKAGE + name.replace("-", ""));
      check(distribution, code);
      Path project = directory.orElse(Path.of(name)).toAbsolutePath().normalize();
      String words = Arrays.stream(name.split("-")).map(word -> Character.toUpperCase(word.charAt(0)) + word.substring(1)).collect(Collectors.joining());
      Map<String, String> values = new LinkedHashMap<>();
      values.put("_package_", code);
      values.put("_Name_", words);
      values.put("_name_", name);
      values.put("_version_", Distribution.version());
      values.put("_home_", distribution.home().toString());
      make(distribution.home().resolve("sdk/backend"), project, values);
      Path here = Path.of("").toAbsolutePath();
      Path shown = project.startsWith(here) && !project.equals(here) ? here.relativize(project) : project;
      System.out.println("The backend '" + name + "' is in " + project + ". Next:");
      System.out.println();
      System.out.println("  cd " + shown);
      System.out.println("  mvn package        # builds target/" + code + "-0.1.0.jar and runs the conformance suite");
      System.out.println();
      System.out.println("README.md there goes on from that, docs/backend-guide.md of Instar explains it.");
      return ExitCode.OK;
    }

    private void check(Distribution distribution, String code) throws IOException {
      if (name.length() > LONGEST_NAME || !NAME.matcher(name).matches()) {
        throw misused("'" + Output.printable(name) + "' cannot name a backend; give up to " + LONGEST_NAME
            + " lower-case letters, digits and single hyphens, with a letter first, e.g. gvisor or my-backend");
      }
      try (Stream<Path> ours = Files.list(distribution.home().resolve("bundles"))) {
        if (ours.anyMatch(jar -> jar.getFileName().toString().startsWith("dev.instar.backend." + name + "-" + Distribution.version()))) {
          throw misused("'" + name + "' is the name of one of Instar's own backends; give another");
        }
      }
      if (!SourceVersion.isName(code) || !code.contains(".") || code.startsWith("java.") || code.startsWith("dev.instar.")
          || !code.chars().allMatch(c -> c == '.' || c == '_' || c < 0x80 && Character.isLetterOrDigit(c))) {
        throw misused("'" + Output.printable(code) + "' cannot be the backend's package" + (javaPackage.isEmpty() ? ", so give one with --package" : "")
            + "; a package is two names or more of ASCII letters, digits and '_' with dots between, none of them a Java keyword, and not in java or dev.instar, e.g. org.example.backend");
      }
    }

    private ParameterException misused(String why) {
      return new ParameterException(spec.commandLine(), why);
    }

    /** All of it or nothing: made beside its place and moved there. */
    private static void make(Path template, Path project, Map<String, String> values) throws Failure {
      if (Files.exists(project, LinkOption.NOFOLLOW_LINKS)) {
        throw new Failure(ExitCode.FAILED, project + " is there already, and was left as it is. Name another place with --directory, or another backend.");
      }
      Path made = project.resolveSibling("." + project.getFileName() + ".new-" + ProcessHandle.current().pid());
      try (Stream<Path> files = Files.walk(template)) {
        for (Path file : files.filter(Files::isRegularFile).toList()) {
          String relative = template.relativize(file).toString();
          Path target = made.resolve(filled(relative.replace("_package_", values.get("_package_").replace('.', '/')), values));
          Files.createDirectories(target.getParent());
          Files.writeString(target, filled(Files.readString(file), relative.endsWith(".xml") ? escaped(values) : values));
        }
        Files.move(made, project, StandardCopyOption.ATOMIC_MOVE);
      } catch (IOException e) {
        throw new Failure(ExitCode.FAILED, "The project cannot be made in " + project + ": " + Reason.of(e) + ".", e);
      } finally {
        delete(made);
      }
    }

    private static void delete(Path tree) {
      try (Stream<Path> files = Files.walk(tree)) {
        for (Path file : files.toList().reversed()) {
          Files.delete(file);
        }
      } catch (IOException e) {
        // Moved away, or never made.
      }
    }

    private static String filled(String text, Map<String, String> values) {
      String filled = text;
      for (var value : values.entrySet()) {
        filled = filled.replace(value.getKey(), value.getValue());
      }
      return filled;
    }

    private static Map<String, String> escaped(Map<String, String> values) {
      Map<String, String> escaped = new LinkedHashMap<>();
      values.forEach((key, value) -> escaped.put(key, value.replace("&", "&amp;").replace("<", "&lt;")));
      return escaped;
    }
  }
}
