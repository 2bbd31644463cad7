package dev.instar.wasmtime;

import dev.instar.api.Digest;
import dev.instar.api.data.DataDirectory;
import dev.instar.api.data.DurableFiles;
import dev.instar.api.wasmtime.Wasmtime;
import dev.instar.api.wasmtime.WasmtimeEngine;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.osgi.framework.BundleContext;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.metatype.annotations.Designate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Finds the library and loads it. One that was never loaded before is tried in a process of its own first: a library of another version, or one that this host
 * does not give what it asks for, ends that and not the node.
 */
@Component(immediate = true, service = Wasmtime.class, configurationPid = "dev.instar.native.wasmtime")
@Designate(ocd = Config.class)
public final class WasmtimeLibrary implements Wasmtime {
  private static final Logger LOG = LoggerFactory.getLogger(WasmtimeLibrary.class);
  /** The version that is tested, and that the documented command gets. */
  static final String VERSION = "50.0.1";
  private static final long CHECK_SECONDS = 60;
  private static final String CHECKED = "checked-";
  /** Framework property: the folder for native libraries of the node for which this one, which lives for a moment only, is asked. */
  private static final String ASKED_FOR = "instar.native";

  /** The one of this process: what was loaded stays. */
  private static Optional<Library.Loaded> loaded = Optional.empty();

  private final Path own;
  private final Path scratch;
  private final Child child;
  private final Library library;

  /** For Declarative Services. */
  @Activate
  public WasmtimeLibrary(BundleContext context, @Reference DataDirectory data, Config config) {
    this(data, config.library(), Path.of(System.getProperty("user.home")), Optional.ofNullable(context.getProperty(ASKED_FOR)).map(Path::of));
  }

  /**
   * @param configured a path, or nothing
   * @param home of the user
   * @param askedFor the folder of another node, for which this one answers
   */
  WasmtimeLibrary(DataDirectory data, String configured, Path home, Optional<Path> askedFor) {
    own = data.area("native");
    scratch = data.scratch("wasmtime-compiler");
    child = new Child(scratch);
    Path place = askedFor.orElse(own);
    String remedy = "python3 -m pip install --target " + place + " wasmtime==" + VERSION
        + (askedFor.isPresent() ? ", and then 'instar features apply wasmtime', or 'instar run --feature wasmtime'" : ", and restart the node");
    library = find(configured, new Finder(place, home), remedy);
    switch (library) {
      case Library.Loaded found -> LOG.info("wasmtime {} is here: {}", found.version(), found.file());
      case Library.Missing missing -> LOG.info("wasmtime is not here: {}. {}", missing.what(), missing.remedy());
    }
  }

  private Library find(String configured, Finder finder, String remedy) {
    if (!System.getProperty("os.name").equals("Linux") || !List.of("amd64", "aarch64").contains(System.getProperty("os.arch"))) {
      return new Library.Missing("wasmtime for " + System.getProperty("os.name") + " on " + System.getProperty("os.arch"), "run the node on Linux on x86-64 or arm64");
    }
    List<Path> files = configured.isBlank() ? finder.files() : List.of(Path.of(configured));
    if (files.isEmpty()) {
      return new Library.Missing("libwasmtime.so, version " + CApi.MAJOR, remedy);
    }
    Optional<String> wrong = Optional.empty();
    for (Path file : files) {
      Optional<String> found = Files.isRegularFile(file) ? load(file) : Optional.of("there is no such file");
      if (found.isEmpty()) {
        return loaded.orElseThrow();
      }
      wrong = wrong.or(() -> Optional.of("a libwasmtime.so of version " + CApi.MAJOR + " (" + file + " is none: " + found.get() + ")"));
    }
    return new Library.Missing(wrong.orElseThrow(), remedy);
  }

  /** Nothing when it is loaded; else why not. */
  private Optional<String> load(Path file) {
    synchronized (WasmtimeLibrary.class) {
      if (loaded.isPresent()) {
        if (!loaded.get().file().equals(file)) {
          LOG.warn("wasmtime of {} stays loaded until the node restarts; {} is not used before", loaded.get().file(), file);
        }
        return Optional.empty();
      }
      try {
        Optional<String> wrong = check(file);
        if (wrong.isEmpty()) {
          CApi.load(file);
          loaded = Optional.of(new Library.Loaded(Finder.version(file), file));
        }
        return wrong;
      } catch (IOException | RuntimeException e) {
        LOG.warn("The library {} cannot be tried", file, e);
        return Optional.of(String.valueOf(e.getMessage()));
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return Optional.of("interrupted while it was tried");
      }
    }
  }

  private Optional<String> check(Path file) throws IOException, InterruptedException {
    String seen = file + "\n" + Files.size(file) + "\n" + Files.getLastModifiedTime(file).toMillis() + "\n" + Runtime.version() + "\n" + addressSpace();
    Path mark = own.resolve(CHECKED + Digest.of(seen.getBytes(StandardCharsets.UTF_8)).value().replaceAll("[^0-9a-f]", ""));
    if (Files.exists(mark)) {
      return Optional.empty();
    }
    Path empty = Files.createDirectories(scratch.resolve("check"));
    Process process = child.check(file, empty).redirectErrorStream(true).start();
    process.getOutputStream().close();
    // It says a line or two, which a pipe holds.
    boolean ended = process.waitFor(CHECK_SECONDS, TimeUnit.SECONDS);
    if (!ended) {
      process.destroyForcibly();
      return Optional.of("it did not answer within " + CHECK_SECONDS + " s");
    }
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
    if (process.exitValue() != 0 || !said.equals("good")) {
      return Optional.of("tried in a process of its own, it ended with the status " + process.exitValue()
          + said.lines().filter(line -> !line.isBlank()).findFirst().map(line -> ": " + line.replaceAll("[^ -~]", " ")).orElse(""));
    }
    try (var marks = Files.newDirectoryStream(own, CHECKED + "*")) {
      for (Path old : marks) {
        Files.delete(old);
      }
    }
    DurableFiles.writeUnsynced(mark, out -> {});
    return Optional.empty();
  }

  /** The bound of the address space, which an engine's pool needs. */
  private static String addressSpace() throws IOException {
    return Files.readAllLines(Path.of("/proc/self/limits")).stream().filter(line -> line.startsWith("Max address space")).findFirst().orElse("");
  }

  @Override
  public Library library() {
    return library;
  }

  @Override
  public WasmtimeEngine engine(Settings settings) {
    file();
    return new Engine(settings);
  }

  @Override
  public ProcessBuilder compiler(int mib) throws IOException {
    return child.compiler(file(), mib);
  }

  private Path file() {
    if (library instanceof Library.Loaded found) {
      return found.file();
    }
    throw new IllegalStateException("there is no wasmtime library");
  }
}
