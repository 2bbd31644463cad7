package dev.instar.functions;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.instar.api.function.Function;
import java.io.IOException;

/** A stored document is refused, or it makes sense and can be stored again without a change. */
class FunctionDocumentFuzzTest {
  @FuzzTest
  void whatIsReadCanBeWrittenAndReadAgain(byte[] input) throws IOException {
    Entry entry;
    try {
      entry = FunctionDocument.read(input);
    } catch (FunctionDocument.InvalidException | FunctionDocument.NewerFormatException e) {
      return;
    }
    Function function = entry.function();
    assertEquals(function.active(), function.activeVersion().number());
    assertTrue(function.versions().stream().allMatch(v -> v.number() >= 1 && v.number() < entry.next() && !v.spec().variants().isEmpty()));
    byte[] written = FunctionDocument.write(entry);
    Entry again = FunctionDocument.read(written);
    assertEquals(entry, again);
    assertArrayEquals(written, FunctionDocument.write(again));
  }
}
