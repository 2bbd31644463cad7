package dev.instar.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class DigestTest {
  @Test
  void takesTheNotationOfOciAndNothingElse() {
    String digits = "0123456789abcdef".repeat(4);
    assertEquals(digits, new Digest("sha256:" + digits).hex());
    for (String wrong : new String[] {"", digits, "sha256:", "sha256:" + digits + "0", "sha512:" + digits, "SHA256:" + digits, "sha256:" + digits.toUpperCase(),
        "sha256:" + digits + "\n"}) {
      assertEquals(ErrorCode.BAD_REQUEST, assertThrows(InstarException.class, () -> new Digest(wrong)).code(), wrong);
    }
  }

  @Test
  void whatIsRefusedIsShownSafelyAndShort() {
    String detail = assertThrows(InstarException.class, () -> new Digest("\u001b[2J\u202e\ud83d" + "x".repeat(1000))).problem().detail();
    assertTrue(detail.startsWith("'?[2J??xxx"), detail);
    assertTrue(detail.length() < 200, detail);
  }
}
