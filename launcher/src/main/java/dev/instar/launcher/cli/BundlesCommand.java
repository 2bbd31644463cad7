package dev.instar.launcher.cli;

import com.fasterxml.jackson.databind.JsonNode;
import dev.instar.launcher.ExitCode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code instar bundles}: which a node is made of, and changes of that. */
@Command(name = "bundles", description = "Lists the bundles that a node is made of, and changes them while it runs.",
    subcommands = {BundlesCommand.All.class, BundlesCommand.Install.class, BundlesCommand.Update.class, BundlesCommand.Start.class, BundlesCommand.Stop.class, BundlesCommand.Uninstall.class})
public final class BundlesCommand implements Callable<Integer> {
  private static final String PATH = "/v1/bundles";
  private static final String WHICH = "Its symbolic name, or its id as 'instar bundles list' shows it.";

  @Mixin
  private Output output;
  @Mixin
  private NodeOption node;

  @Override
  public Integer call() throws Exception {
    return list(output, node);
  }

  private static int list(Output output, NodeOption node) throws Exception {
    try (NodeClient client = node.connect()) {
      JsonNode answer = client.get(PATH);
      if (output.json()) {
        Output.print(answer);
        return ExitCode.OK;
      }
      List<List<String>> rows = new ArrayList<>();
      answer.path("bundles").forEach(b -> rows.add(List.of(b.path("id").asText(), b.path("state").asText(), b.path("startLevel").asText(), b.path("name").asText(), b.path("version").asText(),
          b.path("origin").asText(), b.has("stays") ? "stays" : "")));
      Output.table(List.of("ID", "STATE", "LEVEL", "NAME", "VERSION", "FROM", ""), rows);
      return ExitCode.OK;
    }
  }

  private static String path(String bundle) {
    return PATH + "/" + Arguments.encoded(bundle);
  }

  /** {@code instar bundles list}. */
  @Command(name = "list", description = "Lists the bundles. 'stays' marks those that are not replaced while the node runs.")
  static final class All implements Callable<Integer> {
    @Mixin
    private Output output;
    @Mixin
    private NodeOption node;

    @Override
    public Integer call() throws Exception {
      return list(output, node);
    }
  }

  /** {@code instar bundles install}. */
  @Command(name = "install", description = "Installs a bundle and starts it.")
  static final class Install implements Callable<Integer> {
    @Parameters(index = "0", paramLabel = "JAR", description = "The bundle's jar.")
    private Path jar;
    @Mixin
    private DeploymentOption deployment;

    @Override
    public Integer call() throws Exception {
      return deployment.send("POST", PATH, jar);
    }
  }

  /** {@code instar bundles update}. */
  @Command(name = "update", description = "Puts a newer version in a bundle's place; the one before runs on until that one does, or again if it does not.")
  static final class Update implements Callable<Integer> {
    @Parameters(index = "0", paramLabel = "BUNDLE", description = WHICH)
    private String bundle;
    @Parameters(index = "1", paramLabel = "JAR", description = "The new version's jar.")
    private Path jar;
    @Mixin
    private DeploymentOption deployment;

    @Override
    public Integer call() throws Exception {
      return deployment.send("PUT", path(bundle), jar);
    }
  }

  /** {@code instar bundles start}. */
  @Command(name = "start", description = "Starts a bundle.")
  static final class Start implements Callable<Integer> {
    @Parameters(index = "0", paramLabel = "BUNDLE", description = WHICH)
    private String bundle;
    @Mixin
    private DeploymentOption deployment;

    @Override
    public Integer call() throws Exception {
      return deployment.send("POST", path(bundle) + "/start");
    }
  }

  /** {@code instar bundles stop}. */
  @Command(name = "stop", description = "Stops a bundle, until it is started again; a new start of the node leaves it stopped.")
  static final class Stop implements Callable<Integer> {
    @Parameters(index = "0", paramLabel = "BUNDLE", description = WHICH)
    private String bundle;
    @Mixin
    private DeploymentOption deployment;

    @Override
    public Integer call() throws Exception {
      return deployment.send("POST", path(bundle) + "/stop");
    }
  }

  /** {@code instar bundles uninstall}. */
  @Command(name = "uninstall", description = "Takes away a bundle; where it was deployed in the place of the distribution's, that one comes back.")
  static final class Uninstall implements Callable<Integer> {
    @Parameters(index = "0", paramLabel = "BUNDLE", description = WHICH)
    private String bundle;
    @Mixin
    private DeploymentOption deployment;

    @Override
    public Integer call() throws Exception {
      return deployment.send("DELETE", path(bundle));
    }
  }
}
