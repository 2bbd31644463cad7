package dev.instar.listener;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class EntryHandlerTest {
  @ParameterizedTest
  @ValueSource(strings = {"/.", "/..", "/./a", "/a/../b", "/a/..", "/a/.", "/a/..;x/b", "/.;/", "/a;x/b", "/a/.b/../c"})
  void findsDotSegmentsAndParameters(String path) {
    assertTrue(EntryHandler.hasTwoReadings(path));
  }

  @ParameterizedTest
  @ValueSource(strings = {"/", "/a", "/.a", "/..a", "/a.", "/a../b", "/a/.well-known", "/a/...", "*"})
  void leavesOtherDotsAlone(String path) {
    assertFalse(EntryHandler.hasTwoReadings(path));
  }
}
