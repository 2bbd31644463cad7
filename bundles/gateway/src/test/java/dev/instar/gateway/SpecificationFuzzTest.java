package dev.instar.gateway;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.FuzzTest;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Image;
import dev.instar.api.function.Variant;
import dev.instar.api.http.HttpExchange;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.time.Instant;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;

/** A body that asks for a version is refused in words, or the version that it makes is shown in a form that asks for the same one again. */
class SpecificationFuzzTest {
  private static final EnumSet<ErrorCode> REFUSED = EnumSet.of(ErrorCode.BAD_BODY, ErrorCode.BAD_REQUEST);

  @FuzzTest
  void whatIsTakenCanBeShownAndAskedForAgain(byte[] input) throws Exception {
    FunctionSpec spec;
    try {
      spec = spec(input);
    } catch (InstarException e) {
      assertTrue(REFUSED.contains(e.code()), () -> e.code() + ": " + e.getMessage());
      assertTrue(e.problem().detail().chars().allMatch(c -> c >= ' ' && c <= '~'), () -> "printable: " + e.problem().detail());
      return;
    }
    ObjectNode shown = FunctionJson.of(new FunctionVersion(new FunctionName("u", "f"), 1, "uid", Instant.EPOCH, spec));
    ObjectNode asked = shown.retain("variants", "limits", "environment", "labels", "snapshot");
    assertEquals(spec, spec(Json.bytes(asked)));
  }

  private static FunctionSpec spec(byte[] body) throws Exception {
    return FunctionJson.spec(Json.body(exchange(body)), digest -> Optional.of(new Image(digest, Variant.WASM, 8, Path.of("p"), Optional.empty())));
  }

  /** A request of which nothing but the body is asked for. */
  private static HttpExchange exchange(byte[] body) {
    return (HttpExchange) Proxy.newProxyInstance(HttpExchange.class.getClassLoader(), new Class<?>[] {HttpExchange.class}, (proxy, method, arguments) -> {
      assertEquals("bodyBytes", method.getName());
      assertEquals(List.of(Json.BODY_BYTES), List.of(arguments));
      return body;
    });
  }
}
