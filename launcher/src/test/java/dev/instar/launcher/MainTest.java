package dev.instar.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;
import picocli.CommandLine.Model.OptionSpec;

class MainTest {
  private static List<Set<String>> options(CommandLine line) {
    return line.getSubcommands().get("run").getCommandSpec().options().stream().map(OptionSpec::names).map(Set::of).toList();
  }

  @Test
  void aNodesStartHasTheSameOptionsWhetherTheOtherCommandsAreThereOrNot() {
    CommandLine alone = Main.commandLine("run", "--help");
    assertEquals(Set.of("run"), alone.getSubcommands().keySet());
    assertEquals(options(Main.commandLine()), options(alone));
    assertEquals(Main.commandLine().getSubcommands().keySet(), Main.commandLine("list").getSubcommands().keySet());
  }
}
