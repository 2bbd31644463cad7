package dev.instar.network;

import dev.instar.api.data.DurableFiles;
import java.io.IOException;
import java.io.StringReader;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Settings of the whole host that have to be changed. What was there before is on the disk before the change, so that the next start can put it back after a crash. */
final class HostSettings {
  private static final Logger LOG = LoggerFactory.getLogger(HostSettings.class);

  private static final String BOOT = "boot";

  private final Path file;
  private final Path kernel;
  private final Others others;

  /** Whether somebody else relies on a setting by now. */
  @FunctionalInterface
  interface Others {
    /** @return who; nothing where nobody does */
    Optional<String> rely() throws IOException;
  }

  /**
   * @param kernel where the kernel's settings are: {@code /proc/sys}
   * @param others who may have come to rely on what was set
   */
  HostSettings(Path area, Path kernel, Others others) {
    file = area.resolve("host-settings");
    this.kernel = kernel;
    this.others = others;
  }

  /** @param name as a path, e.g. {@code net/ipv4/ip_forward} */
  void set(String name, String value) throws IOException {
    String now = Files.readString(kernel.resolve(name)).strip();
    if (now.equals(value)) {
      return;
    }
    Properties before = read();
    before.setProperty(BOOT, boot());
    if (before.putIfAbsent(name, now + " " + value) == null) {
      StringWriter text = new StringWriter();
      before.store(text, "Settings of the host as they were before the node changed them");
      DurableFiles.write(file, text.toString().getBytes(StandardCharsets.UTF_8));
    }
    Files.writeString(kernel.resolve(name), value);
    LOG.info("Set {} to {} while the node runs; it was {}", name, value, now);
  }

  /** Puts back what was changed, is as it was set, and is needed by nobody else: where somebody needs it, the next call tries again. */
  void restore() throws IOException {
    Properties before = read();
    // Since the host booted anew, it has settings of its own again.
    boolean same = boot().equals(before.remove(BOOT));
    for (String name : same ? before.stringPropertyNames() : Set.<String>of()) {
      String[] values = before.getProperty(name).split(" ");
      if (values.length > 1 && !Files.readString(kernel.resolve(name)).strip().equals(values[1])) {
        LOG.info("Somebody has changed {} since; it stays as it is", name);
        continue;
      }
      Optional<String> who = others.rely();
      if (who.isPresent()) {
        LOG.info("{} stays as it is, since it seems that {} relies on it; it was {} before", name, who.get(), values[0]);
        return;
      }
      Files.writeString(kernel.resolve(name), values[0]);
      LOG.info("Set {} back to {}", name, values[0]);
    }
    DurableFiles.delete(file);
  }

  private String boot() throws IOException {
    return Files.readString(kernel.resolve("kernel/random/boot_id")).strip();
  }

  private Properties read() throws IOException {
    Properties properties = new Properties();
    if (Files.exists(file)) {
      properties.load(new StringReader(Files.readString(file)));
    }
    return properties;
  }
}
