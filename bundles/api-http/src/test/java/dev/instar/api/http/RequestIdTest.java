package dev.instar.api.http;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;

class RequestIdTest {
  @Test
  void idsAreShortPlainAndNeverTwice() {
    Set<String> seen = new HashSet<>();
    for (int i = 0; i < 100_000; i++) {
      String id = RequestId.next();
      assertTrue(id.matches("[0-9a-hjkmnp-tv-z]{13}"), id);
      seen.add(id);
    }
    assertEquals(100_000, seen.size());
  }
}
