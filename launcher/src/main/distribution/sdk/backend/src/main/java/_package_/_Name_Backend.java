package _package_;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.Variant;
import dev.instar.api.sandbox.BackendDescription;
import dev.instar.api.sandbox.BackendDescription.Isolation;
import dev.instar.api.sandbox.BackendDescription.Shape;
import dev.instar.api.sandbox.PrepareRequest;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Probe;
import dev.instar.api.sandbox.SandboxBackend;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;

/**
 * Runs a program of the host for each call: the body is its standard input, its standard output the answer, what it writes to standard error goes
 * to the function's log. It isolates nothing.
 */
@Component(service = SandboxBackend.class, immediate = true)
public final class _Name_Backend implements SandboxBackend {
  private static final Path SHELL = Path.of("/bin/sh");
  private static final BackendDescription DESCRIPTION = new BackendDescription("_name_",
      "Runs a program of the host for each call and isolates nothing: for development only.", Set.of(Variant.EXECUTABLE), Shape.REMOTE,
      Isolation.NONE, true, "1");

  /** What is open, to be ended with the backend. */
  private final Set<_Name_Sandbox> sandboxes = ConcurrentHashMap.newKeySet();

  @Override
  public BackendDescription describe() {
    return DESCRIPTION;
  }

  /** Say here what the host lacks, and what to do about it. */
  @Override
  public Probe probe() {
    return Files.isExecutable(SHELL) ? new Probe.Usable("programs of " + System.getProperty("os.name") + ", no isolation")
        : new Probe.Missing("a Unix system with " + SHELL, "Run the node on Linux or macOS.");
  }

  /** Refuses what could not be started. What is left to prepare is nothing: the file of the content store can be run as it is. */
  @Override
  public PreparedFunction prepare(PrepareRequest request) {
    Path program = request.image().program();
    try (InputStream in = Files.newInputStream(program)) {
      String head = new String(in.readNBytes(4), StandardCharsets.ISO_8859_1);
      if (!head.startsWith("#!") && !head.equals("\177ELF")) {
        throw new InstarException(ErrorCode.MODULE_REFUSED, "The program begins neither with '#!' nor as an ELF file does.");
      }
    } catch (IOException e) {
      throw new InstarException(ErrorCode.MODULE_REFUSED, "The program cannot be read.");
    }
    if (!Files.isExecutable(program)) {
      throw new InstarException(ErrorCode.MODULE_REFUSED, "The program may not be run; is its file system mounted noexec?");
    }
    return new Prepared_Name_(program, request.version().spec().environment(), sandboxes);
  }

  /** Ends what the scheduler has not closed: a process outlives no backend. */
  @Deactivate
  void deactivate() {
    sandboxes.forEach(_Name_Sandbox::close);
  }
}
