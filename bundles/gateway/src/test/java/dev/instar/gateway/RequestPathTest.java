package dev.instar.gateway;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RequestPathTest {
  @Test
  void takesPathsApart() {
    assertEquals(List.of(), RequestPath.segments("/"));
    assertEquals(List.of("a"), RequestPath.segments("/a"));
    assertEquals(List.of("a", "b"), RequestPath.segments("/a/b"));
    assertEquals(List.of("a", "b"), RequestPath.segments("/a/b/"));
    assertEquals(List.of("sha256:ab", "~x", ".well-known", "a..b", "..."), RequestPath.segments("/sha256:ab/%7Ex/.well-known/a..b/..."));
    assertEquals(List.of("ü", "100%"), RequestPath.segments("/%C3%bc/100%25"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "a", "*", "//", "//a", "/a//", "/a//b", "/.", "/..", "/a/..", "/a/../b", "/%2e%2e", "/.%2E", "/a;b", "/..;/b", "/a%2fb", "/a%5Cb", "/a\\b", "/a%00", "/a%0a", "/a%7f",
      "/a%c2%85", "/%", "/%1", "/%1g", "/%-1", "/%\u0661\u0661", "/\u00e4", "/a b", "/a?b", "/%c0%ae%c0%ae", "/%c0%af", "/%ed%a0%80", "/%f8%88%80%80%80", "/%ff", "/%c3"})
  void refusesWhatHasTwoReadings(String path) {
    assertEquals(ErrorCode.BAD_REQUEST, assertThrows(InstarException.class, () -> RequestPath.segments(path)).code());
  }

  @Test
  void findsParameters() {
    String query = "a=1&b=x%20y+z&empty&e2=&a=2&n%61me=v&a%26b=c";
    assertEquals(Optional.of("1"), RequestPath.parameter(query, "a"));
    assertEquals(Optional.of("x y z"), RequestPath.parameter(query, "b"));
    assertEquals(Optional.of(""), RequestPath.parameter(query, "empty"));
    assertEquals(Optional.of(""), RequestPath.parameter(query, "e2"));
    assertEquals(Optional.of("v"), RequestPath.parameter(query, "name"));
    assertEquals(Optional.of("c"), RequestPath.parameter(query, "a&b"));
    assertEquals(Optional.empty(), RequestPath.parameter(query, "c"));
    assertEquals(Optional.empty(), RequestPath.parameter("", "a"));
    assertThrows(InstarException.class, () -> RequestPath.parameter("a=%zz", "a"));
    assertThrows(InstarException.class, () -> RequestPath.parameter("a=%c0%80", "a"));
  }
}
