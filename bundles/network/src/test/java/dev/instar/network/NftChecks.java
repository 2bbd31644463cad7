package dev.instar.network;

import dev.instar.api.network.NetworkAllocator;
import dev.instar.tck.network.NetworkAllocatorSuite;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.Function;
import org.junit.jupiter.api.io.TempDir;

/** The suite, in a namespace of its own: see {@link NetworkIT}. */
class NftChecks extends NetworkAllocatorSuite {
  @TempDir
  private Path root;
  private TestNode node;
  private int most;
  private Optional<NetworkComponent> last = Optional.empty();

  Function<String, Optional<Program>> programs() {
    return Program::find;
  }

  @Override
  protected NetworkAllocator begin(int slots) {
    node = new TestNode(root, programs());
    most = slots;
    NetworkComponent component = node.start(8, most);
    last = Optional.of(component);
    return component;
  }

  @Override
  protected NetworkAllocator replaced() throws Exception {
    NetworkComponent successor = node.start(8, most);
    successor.probe();
    last.orElseThrow().deactivate();
    last = Optional.of(successor);
    return successor;
  }

  @Override
  protected void end() throws Exception {
    if (last.isPresent()) {
      node.end(last.get());
      last = Optional.empty();
    }
  }
}
