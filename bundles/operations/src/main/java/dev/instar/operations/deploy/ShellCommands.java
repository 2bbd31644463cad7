package dev.instar.operations.deploy;

import dev.instar.api.InstarException;
import dev.instar.api.operations.BundleStatus;
import dev.instar.api.operations.Change;
import dev.instar.api.operations.Deployer;
import dev.instar.api.operations.Deployment;
import dev.instar.api.operations.FeatureStatus;
import dev.instar.api.operations.Plan;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Reference;

/**
 * The same changes for the Gogo shell, in the scope {@code instar}; the shell is there when the feature {@code shell} has been applied. Gogo finds the
 * methods by the service's properties, so nothing of it is needed here.
 */
@Component(service = ShellCommands.class, property = {"osgi.command.scope=instar", "osgi.command.function=bundles", "osgi.command.function=features", "osgi.command.function=install",
    "osgi.command.function=update", "osgi.command.function=start", "osgi.command.function=stop", "osgi.command.function=uninstall", "osgi.command.function=apply",
    "osgi.command.function=remove", "osgi.command.function=plan"})
public final class ShellCommands {
  private static final Duration END = Duration.ofMinutes(10);
  private final Deployer deployer;

  /** For Declarative Services. */
  @Activate
  public ShellCommands(@Reference Deployer deployer) {
    this.deployer = deployer;
  }

  /** What the node is made of. */
  public String bundles() {
    StringBuilder text = new StringBuilder();
    for (BundleStatus b : deployer.bundles()) {
      text.append(String.format(Locale.ROOT, "%4d %-10s %s %s, %s%s%n", b.id(), b.state(), b.name(), b.version(), b.origin(), b.stays().isEmpty() ? "" : ", stays"));
    }
    return text.toString();
  }

  /** What can be applied and removed. */
  public String features() {
    StringBuilder text = new StringBuilder();
    for (FeatureStatus f : deployer.features()) {
      text.append(String.format(Locale.ROOT, "%-16s %s%n", f.name(), f.applied() ? "applied" : f.present() ? "present" : ""));
    }
    return text.toString();
  }

  /** {@code install FILE}. */
  public String install(String file) throws IOException, InterruptedException {
    return run("install", file);
  }

  /** {@code update BUNDLE FILE}. */
  public String update(String bundle, String file) throws IOException, InterruptedException {
    return run("update", bundle, file);
  }

  /** {@code start BUNDLE}. */
  public String start(String bundle) throws IOException, InterruptedException {
    return run("start", bundle);
  }

  /** {@code stop BUNDLE}. */
  public String stop(String bundle) throws IOException, InterruptedException {
    return run("stop", bundle);
  }

  /** {@code uninstall BUNDLE}. */
  public String uninstall(String bundle) throws IOException, InterruptedException {
    return run("uninstall", bundle);
  }

  /** {@code apply FEATURE}, or a feature's file. */
  public String apply(String feature) throws IOException, InterruptedException {
    return run("apply", feature);
  }

  /** {@code remove FEATURE}. */
  public String remove(String feature) throws IOException, InterruptedException {
    return run("remove", feature);
  }

  /** What one of the others would do: {@code plan update BUNDLE FILE}. */
  public String plan(String... command) throws IOException, InterruptedException {
    try {
      return shown(deployer.plan(change(command)));
    } catch (InstarException e) {
      return refusal(e.problem().detail(), e.code().code());
    }
  }

  private String run(String... command) throws IOException, InterruptedException {
    try {
      Deployment begun = deployer.begin(change(command));
      Deployment ended = deployer.await(begun.id(), END).orElse(begun);
      return ended.problem().map(p -> refusal(p.detail(), p.code().code()))
          .orElseGet(() -> shown(ended.plan()) + String.join("", ended.notes().stream().map(n -> "note: " + n + System.lineSeparator()).toList()));
    } catch (InstarException e) {
      return refusal(e.problem().detail(), e.code().code());
    }
  }

  private static String shown(Plan plan) {
    StringBuilder text = new StringBuilder();
    for (Plan.Step step : plan.steps()) {
      text.append(step.action().name().toLowerCase(Locale.ROOT)).append(' ').append(step.bundle()).append(' ').append(step.version()).append(step.reason().isEmpty() ? "" : ", " + step.reason())
          .append(System.lineSeparator());
    }
    return text.toString();
  }

  private static String refusal(String detail, String code) {
    return detail + " (" + code + ")";
  }

  private static Change change(String... words) throws IOException {
    List<String> w = List.of(words);
    String verb = w.isEmpty() ? "" : w.getFirst();
    if (w.size() != (verb.equals("update") ? 3 : 2)) {
      throw new IllegalArgumentException("write install FILE, update BUNDLE FILE, start, stop or uninstall BUNDLE, apply or remove FEATURE");
    }
    String first = w.get(1);
    return switch (verb) {
      case "install" -> new Change.Install(open(first));
      case "update" -> new Change.Update(first, open(w.get(2)));
      case "start" -> new Change.Start(first);
      case "stop" -> new Change.Stop(first);
      case "uninstall" -> new Change.Uninstall(first);
      case "apply" -> first.endsWith(".json") ? new Change.ApplyFeature(open(first)) : new Change.ApplyShippedFeature(first);
      case "remove" -> new Change.RemoveFeature(first);
      default -> throw new IllegalArgumentException("'" + verb + "' is none of install, update, start, stop, uninstall, apply, remove");
    };
  }

  /** Whole, so that nothing stays open; a file of the operator's own machine. */
  private static InputStream open(String file) throws IOException {
    try {
      return new ByteArrayInputStream(Files.readAllBytes(Path.of(file)));
    } catch (NoSuchFileException e) {
      throw new IOException("there is no file " + file, e);
    }
  }
}
