package dev.instar.operations;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.instar.operations.Key.Type;
import java.math.BigDecimal;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class KeyTest {
  private static final ObjectMapper JSON = new ObjectMapper().enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS);

  private static Key key(Type type, Long min, Long max) {
    return new Key("k", "", type, false, false, Optional.ofNullable(min).map(BigDecimal::valueOf), Optional.ofNullable(max).map(BigDecimal::valueOf), List.of(), Optional.empty());
  }

  private static Object value(Key key, String json) throws Exception {
    return key.value(JSON.readTree(json));
  }

  private static String unfit(Key key, String json) {
    return assertThrows(Key.Unfit.class, () -> value(key, json)).getMessage();
  }

  @Test
  void takesWhatFitsInTheTypeThatIsDeclared() throws Exception {
    assertEquals(5, value(key(Type.INTEGER, 1L, 10L), "5"));
    assertEquals(5L, value(key(Type.LONG, null, null), "5"));
    assertEquals(5.5, value(key(Type.DOUBLE, null, null), "5.5"));
    assertEquals(true, value(key(Type.BOOLEAN, null, null), "true"));
    assertEquals("a", value(key(Type.STRING, null, null), "\"a\""));
    assertEquals(5, value(key(Type.INTEGER, null, null), "5.0"));
    assertEquals(1, value(key(Type.INTEGER, 1L, 10L), "1"));
    assertEquals(10, value(key(Type.INTEGER, 1L, 10L), "10"));
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
      "0 | is 0; give a whole number from 1 to 10",
      "11 | is 11; give a whole number from 1 to 10",
      "5.5 | is 5.5; give a whole number from 1 to 10",
      "\"5\" | is the text \"5\"; give a whole number from 1 to 10",
      "true | is true; give a whole number from 1 to 10",
      "null | is null; give a whole number from 1 to 10",
      "[5] | is a list; give a whole number from 1 to 10",
      "{} | is an object; give a whole number from 1 to 10",
  })
  void tellsWhatItGotAndWhatItTakes(String json, String expected) {
    assertEquals(expected, unfit(key(Type.INTEGER, 1L, 10L), json));
  }

  @Test
  void refusesWhatDoesNotFitIntoTheTypeThoughThereIsNoRange() {
    assertTrue(unfit(key(Type.INTEGER, null, null), "2147483648").startsWith("is 2147483648;"));
    assertTrue(unfit(key(Type.LONG, null, null), "9223372036854775808").startsWith("is 9223372036854775808;"));
    assertEquals("is 1E+39, which is too large; give a number", unfit(key(Type.FLOAT, null, null), "1e39"));
    assertEquals("is 1E+400, which is too large; give a number", unfit(key(Type.DOUBLE, null, null), "1e400"));
    assertTrue(unfit(key(Type.BOOLEAN, null, null), "\"true\"").endsWith("give true or false"));
  }

  @Test
  void aHugeExponentCostsNothing() {
    assertTimeoutPreemptively(Duration.ofSeconds(10), () -> unfit(key(Type.INTEGER, null, null), "1e999999999"));
    assertTimeoutPreemptively(Duration.ofSeconds(10), () -> unfit(key(Type.LONG, 0L, null), "1e-999999999"));
  }

  @Test
  void holdsTextsToTheirLengthAndOptions() throws Exception {
    assertEquals("is \"abcd\"; give a text of 2 to 3 characters", unfit(key(Type.STRING, 2L, 3L), "\"abcd\""));
    Key either = new Key("k", "", Type.STRING, false, false, Optional.empty(), Optional.empty(), List.of("on", "off"), Optional.empty());
    assertEquals("on", value(either, "\"on\""));
    assertEquals("is \"maybe\"; give one of on, off", unfit(either, "\"maybe\""));
  }

  @Test
  void readsListsAndOverrides() throws Exception {
    Key list = new Key("k", "", Type.INTEGER, true, false, Optional.of(BigDecimal.ONE), Optional.empty(), List.of(), Optional.empty());
    assertArrayEquals(new Integer[] {1, 2}, (Integer[]) value(list, "[1, 2]"));
    assertArrayEquals(new Integer[] {3, 4}, (Integer[]) list.value("3, 4"));
    assertArrayEquals(new Integer[0], (Integer[]) list.value(" "));
    Key texts = new Key("k", "", Type.STRING, true, false, Optional.empty(), Optional.empty(), List.of(), Optional.of("a,b\\,c"));
    assertArrayEquals(new String[] {"a", "b,c"}, (String[]) texts.standardValue().orElseThrow());
    assertEquals("is 0; give a whole number from 1", unfit(list, "[1, 0]"));
    assertTrue(unfit(list, "1").startsWith("is 1; give a list"));
    assertEquals(9, key(Type.INTEGER, 1L, 10L).value("9"));
    assertEquals("is \"nine\"; give a whole number from 1 to 10", assertThrows(Key.Unfit.class, () -> key(Type.INTEGER, 1L, 10L).value("nine"))
        .getMessage());
    assertEquals(false, key(Type.BOOLEAN, null, null).value("false"));
    assertThrows(Key.Unfit.class, () -> key(Type.BOOLEAN, null, null).value("yes"));
  }
}
