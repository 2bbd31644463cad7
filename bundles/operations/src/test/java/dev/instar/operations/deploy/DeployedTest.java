package dev.instar.operations.deploy;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.instar.api.Digest;
import dev.instar.operations.deploy.Deployed.Applied;
import dev.instar.operations.deploy.Deployed.Entry;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.osgi.framework.Version;

class DeployedTest {
  private static final Deployed STATE = new Deployed(
      Map.of("a", new Entry("a", new Version("1.2.3.x"), Digest.of(new byte[1]), "file a.jar", Optional.of("a-1.0.0.jar")), "b", new Entry("b", new Version("1.0.0"), Digest.of(new byte[2]), "api", Optional.empty())),
      Set.of("gone"), Set.of("b"), Map.of("f", new Applied("f", "g:f:1", "what it is", List.of("g:a:1", "g:b:1"), Set.of("a", "b"), Set.of("a"), "api")));

  @Test
  void whatIsWrittenIsRead() throws IOException {
    assertEquals(STATE, Deployed.read(STATE.json()));
    assertEquals(Deployed.NOTHING, Deployed.read(Deployed.NOTHING.json()));
  }

  @Test
  void anEditLeavesTheFormerStateAsItIs() {
    Deployed edited = STATE.with(draft -> {
      draft.bundles.remove("a");
      draft.absent.add("c");
    });
    assertEquals(Set.of("b"), edited.bundles().keySet());
    assertEquals(Set.of("gone", "c"), edited.absent());
    assertEquals(2, STATE.bundles().size());
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "{", "[]", "{\"format\":2}", "{\"format\":1}", "{\"format\":1,\"bundles\":[{}],\"absent\":[],\"stopped\":[],\"features\":[]}",
      "{\"format\":1,\"bundles\":[{\"name\":\"a\",\"version\":\"x\",\"digest\":\"sha256:1\",\"origin\":\"api\"}],\"absent\":[],\"stopped\":[],\"features\":[]}"})
  void whatIsNoStateIsRefused(String json) {
    assertThrows(IOException.class, () -> Deployed.read(json.getBytes(StandardCharsets.UTF_8)));
  }
}
