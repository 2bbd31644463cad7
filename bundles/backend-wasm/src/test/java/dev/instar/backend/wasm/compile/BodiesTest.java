package dev.instar.backend.wasm.compile;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.dylibso.chicory.wasm.WasmModule;
import org.junit.jupiter.api.Test;

class BodiesTest {
  @Test
  void whatIsLeftIsValidAndSmall() throws Exception {
    byte[] whole = Sample.module();
    byte[] outline = Bodies.without(whole, index -> false);
    assertTrue(outline.length < 500, outline.length + " bytes");
    WasmModule module = Translator.parse(outline);
    assertEquals(60, module.codeSection().functionBodyCount());
    assertEquals(1, module.elementSection().elementCount());
  }

  @Test
  void keptBodiesStayAsTheyAre() throws Exception {
    byte[] whole = Sample.module();
    WasmModule all = Translator.parse(whole);
    WasmModule some = Translator.parse(Bodies.without(whole, index -> index == 7));
    assertEquals(all.codeSection().getFunctionBody(7).instructions().size(), some.codeSection().getFunctionBody(7).instructions().size());
    assertEquals(all.codeSection().getFunctionBody(7).localTypes(), some.codeSection().getFunctionBody(7).localTypes());
    assertEquals(2, some.codeSection().getFunctionBody(8).instructions().size());
    assertArrayEquals(whole, Bodies.without(whole, index -> true));
    assertEquals(Bodies.bytes(whole, index -> true), 60 * Bodies.bytes(whole, index -> index == 7));
  }

  @Test
  void aModuleWithoutCodeStaysAsItIs() {
    byte[] empty = {0, 'a', 's', 'm', 1, 0, 0, 0};
    assertArrayEquals(empty, Bodies.without(empty, index -> false));
    assertEquals(0, Bodies.bytes(empty, index -> true));
  }
}
