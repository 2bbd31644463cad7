package dev.instar.backend.container;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TalkTest {
  private static final List<String> COMMAND = List.of("/server", "-v");
  @TempDir
  Path directory;

  private ImageConfiguration image(String more) throws Exception {
    Path file = directory.resolve("config.json");
    Files.writeString(file, "{\"config\":{\"Entrypoint\":[\"/server\"],\"Cmd\":[\"-v\"]" + more + "}}");
    return ImageConfiguration.read(file);
  }

  @Test
  void whatIsSaidWinsOverWhatIsFound() throws Exception {
    ImageConfiguration exposes = image(",\"ExposedPorts\":{\"9000/tcp\":{},\"53/udp\":{}}");
    assertEquals(new Talk.Http(COMMAND, 9000, false), Talk.of(Map.of(), Map.of(), exposes));
    assertEquals(new Talk.Http(COMMAND, 81, false), Talk.of(Map.of("port", "81"), Map.of("fprocess", "x"), exposes));
    assertEquals(new Talk.Http(List.of("/other"), 81, false), Talk.of(Map.of("port", " 81", "fprocess", "/other"), Map.of(), exposes));
    assertEquals(new Talk.PerCall(List.of("wc", "-c")), Talk.of(Map.of("fprocess", " wc  -c "), Map.of(), exposes));
    assertEquals(new Talk.PerCall(List.of("wc")), Talk.of(Map.of(), Map.of("fprocess", "wc"), exposes));
  }

  @Test
  void anImageThatSaysNothingAnswersOverItsStreams() throws Exception {
    assertEquals(new Talk.PerCall(COMMAND), Talk.of(Map.of(), Map.of(), image("")));
    assertEquals(new Talk.PerCall(COMMAND), Talk.of(Map.of(), Map.of(), image(",\"ExposedPorts\":{\"53/udp\":{},\"99999/tcp\":{}}")));
  }

  @Test
  void severalExposedPortsMeanTheUsualOneWhereItIsAmongThem() throws Exception {
    assertEquals(new Talk.Http(COMMAND, 8080, false), Talk.of(Map.of(), Map.of(), image(",\"ExposedPorts\":{\"22/tcp\":{},\"8080/tcp\":{}}")));
  }

  @Test
  void aWatchdogOfOpenFaasListens() throws Exception {
    assertEquals(new Talk.Http(COMMAND, 8080, false), Talk.of(Map.of(), Map.of(), image(",\"Env\":[\"fprocess=python3 index.py\"]")));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "0", "65536", "http", "-1", "80;x"})
  void aPortThatIsNoneIsRefused(String port) throws Exception {
    ImageConfiguration image = image("");
    assertEquals(ErrorCode.MODULE_REFUSED, assertThrows(InstarException.class, () -> Talk.of(Map.of("port", port), Map.of(), image)).code());
  }

  @Test
  void aRuntimeLoadsAFile() throws Exception {
    ImageConfiguration image = image("");
    assertEquals(new Talk.Framed(Language.PYTHON, "/f.py"), Talk.of(Map.of("runtime", "python", "fprocess", "/f.py"), Map.of("fprocess", "x"), image));
    assertEquals(List.of("node", "/.instar/node.js", "/f.js"), Talk.of(Map.of("runtime", " node ", "fprocess", "/f.js"), Map.of(), image).command());
    for (Map<String, String> labels : List.of(Map.of("runtime", "perl", "fprocess", "/f"), Map.of("runtime", "", "fprocess", "/f"), Map.of("runtime", "python"),
        Map.of("runtime", "python", "fprocess", "/a /b"), Map.of("runtime", "python", "fprocess", "/f", "port", "80"))) {
      assertEquals(ErrorCode.MODULE_REFUSED, assertThrows(InstarException.class, () -> Talk.of(labels, Map.of(), image)).code());
    }
  }
}
