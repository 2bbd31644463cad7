package dev.instar.backend.container;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/** One that the runtime has put into a container that runs, beside its first process. */
final class ProgramBeside implements Program {
  private final Path said;
  private final Process process;

  /** @param description of the process, as the runtime reads it */
  ProgramBeside(Container container, Path description) throws IOException {
    said = container.directory().resolve("said");
    Files.deleteIfExists(said);
    process = container.command("--log", said.toString(), "exec", "--process", description.toString(), container.id()).start();
  }

  @Override
  public OutputStream input() {
    return process.getOutputStream();
  }

  @Override
  public InputStream answer() {
    return process.getInputStream();
  }

  @Override
  public InputStream log() {
    return process.getErrorStream();
  }

  @Override
  public int await() throws InterruptedException {
    return process.waitFor();
  }

  @Override
  public boolean isAlive() {
    return process.isAlive();
  }

  @Override
  public String notStarted() {
    return Container.words(said);
  }

  @Override
  public void end() {
    // Through its handle: the process would close its streams, with an answer still in them.
    process.toHandle().destroyForcibly();
  }

  @Override
  public void leave() throws InterruptedException {
    process.waitFor(1, TimeUnit.SECONDS);
  }
}
