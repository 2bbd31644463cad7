package dev.instar.api.function;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SnapshotPolicyTest {
  @ParameterizedTest
  @ValueSource(strings = {"deploy", "calls:1", "calls:2", "calls:1000000000", "idle", "never"})
  void isReadAsItIsWritten(String text) {
    assertEquals(text, SnapshotPolicy.parse(text).toString());
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "Deploy", "calls", "calls:", "calls:0", "calls:-1", "calls:1000000001", "calls:99999999999999999999", "calls: 2", "calls:2 ", "always", "é\0"})
  void whatSaysNoMomentIsRefusedWithWhatToGive(String text) {
    InstarException refused = assertThrows(InstarException.class, () -> SnapshotPolicy.parse(text));
    assertEquals(ErrorCode.BAD_REQUEST, refused.code());
    assertTrue(refused.getMessage().contains("calls:"), refused.getMessage());
  }
}
